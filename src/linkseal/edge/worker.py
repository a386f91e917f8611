"""One edge worker: a process that serves recipients until it is told to drain."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
import uvloop

from linkseal.config import EdgeConfig, JournalConfig
from linkseal.edge.accept import Acceptor
from linkseal.edge.app_files import AppFiles
from linkseal.edge.metrics import Reporter
from linkseal.edge.recorder import Recorder
from linkseal.edge.shared import Shared
from linkseal.edge.snapshot import load_snapshot
from linkseal.edge.state import EdgeState
from linkseal.edge.tls import ListeningTLS
from linkseal.errors import LinksealError
from linkseal.vault import Vault

TICK = 1.0
DRAIN_CHECK = 0.05
FIRST_REQUEST = 1.0
"""Seconds a new connection gets for its first request while the worker drains."""
_RECIPIENTS_ERRORS = (ConnectionError, ssl.SSLError, TimeoutError)

log = structlog.get_logger("edge")


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """What a worker is made from; sockets and TLS context are made before the fork.

    Attributes:
        slot: The worker's number: its journal's.
        http: Listening socket for plain http.
        https: Listening socket for https.
        tls: Holds the context whose ticket keys every worker shares.
        edge: Limits and timeouts.
        journal: How hits are kept when the journal fails.
        journal_dir: Where segments go.
        snapshot_file: What to serve by.
        vault: Opens the snapshot.
        shared: With the other workers: made once for them all, before the fork.
    """

    slot: int
    http: socket.socket
    https: socket.socket
    tls: ListeningTLS
    edge: EdgeConfig
    journal: JournalConfig
    journal_dir: Path
    snapshot_file: Path
    vault: Vault
    shared: Shared = field(default_factory=Shared)


class Snapshots:
    """What a worker serves by, as it is written anew.

    Attributes:
        first: The one there is at the start.

    Raises:
        VaultError: It cannot be read.
    """

    def __init__(self, setup: WorkerSetup) -> None:
        self._setup = setup
        self._seen = _stat(setup.snapshot_file)
        self._failing = False
        self.first = load_snapshot(setup.snapshot_file, setup.vault)
        setup.tls.use(self.first)

    def look(self, state: EdgeState) -> None:
        """Take another snapshot if there is one; a damaged one is loud, and the last one stays.

        One that could not be read for a moment is not taken for seen, and tried again.
        """
        setup = self._setup
        now = _stat(setup.snapshot_file)
        if now == self._seen:
            return
        try:
            snapshot = load_snapshot(setup.snapshot_file, setup.vault)
            setup.tls.use(snapshot)
        except (LinksealError, OSError) as error:
            Reporter.loaded(ok=False)
            log.error("snapshot not taken, the last one stays", error=str(error))
            self._failing = True
            if not _passing(error):
                self._seen = now
            return
        self._seen, self._failing = now, False
        state.use(snapshot)
        Reporter.loaded(ok=True)
        log.info("snapshot taken", slot=setup.slot)

    def look_again(self, state: EdgeState) -> None:
        """Look between two ticks, as strangers may cause it: not while that fails, loudly."""
        if not self._failing:
            self.look(state)


def run_worker(setup: WorkerSetup, stop_fd: int) -> None:
    """Serve until SIGTERM, or until ``stop_fd`` ends because the supervisor is gone.

    Raises:
        VaultError: The snapshot cannot be read at the start.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_until_told(setup, stop_fd))


async def _until_told(setup: WorkerSetup, stop_fd: int) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    loop.add_reader(stop_fd, stop.set)
    try:
        await serve(setup, stop)
    finally:
        loop.remove_reader(stop_fd)


async def serve(setup: WorkerSetup, stop: asyncio.Event) -> None:
    """Serve until ``stop`` is set, then drain and flush the journal.

    Raises:
        VaultError: The snapshot cannot be read at the start.
    """
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_report)
    snapshots = Snapshots(setup)
    recorder = Recorder(loop, setup.journal_dir, setup.slot, setup.journal)
    files = AppFiles.beside(setup.snapshot_file)
    state = EdgeState(loop, setup.edge, recorder, snapshots.first, setup.slot, setup.shared, files)
    state.look_again = lambda: snapshots.look_again(state)
    reporter = Reporter(state, recorder, setup.tls)
    acceptors = [
        Acceptor(loop, setup.http, state, None),
        Acceptor(loop, setup.https, state, setup.tls),
    ]
    log.info("serving", slot=setup.slot)
    try:
        while not await _wait(stop, TICK):
            state.tick()
            recorder.look()
            snapshots.look(state)
            reporter.report()
    finally:
        state.draining = True
        for acceptor in acceptors:
            acceptor.stop()
        await _drain(state)
        await recorder.close()
        reporter.report()
    log.info("drained", slot=setup.slot, hits=recorder.recorded, commits=recorder.commits)


def _report(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what went wrong in a callback, but for what recipients cause: that is counted."""
    error = context.get("exception")
    # aiofastnet hands the bare class over when a client leaves in its handshake.
    kind = error if isinstance(error, type) else type(error)
    of_connection = "transport" in context or "protocol" in context
    if not of_connection or not issubclass(kind, _RECIPIENTS_ERRORS):
        log.error(context.get("message", "unexpected error"), exc_info=error)


async def _wait(stop: asyncio.Event, seconds: float) -> bool:
    """Wait; return whether it is time to stop."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return False
    return True


def _passing(error: LinksealError | OSError) -> bool:
    """Whether it is the machine's fault, as want of descriptors, and not the snapshot's."""
    cause = error.__cause__ if isinstance(error, LinksealError) else error
    return isinstance(cause, OSError) and not isinstance(cause, ssl.SSLError | FileNotFoundError)


def _stat(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:
        return (0, 0)
    return (stat.st_mtime_ns, stat.st_ino)


async def _drain(state: EdgeState) -> None:
    """Let requests in flight finish, for at most ``drain_timeout`` seconds."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    while (state.connections or state.opening) and state.now < started + state.config.drain_timeout:
        for connection in list(state.connections):
            connection.drain(patient=state.now < started + FIRST_REQUEST)
        await asyncio.sleep(DRAIN_CHECK)
        state.tick()
    for opening in list(state.opening):
        opening.cancel()
    for connection in list(state.connections):
        connection.abort()
