"""The collector: every hit one event, whatever dies in between."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from linkseal.errors import StoreError
from linkseal.events.collector import Collector
from linkseal.journal import Hit, SegmentWriter, list_segments
from linkseal.seal import MessageID
from linkseal.store import EventFilter, Store

MESSAGE = MessageID(b"\x69" * 4 + b"\x01" * 8)

COLLECT = """
import os, sys
from pathlib import Path
from linkseal.events.collector import run_collector
read, write = os.pipe()
run_collector(sys.argv[1], Path(sys.argv[2]), 0.001, read)
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


def test_a_stored_segment_is_removed_once_a_later_one_follows(store: Store, journal: Path) -> None:
    first = SegmentWriter(journal, 0)
    write(first, 0)
    collector = Collector(store, journal)
    collector.run_once()
    assert len(list_segments(journal)) == 1
    second = SegmentWriter(journal, 0)
    collector.run_once()
    assert list_segments(journal) == [second.name]
    assert set(store.events.positions()) <= {second.name.uid}
    first.close()
    second.close()


def test_segments_known_to_be_closed_are_removed_too(store: Store, journal: Path) -> None:
    writer = SegmentWriter(journal, 5)
    write(writer, 0)
    writer.close()
    Collector(store, journal, frozenset(list_segments(journal))).run_once()
    assert list_segments(journal) == []
    assert links(store) == [0]


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


def test_a_removal_that_was_interrupted_is_finished(store: Store, journal: Path) -> None:
    first, second = SegmentWriter(journal, 0), SegmentWriter(journal, 0)
    write(first, 0)
    first.close()
    (journal / first.name.file_name).rename(journal / "kept")
    (journal / "kept").rename(journal / first.name.file_name)
    collector = Collector(store, journal)
    collector.run_once()
    assert first.name not in list_segments(journal)
    assert collector.run_once() == 0
    second.close()


def test_a_damaged_row_is_kept_aside_and_the_rest_goes_on(store: Store, journal: Path) -> None:
    writer = SegmentWriter(journal, 0)
    write(writer, 0)
    writer._connection.execute("INSERT INTO batch (hits) VALUES (?)", (b"not a batch",))
    writer._rows += 1
    write(writer, 1)
    Collector(store, journal).run_once()
    assert links(store) == [0, 1]
    (aside,) = (journal / "damaged").iterdir()
    assert aside.read_bytes() == b"not a batch"
    writer.close()


@pytest.mark.parametrize("bad", [numbers(2**63, 0), numbers(1, 2**62)])
def test_a_row_with_impossible_numbers_is_damaged(store: Store, journal: Path, bad: Hit) -> None:
    journal.mkdir()
    (journal / "damaged").write_text("in the way: it is logged, and the rest goes on")
    writer = SegmentWriter(journal, 0)
    writer.append(writer.batch([bad]))
    write(writer, 1)
    Collector(store, journal).run_once()
    assert links(store) == [1]
    writer.close()


def test_an_unreadable_segment_does_not_stop_the_others(store: Store, journal: Path) -> None:
    journal.mkdir()
    (journal / f"edge-0-00000001-{'00' * 8}.journal").write_bytes(b"not a database" * 500)
    writer = SegmentWriter(journal, 1)
    write(writer, 7)
    assert Collector(store, journal).run_once() == 1
    assert links(store) == [7]
    writer.close()


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
    """A real collector is killed again and again while real segments fill and close."""
    chance = random.Random(7)
    url = f"sqlite:///{tmp_path}/linkseal.db"
    number = 0
    writer = SegmentWriter(journal, 0)
    for _ in range(12):
        with subprocess.Popen([sys.executable, "-c", COLLECT, url, str(journal)]) as process:
            end = time.monotonic() + 0.4 + chance.random() * 0.5
            while time.monotonic() < end:
                write(writer, number, number + 1)
                number += 2
                if chance.random() < 0.05:
                    writer.close()
                    writer = SegmentWriter(journal, 0)
            os.kill(process.pid, signal.SIGKILL)
    writer.close()
    Collector(store, journal, frozenset(list_segments(journal))).run_once()
    assert sorted(links(store)) == list(range(number))
    assert list_segments(journal) == []
