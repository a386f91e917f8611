"""What comes through a CDN while our edge shows it a wrong certificate on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from linkseal.config import ProberConfig
from linkseal.domains.checks.origin import REFUSALS
from linkseal.domains.observation import Exchange, Observation
from linkseal.prober.exchanges import Exchanges
from linkseal.prober.request import Budget, ProbeRequest

_BETWEEN: Final = 0.5
_REFUSED: Final = 2
"""Refusals in a row that are believed: connections made before may still be answered."""
_RIGHT: Final = 4
"""Right answers in a row that are believed: longer than any worker of the edge waits to look."""


async def ask_canary(
    request: ProbeRequest, config: ProberConfig, seen: Observation, *, seconds: float
) -> tuple[Exchange, ...]:
    """Ask until the wrong certificate was taken or refused; return what says so.

    Args:
        request: As that of the look.
        config: Likewise.
        seen: The look: only an address that led to us is asked.
        seconds: How long at most.
    """
    return await _ask_until(_is_settled, _REFUSED, "canary", request, config, seen, seconds)


async def ask_after_canary(
    request: ProbeRequest, config: ProberConfig, seen: Observation, *, seconds: float
) -> tuple[Exchange, ...]:
    """Ask until the right certificate is back; return the last answer.

    What is refused with the right one too says nothing of the wrong one.

    Args:
        request: As that of the look.
        config: Likewise.
        seen: The look: only an address that led to us is asked.
        seconds: How long at most.
    """
    asked = await _ask_until(_is_right, _RIGHT, "canary-end", request, config, seen, seconds)
    return asked[-1:]


async def _ask_until(
    is_enough: Callable[[Sequence[Exchange]], bool],
    of_last: int,
    purpose: str,
    request: ProbeRequest,
    config: ProberConfig,
    seen: Observation,
    seconds: float,
) -> tuple[Exchange, ...]:
    address = next((each.address for each in seen.exchanges if _reached(each)), "")
    exchanges = Exchanges(request, config, Budget(config.timeout, lambda _: None, seconds))
    loop = asyncio.get_running_loop()
    ends = loop.time() + seconds
    last: list[Exchange] = []
    while address and loop.time() < ends:
        last = [*last[1 - of_last :], await exchanges.canary(address, purpose)]
        if is_enough(last):
            break
        await asyncio.sleep(_BETWEEN)
    return tuple(last)


def _is_right(last: Sequence[Exchange]) -> bool:
    return len(last) == _RIGHT and all(each.echo and not each.echo.canary for each in last)


def _reached(exchange: Exchange) -> bool:
    return exchange.echo is not None and exchange.url.startswith("https:")


def _is_settled(last: Sequence[Exchange]) -> bool:
    newest = last[-1].echo
    if newest is not None and newest.canary:
        return True
    return len(last) == _REFUSED and all(
        each.echo is None and each.status in REFUSALS for each in last
    )
