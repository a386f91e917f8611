"""Journal segments: the files hits are in between the edge and the collector.

Each edge worker writes its own segments, one at a time; a segment is an SQLite file
(WAL, ``synchronous=FULL``) with one row a batch, so a batch that was appended is on
disk. A worker never reopens a segment: it starts a new one when it starts, when the
current one is full and after a fault. So a segment has one writer for life, and once
a later segment of the same worker exists it is closed for good. The collector reads
segments and, when a closed one is stored whole, unlinks it: that reclaims the space
without the two ever waiting for each other's lock.

Names: ``edge-<slot>-<sequence>-<uid>.journal``. The uid is random and stands in every
batch's origin, so event ids stay unique even when a journal directory is emptied.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from linkseal.errors import JournalError
from linkseal.journal.hit import Batch, Hit, encode_batch

SEGMENT_BYTES = 32 * 1024 * 1024
"""A segment is full past this many bytes of rows."""

_NAME = re.compile(r"edge-(\d+)-(\d{8})-([0-9a-f]{16})\.journal")
# The file itself goes last: as long as it is there, its removal is tried again.
_FILES = ("-wal", "-shm", "")
_BUSY_MS = 5000


@dataclass(frozen=True, slots=True, order=True)
class SegmentName:
    """Which segment: sorts by worker, then by age."""

    slot: int
    sequence: int
    uid: str

    @property
    def file_name(self) -> str:
        """The file's name in the journal directory."""
        return f"edge-{self.slot}-{self.sequence:08d}-{self.uid}.journal"

    @classmethod
    def parse(cls, file_name: str) -> SegmentName | None:
        """Read a file name; ``None`` for anything that is not a segment."""
        match = _NAME.fullmatch(file_name)
        return cls(int(match[1]), int(match[2]), match[3]) if match else None


def list_segments(directory: Path) -> list[SegmentName]:
    """Return the segments in a journal directory, each worker's oldest first.

    Raises:
        JournalError: The directory cannot be read; a missing one is empty.
    """
    try:
        names = [SegmentName.parse(entry.name) for entry in directory.iterdir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unreadable(directory, error) from error
    return sorted(name for name in names if name is not None)


def remove_segment(directory: Path, name: SegmentName) -> None:
    """Unlink a segment and its side files; missing ones are fine."""
    for suffix in _FILES:
        (directory / (name.file_name + suffix)).unlink(missing_ok=True)


class SegmentWriter:
    """Appends batches to a new segment. Blocking: one thread at a time.

    Args:
        directory: The journal directory; made when missing.
        slot: The worker's number.

    Raises:
        JournalError: The segment cannot be made.
    """

    def __init__(self, directory: Path, slot: int) -> None:
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(directory, error) from error
        mine = [name.sequence for name in list_segments(directory) if name.slot == slot]
        self.name = SegmentName(slot, max(mine, default=0) + 1, secrets.token_hex(8))
        self.path = directory / self.name.file_name
        self.bytes_written = 0
        self._rows = 0
        try:
            self._connection = sqlite3.connect(
                self.path, timeout=_BUSY_MS / 1000, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise _unwritable(self.path, error) from error
        try:
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.execute(
                "CREATE TABLE batch (id INTEGER PRIMARY KEY, hits BLOB NOT NULL)"
            )
        except sqlite3.Error as error:
            self.close()
            remove_segment(directory, self.name)
            raise _unwritable(self.path, error) from error

    @property
    def full(self) -> bool:
        """Whether the next batch belongs in a new segment."""
        return self.bytes_written >= SEGMENT_BYTES

    def batch(self, hits: Sequence[Hit]) -> Batch:
        """Return hits as the batch to append next, its origin being here."""
        return Batch(f"{self.name.uid}{self._rows + 1:08x}", hits)

    def append(self, batch: Batch) -> None:
        """Write one batch, made here or left over from a failed segment; then it is on disk.

        Raises:
            JournalError: It may not be, and this segment must not be used again: what the
                failed write left behind is not known. The same batch may be appended to
                another segment: its events keep their ids.
        """
        row = encode_batch(batch)
        try:
            self._connection.execute("INSERT INTO batch (hits) VALUES (?)", (row,))
        except sqlite3.Error as error:
            raise _unwritable(self.path, error) from error
        self._rows += 1
        self.bytes_written += len(row)

    def close(self) -> None:
        """Close the file; safe to call twice and after a fault."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()


@dataclass(frozen=True, slots=True)
class Row:
    """One journal row, still encoded: its number counts up from 1 in its segment."""

    id: int
    data: bytes


def read_rows(directory: Path, name: SegmentName, after: int, limit: int) -> list[Row]:
    """Return up to ``limit`` rows numbered above ``after``, in order.

    A segment whose table is not there yet (a worker died while making it) reads as empty.

    Raises:
        JournalError: The file cannot be read.
    """
    path = directory / name.file_name
    try:
        with contextlib.closing(
            sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=_BUSY_MS / 1000)
        ) as connection:
            found = connection.execute(
                "SELECT id, hits FROM batch WHERE id > ? ORDER BY id LIMIT ?", (after, limit)
            ).fetchall()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return []
        raise _unreadable(path, error) from error
    except sqlite3.Error as error:
        raise _unreadable(path, error) from error
    return [Row(row_id, data) for row_id, data in found]


def _unwritable(path: Path, error: Exception) -> JournalError:
    return JournalError(
        f"cannot write the journal {path}: {error}",
        hint="free disk space or mend the permissions of the journal directory",
        code="journal-unwritable",
    )


def _unreadable(path: Path, error: Exception) -> JournalError:
    return JournalError(
        f"cannot read the journal {path}: {error}",
        hint="mend the permissions, or move the file out of the journal directory",
        code="journal-unreadable",
    )
