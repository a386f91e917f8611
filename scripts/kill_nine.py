"""Kill parts of a running service with SIGKILL under load, and count what it lost.

    python -m scripts.kill_nine [--seconds 4] [--json]

For each victim (an edge worker, the collector, everything at once) a fresh service gets
clicks from several clients, each click with a token of its own, while the victim is
killed again and again. A click counts as answered when its whole 302 was read. Then the
service is stopped (or, after a kill of everything, started again) and the events are
compared: every answered click must have exactly one event, every other at most one.
The edge's patience with a hanging disk is long here: what is answered while the disk
hangs is in memory only, as documented, and not what this script is about.
"""

from __future__ import annotations

import argparse
import collections
import http.client
import json
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from linkseal import datadir
from linkseal.config import Config
from linkseal.seal import Keyring, Kind, MessageID, Sealed, sealed_url
from linkseal.store import EventFilter, Store
from linkseal.testing.service import ServiceProcess

VICTIMS = ("edge-0", "collector", "everything")
CLIENTS = 8
CONFIG = """\
data_dir = "data"
[edge]
http = "127.0.0.1:0"
https = "127.0.0.1:0"
ops = "127.0.0.1:0"
workers = 2
[journal]
patience_seconds = 60
[smtp]
enabled = false
[log]
format = "json"
"""


@dataclass(frozen=True, slots=True)
class Count:
    """What one victim's run came to."""

    victim: str
    kills: int
    clicks: int
    answered: int
    events: int
    lost: int
    doubled: int

    @property
    def holds(self) -> bool:
        """Whether every answered click has exactly one event, and no click two."""
        return self.answered > 0 and self.kills > 0 and not self.lost and not self.doubled


class Clicks:
    """Clients that click as fast as they can, each link once, and remember the answered."""

    def __init__(self, config: Config, keyring: Keyring, message: MessageID) -> None:
        self._config = config
        self._keyring = keyring
        self._message = message
        self._numbers = iter(range(10_000_000))
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.asked: set[int] = set()
        self.answered: set[int] = set()
        self._threads = [threading.Thread(target=self._click) for _ in range(CLIENTS)]

    def start(self) -> None:
        """Begin clicking."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop, and wait for the clicks under way."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _click(self) -> None:
        connection: http.client.HTTPConnection | None = None
        while not self._stop.is_set():
            with self._lock:
                number = next(self._numbers)
            self.asked.add(number)
            url = sealed_url(
                "",
                self._keyring,
                Sealed(Kind.CLICK, 1, self._message, number, f"https://a.example/{number}"),
            )
            try:
                if connection is None:
                    edge = self._config.edge.http
                    connection = http.client.HTTPConnection(edge.host, edge.port, timeout=5)
                connection.request("GET", url, headers={"Host": self._config.shared_host})
                response = connection.getresponse()
                response.read()
                if response.status == 302:
                    self.answered.add(number)
            except (OSError, http.client.HTTPException):
                if connection is not None:
                    connection.close()
                connection = None
                time.sleep(0.02)
        if connection is not None:
            connection.close()


def count(victim: str, seconds: float, directory: Path) -> Count:
    """Run one victim in an empty folder and count."""
    (directory / "linkseal.toml").write_text(CONFIG, encoding="utf-8")
    service = ServiceProcess(directory)
    service.start()
    try:
        config = service.config
        message = MessageID.make(datetime.now(UTC), secrets.token_bytes(8))
        clicks = Clicks(config, datadir.open_keyring(config), message)
        clicks.start()
        try:
            kills = _kill(service, victim, seconds)
        finally:
            clicks.stop()
        if victim == "everything":
            service.start()
    finally:
        # A clean stop flushes the journal and lets the collector store the rest.
        service.stop()
    found = collections.Counter(_links(config, message))
    return Count(
        victim=victim,
        kills=kills,
        clicks=len(clicks.asked),
        answered=len(clicks.answered),
        events=found.total(),
        lost=len(clicks.answered - found.keys()),
        doubled=sum(1 for times in found.values() if times > 1),
    )


def _kill(service: ServiceProcess, victim: str, seconds: float) -> int:
    if victim == "everything":
        time.sleep(seconds)
        service.kill_everything()
        return 1
    kills = 0
    end = time.monotonic() + seconds
    killed = 0
    while time.monotonic() < end:
        time.sleep(0.4)
        pid = service.pids().get(victim, killed)
        if pid != killed:
            service.kill(victim)
            killed = pid
            kills += 1
    return kills


def _links(config: Config, message: MessageID) -> Iterator[int]:
    with Store.open(config.store_url, migrate=False) as store:
        for event in store.events.list(EventFilter(message=str(message), limit=None)):
            yield event.link


def main() -> int:
    """Print the counts; return 1 when one does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=4.0, help="load for each victim")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    counts = []
    for victim in VICTIMS:
        with tempfile.TemporaryDirectory(prefix="linkseal-kill-") as directory:
            counts.append(count(victim, options.seconds, Path(directory)))
    if options.json:
        print(json.dumps([asdict(each) | {"holds": each.holds} for each in counts]))
    else:
        print(f"{'killed':<12}{'kills':>6}{'clicks':>9}{'answered':>10}{'events':>9}", end="")
        print(f"{'lost':>6}{'doubled':>9}")
        for each in counts:
            print(f"{each.victim:<12}{each.kills:>6}{each.clicks:>9}{each.answered:>10}", end="")
            print(f"{each.events:>9}{each.lost:>6}{each.doubled:>9}")
    return 0 if all(each.holds for each in counts) else 1


if __name__ == "__main__":
    sys.exit(main())
