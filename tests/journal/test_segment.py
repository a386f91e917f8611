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
    Batch,
    Hit,
    SegmentName,
    SegmentWriter,
    decode_batch,
    encode_batch,
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
    hit = Hit(1, number, 1, b"twelve bytes", 0, "", "h", True, "GET", "", "")
    writer.append(writer.batch([hit]))
    number += 1
    print(number, flush=True)
"""


def test_rows_come_back_in_order_from_any_position(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, 0)
    for number in range(5):
        writer.append(writer.batch([HIT] * (number + 1)))
    rows = read_rows(tmp_path, writer.name, after=2, limit=2)
    assert [row.id for row in rows] == [3, 4]
    assert [len(decode_batch(row.data).hits) for row in rows] == [3, 4]
    assert decode_batch(rows[0].data).hits[0] == HIT
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
    writer.append(writer.batch([HIT]))
    writer.close()
    remove_segment(tmp_path, writer.name)
    assert list(tmp_path.iterdir()) == []
    remove_segment(tmp_path, writer.name)


def test_other_files_are_no_segments(tmp_path: Path) -> None:
    for name in ("edge-0-00000001-zz.journal", "notes.txt", "edge-0-1-0000000000000000.journal"):
        (tmp_path / name).touch()
    assert list_segments(tmp_path) == []
    assert list_segments(tmp_path / "missing") == []


def test_event_ids_differ_by_segment_row_and_place(tmp_path: Path) -> None:
    ids = set()
    for slot in (0, 1):
        writer = SegmentWriter(tmp_path, slot)
        for _ in range(2):
            batch = writer.batch([HIT, HIT])
            writer.append(batch)
            ids |= {batch.event_id(index) for index in range(2)}
        writer.close()
    assert len(ids) == 8


def test_a_batch_that_is_written_again_elsewhere_keeps_its_event_ids(tmp_path: Path) -> None:
    first, second = SegmentWriter(tmp_path, 0), SegmentWriter(tmp_path, 0)
    batch = first.batch([HIT])
    first.append(batch)
    second.append(batch)
    read = [
        decode_batch(row.data).event_id(0)
        for writer in (first, second)
        for row in read_rows(tmp_path, writer.name, after=0, limit=9)
    ]
    assert read == [batch.event_id(0)] * 2
    first.close()
    second.close()


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


ROW = encode_batch(Batch("00" * 12, [HIT]))


@pytest.mark.parametrize("row", [b"", b"\x00", b"\x92\x01\xc0", ROW[:-1]])
def test_a_damaged_row_is_an_error(row: bytes) -> None:
    with pytest.raises(JournalError) as refusal:
        decode_batch(row)
    assert refusal.value.code == "journal-row-damaged"


def test_a_row_of_a_later_format_is_an_error() -> None:
    later = b"\x93\x02" + ROW[2:]
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
    assert [decode_batch(row.data).hits[0].at_ms for row in rows] == list(range(len(rows)))
