"""The names above a branded domain, whose Strict-Transport-Security may bind it too.

Each is asked once, as a browser opens it: https, the root, nothing followed.
"""

from __future__ import annotations

import ssl
from functools import cache
from typing import Final

from publicsuffixlist import PublicSuffixList

from linkseal.config import ProberConfig
from linkseal.domains.hsts import parents
from linkseal.domains.observation import Parent
from linkseal.prober.addresses import has_route, is_allowed
from linkseal.prober.client import Question, ask
from linkseal.prober.exchanges import BROWSER
from linkseal.prober.lookup import Lookup, together
from linkseal.prober.request import Budget

_MOST: Final = 4
"""Names that are asked: the closest, of a host with more labels than anybody has."""


async def find_parents(host: str, config: ProberConfig, lookup: Lookup) -> list[Parent]:
    """Return the names above a host, each with the address it may be asked at, or why not."""
    names = parents(host, _suffixes().privatesuffix(host) or "")[:_MOST]
    return await together(_find(name, config, lookup) for name in names)


async def ask_parents(
    found: list[Parent], config: ProberConfig, tls: ssl.SSLContext, budget: Budget
) -> tuple[Parent, ...]:
    """Ask those that have an address, and return all of them.

    Args:
        found: As :func:`find_parents` returns them.
        config: Ports.
        tls: Takes any certificate: it is judged with the rest.
        budget: Of the run.
    """
    return tuple(await together(_ask(each, config, tls, budget) for each in found))


async def _find(name: str, config: ProberConfig, lookup: Lookup) -> Parent:
    every = await lookup.addresses(name)
    allowed = [each for each in every if is_allowed(each, config)]
    address = next((each for each in allowed if has_route(each)), "")
    if address:
        return Parent(name, address)
    if every and not allowed:
        return Parent(name, error="not a public address, not asked")
    return Parent(name, error="no address to ask")


async def _ask(parent: Parent, config: ProberConfig, tls: ssl.SSLContext, budget: Budget) -> Parent:
    if not parent.address:
        return parent
    budget.expect("http")
    question = Question("GET", parent.name, "/", (("User-Agent", BROWSER), ("Accept", "*/*")))
    reply = await ask(question, parent.address, config.https_port, tls, budget)
    budget.finish("http")
    return Parent(
        parent.name,
        parent.address,
        reply.status,
        reply.headers.get("strict-transport-security", ""),
        reply.chain,
        "" if reply.status else reply.error,
    )


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()
