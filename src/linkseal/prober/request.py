"""What a probe is asked to look at, what it signs with, and how much time it has."""

from __future__ import annotations

import asyncio
import enum
import math
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from linkseal.domains.echo import find_echo
from linkseal.domains.observation import Echo, Observation
from linkseal.seal.nonce import ENTROPY_BYTES, make_nonce

RUN_SECONDS: Final = 55.0
"""A whole run; what is not done by then is recorded as out of time."""
_NONCE_LIFE: Final = 120
"""Seconds: longer than a run, and no longer than an edge has to remember it."""


class Signer(Protocol):
    """Makes nonces that our edge answers, and knows its answers."""

    def sign(self, uses: int) -> str:
        """Return a new nonce, good for so many requests."""

    def read_echo(self, headers: Mapping[str, str], body: bytes, nonce: str) -> Echo | None:
        """Return the edge's signed answer to a nonce, or ``None`` if this is none."""


@dataclass(frozen=True, slots=True)
class KeySigner:
    """Signs with the probe key.

    Args:
        host: The branded domain.
        key: The probe key.
    """

    host: str
    key: bytes

    def sign(self, uses: int) -> str:
        """Return a new nonce, good for so many requests."""
        return make_nonce(
            self.host,
            expires_at=int(time.time()) + _NONCE_LIFE,
            entropy=secrets.token_bytes(ENTROPY_BYTES),
            key=self.key,
            uses=uses,
        )

    def read_echo(self, headers: Mapping[str, str], body: bytes, nonce: str) -> Echo | None:
        """Return the edge's signed answer to a nonce, or ``None`` if this is none."""
        return find_echo(headers, body, nonce=nonce, key=self.key)


class Part(enum.Flag):
    """What of a domain a run looks at; each costs time and requests.

    Attributes:
        ADDRESSES: Where recipients are led, as the public resolvers say it.
        NAMES: All that DNS says; instead of ``ADDRESSES``.
        PORTS: A connection to each port of every address.
        VERSIONS: A handshake in every version of TLS.
        ECHO: A request to every address.
        REDIRECT: One redirect.
        REPEATS: What caches and bot defences change: the same asked twice, at once, and as
            other clients ask; instead of ``REDIRECT``.
        REST: Every other request.
    """

    ADDRESSES = enum.auto()
    NAMES = enum.auto()
    PORTS = enum.auto()
    VERSIONS = enum.auto()
    ECHO = enum.auto()
    REDIRECT = enum.auto()
    REPEATS = enum.auto()
    REST = enum.auto()


EVERYTHING: Final = Part.NAMES | Part.PORTS | Part.VERSIONS | Part.ECHO | Part.REPEATS | Part.REST


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """What to look at.

    Attributes:
        known: The observation before anything is seen: what we know of the domain ourselves.
        signer: Makes nonces and reads what comes back.
        parts: What is looked at.
        addresses: Where the host was found to lead by an earlier run, and may be connected to:
            taken where ``parts`` does not ask DNS.
        app_files: Names under ``/.well-known/`` that are set up for the domain.
    """

    known: Observation
    signer: Signer
    parts: Part = EVERYTHING
    addresses: tuple[str, ...] = ()
    app_files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Attributes:
        part: ``dns``, ``tls`` or ``http``.
        done: Questions of that part that have their answer.
        of: Questions of that part so far known.
    """

    part: str
    done: int
    of: int


OnProgress = Callable[[Progress], None]


class Budget:
    """The time of a run, and its progress.

    Args:
        timeout: Seconds for one exchange.
        on_progress: Told of each thing done.
        seconds: For everything.
    """

    def __init__(
        self, timeout: float, on_progress: OnProgress, seconds: float = RUN_SECONDS
    ) -> None:
        self._timeout = timeout
        self._on_progress = on_progress
        self._deadline = asyncio.get_running_loop().time() + seconds
        self._done: dict[str, int] = {}
        self._of: dict[str, int] = {}

    def seconds(self, most: float = math.inf) -> float:
        """Return the seconds one thing may take: at most its own and all that are left."""
        left = self._deadline - asyncio.get_running_loop().time()
        return max(min(self._timeout, most, left), 0.0)

    def expect(self, part: str, count: int = 1) -> None:
        """Note that more is to be done."""
        self._of[part] = self._of.get(part, 0) + count

    def finish(self, part: str) -> None:
        """Note that one thing is done, and tell."""
        self._done[part] = self._done.get(part, 0) + 1
        self._on_progress(Progress(part, self._done[part], self._of.get(part, 0)))
