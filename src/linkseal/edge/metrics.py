"""The edge's metrics: a worker's plain numbers, handed to Prometheus each second."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

from linkseal.edge.recorder import Recorder
from linkseal.edge.state import EdgeState
from linkseal.edge.tls import ListeningTLS

_ANSWERS = Counter("linkseal_edge_answers", "Requests answered, by what they were.", ["what"])
_CONNECTIONS = Counter("linkseal_edge_connections", "Connections, by what came of them.", ["what"])
_COMMITS = Counter("linkseal_edge_journal_commits", "Durable writes of the journal.")
_HITS = Counter("linkseal_edge_hits", "Hits written to the journal.")
_FAILURES = Counter("linkseal_edge_journal_failures", "Writes of the journal that failed.")
_DROPPED = Counter("linkseal_edge_hits_dropped", "Hits lost because memory for them was full.")
_RELOADS = Counter("linkseal_edge_snapshot_loads", "Snapshots looked at, by result.", ["result"])
_OPEN = Gauge("linkseal_edge_connections_open", "Open connections.", multiprocess_mode="livesum")
_WAITING = Gauge(
    "linkseal_edge_hits_waiting",
    "Hits in memory while the journal cannot be written.",
    multiprocess_mode="livesum",
)
_FAILING = Gauge(
    "linkseal_edge_journal_failing",
    "Workers that cannot write their journal.",
    multiprocess_mode="livesum",
)
_WORKERS = Gauge("linkseal_edge_workers", "Workers serving.", multiprocess_mode="livesum")


class Reporter:
    """Adds what happened since the last report to the metrics."""

    def __init__(self, state: EdgeState, recorder: Recorder, tls: ListeningTLS) -> None:
        self._state = state
        self._recorder = recorder
        self._tls = tls
        self._last: dict[tuple[int, str], int] = {}
        _WORKERS.set(1)

    def report(self) -> None:
        """Report once."""
        counts, recorder = self._state.counts, self._recorder
        answers = {
            "click": counts.clicks,
            "open": counts.opens,
            "bad_token": counts.bad_tokens,
            "wrong_customer": counts.wrong_customer,
            "challenge": counts.challenges,
            "probe": counts.probes,
            "probe_refused": counts.probes_refused,
            "app_file": counts.app_files,
            "unknown_host": counts.unknown_hosts,
        }
        answers |= {f"refused_{status}": count for status, count in counts.refused.items()}
        for what, count in answers.items():
            self._add(_ANSWERS, what, count, label=what)
        for what, count in {
            "accepted": counts.accepted,
            "failed_handshake": counts.failed_handshakes,
            "unknown_sni": self._tls.unknown_names,
            "timed_out": counts.timeouts,
            "refused_full": counts.refused_connections,
        }.items():
            self._add(_CONNECTIONS, what, count, label=what)
        self._add(_COMMITS, "commits", recorder.commits)
        self._add(_HITS, "hits", recorder.recorded)
        self._add(_FAILURES, "failures", recorder.failures)
        self._add(_DROPPED, "dropped", recorder.dropped)
        _OPEN.set(len(self._state.connections))
        _WAITING.set(recorder.waiting)
        _FAILING.set(recorder.failing)

    @staticmethod
    def loaded(*, ok: bool) -> None:
        """Note that a new snapshot was looked at."""
        _RELOADS.labels("ok" if ok else "failed").inc()

    def _add(self, counter: Counter, name: str, count: int, *, label: str = "") -> None:
        key = (id(counter), name)
        new = count - self._last.get(key, 0)
        if new:
            self._last[key] = count
            (counter.labels(label) if label else counter).inc(new)
