"""Health and metrics of the whole service, on a port of their own.

A process of its own answers from what every part leaves in the metrics directory, so it
answers while the edge is busy, and takes nothing from recipients.
"""

from __future__ import annotations

import json
import select
import socket
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler

from prometheus_client import CollectorRegistry, Metric, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from linkseal.stopping import stop_signal

StartResponse = Callable[[str, list[tuple[str, str]]], Any]


def run_ops(listener: socket.socket, workers: int, stop_fd: int) -> None:
    """Answer ``/healthz`` and ``/metrics`` until SIGTERM, or until ``stop_fd`` ends.

    ``/healthz`` is 200 with ``ok`` or ``degraded`` as long as any edge worker serves, since a
    degraded edge still redirects, and 503 when none does.

    Args:
        listener: Bound and listening.
        workers: How many edge workers there should be.
        stop_fd: Read end of the supervisor's pipe.
    """
    stopped = stop_signal()
    server = ThreadingWSGIServer(listener.getsockname()[:2], _Quiet, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    server.server_name, server.server_port = map(str, listener.getsockname()[:2])  # type: ignore[assignment]
    server.setup_environ()
    server.set_app(ops_app(workers))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    select.select([stopped, stop_fd], [], [])
    server.shutdown()


def ops_app(workers: int) -> Callable[[dict[str, Any], StartResponse], Iterable[bytes]]:
    """Return the WSGI application."""
    registry = CollectorRegistry()
    _Collector(registry)  # type: ignore[no-untyped-call]
    metrics = make_wsgi_app(registry)

    def answer(environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            return metrics(environ, start)  # type: ignore[no-any-return]
        if path == "/healthz":
            return _health(registry, workers, start)
        start("404 Not Found", [("Content-Type", "text/plain")])
        return [b"/healthz or /metrics\n"]

    return answer


def forget_process(pid: int) -> None:
    """Take a dead process out of the metrics that count living ones."""
    mark_process_dead(pid)


def _health(registry: CollectorRegistry, workers: int, start: StartResponse) -> Iterable[bytes]:
    serving = int(registry.get_sample_value("linkseal_edge_workers") or 0)
    failing = int(registry.get_sample_value("linkseal_edge_journal_failing") or 0)
    waiting = int(registry.get_sample_value("linkseal_edge_hits_waiting") or 0)
    healthy = serving >= workers and not failing
    body = {
        "status": "ok" if healthy else "degraded" if serving else "down",
        "edge_workers": serving,
        "journal_failing": failing,
        "hits_waiting": waiting,
    }
    start(
        "200 OK" if serving else "503 Service Unavailable", [("Content-Type", "application/json")]
    )
    return [json.dumps(body).encode() + b"\n"]


class _Collector(MultiProcessCollector):
    """Reads what every part leaves, but for a file that a part has only just opened."""

    def collect(self) -> Iterable[Metric]:
        """Return the metrics of all processes together."""
        begun = [str(file) for file in Path(self._path).glob("*.db") if _has_content(file)]
        return self.merge(begun)  # type: ignore[no-any-return, no-untyped-call]


def _has_content(file: Path) -> bool:
    try:
        return file.stat().st_size > 0
    except FileNotFoundError:  # Of a part that just died.
        return False


class _Quiet(WSGIRequestHandler):
    """Does not write a line for every scrape."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""
