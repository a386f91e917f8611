"""Group commit: many hits in one durable write, each answered after it.

Hits that come while a write is under way wait for the next one, so the busier the edge,
the more hits a write carries and the less each costs. The write happens in a thread
(SQLite leaves the interpreter's lock while it waits for the disk).

When the journal cannot be written, recipients are answered at once all the same: a
redirect matters more than its record. The hits wait in memory, bounded, and are written
to a new segment as soon as one can be made; a batch keeps its origin, so one that had
reached the disk although its write failed does not become twice the events.
"""

from __future__ import annotations

import asyncio
import queue
import secrets
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import structlog

from linkseal.config import JournalConfig
from linkseal.errors import JournalError
from linkseal.journal import Batch, Hit, SegmentWriter

_LOG_EVERY = 60

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
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, directory: Path, slot: int, config: JournalConfig
    ) -> None:
        self._loop = loop
        self._directory = directory
        self._slot = slot
        self._config = config
        self._writer: SegmentWriter | None = None
        self._hits: list[Hit] = []
        self._owners: list[Owner] = []
        self._writing = False
        self._kept: deque[Batch] = deque()
        self._kept_hits = 0
        self._jobs: queue.SimpleQueue[tuple[list[Batch], list[Owner]] | None] = queue.SimpleQueue()
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
        """Hits in memory that are not on disk because the journal cannot be written."""
        return self._kept_hits

    def record(self, hit: Hit, owner: Owner) -> None:
        """Take a hit; ``owner.committed`` is called when it is on disk, in order."""
        self._hits.append(hit)
        self._owners.append(owner)
        if not self._writing:
            self._writing = True
            self._idle.clear()
            # At the end of this turn of the loop: what else it reads comes along.
            self._loop.call_soon(self._write)

    async def close(self) -> None:
        """Write what waits, try once more what was kept, and end the thread."""
        await self._idle.wait()
        if self._kept:
            self._retry()
            await self._idle.wait()
        if self._kept:
            log.error("hits lost, the journal could not be written", hits=self._kept_hits)
            self.dropped += self._kept_hits
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    def _write(self) -> None:
        """Hand what gathered to the thread, or keep it while the journal is failing."""
        hits, owners = self._hits, self._owners
        self._hits, self._owners = [], []
        if self._kept:
            self._keep([Batch(self._new_origin(), hits)])
            self._finish(owners)
            return
        self._jobs.put(([self._batch(hits)], owners))

    def _batch(self, hits: Sequence[Hit]) -> Batch:
        writer = self._writer
        return writer.batch(hits) if writer else Batch(self._new_origin(), hits)

    @staticmethod
    def _new_origin() -> str:
        """Return an origin for a batch no segment is there for."""
        return secrets.token_hex(12)

    def _work(self) -> None:
        """Write jobs, one after the other: the thread's life."""
        while (job := self._jobs.get()) is not None:
            batches, owners = job
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
            self._loop.call_soon_threadsafe(self._written, batches, written, owners, error)
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
        except JournalError:
            writer.close()
            self._writer = None
            raise

    def _written(
        self,
        batches: Sequence[Batch],
        written: int,
        owners: Sequence[Owner],
        error: JournalError | None,
    ) -> None:
        """Back in the loop: answer, and see to what could not be written."""
        self.commits += written
        self.recorded += sum(len(batch.hits) for batch in batches[:written])
        if error is not None:
            self.failures += 1
            self._keep(batches[written:])
            if not self.failing or self.failures % _LOG_EVERY == 0:
                log.error("journal not written", hits=self._kept_hits, **error.as_dict())
            self.failing = True
            self._loop.call_later(self._config.retry_seconds, self._retry)
        elif self.failing:
            self.failing = False
            log.warning("journal written again", hits=sum(len(batch.hits) for batch in batches))
        self._finish(owners)

    def _finish(self, owners: Sequence[Owner]) -> None:
        for owner in owners:
            owner.committed()
        if self._hits:
            self._loop.call_soon(self._write)
        else:
            self._writing = False
            self._idle.set()

    def _keep(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            self._kept.append(batch)
            self._kept_hits += len(batch.hits)
        while self._kept_hits > self._config.memory_hits:
            # The oldest go first: of a long outage the end is worth more than the start.
            lost = self._kept.popleft()
            self._kept_hits -= len(lost.hits)
            self.dropped += len(lost.hits)
            log.error("hits dropped, memory for them is full", hits=len(lost.hits))

    def _retry(self) -> None:
        """Write what was kept, to a new segment, unless something is being written."""
        if not self._kept:
            return
        if self._writing:
            self._loop.call_later(self._config.retry_seconds, self._retry)
            return
        batches = list(self._kept)
        self._kept.clear()
        self._kept_hits = 0
        self._writing = True
        self._idle.clear()
        self._jobs.put((batches, []))
