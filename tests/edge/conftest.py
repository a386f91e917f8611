"""Edge workers on real sockets."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
import uvloop

from linkseal.config import EdgeConfig, JournalConfig
from linkseal.edge.shared import Shared
from linkseal.edge.worker import serve
from support.edge import Edge, files_in, snapshot, worker_setup


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def make_edge(tmp_path: Path, authority: trustme.CA) -> Iterator[Callable[..., Edge]]:
    """Start workers; each has its own limits."""
    stops: list[Callable[[], None]] = []
    edges: list[Edge] = []

    def make(
        journal: JournalConfig | None = None,
        shared: Shared | None = None,
        known: dict[str, Any] | None = None,
        **limits: Any,
    ) -> Edge:
        http, https = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
        addresses = http.getsockname(), https.getsockname()
        served = snapshot(files_in(tmp_path), authority, **(known or {}))
        config = EdgeConfig(**limits)
        setup = worker_setup(
            tmp_path, served, http, https, edge=config, journal=journal, shared=shared
        )
        ready = threading.Event()
        told: dict[str, Any] = {}

        async def run() -> None:
            told["stop"] = asyncio.Event()
            told["loop"] = asyncio.get_running_loop()
            ready.set()
            await serve(setup, told["stop"])

        def body() -> None:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(run())
            http.close()
            https.close()

        thread = threading.Thread(target=body)
        thread.start()
        assert ready.wait(10)

        def stop() -> None:
            if thread.is_alive():
                told["loop"].call_soon_threadsafe(told["stop"].set)
                thread.join(30)
                assert not thread.is_alive()

        stops.append(stop)
        edge = Edge(tmp_path, authority, *addresses, stop, tmp_path / "journal")
        edges.append(edge)
        return edge

    yield make
    for edge in edges:
        for each in edge.open_sockets:
            each.close()
    for stop in stops:
        stop()


@pytest.fixture
def edge(make_edge: Callable[..., Edge]) -> Edge:
    return make_edge()
