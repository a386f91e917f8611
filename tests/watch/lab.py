"""A watch over live domains on loopback: real DNS, TLS and database, and nothing of the service."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import trustme
from cryptography import x509

from linkseal.config import Address, Config, ProberConfig, WatchConfig
from linkseal.domains.base import DomainState
from linkseal.domains.lifecycle import Action, Route, Step
from linkseal.edge.probe import Asked
from linkseal.store import Alert, Domain, Store
from linkseal.testing.dns_server import DNSServer, running_dns
from linkseal.watch.records import Records
from linkseal.watch.watcher import Watcher
from prober.lab import BASE, KEY, Origin, server_tls, serving

SHARED = f"go.{BASE}"
AUTHORITY = trustme.CA()


def name_of(number: int) -> str:
    return f"links{number}.acme.example"


@dataclass
class Live:
    """Domains under watch.

    Attributes:
        config: The service's.
        store: As a command would read it meanwhile.
        origin: Answers for all of them.
        broken: Hosts that answer 502.
        dns: Their name servers.
    """

    config: Config
    store: Store
    origin: Origin
    broken: set[str] = field(default_factory=set)
    dns: DNSServer | None = None

    def state(self, number: int = 0) -> DomainState:
        return self.domain(number).state

    def domain(self, number: int = 0) -> Domain:
        return self.store.domains.get(name_of(number))

    def alerts(self) -> list[Alert]:
        return self.store.alerts.list()

    def kinds(self) -> list[str]:
        return [each.kind.value for each in self.alerts()]

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[Watcher]:
        """Run the watch until the block ends."""
        roots = x509.load_pem_x509_certificates(AUTHORITY.cert_pem.bytes())
        with Store.open(self.config.store_url, migrate=False) as own:
            records = Records(own)
            watcher = Watcher(self.config, records, KEY, roots, "here")
            task = asyncio.create_task(watcher.run())
            try:
                yield watcher
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
                await records.run(lambda _store: None)
                records.close()


def claim(store: Store, number: int, *, ssl: bool) -> None:
    now, host = datetime.now(UTC), name_of(number)
    target = f"t-{number}.{BASE}"
    store.domains.claim(
        host,
        customer_id=1,
        target=target,
        ownership=f"ct-verify={number}",
        delegation=f"d{number}.{BASE}",
        who="ann",
        now=now,
    )
    store.domains.apply_dns(host, target=target, passed=True, who="check", now=now)
    if not ssl:
        return
    store.domains.apply(host, Step(Action.REQUEST_SSL, "ann", route=Route.PROXY), now)
    store.domains.save_report(
        host, {"verdicts": []}, target=target, route=Route.PROXY, blocks=False, now=now
    )
    store.domains.apply(host, Step(Action.APPROVE, "ann"), now)


def zones_of(count: int, *, gone: Sequence[int] = ()) -> dict[str, list[str]]:
    customer, ours = [], ["@ A 127.0.0.1", "go A 127.0.0.1"]
    for number in range(count):
        ours.append(f"t-{number} A 127.0.0.1")
        customer.append(f"_ct-challenge.links{number} TXT ct-verify={number}")
        if number not in gone:
            customer.append(f"links{number} CNAME t-{number}.{BASE}.")
    return {"acme.example": customer, BASE: ours}


def to_https(asked: Asked, _answer: bytes) -> bytes:
    """Answer as a proxy that passes no http on, which ORG-01 asks of it."""
    place = b"https://%b%b" % (asked.host.encode(), asked.target)
    return b"HTTP/1.1 301 Moved Permanently\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % place


@contextlib.asynccontextmanager
async def live_domains(
    directory: Path,
    count: int = 1,
    *,
    ssl: bool = True,
    days: float = 90.0,
    reference: str = "",
    **watch: Any,
) -> AsyncIterator[Live]:
    """So many live domains of one customer, all well.

    ``reference`` is what the watch takes for an address outside; empty: the shared domain.
    """
    url = f"sqlite:///{directory}/linkseal.db"
    broken: set[str] = set()

    def behave(asked: Any, answer: bytes) -> bytes:
        if asked.host in broken:
            return b"HTTP/1.1 502 Bad Gateway\r\nServer: proxy\r\nContent-Length: 0\r\n\r\n"
        return answer

    origin = Origin(behave)
    ends = datetime.now(UTC) + timedelta(days=days)
    leaf = AUTHORITY.issue_cert("*.acme.example", SHARED, not_after=ends)
    with Store.open(url) as store, running_dns(zones_of(count)) as dns:
        store.customers.add("acme")
        for number in range(count):
            claim(store, number, ssl=ssl)
        async with (
            serving(origin, server_tls(leaf), "127.0.0.1") as https,
            serving(Origin(to_https), None, "127.0.0.1") as http,
        ):
            place = (Address(dns.host, dns.port),)
            outside = (Address.parse(reference),) if reference else ()
            config = Config(
                base_domain=BASE,
                data_dir=directory,
                prober=ProberConfig(
                    resolvers=place,
                    public_resolvers=place,
                    authority_port=dns.port,
                    http_port=http,
                    https_port=https,
                    allow_private_addresses=True,
                    timeout=3.0,
                ),
                watch=WatchConfig(
                    **({"interval": 0.5, "retry": 0.1, "references": outside} | watch)
                ),
            )
            yield Live(config, store, origin, broken, dns)


async def until(what: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come to be"
        await asyncio.sleep(0.05)


async def looks(found: Live, count: int) -> None:
    """Wait until so many more requests were made."""
    before = len(found.origin.asked)
    await until(lambda: len(found.origin.asked) >= before + count)
