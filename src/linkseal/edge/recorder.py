"""Group commit: many hits in one durable write, each answered after it.

Hits that come while a write is under way wait for the next one, so the busier the edge,
the more hits a write carries and the less each costs. A lone hit is written at once;
when writes follow each other closely, the next begins as soon as :data:`GATHER_HITS` wait
or :data:`GATHER_SECONDS` after the last began. The write happens in a thread (the system
call gives the interpreter's lock up while it waits for the disk).

When the journal cannot be written, or a write hangs for ``journal.patience_seconds``,
recipients are answered at once all the same: a redirect matters more than its record.
The hits wait in memory, bounded, and are written to a new segment as soon as one can be
made.

Exactly once: a write that failed or hangs may have reached the disk all the same. So a
batch that was tried keeps its origin, and with it its event ids, wherever it is written
next: read twice, it is stored once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import secrets
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

import structlog

from linkseal.config import JournalConfig
from linkseal.errors import JournalError
from linkseal.journal import Batch, Hit, SegmentWriter

GATHER_HITS: Final = 128
GATHER_SECONDS: Final = 0.005
_RETRY_BATCH: Final = 1000
"""Hits in one batch when what came during an outage is written."""
_LOG_EVERY: Final = 60

log = structlog.get_logger("journal")


class Owner(Protocol):
    """Whoever waits for a hit to be on disk."""

    def committed(self) -> None:
        """Send the oldest answer that waits: its hit is on disk, or kept in memory."""


class Recorder:
    """Writes one worker's hits.

    Args:
        loop: The worker's loop; every method but the thread's is called there.
        directory: The journal directory.
        slot: The worker's number.
        config: How much to keep in memory and how often to try again.

    Attributes:
        commits: Batches written.
        recorded: Hits written.
        failures: Writes that failed or hung.
        dropped: Hits lost, because memory for them was full or the worker had to end.
        failing: Whether recipients are answered before their hits are on disk.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, directory: Path, slot: int, config: JournalConfig
    ) -> None:
        self._loop = loop
        self._directory = directory
        self._slot = slot
        self._config = config
        self._writer: SegmentWriter | None = None
        # Gathering for the next write.
        self._hits: list[Hit] = []
        self._owners: list[Owner] = []
        self._timer: asyncio.TimerHandle | None = None
        # Being written.
        self._writing = False
        self._started = 0.0
        self._answered_after: list[Owner] = []
        self._answered = 0
        # Kept while the journal fails: batches that were tried, then hits that came since.
        self._kept: deque[Batch] = deque()
        self._kept_hits = 0
        self._later: deque[Hit] = deque()
        self._jobs: queue.SimpleQueue[list[Batch] | None] = queue.SimpleQueue()
        self._idle = asyncio.Event()
        self._idle.set()
        self.commits = 0
        self.recorded = 0
        self.failures = 0
        self.dropped = 0
        self.failing = False
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Hits in memory whose recipients were answered: lost if the worker dies now."""
        return self._kept_hits + len(self._later) + self._answered

    def record(self, hit: Hit, owner: Owner) -> None:
        """Take a hit; ``owner.committed`` is called when it is on disk, in order."""
        if self.failing:
            self._keep((hit,))
            owner.committed()
            return
        hits = self._hits
        hits.append(hit)
        self._owners.append(owner)
        if self._writing:
            return
        if len(hits) == 1:
            self._idle.clear()
            self._schedule()
        elif len(hits) == GATHER_HITS and self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._loop.call_soon(self._write)

    def look(self) -> None:
        """Answer those who waited too long for a write that hangs; call about once a second."""
        patience = self._config.patience_seconds
        if self._writing and not self.failing and self._loop.time() > self._started + patience:
            self.failures += 1
            self._answered = len(self._answered_after)
            self._fail_open()
            log.error("the journal's disk hangs, recipients are answered at once")

    async def close(self) -> None:
        """Write what waits, try once more what was kept, and end the thread."""
        await self._idle.wait()
        if self.failing and not self._writing:
            self._retry()
            await self._idle.wait()
        if lost := self.waiting:
            self.dropped += lost
            self._kept.clear()
            self._kept_hits = 0
            self._later.clear()
            log.error("hits lost, the journal could not be written", hits=lost)
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    # Gather and hand over.

    def _schedule(self) -> None:
        """Write at the end of this turn of the loop, or when the last write is long enough ago."""
        wait = self._started + GATHER_SECONDS - self._loop.time()
        if wait > 0 and len(self._hits) < GATHER_HITS:
            self._timer = self._loop.call_later(wait, self._write)
        else:
            self._loop.call_soon(self._write)

    def _write(self) -> None:
        self._timer = None
        hits, self._hits = self._hits, []
        self._answered_after, self._owners = self._owners, []
        writer = self._writer
        self._submit([writer.batch(hits) if writer else _new_batch(hits)], answered=0)

    def _submit(self, batches: list[Batch], *, answered: int) -> None:
        self._writing = True
        self._answered = answered
        self._idle.clear()
        self._started = self._loop.time()
        self._jobs.put(batches)

    # The thread.

    def _work(self) -> None:
        """Write jobs, one after the other: the thread's life."""
        # Where the two share a core, waking up must not interrupt the loop: the first thing
        # this thread needs is the interpreter's lock, which the loop holds just then.
        with contextlib.suppress(OSError):  # Sandboxes forbid it.
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        while (batches := self._jobs.get()) is not None:
            error: JournalError | None = None
            written = 0
            try:
                for batch in batches:
                    self._append(batch)
                    written += 1
            except JournalError as caught:
                error = caught
            except Exception as caught:  # noqa: BLE001 - a dead thread would leave recipients waiting
                error = JournalError(f"cannot write the journal: {caught!r}")
            self._loop.call_soon_threadsafe(self._written, batches, written, error)
        if self._writer is not None:
            self._writer.close()

    def _append(self, batch: Batch) -> None:
        writer = self._writer
        if writer is not None and writer.full:
            writer.close()
            writer = self._writer = None
        if writer is None:
            writer = self._writer = SegmentWriter(self._directory, self._slot)
        try:
            writer.append(batch)
        except BaseException:
            # What the failed write left behind is not known: never write there again.
            writer.close()
            self._writer = None
            raise

    # Back in the loop.

    def _written(self, batches: Sequence[Batch], written: int, error: JournalError | None) -> None:
        """Answer, and see to what could not be written."""
        self._writing = False
        self._answered = 0
        self.commits += written
        self.recorded += sum(len(batch.hits) for batch in batches[:written])
        if error is not None:
            self._failed(batches[written:], error)
            return
        if self.failing:
            self.failing = False
            log.warning("journal written again", dropped=self.dropped)
        owners, self._answered_after = self._answered_after, []
        for owner in owners:
            owner.committed()
        if self._later:
            self._retry()
        elif self._hits:
            self._schedule()
        else:
            self._idle.set()

    def _failed(self, batches: Sequence[Batch], error: JournalError) -> None:
        told = self.failing and self.failures % _LOG_EVERY != 0
        self.failures += 1
        self._kept.extend(batches)
        self._kept_hits += sum(len(batch.hits) for batch in batches)
        self._fail_open()
        if not told:
            log.error("journal not written", hits=self.waiting, **error.as_dict())
        self._loop.call_later(self._config.retry_seconds, self._retry)
        self._idle.set()

    def _fail_open(self) -> None:
        """Answer everybody who waits; what they asked for is kept."""
        self.failing = True
        owners = [*self._answered_after, *self._owners]
        self._answered_after, self._owners = [], []
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        hits, self._hits = self._hits, []
        self._keep(hits)
        for owner in owners:
            owner.committed()

    def _keep(self, hits: Sequence[Hit]) -> None:
        """Keep hits, to the bound; of a long outage the end is worth more than the start."""
        self._later.extend(hits)
        surplus = self.waiting - self._config.memory_hits
        if surplus <= 0:
            return
        lost = 0
        while lost < surplus and self._kept:
            lost += len(self._kept.popleft().hits)
        self._kept_hits -= lost
        while lost < surplus and self._later:
            self._later.popleft()
            lost += 1
        if not self.dropped:
            log.error("hits dropped, memory for them is full", hits=lost)
        self.dropped += lost

    def _retry(self) -> None:
        """Write what was kept, to a new segment; with nothing kept, the next hit is the test."""
        if self._writing:
            return
        later = list(self._later)
        batches = list(self._kept)
        batches += [
            _new_batch(later[at : at + _RETRY_BATCH]) for at in range(0, len(later), _RETRY_BATCH)
        ]
        if not batches:
            self.failing = False
            return
        waiting = self.waiting
        self._kept.clear()
        self._kept_hits = 0
        self._later.clear()
        self._submit(batches, answered=waiting)


def _new_batch(hits: Sequence[Hit]) -> Batch:
    """Return hits as a batch that no segment is there for yet."""
    return Batch(secrets.token_hex(12), hits)
