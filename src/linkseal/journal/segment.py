"""Journal segments: the files hits are in between the edge and the collector.

Each edge worker writes its own segments, one at a time; a segment is a log of records,
one a batch, each appended by one ``O_DSYNC`` write, so a batch that was appended is on
disk. A worker never reopens a segment: it starts a new one when it starts, when the
current one is full and after a fault. So a segment has one writer for life, which holds
a lock on it (``flock``) that ends with the writer, however that dies. A file is locked
before it gets a segment's name, so a segment nobody has locked is closed for good. The
collector reads segments and, when a closed one is stored whole, unlinks it: that reclaims
the space without the two ever waiting for each other.

Record: ``MAGIC``, the row's length and its CRC-32 (both little-endian, 4 bytes), the row.
Names: ``edge-<slot>-<sequence>-<uid>.journal``. The uid is random and stands in every
batch's origin, so event ids stay unique even when a journal directory is emptied.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Final

from linkseal.errors import JournalError
from linkseal.journal.hit import Batch, Hit, encode_batch
from linkseal.vault import give_to_owner

SEGMENT_BYTES: Final = 32 * 1024 * 1024
"""A segment is full past this many bytes."""
DAMAGED: Final = "damaged"
"""Where in the journal directory rows are kept that nobody can read."""
MAGIC: Final = b"LSJ\x01"
_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_DSYNC | os.O_CLOEXEC
_HEADER: Final = struct.Struct("<4sII")
_NAME = re.compile(r"edge-(\d+)-(\d{8})-([0-9a-f]{16})\.journal")


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


def is_closed(directory: Path, name: SegmentName) -> bool:
    """Whether a segment's writer is gone, so that nothing will be appended any more.

    A writer that could not write anything takes its file along: a missing one is closed.

    Raises:
        JournalError: The file cannot be read.
    """
    path = directory / name.file_name
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except FileNotFoundError:
        return True
    except OSError as error:
        raise _unreadable(path, error) from error
    return True


def remove_segment(directory: Path, name: SegmentName) -> None:
    """Unlink a segment; a missing one is fine.

    Raises:
        JournalError: It cannot be unlinked.
    """
    path = directory / name.file_name
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from error


def keep_aside(directory: Path, name: SegmentName, row: Row) -> None:
    """Keep a row nobody can read in ``damaged/``, durably, since its segment will be unlinked.

    Raises:
        JournalError: It cannot be kept; the segment must stay.
    """
    aside = directory / DAMAGED
    path = aside / f"{name.uid}-{row.end}.row"
    try:
        aside.mkdir(exist_ok=True)
        with path.open("wb") as file:
            file.write(row.data)
            file.flush()
            os.fsync(file.fileno())
        _sync_directory(aside)
        _sync_directory(directory)
    except OSError as error:
        raise _unwritable(path, error) from error


class SegmentWriter:
    """Appends batches to a new segment. Blocking: one thread at a time.

    Args:
        directory: The journal directory; made when missing.
        slot: The worker's number; nobody else makes segments of it at the same time, so
            what a writer that died before its segment had a name left behind is removed.

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
        self._handle = -1
        # Nobody lists it before it is renamed, and then it is locked: a collector that saw
        # it without its lock would take it for a closed one, and unlink it.
        unnamed = directory / f".{self.name.file_name}"
        try:
            for left in directory.glob(f".edge-{slot}-*.journal"):
                left.unlink()
            self._handle = os.open(unnamed, _FLAGS, 0o600)
            give_to_owner(self._handle, directory)
            fcntl.flock(self._handle, fcntl.LOCK_EX)
            unnamed.rename(self.path)
            _sync_directory(directory)
        except OSError as error:
            self.close()
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
                failed write left behind is taken away, if it can be. The same batch may be
                appended to another segment: its events keep their ids.
        """
        row = encode_batch(batch)
        record = _HEADER.pack(MAGIC, len(row), zlib.crc32(row)) + row
        try:
            # One call, which gives the interpreter's lock up once: the loop waits for it.
            written = os.write(self._handle, record)
        except OSError as error:
            self._take_back()
            raise _unwritable(self.path, error) from error
        if written != len(record):
            self._take_back()
            raise _unwritable(self.path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        self._rows += 1
        self.bytes_written += written

    def _take_back(self) -> None:
        """Leave only whole records behind, and no file without any: a full disk needs room."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._handle, self.bytes_written)
            if not self.bytes_written:
                self.path.unlink()

    def close(self) -> None:
        """Close the file; safe to call twice and after a fault."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            with contextlib.suppress(OSError):
                os.close(handle)


@dataclass(frozen=True, slots=True)
class Row:
    """One journal row, still encoded.

    Attributes:
        end: Where its record ends in the segment: the position after it.
        data: The row; of a damaged part of a closed segment, all its bytes.
        torn: Whether it is the beginning of a record whose writer died in the middle of
            it. Nobody was answered for what is missing here.
    """

    end: int
    data: bytes
    torn: bool = False


def read_rows(
    directory: Path, name: SegmentName, after: int, max_bytes: int, *, closed: bool
) -> list[Row]:
    """Return the rows after a position, in order, until they have ``max_bytes`` together.

    A record that is not whole is being written, or was when its worker died: reading stops
    there. In a closed segment it will never be whole: at the end it is handed out as torn;
    other bytes that are no record are handed out as a row (which no decoder takes for one),
    and reading goes on at the next record. A missing segment has no rows.

    Args:
        directory: The journal directory.
        name: Which segment.
        after: The position to read from: 0, or the ``end`` of a row.
        max_bytes: Reading stops with the row that reaches it; the first is read in any case.
        closed: Whether the segment is closed for good.

    Raises:
        JournalError: The file cannot be read.
    """
    path = directory / name.file_name
    rows: list[Row] = []
    try:
        with path.open("rb") as file:
            file.seek(after)
            while max_bytes > 0:
                data = _record(file)
                torn = False
                if data is None:
                    if not closed or not (data := _damaged_part(file, after)):
                        break
                    file.seek(after + len(data))
                    torn = _is_torn(data) and not file.peek(1)
                after = file.tell()
                max_bytes -= len(data)
                rows.append(Row(after, data, torn))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unreadable(path, error) from error
    return rows


def _record(file: BufferedReader) -> bytes | None:
    """Read the record that begins here; ``None`` when there is no whole one."""
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return None
    magic, length, checksum = _HEADER.unpack(header)
    # A length that was damaged must not become so many bytes of memory.
    if magic != MAGIC or length > os.fstat(file.fileno()).st_size:
        return None
    row = file.read(length)
    return row if len(row) == length and zlib.crc32(row) == checksum else None


def _damaged_part(file: BufferedReader, start: int) -> bytes:
    """Return what lies between ``start`` and the next record, or the end."""
    file.seek(start)
    rest = file.read()
    at = rest.find(MAGIC, 1)
    while at >= 0:
        file.seek(start + at)
        if _record(file) is not None:
            return rest[:at]
        at = rest.find(MAGIC, at + 1)
    return rest


def _is_torn(rest: bytes) -> bool:
    """Whether the last bytes of a segment are the beginning of a record, and not all of it."""
    if len(rest) < _HEADER.size:
        return MAGIC.startswith(rest[: len(MAGIC)])
    magic, length, _ = _HEADER.unpack_from(rest)
    return bool(magic == MAGIC and _HEADER.size + length > len(rest))


def _sync_directory(directory: Path) -> None:
    """Make a new file's name as durable as its content will be."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


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
