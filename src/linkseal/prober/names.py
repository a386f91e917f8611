"""What DNS says of a branded domain: addresses, chain, ownership, CAA, delegation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from linkseal.config import ProberConfig
from linkseal.domains.caa import names_to_ask
from linkseal.domains.observation import Answer, Hop
from linkseal.prober.addresses import has_route, is_allowed
from linkseal.prober.lookup import Lookup, is_sound, together
from linkseal.prober.request import ProbeRequest

MOST_HOPS: Final = 8
_MOST_ADDRESSES: Final = 4
"""Addresses of each family that are connected to."""
_FAMILIES: Final = ("A", "AAAA")


@dataclass(frozen=True, slots=True)
class Names:
    """What DNS says.

    Attributes:
        answers: Every answer.
        chain: The CNAME chain.
        own: Addresses of the base domain and of the target.
        edge: Those of the target that may be connected to.
        addresses: Where the host leads, as far as it may be connected to.
        refused: Where it leads and may not be.
    """

    answers: tuple[Answer, ...]
    chain: tuple[Hop, ...]
    own: tuple[str, ...]
    edge: tuple[str, ...]
    addresses: tuple[str, ...]
    refused: tuple[str, ...]


async def look_up_addresses(request: ProbeRequest, config: ProberConfig, lookup: Lookup) -> Names:
    """Ask the public resolvers where recipients are led, and nothing else."""
    answers = await _as_recipients(request.known.host, lookup)
    ours: list[list[str]] = []
    if config.refused_networks:
        names = (request.known.base_domain, request.known.target)
        ours = await together(lookup.addresses(name) for name in names)
    own = tuple(dict.fromkeys(each for found in ours for each in found))
    return _names(request.known.host, answers, (), own, (), config)


async def look_up(request: ProbeRequest, config: ProberConfig, lookup: Lookup) -> Names:
    """Ask everything about a branded domain's names."""
    host = request.known.host
    async with asyncio.TaskGroup() as group:
        questions = [
            group.create_task(each)
            for each in (
                *(lookup.of_zone(host, kind) for kind in (*_FAMILIES, "CNAME")),
                _as_recipients(host, lookup),
                lookup.of_zone(f"_ct-challenge.{host}", "TXT"),
                *(lookup.of_zone(f"_acme-challenge.{host}", kind) for kind in ("CNAME", "TXT")),
                *(lookup.of_resolvers(name, "CAA") for name in names_to_ask(host)),
                _around(host, lookup),
            )
        ]
        walk = group.create_task(_walk(host, lookup))
        ours = [
            group.create_task(lookup.addresses(name))
            for name in (request.known.base_domain, request.known.target)
        ]
    answers = list(dict.fromkeys(each for task in questions for each in task.result()))
    own = tuple(dict.fromkeys(each for task in ours for each in task.result()))
    return _names(host, answers, walk.result(), own, ours[-1].result(), config)


def _names(
    host: str,
    answers: list[Answer],
    chain: tuple[Hop, ...],
    own: tuple[str, ...],
    edge: Sequence[str],
    config: ProberConfig,
) -> Names:
    found = _addresses(host, answers)
    allowed = [each for each in found if is_allowed(each, config, own)]
    return Names(
        answers=tuple(answers),
        chain=chain,
        own=own,
        edge=tuple(each for each in edge if is_allowed(each, config, own)),
        addresses=_some(routed(allowed, has_route)),
        refused=_some([each for each in found if each not in allowed]),
    )


async def _as_recipients(host: str, lookup: Lookup) -> list[Answer]:
    """Ask the resolvers for addresses; one that says SERVFAIL again, without DNSSEC."""
    found: list[Answer] = []
    for said in await together(lookup.of_resolvers(host, kind) for kind in _FAMILIES):
        found += said
    failing = {each.type for each in found if each.rcode == "SERVFAIL"}
    for said in await together(
        lookup.of_resolvers(host, kind, unchecked=True) for kind in sorted(failing)
    ):
        found += said
    return found


async def _around(host: str, lookup: Lookup) -> list[Answer]:
    """Ask for the zone's servers, for what stands at doubled names, and note who is not asked."""
    zone = await lookup.zone(host)
    if not zone.name:
        return []
    doubled = f"{host}.{zone.name}"
    said = await together(
        [
            lookup.of_any(zone.name, "NS"),
            lookup.of_any(doubled, "CNAME"),
            lookup.of_any(f"_ct-challenge.{doubled}", "TXT"),
        ]
    )
    refused = [
        Answer(
            server=each,
            authoritative=True,
            name=host,
            type="A",
            rcode="",
            error="not a public address, not asked",
        )
        for each in zone.refused
    ]
    return [each for each in said if each is not None] + refused


async def _walk(host: str, lookup: Lookup) -> tuple[Hop, ...]:
    """Follow the CNAMEs from server to server: one more than may be, or to where they break."""
    hops: list[Hop] = []
    seen = {host}
    name = host
    while len(hops) <= MOST_HOPS:
        said = await lookup.of_any(name, "CNAME")
        if said is None:
            break
        if said.values:
            hops.append(Hop(name, said.values[0]))
            name = said.values[0]
            if name.lower() in seen:
                break
            seen.add(name.lower())
            continue
        # Where the host itself is missing there is no chain: that is told of the host.
        if hops and (said.rcode != "NOERROR" or said.error):
            hops.append(Hop(name, "", said.rcode or said.error))
        break
    return tuple(hops)


def _addresses(host: str, answers: list[Answer]) -> list[str]:
    """Return where recipients are led; where no resolver knows, what the zone says."""
    of_host = [
        each
        for each in answers
        if each.name == host and each.type in _FAMILIES and not each.unchecked and is_sound(each)
    ]
    resolved = [each for each in of_host if not each.authoritative and each.values] or of_host
    return list(dict.fromkeys(value for each in resolved for value in each.values))


def routed(addresses: list[str], is_routed: Callable[[str], bool]) -> list[str]:
    """Return the addresses that this machine has a way to; all where it has none to any.

    What is left out says nothing of the domain, as IPv6 where there is none here. But a name
    that cannot be looked at at all must not seem to be in order.
    """
    return [each for each in addresses if is_routed(each)] or addresses


def _some(addresses: list[str]) -> tuple[str, ...]:
    v6 = [each for each in addresses if ":" in each][:_MOST_ADDRESSES]
    return (*[each for each in addresses if ":" not in each][:_MOST_ADDRESSES], *v6)
