"""Journal segments: what was appended is there, whatever happened to the writer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from linkseal.errors import JournalError
from linkseal.journal import (
    Hit,
    SegmentName,
    SegmentWriter,
    decode_batch,
    encode_batch,
    event_id,
    list_segments,
    read_rows,
    remove_segment,
)

HIT = Hit(
    kind=1,
    at_ms=1_795_000_000_000,
    customer=7,
    message=b"twelve bytes",
    link=3,
    destination="https://a.example/",
    host="go.ct.example.net",
    secure=True,
    method="GET",
    address="192.0.2.7",
    user_agent="Mozilla/5.0",
)

APPEND_FOR_EVER = """
import sys
from pathlib import Path
from linkseal.journal import Hit, SegmentWriter
writer = SegmentWriter(Path(sys.argv[1]), 0)
number = 0
while True:
    writer.append([Hit(1, number, 1, b"twelve bytes", 0, "", "h", True, "GET", "", "")])
    number += 1
    print(number, flush=True)
"""


def test_rows_come_back_in_order_from_any_position(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, 0)
    for number in range(5):
        writer.append([HIT] * (number + 1))
    rows = read_rows(tmp_path, writer.name, after=2, limit=2)
    assert [row.id for row in rows] == [3, 4]
    assert [len(decode_batch(row.data)) for row in rows] == [3, 4]
    assert decode_batch(rows[0].data)[0] == HIT
    writer.close()


def test_a_worker_starts_a_new_segment_each_time_and_keeps_its_number_rising(
    tmp_path: Path,
) -> None:
    names = []
    for slot in (0, 1, 0):
        writer = SegmentWriter(tmp_path, slot)
        writer.close()
        names.append((writer.name.slot, writer.name.sequence))
    assert names == [(0, 1), (1, 1), (0, 2)]
    assert [(name.slot, name.sequence) for name in list_segments(tmp_path)] == [
        (0, 1),
        (0, 2),
        (1, 1),
    ]


def test_a_removed_segment_leaves_no_file(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, 0)
    writer.append([HIT])
    writer.close()
    remove_segment(tmp_path, writer.name)
    assert list(tmp_path.iterdir()) == []
    remove_segment(tmp_path, writer.name)


def test_other_files_are_no_segments(tmp_path: Path) -> None:
    for name in ("edge-0-00000001-zz.journal", "notes.txt", "edge-0-1-0000000000000000.journal"):
        (tmp_path / name).touch()
    assert list_segments(tmp_path) == []
    assert list_segments(tmp_path / "missing") == []


def test_event_ids_differ_by_segment_row_and_place() -> None:
    first = SegmentName(0, 1, "00" * 8)
    second = SegmentName(0, 1, "01" * 8)
    ids = {event_id(name, row, at) for name in (first, second) for row in (1, 2) for at in (0, 1)}
    assert len(ids) == 8
    assert event_id(first, 1, 0) == "0000000000000000000000010000"


def test_a_segment_without_its_table_reads_as_empty(tmp_path: Path) -> None:
    """A worker killed while making its segment leaves such a file."""
    name = SegmentName(0, 1, "00" * 8)
    (tmp_path / name.file_name).touch()
    assert read_rows(tmp_path, name, after=0, limit=10) == []


def test_a_file_that_is_no_database_is_an_error(tmp_path: Path) -> None:
    name = SegmentName(0, 1, "00" * 8)
    (tmp_path / name.file_name).write_bytes(b"not a database, but long enough to be one" * 100)
    with pytest.raises(JournalError) as refusal:
        read_rows(tmp_path, name, after=0, limit=10)
    assert refusal.value.code == "journal-unreadable"


def test_a_journal_directory_that_cannot_be_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("a file stands in the way")
    with pytest.raises(JournalError) as refusal:
        SegmentWriter(tmp_path / "journal", 0)
    assert refusal.value.code == "journal-unwritable"
    assert refusal.value.retryable


@pytest.mark.parametrize("row", [b"", b"\x00", b"\x92\x01\xc0", encode_batch([HIT])[:-1]])
def test_a_damaged_row_is_an_error(row: bytes) -> None:
    with pytest.raises(JournalError) as refusal:
        decode_batch(row)
    assert refusal.value.code == "journal-row-damaged"


def test_a_row_of_a_later_format_is_an_error() -> None:
    later = b"\x92\x02" + encode_batch([HIT])[2:]
    with pytest.raises(JournalError, match="format 2"):
        decode_batch(later)


def test_what_was_appended_survives_kill_9(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", APPEND_FOR_EVER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        appended = 0
        deadline = time.monotonic() + 30
        while appended < 50 and time.monotonic() < deadline:
            appended = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
        appended = max([appended, *(int(line) for line in process.stdout if line.endswith("\n"))])
    (name,) = list_segments(tmp_path)
    rows = read_rows(tmp_path, name, after=0, limit=100_000)
    assert len(rows) in {appended, appended + 1}
    assert [decode_batch(row.data)[0].at_ms for row in rows] == list(range(len(rows)))
