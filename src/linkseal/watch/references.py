"""Whether what must always be reached can be: else a failed look says nothing of a domain."""

from __future__ import annotations

import asyncio
from typing import Final

from linkseal.config import Address, Config
from linkseal.prober import KeySigner, Part, ProbeRequest, probe

_SECONDS: Final = 5.0
_FRESH: Final = 1.0
"""Seconds for which an answer holds: a hundred looks that fail together ask once."""


class References:
    """What is asked after a look that failed.

    Args:
        config: ``watch.references``; without any, our own shared domain by its public name.
        key: The probe key, for the shared domain.

    Attributes:
        certain: Whether they lie outside, as the operator says.
    """

    def __init__(self, config: Config, key: bytes) -> None:
        self._config = config
        self._key = key
        self.certain = bool(config.watch.references)
        self._lock = asyncio.Lock()
        self._asked_at = -_FRESH
        self._reached = True

    @property
    def names(self) -> str:
        """What is asked, for people."""
        return ", ".join(map(str, self._config.watch.references)) or self._config.shared_host

    async def reached(self) -> bool:
        """Return whether any of them can be reached now."""
        clock = asyncio.get_running_loop().time
        async with self._lock:
            if clock() - self._asked_at >= _FRESH:
                # As it was when it was asked: what failed while it was is judged by the next.
                self._asked_at = clock()
                self._reached = await self._ask()
            return self._reached

    async def _ask(self) -> bool:
        found = self._config.watch.references
        if not found:
            return await self._shared()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_connects(each)) for each in found]
        return any(task.result() for task in tasks)

    async def _shared(self) -> bool:
        host = self._config.shared_host
        request = ProbeRequest(
            host=host,
            target=host,
            ownership="",
            base_domain=self._config.base_domain,
            route="",
            signer=KeySigner(host, self._key),
            parts=Part.ADDRESSES | Part.ECHO,
        )
        seen = await probe(request, self._config.prober, seconds=2 * _SECONDS)
        return any(each.echo is not None for each in seen.exchanges)


async def _connects(address: Address) -> bool:
    try:
        async with asyncio.timeout(_SECONDS):
            _, writer = await asyncio.open_connection(address.host, address.port)
    except (OSError, TimeoutError):
        return False
    writer.transport.abort()
    return True
