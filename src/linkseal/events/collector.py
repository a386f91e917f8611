"""The collector: moves hits from the journal into the database, each exactly once.

For every segment, in order: read rows after the stored position; store their events and
the new position in one transaction; when a closed segment is stored whole, unlink it,
then forget its position. A crash between any two of these steps repeats work at the
next start and changes nothing: event ids are made from where a batch was first written,
and a position forgotten too late or never costs a row in a small table.
"""

from __future__ import annotations

import select
import time
from pathlib import Path

import structlog

from linkseal.errors import JournalError, LinksealError
from linkseal.events import metrics
from linkseal.journal import (
    Hit,
    Row,
    SegmentName,
    decode_batch,
    is_closed,
    keep_aside,
    list_segments,
    read_rows,
    remove_segment,
)
from linkseal.seal import Kind, MessageID
from linkseal.stopping import stop_signal
from linkseal.store import NewEvent, Position, Store

BYTES_AT_ONCE = 1 << 20
"""Bytes of rows stored in one transaction: some thousand events."""
LONGEST_PAUSE = 10.0
_BIGGEST = 1 << 63
_LATEST_MS = 250_000_000_000_000

log = structlog.get_logger("collector")


class Collector:
    """Stores what journals hold.

    Args:
        store: Where events go.
        journal_dir: Where the edge workers' segments are.
    """

    def __init__(self, store: Store, journal_dir: Path) -> None:
        self._store = store
        self._directory = journal_dir
        self._failing: dict[SegmentName, float] = {}

    def run_once(self) -> int:
        """Store what is there now; return how many events were new.

        A segment that cannot be read or unlinked, or whose damaged rows cannot be kept aside,
        waits for the next call; the others go on.

        Raises:
            StoreError: The database cannot be used. What is stored is whole, the rest
                stays in the journal for the next call.
        """
        names = list_segments(self._directory)
        positions = self._store.events.positions()
        stored = 0
        failed: set[SegmentName] = set()
        for name in names:
            try:
                # Whether it is closed must be known before it is read to its end: a row
                # appended in between would be unlinked unread.
                closed = is_closed(self._directory, name)
                stored += self._collect(name, positions.get(name.uid, 0), closed=closed)
                if closed:
                    remove_segment(self._directory, name)
            except JournalError as error:
                self._note(name, error)
                failed.add(name)
                continue
            if closed:
                self._store.events.forget_segment(name.uid)
        for uid in positions.keys() - {name.uid for name in names}:
            self._store.events.forget_segment(uid)
        self._failing = {name: at for name, at in self._failing.items() if name in failed}
        if not failed:
            metrics.COLLECTED_AT.set_to_current_time()
        return stored

    def _collect(self, name: SegmentName, after: int, *, closed: bool) -> int:
        stored = 0
        while rows := read_rows(self._directory, name, after, BYTES_AT_ONCE, closed=closed):
            after = rows[-1].end
            events: list[NewEvent] = []
            torn = damaged = 0
            for row in rows:
                if row.torn:
                    torn += 1
                    log.info("journal record torn", segment=name.file_name, bytes=len(row.data))
                    continue
                try:
                    events += _events(row)
                except (LinksealError, ValueError) as error:
                    keep_aside(self._directory, name, row)
                    damaged += 1
                    where = {"segment": name.file_name, "end": row.end}
                    log.error("journal row damaged", **where, error=str(error))
            new = self._store.events.store(events, Position(name.uid, name.file_name, after))
            # Only now: rows that could not be stored are read, and would be counted, again.
            stored += new
            metrics.EVENTS.inc(new)
            metrics.TORN_RECORDS.inc(torn)
            metrics.DAMAGED_ROWS.inc(damaged)
            if events:
                metrics.LAG.set(max(0.0, time.time() - events[-1].at_ms / 1000))
        return stored

    def _note(self, name: SegmentName, error: JournalError) -> None:
        """Log a segment that has to wait, once a minute; the others go on."""
        now = time.monotonic()
        if now - self._failing.get(name, -60.0) >= 60.0:
            self._failing[name] = now
            log.error("journal segment waits", segment=name.file_name, **error.as_dict())


def run_collector(
    store_url: str,
    journal_dir: Path,
    interval: float,
    stop_fd: int,
) -> None:
    """Collect until told to stop: the body of the collector's process.

    SIGTERM, or the end of ``stop_fd`` (the supervisor is gone), ends it after one more
    look at the journal, so what was flushed before is stored.

    Args:
        store_url: The database.
        journal_dir: The journal directory.
        interval: Seconds between looks at an idle journal.
        stop_fd: Read end of the supervisor's pipe.
    """
    stopped = stop_signal()
    with Store.open(store_url, migrate=False) as store:
        collector = Collector(store, journal_dir)
        pause = interval
        while not select.select([stopped, stop_fd], [], [], pause)[0]:
            pause = interval if _try(collector) else min(pause * 2, LONGEST_PAUSE)
        _try(collector)


def _try(collector: Collector) -> bool:
    try:
        collector.run_once()
    except LinksealError as error:
        # The journal keeps everything until the database can be used again.
        metrics.FAILURES.inc()
        log.error("events not stored, they wait in the journal", **error.as_dict())
        return False
    return True


def _events(row: Row) -> list[NewEvent]:
    batch = decode_batch(row.data)
    return [_event(batch.event_id(index), hit) for index, hit in enumerate(batch.hits)]


def _event(new_id: str, hit: Hit) -> NewEvent:
    # What a database and a calendar take; a damaged row may hold any number.
    in_range = 0 <= hit.customer < _BIGGEST and 0 <= hit.link < _BIGGEST
    if not in_range or not 0 <= hit.at_ms < _LATEST_MS:
        raise ValueError("a number is out of range")
    return NewEvent(
        id=new_id,
        kind=Kind(hit.kind).name.lower(),
        at_ms=hit.at_ms,
        customer_id=hit.customer,
        message_id=str(MessageID(hit.message)),
        link=hit.link,
        destination=hit.destination,
        host=hit.host,
        secure=hit.secure,
        method=hit.method,
        address=hit.address,
        user_agent=hit.user_agent,
    )
