"""Asking DNS: one server one question, and which servers hold a zone.

Standards: RFC 1035 (messages), RFC 4035 §3.2.2 (CD: an answer without DNSSEC checking).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import dns.asyncquery
import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.nameserver
import dns.rcode
import dns.rdatatype
import dns.resolver

from linkseal.config import Address, ProberConfig
from linkseal.domains.observation import Answer
from linkseal.prober.addresses import has_route, is_allowed
from linkseal.prober.request import Budget

_T = TypeVar("_T")

MOST_SERVERS: Final = 8
"""Addresses of name servers asked for one zone: a zone of a hundred must not cost more."""
_TRIES: Final = 2
_SECONDS: Final = 3.0
_PARALLEL: Final = 32
_MOST_VALUES: Final = 64
_LONGEST: Final = 4096


@dataclass(frozen=True, slots=True)
class Zone:
    """The servers of the zone that holds a name.

    Attributes:
        name: Of the zone, without a last dot; empty when it was not found.
        servers: Their addresses that may be asked.
        refused: Those that may not.
    """

    name: str = ""
    servers: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


@dataclass(slots=True)
class Lookup:
    """DNS as one run asks it; every question is asked once.

    Args:
        config: Resolvers and ports.
        budget: Of the run.
    """

    config: ProberConfig
    budget: Budget
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_PARALLEL))
    _zones: dict[str, asyncio.Task[Zone]] = field(default_factory=dict)

    @property
    def recursives(self) -> tuple[Address, ...]:
        """The resolvers whose answers are judged."""
        return self.config.public_resolvers or self.config.resolvers

    async def of_zone(self, name: str, kind: str) -> list[Answer]:
        """Ask every server of a name's zone, or every resolver when none can be found."""
        zone = await self.zone(name)
        if not zone.servers:
            return await self.of_resolvers(name, kind)
        return await together(self._authority(each, name, kind) for each in zone.servers)

    async def of_resolvers(self, name: str, kind: str, *, unchecked: bool = False) -> list[Answer]:
        """Ask every recursive resolver."""
        return await together(
            self.ask(each, name, kind, unchecked=unchecked) for each in self.recursives
        )

    async def of_any(self, name: str, kind: str) -> Answer | None:
        """Return the first sound answer of the zone's servers, else of a resolver.

        ``None`` when there is nobody to ask.
        """
        said: Answer | None = None
        for server in (await self.zone(name)).servers[:3]:
            said = await self._authority(server, name, kind)
            if is_sound(said):
                return said
        for each in self.recursives:
            said = await self.ask(each, name, kind)
            if is_sound(said):
                return said
        return said

    async def zone(self, name: str) -> Zone:
        """Return the zone that holds a name, and its servers."""
        if name not in self._zones:
            self._zones[name] = asyncio.create_task(self._find_zone(name))
        # A waiter that is cancelled must not cancel what others wait for.
        return await asyncio.shield(self._zones[name])

    async def close(self) -> None:
        """End what nobody waits for any more."""
        for each in self._zones.values():
            each.cancel()
        await asyncio.gather(*self._zones.values(), return_exceptions=True)

    async def addresses(self, name: str) -> list[str]:
        """Return all addresses of a name of ours or of a name server."""
        found = await together(self._records(name, kind) for kind in ("A", "AAAA"))
        return list(dict.fromkeys(str(each.address) for records in found for each in records))

    async def ask(
        self,
        server: Address,
        name: str,
        kind: str,
        *,
        authoritative: bool = False,
        unchecked: bool = False,
    ) -> Answer:
        """Ask one server one question; over TCP when the answer is cut."""
        label = server.host if server.port == 53 else str(server)
        rcode = error = ""
        values: tuple[str, ...] = ()
        self.budget.expect("dns")
        try:
            query = dns.message.make_query(name, kind, use_edns=0)
            # RFC 1034 §4.3.1: servers of a zone are not asked to recurse.
            query.flags = dns.flags.Flag(0) if authoritative else dns.flags.RD
            if unchecked:
                query.flags |= dns.flags.CD
            async with self._slots:
                said = await self._exchange(query, server)
            rcode, values = dns.rcode.to_text(said.rcode()), _values(said, kind)
        except TimeoutError:
            error = "timeout"
        except (OSError, EOFError, dns.exception.DNSException) as fault:
            error = _reason(fault)
        self.budget.finish("dns")
        return Answer(label, authoritative, name, kind, rcode, values, error, unchecked)

    async def _exchange(self, query: dns.message.Message, server: Address) -> dns.message.Message:
        for left in reversed(range(_TRIES)):
            try:
                async with asyncio.timeout(self.budget.seconds(_SECONDS)):
                    said, _ = await dns.asyncquery.udp_with_fallback(
                        query,
                        server.host,
                        port=server.port,
                        ignore_unexpected=True,
                        ignore_errors=True,
                    )
                    return said
            except TimeoutError:
                if not left:
                    raise
        raise TimeoutError

    def _authority(self, server: str, name: str, kind: str) -> Coroutine[Any, Any, Answer]:
        place = Address(server, self.config.authority_port)
        return self.ask(place, name, kind, authoritative=True)

    async def _find_zone(self, name: str) -> Zone:
        try:
            zone = await dns.asyncresolver.zone_for_name(
                dns.name.from_text(name), resolver=self._stub(), lifetime=self.budget.seconds()
            )
        except (OSError, EOFError, dns.exception.DNSException):
            return Zone()
        hosts = await self._records(zone.to_text(), "NS")
        found = await together(
            self.addresses(each.target.to_text()) for each in hosts[:MOST_SERVERS]
        )
        every = list(dict.fromkeys(address for each in found for address in each))
        allowed = [each for each in every if is_allowed(each, self.config)]
        return Zone(
            zone.to_text(omit_final_dot=True),
            tuple(each for each in allowed if has_route(each))[:MOST_SERVERS],
            tuple(each for each in every if each not in allowed)[:MOST_SERVERS],
        )

    async def _records(self, name: str, kind: str) -> list[Any]:
        """Return records, whose fields depend on their type; none when DNS does not say."""
        try:
            said = await self._stub().resolve(
                dns.name.from_text(name), kind, lifetime=self.budget.seconds(), search=False
            )
        except (OSError, EOFError, dns.exception.DNSException):
            return []
        return list(said)

    def _stub(self) -> dns.asyncresolver.Resolver:
        stub = dns.asyncresolver.Resolver(configure=not self.config.resolvers)
        if self.config.resolvers:
            stub.nameservers = [
                dns.nameserver.Do53Nameserver(each.host, each.port)
                for each in self.config.resolvers
            ]
        # A zone whose DNSSEC fails has to be found too, to say that it fails.
        stub.flags = dns.flags.RD | dns.flags.CD
        return stub


def is_sound(answer: Answer) -> bool:
    """Whether a server said what there is, if only that there is nothing."""
    return not answer.error and answer.rcode in {"NOERROR", "NXDOMAIN"}


async def together(questions: Iterable[Coroutine[Any, Any, _T]]) -> list[_T]:
    """Run all at once; return the results in order."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each) for each in questions]
    return [task.result() for task in tasks]


def _values(said: dns.message.Message, kind: str) -> tuple[str, ...]:
    wanted = dns.rdatatype.from_text(kind)
    records = [one for each in said.answer if each.rdtype == wanted for one in each]
    return tuple(_text(each)[:_LONGEST] for each in records[:_MOST_VALUES])


def _text(record: Any) -> str:
    if record.rdtype in {dns.rdatatype.A, dns.rdatatype.AAAA}:
        return str(record.address)
    if record.rdtype in {dns.rdatatype.CNAME, dns.rdatatype.NS}:
        return str(record.target.to_text(omit_final_dot=True))
    if record.rdtype == dns.rdatatype.TXT:
        return b"".join(record.strings).decode("utf-8", "replace")
    return str(record.to_text())


def _reason(fault: BaseException) -> str:
    if isinstance(fault, OSError):
        return (fault.strerror or "no connection").lower()
    return "an answer that is no DNS" if isinstance(fault, dns.exception.DNSException) else "closed"
