"""The collector: every hit one event, whatever dies in between."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from prometheus_client import REGISTRY

from linkseal.errors import StoreError
from linkseal.events.collector import Collector
from linkseal.journal import Hit, SegmentWriter, list_segments
from linkseal.seal import MessageID
from linkseal.store import EventFilter, Store

LAST_SUCCESS = "linkseal_collector_last_success_timestamp_seconds"
MESSAGE = MessageID(b"\x69" * 4 + b"\x01" * 8)

COLLECT = """
import os, sys
from pathlib import Path
from linkseal.events.collector import run_collector
read, write = os.pipe()
run_collector(sys.argv[1], Path(sys.argv[2]), 0.001, read)
"""

COLLECT_SLOWLY = """
import signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
print("ready", flush=True)
from pathlib import Path
from linkseal.events.collector import run_collector
run_collector(sys.argv[1], Path(sys.argv[2]), 1.0, int(sys.argv[3]))
"""


# A worker writes its last row just before the collector asks whether it is gone.
COLLECT_WHILE_THE_WRITER_ENDS = """
import sys
from pathlib import Path
from linkseal.events.collector import Collector
from linkseal.journal import Hit, SegmentWriter
from linkseal.store import Store
journal = Path(sys.argv[2])
writer = SegmentWriter(journal, 0)
def end(event, arguments):
    if event == "fcntl.flock" and not writer.bytes_written:
        writer.append(writer.batch([Hit(1, 1, 1, b"twelve bytes", 7, "", "", True, "", "", "")]))
        writer.close()
with Store.open(sys.argv[1]) as store:
    sys.addaudithook(end)
    Collector(store, journal).run_once()
"""


def hit(number: int) -> Hit:
    return Hit(
        1,
        1_795_000_000_000 + number,
        1,
        bytes(MESSAGE),
        number,
        f"https://a.example/{number}",
        "go.ct.example.net",
        True,
        "GET",
        "192.0.2.1",
        "agent",
    )


def numbers(customer: int, at_ms: int) -> Hit:
    return Hit(1, at_ms, customer, bytes(MESSAGE), 0, "", "h", True, "GET", "", "")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/linkseal.db") as opened:
        yield opened


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@contextlib.contextmanager
def immutable(file: Path) -> Iterator[None]:
    """Let nobody unlink a file, root included."""
    if subprocess.run(["chattr", "+i", file], check=False, capture_output=True).returncode:
        pytest.skip("files cannot be made immutable here")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", file], check=True)


def links(store: Store) -> list[int]:
    return [event.link for event in store.events.list(EventFilter(limit=None))]


def write(writer: SegmentWriter, *numbers: int) -> None:
    writer.append(writer.batch([hit(number) for number in numbers]))


def test_hits_become_events_with_all_that_was_seen(store: Store, journal: Path) -> None:
    writer = SegmentWriter(journal, 0)
    write(writer, 3)
    assert Collector(store, journal).run_once() == 1
    (event,) = store.events.list(EventFilter())
    assert (event.kind, event.link, event.destination) == ("click", 3, "https://a.example/3")
    assert (event.message, event.customer) == (str(MESSAGE), "1")
    assert (event.host, event.secure, event.method) == ("go.ct.example.net", True, "GET")
    assert (event.address, event.user_agent) == ("192.0.2.1", "agent")
    assert event.at.timestamp() == 1_795_000_000.003
    writer.close()


def test_a_second_look_stores_only_what_is_new(store: Store, journal: Path) -> None:
    writer = SegmentWriter(journal, 0)
    collector = Collector(store, journal)
    write(writer, 0, 1)
    assert collector.run_once() == 2
    assert collector.run_once() == 0
    write(writer, 2)
    assert Collector(store, journal).run_once() == 1
    assert links(store) == [0, 1, 2]
    writer.close()


def test_a_stored_segment_is_removed_once_its_writer_is_gone(store: Store, journal: Path) -> None:
    writer = SegmentWriter(journal, 0)
    write(writer, 0)
    collector = Collector(store, journal)
    assert collector.run_once() == 1
    assert list_segments(journal) == [writer.name]
    # Another service's worker may still drain when this one starts.
    later = SegmentWriter(journal, 0)
    write(writer, 1)
    assert collector.run_once() == 1
    assert list_segments(journal) == [writer.name, later.name]
    writer.close()
    assert collector.run_once() == 0
    assert list_segments(journal) == [later.name]
    assert set(store.events.positions()) <= {later.name.uid}
    later.close()


def test_a_row_appended_just_before_the_end_is_not_unlinked_unread(
    store: Store, journal: Path, tmp_path: Path
) -> None:
    arguments = [f"sqlite:///{tmp_path}/linkseal.db", str(journal)]
    subprocess.run([sys.executable, "-c", COLLECT_WHILE_THE_WRITER_ENDS, *arguments], check=True)
    assert links(store) == [7]
    assert list_segments(journal) == []


def test_a_batch_written_twice_is_stored_once(store: Store, journal: Path) -> None:
    """What a write that failed, and reached the disk all the same, leaves behind."""
    first, second = SegmentWriter(journal, 0), SegmentWriter(journal, 0)
    batch = first.batch([hit(0), hit(1)])
    first.append(batch)
    second.append(batch)
    write(second, 2)
    assert Collector(store, journal).run_once() == 3
    assert links(store) == [0, 1, 2]
    first.close()
    second.close()


def test_a_position_whose_segment_is_gone_is_forgotten(store: Store, journal: Path) -> None:
    """What a crash between the two leaves behind."""
    writer = SegmentWriter(journal, 0)
    write(writer, 0)
    collector = Collector(store, journal)
    collector.run_once()
    assert store.events.positions().keys() == {writer.name.uid}
    writer.close()
    (journal / writer.name.file_name).unlink()
    assert collector.run_once() == 0
    assert store.events.positions() == {}


def test_a_damaged_row_is_kept_aside_and_the_rest_goes_on(store: Store, journal: Path) -> None:
    writer = SegmentWriter(journal, 0)
    write(writer, 0)
    with (journal / writer.name.file_name).open("ab") as file:
        file.write(b"not a batch")
    write(writer, 1)
    Collector(store, journal).run_once()
    assert links(store) == [0]
    writer.close()
    Collector(store, journal).run_once()
    assert links(store) == [0, 1]
    (aside,) = (journal / "damaged").iterdir()
    assert aside.read_bytes() == b"not a batch"
    assert list_segments(journal) == []


def count(name: str) -> float:
    return REGISTRY.get_sample_value(f"linkseal_collector_{name}_total") or 0.0


def test_a_record_a_killed_worker_left_unfinished_is_counted_and_let_go(
    store: Store, journal: Path
) -> None:
    writer = SegmentWriter(journal, 0)
    write(writer, 0)
    size = writer.bytes_written
    write(writer, 1)
    writer.close()
    os.truncate(writer.path, size + 20)
    torn, damaged = count("torn_records"), count("damaged_rows")
    assert Collector(store, journal).run_once() == 1
    assert list(journal.iterdir()) == []
    assert (count("torn_records"), count("damaged_rows")) == (torn + 1, damaged)


@pytest.mark.parametrize("bad", [numbers(2**63, 0), numbers(1, 2**62)])
def test_a_row_with_impossible_numbers_is_damaged(store: Store, journal: Path, bad: Hit) -> None:
    writer = SegmentWriter(journal, 0)
    writer.append(writer.batch([bad]))
    write(writer, 1)
    Collector(store, journal).run_once()
    assert links(store) == [1]
    assert len(list((journal / "damaged").iterdir())) == 1
    writer.close()


def test_a_segment_stays_while_its_damaged_row_cannot_be_kept_aside(
    store: Store, journal: Path
) -> None:
    first, second = SegmentWriter(journal, 0), SegmentWriter(journal, 1)
    first.append(first.batch([numbers(2**63, 0)]))
    write(first, 1)
    write(second, 2)
    first.close()
    second.close()
    (journal / "damaged").write_text("in the way")
    damaged = count("damaged_rows")
    collector = Collector(store, journal)
    for _ in range(2):
        collector.run_once()
        assert (links(store), list_segments(journal)) == ([2], [first.name])
    assert count("damaged_rows") == damaged
    (journal / "damaged").unlink()
    collector.run_once()
    assert (links(store), list_segments(journal)) == ([2, 1], [])
    assert len(list((journal / "damaged").iterdir())) == 1
    assert count("damaged_rows") == damaged + 1


def test_a_damaged_row_is_counted_once_though_the_database_refused_it_at_first(
    store: Store, journal: Path, tmp_path: Path
) -> None:
    writer = SegmentWriter(journal, 0)
    writer.append(writer.batch([numbers(2**63, 0)]))
    writer.close()
    damaged = count("damaged_rows")
    with contextlib.closing(sqlite3.connect(tmp_path / "linkseal.db")) as database:
        database.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON journal_positions "
            "BEGIN SELECT RAISE(ABORT, 'not now'); END"
        )
        with pytest.raises(StoreError):
            Collector(store, journal).run_once()
        database.execute("DROP TRIGGER refuse")
    assert Collector(store, journal).run_once() == 0
    assert count("damaged_rows") == damaged + 1
    assert len(list((journal / "damaged").iterdir())) == 1


def test_an_unreadable_segment_does_not_stop_the_others(store: Store, journal: Path) -> None:
    collector = Collector(store, journal)
    collector.run_once()
    last = REGISTRY.get_sample_value(LAST_SUCCESS)
    assert last is not None
    unreadable = journal / f"edge-0-00000001-{'00' * 8}.journal"
    unreadable.mkdir(parents=True)
    writer = SegmentWriter(journal, 1)
    write(writer, 7)
    assert collector.run_once() == 1
    assert links(store) == [7]
    assert REGISTRY.get_sample_value(LAST_SUCCESS) == last
    unreadable.rmdir()
    collector.run_once()
    assert (REGISTRY.get_sample_value(LAST_SUCCESS) or 0.0) > last
    writer.close()


def test_a_segment_that_waits_is_told_once_a_minute_and_anew_when_it_waits_again(
    store: Store, journal: Path
) -> None:
    unreadable = journal / f"edge-0-00000001-{'00' * 8}.journal"
    collector = Collector(store, journal)
    with structlog.testing.capture_logs() as told:
        for _ in range(2):
            unreadable.mkdir(parents=True)
            collector.run_once()
            collector.run_once()
            unreadable.rmdir()
            collector.run_once()
    assert [(each["event"], each["code"]) for each in told] == [
        ("journal segment waits", "journal-unreadable")
    ] * 2


def test_a_segment_that_cannot_be_unlinked_does_not_stop_the_others(
    store: Store, journal: Path
) -> None:
    first, second = SegmentWriter(journal, 0), SegmentWriter(journal, 1)
    write(first, 0)
    write(second, 1)
    first.close()
    second.close()
    with immutable(journal / first.name.file_name):
        Collector(store, journal).run_once()
        assert links(store) == [0, 1]
        assert list_segments(journal) == [first.name]
    assert Collector(store, journal).run_once() == 0
    assert list_segments(journal) == []


def test_a_database_that_is_down_loses_nothing(tmp_path: Path, journal: Path) -> None:
    url = f"sqlite:///{tmp_path}/linkseal.db"
    writer = SegmentWriter(journal, 0)
    write(writer, 0)
    with Store.open(url, migrate=False) as unprepared:
        with pytest.raises(StoreError) as refusal:
            Collector(unprepared, journal).run_once()
        assert refusal.value.retryable
    with Store.open(url) as store:
        assert Collector(store, journal).run_once() == 1
    writer.close()


def test_kill_9_at_any_moment_neither_loses_nor_doubles(
    store: Store, journal: Path, tmp_path: Path
) -> None:
    """A real collector is killed while it works, again and again; segments fill and close."""
    chance = random.Random(7)
    url = f"sqlite:///{tmp_path}/linkseal.db"
    number = 0
    writer = SegmentWriter(journal, 0)
    for _ in range(12):
        stored = len(links(store))
        with subprocess.Popen([sys.executable, "-c", COLLECT, url, str(journal)]) as process:
            working = 0.0
            while not working or time.monotonic() < working:
                write(writer, number, number + 1)
                number += 2
                if chance.random() < 0.05:
                    writer.close()
                    writer = SegmentWriter(journal, 0)
                if not working and len(links(store)) > stored:
                    working = time.monotonic() + chance.random() * 0.1
            os.kill(process.pid, signal.SIGKILL)
    writer.close()
    Collector(store, journal).run_once()
    assert sorted(links(store)) == list(range(number))
    assert list_segments(journal) == []


@pytest.mark.parametrize("how", ["SIGTERM", "the supervisor is gone"])
def test_told_to_stop_it_first_stores_what_is_there(
    store: Store, journal: Path, tmp_path: Path, how: str
) -> None:
    writer = SegmentWriter(journal, 0)
    write(writer, 0)
    stop_read, stop_write = os.pipe()
    arguments = [f"sqlite:///{tmp_path}/linkseal.db", str(journal), str(stop_read)]
    with subprocess.Popen(
        [sys.executable, "-c", COLLECT_SLOWLY, *arguments],
        pass_fds=[stop_read],
        stdout=subprocess.PIPE,
    ) as process:
        os.close(stop_read)
        assert process.stdout is not None
        process.stdout.readline()
        while not links(store):
            time.sleep(0.01)
        write(writer, 1)
        if how == "SIGTERM":
            process.terminate()
            assert process.wait(timeout=20) == 0
        os.close(stop_write)
        assert process.wait(timeout=20) == 0
    assert links(store) == [0, 1]
    writer.close()
