"""A whole run: names, then connections, then requests."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from linkseal.config.sections import ProberConfig
from linkseal.domains.observation import Observation, Tried
from linkseal.prober.addresses import egress_addresses
from linkseal.prober.connect import VERSIONS, shake_hands, try_port
from linkseal.prober.exchanges import Exchanges
from linkseal.prober.lookup import Lookup, together
from linkseal.prober.names import look_up
from linkseal.prober.request import RUN_SECONDS, Budget, OnProgress, ProbeRequest

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
    budget = Budget(config.timeout, on_progress, seconds)
    # What DNS withholds must not take the time of the rest.
    lookup = Lookup(config, Budget(config.timeout, on_progress, min(seconds, _DNS_SECONDS)))
    try:
        names = await look_up(request, config, lookup)
    finally:
        await lookup.close()
    ports = {80: config.http_port, 443: config.https_port}
    tried = await together(
        try_port(address, port, usual, budget)
        for address in names.addresses
        for usual, port in ports.items()
    )
    open_at = {
        usual: [each.address for each in tried if each.port == usual and not each.error]
        for usual in ports
    }
    exchanges = Exchanges(request, config, budget)
    async with asyncio.TaskGroup() as group:
        shakes = [
            group.create_task(
                shake_hands(address, config.https_port, request.host, version, budget)
            )
            for address in open_at[443]
            for version in VERSIONS
        ]
        group.create_task(exchanges.run(open_at[443], open_at[80]))
        files = group.create_task(exchanges.app_files(open_at[443]))
    refused = [Tried(each, usual, _NOT_ASKED) for each in names.refused for usual in ports]
    return Observation(
        host=request.host,
        target=request.target,
        ownership=request.ownership,
        base_domain=request.base_domain,
        route=request.route,
        at=at,
        own_addresses=names.own,
        egress=egress_addresses(names.addresses, config),
        dns=names.answers,
        chain=names.chain,
        reached=(*tried, *refused),
        handshakes=tuple(each.result() for each in shakes),
        exchanges=tuple(exchanges.done),
        app_files=files.result(),
        caa_identities=request.caa_identities,
        caa_accounts=request.caa_accounts,
        acme_delegation=request.acme_delegation,
        certificate_state=request.certificate_state,
        certificate_problem=request.certificate_problem,
        waiting=request.waiting,
    )
