"""Journal segments: what was appended is there, whatever happened to the writer."""

from __future__ import annotations

import bisect
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkseal.errors import JournalError
from linkseal.journal import (
    Batch,
    Hit,
    Row,
    SegmentName,
    SegmentWriter,
    decode_batch,
    encode_batch,
    is_closed,
    list_segments,
    read_rows,
    remove_segment,
)
from linkseal.journal.segment import MAGIC

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


def everything(directory: Path, name: SegmentName, *, closed: bool = False) -> list[Row]:
    return read_rows(directory, name, 0, 1 << 30, closed=closed)


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


# Whatever a new writer asks of the system, a collector looks at the journal just before.
LOOK_AT_EVERY_STEP = """
import sys
from pathlib import Path
from linkseal.journal import SegmentWriter, is_closed, list_segments
directory = Path(sys.argv[1])
looking = False
def look(event, arguments):
    global looking
    if not looking and event in {"open", "fcntl.flock", "os.rename"}:
        looking = True
        print(event, [is_closed(directory, name) for name in list_segments(directory)])
        looking = False
sys.addaudithook(look)
SegmentWriter(directory, 0)
"""


READ_WITH_LITTLE_MEMORY = """
import resource, sys
from pathlib import Path
from linkseal.journal import list_segments, read_rows
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
directory = Path(sys.argv[1])
(name,) = list_segments(directory)
print(read_rows(directory, name, 0, 1 << 20, closed=False))
"""


APPEND_UNTIL_FULL = """
import resource, sys
from pathlib import Path
from linkseal.errors import JournalError
from linkseal.journal import Hit, SegmentWriter
limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
writer = SegmentWriter(Path(sys.argv[1]), 0)
hit = Hit(1, 1, 1, b"twelve bytes", 0, "", "h", True, "GET", "", "")
number = 0
try:
    while True:
        writer.append(writer.batch([hit]))
        number += 1
except JournalError as error:
    assert error.code == "journal-unwritable", error.code
print(number)
"""


def test_rows_come_back_in_order_from_any_position(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, 0)
    for number in range(5):
        writer.append(writer.batch([HIT] * (number + 1)))
    rows = everything(tmp_path, writer.name)
    assert [len(decode_batch(row.data).hits) for row in rows] == [1, 2, 3, 4, 5]
    assert decode_batch(rows[0].data).hits[0] == HIT
    assert read_rows(tmp_path, writer.name, rows[1].end, 1, closed=False) == rows[2:3]
    both = len(rows[2].data) + 1
    assert read_rows(tmp_path, writer.name, rows[1].end, both, closed=False) == rows[2:4]
    assert read_rows(tmp_path, writer.name, rows[4].end, 1, closed=True) == []
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


def test_a_segment_is_closed_once_its_writer_is_gone_however_it_went(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, 0)
    assert not is_closed(tmp_path, writer.name)
    writer.close()
    assert is_closed(tmp_path, writer.name)
    with subprocess.Popen(
        [sys.executable, "-c", APPEND_FOR_EVER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        (_, living) = list_segments(tmp_path)
        assert not is_closed(tmp_path, living)
        os.kill(process.pid, signal.SIGKILL)
        process.stdout.read()
    assert is_closed(tmp_path, living)


def test_no_collector_ever_sees_a_new_segment_without_its_lock(tmp_path: Path) -> None:
    """It would unlink it, and what is appended then is in a file without a name."""
    looked = subprocess.run(
        [sys.executable, "-c", LOOK_AT_EVERY_STEP, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert looked == [
        "open []",
        "fcntl.flock []",
        "os.rename []",
        "open [False]",
    ]


def test_what_a_writer_that_died_before_its_segment_had_a_name_left_is_removed(
    tmp_path: Path,
) -> None:
    mine, others = (tmp_path / f".edge-{slot}-00000001-{'00' * 8}.journal" for slot in (0, 10))
    mine.touch()
    others.touch()
    writer = SegmentWriter(tmp_path, 0)
    assert set(tmp_path.iterdir()) == {writer.path, others}
    writer.close()


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
        for row in everything(tmp_path, writer.name)
    ]
    assert read == [batch.event_id(0)] * 2
    first.close()
    second.close()


def segment_of(directory: Path, batches: int) -> tuple[SegmentName, list[Row]]:
    writer = SegmentWriter(directory, 0)
    for _ in range(batches):
        writer.append(writer.batch([HIT]))
    writer.close()
    return writer.name, everything(directory, writer.name)


@pytest.mark.parametrize("closed", [False, True])
def test_a_segment_nothing_was_written_to_is_empty(tmp_path: Path, closed: bool) -> None:
    name, _ = segment_of(tmp_path, 0)
    assert everything(tmp_path, name, closed=closed) == []


def test_a_record_that_is_being_written_is_not_there_yet(tmp_path: Path) -> None:
    name, rows = segment_of(tmp_path, 3)
    path = tmp_path / name.file_name
    whole = path.read_bytes()
    for cut in range(rows[1].end, rows[2].end):
        path.write_bytes(whole[:cut])
        assert everything(tmp_path, name) == rows[:2]


def test_what_a_killed_worker_half_wrote_comes_out_as_torn(tmp_path: Path) -> None:
    name, rows = segment_of(tmp_path, 2)
    path = tmp_path / name.file_name
    whole = path.read_bytes()
    for cut in range(rows[0].end + 1, rows[1].end):
        path.write_bytes(whole[:cut])
        *good, torn = everything(tmp_path, name, closed=True)
        assert good == rows[:1]
        assert torn == Row(cut, whole[rows[0].end : cut], torn=True)
        assert read_rows(tmp_path, name, torn.end, 1, closed=True) == []


@pytest.mark.parametrize(
    "changed",
    [b"not a record at all", b"x", MAGIC + b"\x05\x00\x00\x00" + b"\x00" * 9],
    ids=["other bytes", "a byte", "a whole record with a wrong sum"],
)
def test_an_end_that_is_no_begun_record_is_damaged(tmp_path: Path, changed: bytes) -> None:
    name, rows = segment_of(tmp_path, 1)
    path = tmp_path / name.file_name
    path.write_bytes(path.read_bytes() + changed)
    end = rows[0].end + len(changed)
    assert everything(tmp_path, name, closed=True) == [*rows, Row(end, changed)]


def test_a_length_that_was_damaged_before_other_records_is_not_torn(tmp_path: Path) -> None:
    name, rows = segment_of(tmp_path, 2)
    path = tmp_path / name.file_name
    whole = path.read_bytes()
    path.write_bytes(MAGIC + b"\xff" * 4 + whole[8:])
    damaged, good = everything(tmp_path, name, closed=True)
    assert (damaged.end, damaged.torn, good) == (rows[0].end, False, rows[1])


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_damaged_byte_costs_one_row_and_no_other(at: int, flip: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        name, rows = segment_of(directory, 5)
        path = directory / name.file_name
        data = bytearray(path.read_bytes())
        data[at % len(data)] ^= flip
        path.write_bytes(data)
        read = everything(directory, name, closed=True)
        hurt = bisect.bisect_right([row.end for row in rows], at % len(data))
        assert [row for row in read if row in rows] == rows[:hurt] + rows[hurt + 1 :]
        (damaged,) = (row for row in read if row not in rows)
        with pytest.raises(JournalError):
            decode_batch(damaged.data)
        assert everything(directory, name) == rows[:hurt]


def test_a_length_that_was_damaged_takes_no_memory(tmp_path: Path) -> None:
    """The reader may have one gigabyte; the record says that it has four."""
    name, _ = segment_of(tmp_path, 1)
    path = tmp_path / name.file_name
    path.write_bytes(MAGIC + b"\xff" * 8 + path.read_bytes()[12:])
    read = subprocess.run(
        [sys.executable, "-c", READ_WITH_LITTLE_MEMORY, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (read.stderr, read.stdout) == ("", "[]\n")


def test_what_is_appended_is_written_through(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, 0)
    (handle,) = (
        int(entry.name)
        for entry in Path("/proc/self/fd").iterdir()
        if os.path.realpath(entry) == str(writer.path)
    )
    flags = fcntl.fcntl(handle, fcntl.F_GETFL)
    assert flags & os.O_DSYNC
    assert flags & os.O_APPEND
    writer.close()


def test_a_segment_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    name = SegmentName(0, 1, "00" * 8)
    (tmp_path / name.file_name).mkdir()
    with pytest.raises(JournalError) as refusal:
        everything(tmp_path, name)
    assert refusal.value.code == "journal-unreadable"
    with pytest.raises(JournalError) as refusal:
        remove_segment(tmp_path, name)
    assert refusal.value.code == "journal-unwritable"


def append_until_full(directory: Path, limit: int) -> int:
    """Append under a file size limit: the kernel then writes what still fits."""
    done = subprocess.run(
        [sys.executable, "-c", APPEND_UNTIL_FULL, str(directory), str(limit)],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


def test_a_disk_that_takes_only_part_of_a_batch_is_an_error(tmp_path: Path) -> None:
    appended = append_until_full(tmp_path, 2000)
    (name,) = list_segments(tmp_path)
    rows = everything(tmp_path, name)
    assert len(rows) == appended > 10
    # What of the last one was written is gone again.
    assert (tmp_path / name.file_name).stat().st_size == rows[-1].end


def test_a_full_disk_keeps_no_segments_without_a_record(tmp_path: Path) -> None:
    assert [append_until_full(tmp_path, 20) for _ in range(2)] == [0, 0]
    assert list(tmp_path.iterdir()) == []


def test_a_segment_its_writer_took_along_is_closed_and_empty(tmp_path: Path) -> None:
    name = SegmentName(0, 1, "00" * 8)
    assert is_closed(tmp_path, name)
    assert everything(tmp_path, name, closed=True) == []


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
    rows = everything(tmp_path, name)
    assert len(rows) in {appended, appended + 1}
    assert [decode_batch(row.data).hits[0].at_ms for row in rows] == list(range(len(rows)))
