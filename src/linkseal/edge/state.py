"""What the connections of one worker share."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from linkseal.config import EdgeConfig
from linkseal.edge.answers import Answers
from linkseal.edge.app_files import AppFiles
from linkseal.edge.client import ClientRule
from linkseal.edge.head import host_name
from linkseal.edge.probe import Probes
from linkseal.edge.recorder import Recorder
from linkseal.edge.shared import Shared
from linkseal.edge.snapshot import Snapshot

if TYPE_CHECKING:
    from linkseal.edge.protocol import EdgeProtocol

_KNOWN_SPELLINGS: Final = 4096
_LONGEST_SPELLING: Final = 262
"""A name (RFC 1035 §2.3.4), a dot, a colon and a port: longer ones are not remembered."""


Served = tuple[str, int | None, ClientRule | None]


@dataclass(slots=True)
class Counts:
    """What happened since the worker started; plain numbers, for the hot path's sake."""

    clicks: int = 0
    opens: int = 0
    bad_tokens: int = 0
    wrong_customer: int = 0
    challenges: int = 0
    probes: int = 0
    probes_refused: int = 0
    app_files: int = 0
    unknown_hosts: int = 0
    timeouts: int = 0
    refused_connections: int = 0
    failed_handshakes: int = 0
    accepted: int = 0
    refused: Counter[int] = field(default_factory=Counter)


class EdgeState:
    """One worker's shared state.

    Attributes:
        now: The loop's time, renewed each second: precise enough for every timeout.
        head_deadline: When a head that begins now must be whole.
        idle_deadline: When a connection that is answered now was idle for too long.
        keyring: The snapshot's.
        challenges: The snapshot's.
        app_files: Reads the files that the snapshot names.
        shared: With the other workers.
        probes: What answers those who have a nonce.
        answers: With the current date, renewed each second.
        connections: Every open one.
        opening: Those whose handshake is not done.
        draining: Whether the worker is on its way out.
        look_again: Looks for a newer snapshot now, where the next tick would be too late.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        config: EdgeConfig,
        recorder: Recorder,
        snapshot: Snapshot,
        slot: int,
        shared: Shared,
        app_files: AppFiles,
    ) -> None:
        self._loop = loop
        self.config = config
        self.max_head_bytes = config.max_head_bytes
        self.max_url_bytes = config.max_url_bytes
        self.max_headers = config.max_headers
        self.recorder = recorder
        self.counts = Counts()
        self.connections: set[EdgeProtocol] = set()
        self.opening: set[asyncio.Future[Any]] = set()
        self.draining = False
        self.look_again: Callable[[], None] = lambda: None
        self.shared = shared
        self.app_files = app_files
        self.probes = Probes(slot, snapshot.probe_key, shared)
        self.use(snapshot)
        self.tick()

    def use(self, snapshot: Snapshot) -> None:
        """Serve by another snapshot from the next request on."""
        self.snapshot = snapshot
        self.keyring = snapshot.keyring
        self.challenges = snapshot.challenges
        self.probes.key = snapshot.probe_key
        self.probes.client_cas = snapshot.client_cas
        self._spellings: dict[bytes, Served | None] = {}

    def tick(self) -> None:
        """Renew the clock and the answers' date, and close what ran out of time."""
        self.now = self._loop.time()
        self.head_deadline = self.now + self.config.header_timeout
        self.idle_deadline = self.now + self.config.idle_timeout
        self.answers = Answers(time.time())
        for connection in [each for each in self.connections if each.deadline < self.now]:
            connection.expire()

    def later(self, seconds: float, call: Callable[[bytes], None], data: bytes) -> None:
        """Call once so many seconds are over."""
        self._loop.call_later(seconds, call, data)

    def served(self, host: bytes) -> Served | None:
        """Return a Host's name, whose links are good there, and whom to believe there.

        Everybody's links are good (``None``) on the shared tracking domain, one
        customer's on a branded or target host. ``None`` when it is not served.
        """
        try:
            return self._spellings[host]
        except KeyError:
            found = self._look_up(host)
            if len(host) <= _LONGEST_SPELLING:
                if len(self._spellings) >= _KNOWN_SPELLINGS:
                    self._spellings.clear()
                self._spellings[host] = found
            return found

    def _look_up(self, host: bytes) -> Served | None:
        name = host_name(host)
        rule = self.snapshot.clients.get(name)
        if name == self.snapshot.shared_host:
            return name, None, rule
        customer = self.snapshot.hosts.get(name)
        return None if customer is None else (name, customer, rule)
