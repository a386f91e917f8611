"""A whole run: names, then connections, then requests."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import msgspec

from linkseal.config import ProberConfig
from linkseal.domains.observation import Handshake, Observation, Parent, Tried
from linkseal.prober.addresses import egress_addresses
from linkseal.prober.connect import BROWSER, VERSIONS, client_context, shake_hands, try_port
from linkseal.prober.exchanges import Exchanges
from linkseal.prober.lookup import Lookup, together
from linkseal.prober.names import Names, look_up, look_up_addresses
from linkseal.prober.parents import ask_parents, find_parents
from linkseal.prober.request import RUN_SECONDS, Budget, OnProgress, Part, ProbeRequest

_DNS_SECONDS = 20.0
_NOT_ASKED = "not a public address, not asked"


def _silent(_progress: object) -> None:
    """Tell nobody."""


async def probe(
    request: ProbeRequest,
    config: ProberConfig,
    on_progress: OnProgress = _silent,
    *,
    seconds: float = RUN_SECONDS,
) -> Observation:
    """Look at a branded domain from outside.

    Whatever goes wrong there is part of the observation and raises nothing. Addresses are
    resolved once; every connection goes to one of them, if it may be asked at all. Nothing
    is changed anywhere.

    Args:
        request: What to look at.
        config: How.
        on_progress: Told of each answer.
        seconds: For everything; what is not done by then is recorded as ``timeout``.
    """
    at = datetime.now(UTC)
    parts = request.parts
    budget = Budget(config.timeout, on_progress, seconds)
    # What DNS withholds must not take the time of the rest.
    lookup = Lookup(config, Budget(config.timeout, on_progress, min(seconds, _DNS_SECONDS)))
    try:
        async with asyncio.TaskGroup() as group:
            finding = group.create_task(_find(request, config, lookup))
            above = group.create_task(_find_parents(request, config, lookup))
    finally:
        await lookup.close()
    names = finding.result()
    ports = {80: config.http_port, 443: config.https_port}
    exchanges = Exchanges(request, config, budget)
    if Part.PORTS in parts:
        tried = await together(
            try_port(address, port, usual, budget)
            for address in names.addresses
            for usual, port in ports.items()
        )
        open_at = {
            usual: [each.address for each in tried if each.port == usual and not each.error]
            for usual in ports
        }
    else:
        tried, open_at = [], {80: [], 443: list(names.addresses)}
    async with asyncio.TaskGroup() as group:
        shakes = [
            group.create_task(
                shake_hands(address, config.https_port, request.known.host, version, budget)
            )
            for address in open_at[443]
            for version in VERSIONS
            if Part.VERSIONS in parts
        ]
        if Part.ECHO in parts:
            group.create_task(exchanges.run(open_at[443], open_at[80]))
        parents = group.create_task(ask_parents(above.result(), config, client_context(), budget))
        files = group.create_task(exchanges.app_files(open_at[443]))
        direct = group.create_task(exchanges.direct(names.edge))
    handshakes = [each.result() for each in shakes]
    if Part.ECHO in parts and Part.VERSIONS not in parts:
        found = await together(
            _reach(address, exchanges, budget, tried=Part.PORTS in parts)
            for address in open_at[443]
        )
        tried += [each for each, _ in found if each is not None]
        handshakes += [each for _, each in found if each is not None]
    refused = [Tried(each, usual, _NOT_ASKED) for each in names.refused for usual in ports]
    return msgspec.structs.replace(
        request.known,
        at=at,
        own_addresses=names.own,
        egress=egress_addresses(names.addresses, config),
        dns=names.answers,
        chain=names.chain,
        reached=(*tried, *refused),
        handshakes=tuple(handshakes),
        exchanges=tuple(exchanges.done),
        direct_seconds=direct.result(),
        app_files=files.result(),
        parents=parents.result(),
    )


async def _find(request: ProbeRequest, config: ProberConfig, lookup: Lookup) -> Names:
    if Part.NAMES in request.parts:
        return await look_up(request, config, lookup)
    if Part.ADDRESSES in request.parts or not request.addresses:
        return await look_up_addresses(request, config, lookup)
    return Names((), (), (), (), request.addresses, ())


async def _find_parents(
    request: ProbeRequest, config: ProberConfig, lookup: Lookup
) -> list[Parent]:
    if Part.REST not in request.parts:
        return []
    return await find_parents(request.known.host, config, lookup)


async def _reach(
    address: str, exchanges: Exchanges, budget: Budget, *, tried: bool
) -> tuple[Tried | None, Handshake | None]:
    """Return how an address was reached by its first request, or else why it cannot be."""
    chain = exchanges.chains.get(address)
    if chain is not None:
        return None if tried else Tried(address, 443), Handshake(address, BROWSER, chain=chain)
    port = exchanges.config.https_port
    found = None if tried else await try_port(address, port, 443, budget)
    if found is not None and found.error:
        return found, None
    return found, await shake_hands(address, port, exchanges.request.known.host, BROWSER, budget)
