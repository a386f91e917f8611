"""Whether what must always be reached can be: else a failed look says nothing of a domain."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from linkseal.config import Address, Config
from linkseal.domains.observation import Observation
from linkseal.prober import KeySigner, Part, ProbeRequest, probe

_SECONDS: Final = 5.0
_FRESH: Final = 1.0
"""Seconds for which an answer holds: a hundred looks that fail together ask once."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What of the world can be reached from here.

    Attributes:
        connects: A connection was made, over whatever it is.
        over_ipv6: One was made over IPv6.
        resolves: The resolvers that the prober asks give an address for a name of ours.
    """

    connects: bool
    over_ipv6: bool
    resolves: bool


class References:
    """What is asked after a look that failed.

    Args:
        config: ``watch.references``; without any, our own shared domain by its public name.
        key: The probe key, for the shared domain.

    Attributes:
        certain: Whether they lie outside, as the operator says.
        shared_host: The name that must always resolve.
    """

    def __init__(self, config: Config, key: bytes) -> None:
        self._config = config
        self._key = key
        self.certain = bool(config.watch.references)
        self.shared_host = config.shared_host
        self._lock = asyncio.Lock()
        self._asked_at = -_FRESH
        self._reach = Reach(connects=True, over_ipv6=True, resolves=True)

    @property
    def names(self) -> str:
        """What is connected to, for people."""
        return ", ".join(map(str, self._config.watch.references)) or self.shared_host

    async def reach(self) -> Reach:
        """Return what can be reached now."""
        clock = asyncio.get_running_loop().time
        async with self._lock:
            if clock() - self._asked_at >= _FRESH:
                # As it was when it was asked: what failed while it was is judged by the next.
                self._asked_at = clock()
                self._reach = await self._ask()
            return self._reach

    async def _ask(self) -> Reach:
        outside = self._config.watch.references
        async with asyncio.TaskGroup() as group:
            parts = Part.ADDRESSES if outside else Part.ADDRESSES | Part.ECHO
            shared = group.create_task(self._shared(parts))
            tasks = {each: group.create_task(_connects(each)) for each in outside}
        seen = shared.result()
        reached = [each.host for each, task in tasks.items() if task.result()]
        reached += [each.address for each in seen.exchanges if each.echo is not None]
        return Reach(
            connects=bool(reached),
            over_ipv6=any(":" in each for each in reached),
            resolves=any(each.values for each in seen.dns),
        )

    async def _shared(self, parts: Part) -> Observation:
        host = self.shared_host
        known = Observation(
            host=host,
            target=host,
            ownership="",
            base_domain=self._config.base_domain,
            route="",
            at=datetime.now(UTC),
        )
        request = ProbeRequest(known, KeySigner(host, self._key), parts)
        return await probe(request, self._config.prober, seconds=2 * _SECONDS)


async def _connects(address: Address) -> bool:
    try:
        async with asyncio.timeout(_SECONDS):
            _, writer = await asyncio.open_connection(address.host, address.port)
    except (OSError, TimeoutError):
        return False
    writer.transport.abort()
    return True
