"""Run the parts of the service as forked processes, restart them, stop them cleanly.

The supervisor is single-threaded and blocking, without an event loop: forking is safe
only so. Parts share what was made before the fork (listening sockets, the TLS context
whose ticket keys must be common), so a part that dies takes no socket with it and
no client is refused while it is restarted.

Each part holds the read end of a pipe whose write end only the supervisor has: when
the supervisor is killed the pipe closes, and the parts drain and leave.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

import structlog

FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
SETTLED_AFTER = 60.0
"""A part that lived this many seconds starts its back-off anew."""

_SIGNALS = frozenset({signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP})

log = structlog.get_logger("supervisor")


@dataclass(slots=True)
class Part:
    """One process of the service.

    Attributes:
        name: For the log, ``edge-0``.
        run: Runs in the child until it should stop; gets the pipe that closes when the
            supervisor is gone. Stops on SIGTERM, which is blocked until it unblocks it
            with a handler in place: no order to stop is lost while a part starts.
        stage: Stopped in rising order: first what takes in, last what stores. A part of a
            later stage that is down then, or dies, is started once more, to finish its work.
        grace: Seconds to stop in before it is killed.
    """

    name: str
    run: Callable[[int], None]
    stage: int = 0
    grace: float = 10.0
    pid: int = 0
    started_at: float = 0.0
    start_due: float = 0.0
    delay: float = field(default=FIRST_DELAY)

    def failed(self, now: float) -> float:
        """Note that the process died; return the seconds until it is started again."""
        if now - self.started_at >= SETTLED_AFTER:
            self.delay = FIRST_DELAY
        wait = self.delay
        self.delay = min(self.delay * 2, LONGEST_DELAY)
        self.pid = 0
        self.start_due = now + wait
        return wait


class Supervisor:
    """Starts parts, restarts those that die, stops all on SIGTERM or SIGINT.

    Args:
        parts: In the order they are started.
        tick: Called about once a second, and on SIGHUP with ``True``.
        died: Called with the process id of a part that died.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        tick: Callable[[bool], None],
        died: Callable[[int], None],
    ) -> None:
        self._parts = parts
        self._tick = tick
        self._died = died
        self._pipe_read, self._pipe_write = os.pipe()

    def run(self, ready: Callable[[], None]) -> None:
        """Supervise until told to stop; on return every part is gone.

        Args:
            ready: Called before the first part is started. An order to stop that comes from then
                on waits until all of them are there, to be stopped as ever.
        """
        old_mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            ready()
            for part in self._parts:
                self._start(part, old_mask)
            self._loop(old_mask)
            self._stop(old_mask)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, old_mask)
            os.close(self._pipe_read)
            os.close(self._pipe_write)

    def _loop(self, old_mask: Iterable[int]) -> None:
        while True:
            got = signal.sigtimedwait(_SIGNALS, 1.0)
            number = got.si_signo if got else None
            if number in {signal.SIGTERM, signal.SIGINT}:
                log.info("stopping", signal=signal.Signals(number).name)
                return
            self._reap()
            try:
                self._tick(number == signal.SIGHUP)
            except Exception:
                # The parts go on with what they have; the next tick tries again.
                log.exception("tick failed")
            for part in self._parts:
                if not part.pid and part.start_due <= time.monotonic():
                    self._start(part, old_mask)

    def _start(self, part: Part, old_mask: Iterable[int]) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            self._child(part, old_mask)
        part.pid = pid
        part.started_at = time.monotonic()
        log.info("part started", part=part.name, pid=pid)

    def _child(self, part: Part, old_mask: Iterable[int]) -> NoReturn:
        code = 1
        try:
            os.close(self._pipe_write)
            # The terminal sends Ctrl-C to the whole group: only the supervisor decides.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, {*old_mask, signal.SIGTERM})
            structlog.contextvars.bind_contextvars(part=part.name)
            part.run(self._pipe_read)
            code = 0
        except BaseException:
            # Whatever it was, a child must not return into the supervisor's code.
            log.exception("part crashed", part=part.name)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _reap(self) -> None:
        for part in self._parts:
            if not part.pid:
                continue
            pid, status = os.waitpid(part.pid, os.WNOHANG)
            if pid:
                self._died(pid)
                wait = part.failed(time.monotonic())
                log.error(
                    "part died",
                    part=part.name,
                    pid=pid,
                    exit=os.waitstatus_to_exitcode(status),
                    restart_in=wait,
                )

    def _stop(self, old_mask: Iterable[int]) -> None:
        for stage in sorted({part.stage for part in self._parts}):
            self._reap()
            later = stage > 0
            unfinished = [
                each for each in self._parts if each.stage == stage and (each.pid or later)
            ]
            # One that was killed may still be dying, and be seen to be dead only as it is ended.
            for _ in range(2 if later else 1):
                for part in unfinished:
                    if not part.pid:
                        self._start(part, old_mask)
                unfinished = self._end(unfinished)
        log.info("stopped")

    def _end(self, parts: Sequence[Part]) -> list[Part]:
        """Tell parts to stop, wait until they are gone; return those that died instead."""
        for part in parts:
            os.kill(part.pid, signal.SIGTERM)
        died: list[Part] = []
        deadline = time.monotonic() + max((part.grace for part in parts), default=0.0)
        for part in parts:
            while True:
                pid, status = os.waitpid(part.pid, os.WNOHANG)
                if pid:
                    if status:
                        died.append(part)
                    break
                left = deadline - time.monotonic()
                if left <= 0:
                    log.error("part killed, it did not stop", part=part.name, pid=part.pid)
                    os.kill(part.pid, signal.SIGKILL)
                    os.waitpid(part.pid, 0)
                    break
                got = signal.sigtimedwait({signal.SIGCHLD, signal.SIGTERM, signal.SIGINT}, left)
                if got and got.si_signo != signal.SIGCHLD:
                    # Told to stop once more: stop waiting for the slow ones.
                    deadline = time.monotonic()
            part.pid = 0
        return died
