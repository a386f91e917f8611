"""What `linkseal event` and `linkseal customer` understand."""

from __future__ import annotations

import contextlib
import fcntl
import sqlite3
import struct
import subprocess
import sys
import termios
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from linkseal.cli.event import parse_since
from linkseal.errors import LinksealError
from linkseal.store import NewEvent, Position, Store
from linkseal.testing.service import linkseal

FULL = 32 * 1024
"""Bytes in a pipe that its writer waits for, nearly."""
NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", "2026-11-24T07:58:30+00:00"),
        ("30m", "2026-11-24T07:30:00+00:00"),
        ("2h", "2026-11-24T06:00:00+00:00"),
        ("7d", "2026-11-17T08:00:00+00:00"),
        ("2026-11-24T07:00", "2026-11-24T07:00:00+00:00"),
        ("2026-11-24T07:00+02:00", "2026-11-24T07:00:00+02:00"),
    ],
)
def test_since_is_a_while_ago_or_an_instant(text: str, expected: str) -> None:
    assert parse_since(text, NOW).isoformat() == expected


@pytest.mark.parametrize("text", ["", "yesterday", "5w", "-1h", "2026-13-01"])
def test_since_that_is_neither_is_refused(text: str) -> None:
    with pytest.raises(LinksealError) as refusal:
        parse_since(text, NOW)
    assert refusal.value.code == "since-invalid"


def test_customers_are_added_listed_and_shown(tmp_path: Path) -> None:
    assert linkseal("init", str(tmp_path)).returncode == 0
    words = ("--config", str(tmp_path / "linkseal.toml"))
    assert "No customers yet" in linkseal(*words, "customer", "list").stdout
    added = linkseal(*words, "customer", "add", "acme", "--from-domain", "acme.example")
    assert added.returncode == 0, added.stderr
    assert "acme.example" in linkseal(*words, "customer", "list").stdout
    assert '"from_domains"' in linkseal(*words, "customer", "show", "acme", "--json").stdout
    again = linkseal(*words, "customer", "add", "acme")
    assert (again.returncode, "customer-exists" in again.stderr) == (1, True)
    assert linkseal(*words, "customer", "show", "nobody").returncode == 1
    password = linkseal(
        *words,
        "customer",
        "add",
        "b",
        "--smtp-user",
        "u",
        "--smtp-password-file",
        "-",
        stdin=b"correct horse battery\n",
    )
    assert password.returncode == 0, password.stderr
    assert "correct horse" not in password.stdout


def test_events_of_nobody_are_an_error_and_none_are_a_sentence(tmp_path: Path) -> None:
    assert linkseal("init", str(tmp_path)).returncode == 0
    words = ("--config", str(tmp_path / "linkseal.toml"), "event", "list")
    assert "No events yet" in linkseal(*words).stdout
    assert linkseal(*words, "--json").stdout.strip() == "[]"
    assert "customer-missing" in linkseal(*words, "--customer", "nobody").stderr
    assert "message-id-invalid" in linkseal(*words, "--message", "x").stderr


def test_a_tail_nobody_reads_holds_no_transaction(tmp_path: Path) -> None:
    """Otherwise the write-ahead log would grow for as long as a pager waits."""
    assert linkseal("init", str(tmp_path)).returncode == 0
    words = ("--config", str(tmp_path / "linkseal.toml"), "event")
    assert linkseal(*words, "list").returncode == 0
    (database,) = tmp_path.rglob("linkseal.db")
    program = str(Path(sys.executable).parent / "linkseal")
    with (
        Store.open(f"sqlite:///{database}") as store,
        subprocess.Popen([program, *words, "tail", "--json"], stdout=subprocess.PIPE) as tail,
    ):
        try:
            assert tail.stdout is not None
            pipe = tail.stdout.fileno()
            number = 0
            while not unread(pipe):
                assert number < 600, "the tail prints nothing"
                store_clicks(store, number, 1)
                number += 1
                time.sleep(0.1)
            store_clicks(store, number, 3000)
            # All of them are ten times what a pipe holds.
            before = -1
            while unread(pipe) > before or before < FULL:
                before = unread(pipe)
                time.sleep(1.0)
            with contextlib.closing(sqlite3.connect(database, timeout=10)) as other:
                (busy, _, _) = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            assert busy == 0
        finally:
            tail.kill()


def unread(pipe: int) -> int:
    """Return how many bytes wait in a pipe."""
    return int(struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4))[0])


def store_clicks(store: Store, first: int, count: int) -> None:
    clicks = [
        NewEvent(f"{n:028d}", "click", 1, 1, "m" * 20, n, "", "h", True, "GET", "", "")
        for n in range(first, first + count)
    ]
    store.events.store(clicks, Position("a" * 16, "f", first + count))
