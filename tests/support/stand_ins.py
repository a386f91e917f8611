"""A claimed domain on a running service, looked at through one stand-in after the other."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from linkseal import datadir
from linkseal.config import Address
from linkseal.domains.checks import Result, judge
from linkseal.domains.observation import Observation
from linkseal.domains.profiles import detect
from linkseal.errors import ServiceError
from linkseal.prober import KeySigner, ProbeRequest, probe, trusted_roots
from linkseal.testing.dns_server import running_dns
from linkseal.testing.lab import Site, WebPKI, prober_section
from linkseal.testing.programs import free_port
from linkseal.testing.service import ServiceProcess, linkseal
from support.desk import HOST

BASE = "ct.example"
CONFIG = """\
base_domain = "ct.example"
data_dir = "data"
[edge]
http = "127.0.0.1:0"
https = "127.0.0.1:0"
ops = "127.0.0.1:0"
[smtp]
enabled = false
[log]
format = "json"
"""


@dataclass(frozen=True)
class Looked:
    """What a look came to: who was found in front, and the checks that say something."""

    cdn: str
    fails: dict[str, str]
    warns: dict[str, str]


@dataclass(frozen=True)
class Claimed:
    """A service with one claimed domain, whose address is a stand-in's."""

    site: Site
    service: ServiceProcess

    async def look(self, route: str = "cdn") -> Looked:
        settings = self.service.config
        key = datadir.open_probe_key(settings, datadir.open_vault(settings))
        known = Observation(
            host=HOST,
            target=self.site.target,
            ownership=self.site.ownership,
            base_domain=BASE,
            route=route,
            at=datetime.now(UTC),
        )
        seen = await probe(ProbeRequest(known, KeySigner(HOST, key)), settings.prober)
        front = detect(seen).profile
        report = judge(seen, roots=trusted_roots(settings.prober), cdn=front)
        told = {
            result: {each.check: each.message for each in report.verdicts if each.result is result}
            for result in (Result.FAIL, Result.WARN)
        }
        return Looked(front.id if front else "", told[Result.FAIL], told[Result.WARN])


async def through(
    found: Claimed,
    stand_in: Callable[[Site], contextlib.AbstractContextManager[None]],
    route: str = "cdn",
) -> Looked:
    """Look through a stand-in; skips the test where one of its programs is not to be had."""
    try:
        with stand_in(found.site):
            return await found.look(route)
    except ServiceError as error:
        if error.code == "program-missing":
            pytest.skip(f"{error.message}: {error.hint}")
        raise


@contextlib.contextmanager
def claimed(directory: Path) -> Iterator[Claimed]:
    """Run a service where a customer claimed a domain and published what they were told."""
    ports = {f"{name}_port": free_port("127.0.0.1") for name in ("http", "https")}
    web, service = WebPKI(directory), ServiceProcess(directory)
    zones = {"acme.example": ["links A 127.0.0.1"], BASE: ["@ A 127.0.0.1"]}
    with running_dns(zones) as dns:
        place = Address(dns.host, dns.port)
        section = prober_section(place, **ports, roots=["web-root.pem"])
        service.config_file.write_text(CONFIG + section)
        command = ("--config", str(service.config_file))
        linkseal(*command, "customer", "add", "acme", "--from-domain", "acme.example")
        add = linkseal(*command, "domain", "add", HOST, "--customer", "acme", "--zone")
        assert add.returncode == 0, add.stderr
        lines = [line.split() for line in add.stdout.splitlines()]
        target = next(words[4] for words in lines if words[3] == "CNAME").rstrip(".")
        ownership = next(words[4] for words in lines if words[3] == "TXT").strip('"')
        dns.publish("acme.example", ["links A 127.0.0.1", f'_ct-challenge.links TXT "{ownership}"'])
        dns.publish(BASE, ["@ A 127.0.0.1", f"{target.partition('.')[0]} A 127.0.0.1"])
        with service:
            edge = service.config.edge
            yield Claimed(
                Site(
                    directory=directory / "front",
                    host=HOST,
                    target=target,
                    base_domain=BASE,
                    ownership=ownership,
                    certificate=web.issue(HOST),
                    roots=service.ca_file,
                    http=Address("127.0.0.1", ports["http_port"]),
                    https=Address("127.0.0.1", ports["https_port"]),
                    edge_http=edge.http,
                    edge_https=edge.https,
                    resolver=str(place),
                ),
                service,
            )
