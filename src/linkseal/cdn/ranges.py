"""The networks CDNs publish, fetched as they publish them, and the last good copy kept.

httpx rather than requests, for its answers can be awaited: ``asyncio.timeout`` ends a whole
request, however slowly it drips, and all CDNs are asked at the same time.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import certifi
import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.rdatatype
import httpx

from linkseal.config import Config
from linkseal.domains.profiles import PROFILES, PUBLISHING, published_networks, read_published
from linkseal.errors import ConfigError, DomainError, LinksealError
from linkseal.store import Store

MOST_BYTES: Final = 8 << 20
"""Of one answer; the list of all of AWS has some two million."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What became of one CDN's networks.

    Attributes:
        cdn: The profile's id.
        networks: That hold now: the new ones, or after an error those from before.
        new: Those of them that did not hold before.
        gone: Those from before that hold no more.
        error: Why the ones from before stay; ``None`` when all is well.
    """

    cdn: str
    networks: tuple[str, ...]
    new: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    error: LinksealError | None = None

    @property
    def added(self) -> int:
        """How many are new."""
        return len(self.new)

    @property
    def removed(self) -> int:
        """How many are gone."""
        return len(self.gone)


def refresh(
    config: Config,
    store: Store,
    cdns: Collection[str] = (),
    *,
    now: datetime,
    force: bool = False,
) -> list[Refreshed]:
    """Fetch what CDNs publish, all at once, and keep what is sound in place of the last copy.

    The edge is told where other networks hold than before. Blocks for at most
    ``cdn.timeout`` and the database: from an event loop, call it by ``asyncio.to_thread``.

    Args:
        config: Where they publish, and how long they have.
        store: Keeps the copies.
        cdns: Ids of profiles; none: all that publish.
        now: Aware.
        force: Take networks although half of the known addresses are gone, or as many again
            and more are new.

    Returns:
        One for each, in order. Whatever goes wrong with one is in its ``error``.

    Raises:
        DomainError: ``cdn-unknown``, ``cdn-publishes-none``; nothing was fetched.
        ConfigError: ``cdn.ca_file`` cannot be used.
        StoreError: The database cannot be used.
    """
    wanted = list(dict.fromkeys(cdns)) or list(PUBLISHING)
    for cdn in wanted:
        refuse_unpublished(cdn)
    known = store.cdn_ranges.networks()
    answers = asyncio.run(_fetch_all(config, wanted))
    done = []
    for cdn, answer in zip(wanted, answers, strict=True):
        before = known.get(cdn, PROFILES[cdn].networks)
        if isinstance(answer, LinksealError):
            done.append(Refreshed(cdn, before, error=answer))
            continue
        try:
            found = published_networks(
                PROFILES[cdn].name,
                read_published(cdn, PROFILES[cdn].name, answer),
                before,
                shipped=PROFILES[cdn].networks,
                private=config.prober.allow_private_addresses,
                force=force,
            )
        except DomainError as error:
            done.append(Refreshed(cdn, before, error=error))
            continue
        store.cdn_ranges.put(cdn, found, ", ".join(sources(config, cdn)), now)
        new, gone = (
            tuple(each for each in some if each not in others)
            for some, others in ((found, set(before)), (before, set(found)))
        )
        done.append(Refreshed(cdn, found, new, gone))
    return done


def refuse_unpublished(cdn: str) -> None:
    """Refuse a profile whose networks cannot be fetched.

    Raises:
        DomainError: ``cdn-unknown``, ``cdn-publishes-none``.
    """
    if cdn in PUBLISHING:
        return
    if cdn not in PROFILES:
        raise DomainError(
            f"there is no profile {cdn!r}",
            code="cdn-unknown",
            hint=f"those that publish networks are {', '.join(PUBLISHING)}",
        )
    raise DomainError(
        f"no networks of {PROFILES[cdn].name} can be fetched: {PROFILES[cdn].snapshot.source}",
        code="cdn-publishes-none",
        hint=f"give them by `linkseal domain enrol … {cdn} --network`",
    )


def sources(config: Config, cdn: str) -> tuple[str, ...]:
    """Return where a CDN's networks are fetched: addresses, or for Google a DNS name."""
    found = getattr(config.cdn.sources, cdn)
    return (found,) if isinstance(found, str) else tuple(found)


async def _fetch_all(
    config: Config, cdns: Sequence[str]
) -> list[tuple[bytes, ...] | LinksealError]:
    limits = httpx.Timeout(config.cdn.timeout)
    # Redirects are not followed: they could lead anywhere, and to http.
    async with httpx.AsyncClient(verify=_trusted(config), timeout=limits) as client:
        return await asyncio.gather(*(_fetch(config, client, cdn) for cdn in cdns))


async def _fetch(
    config: Config, client: httpx.AsyncClient, cdn: str
) -> tuple[bytes, ...] | LinksealError:
    places = sources(config, cdn)
    try:
        async with asyncio.timeout(config.cdn.timeout):
            if cdn == "google":
                return tuple([await _ask(config, place) for place in places])
            return tuple([await _get(client, place) for place in places])
    except TimeoutError:
        why = f"no whole answer in {config.cdn.timeout:g} seconds"
    except (
        httpx.HTTPError,
        httpx.InvalidURL,
        OSError,
        dns.exception.DNSException,
        _RefusedError,
    ) as error:
        why = str(error) or type(error).__name__
    return DomainError(
        f"the networks of {PROFILES[cdn].name} cannot be fetched: {why}",
        code="cdn-unreachable",
        hint=f"the last good networks stay; see that {' and '.join(places)} can be reached "
        "from here, or set cdn.sources to a mirror",
        retryable=True,
    )


class _RefusedError(Exception):
    """An answer that is none of the wanted kind."""


async def _get(client: httpx.AsyncClient, url: str) -> bytes:
    headers = {
        "User-Agent": "linkseal",
        "Accept": "application/json, text/plain;q=0.9",
        # A few compressed bytes can stand for any number.
        "Accept-Encoding": "identity",
    }
    async with client.stream("GET", url, headers=headers) as response:
        if response.status_code != httpx.codes.OK:
            raise _RefusedError(f"{url} answers {response.status_code}")
        data = bytearray()
        async for chunk in response.aiter_raw():
            data += chunk
            if len(data) > MOST_BYTES:
                raise _RefusedError(f"{url} answers more than {MOST_BYTES} bytes")
    return bytes(data)


async def _ask(config: Config, name: str) -> bytes:
    """Return the one TXT record of a name that is SPF (RFC 7208 §4.5)."""
    resolvers = config.prober.resolvers
    stub = dns.asyncresolver.Resolver(configure=not resolvers)
    if resolvers:
        stub.nameservers = [
            dns.nameserver.Do53Nameserver(each.host, each.port) for each in resolvers
        ]
    said = await stub.resolve(name, dns.rdatatype.TXT, search=False, lifetime=config.cdn.timeout)
    found = [text for each in said if (text := b"".join(each.strings)).startswith(b"v=spf1")]
    if len(found) != 1:
        raise _RefusedError(f"{name} has {len(found)} TXT records that begin with v=spf1")
    return found[0]


def _trusted(config: Config) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certifi.where())
    if config.cdn.ca_file is not None:
        try:
            context.load_verify_locations(config.cdn.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"cdn.ca_file: {config.cdn.ca_file} cannot be read: {error}",
                hint="name a PEM file of certificates",
            ) from error
    return context
