"""The demo's internet on loopback: DNS, a CA that is asked by ACME, a web PKI, addresses.

Each who stands before a customer's links has an address of their own, 127.0.0.2 and on, and
the same two ports as our edge at 127.0.0.1: as on the internet, where everybody has 80 and 443.
"""

from __future__ import annotations

import contextlib
import http.client
from pathlib import Path
from typing import Final

from linkseal.config import Address, Config
from linkseal.testing.acme_directory import AcmeDirectory
from linkseal.testing.acme_objects import Problem
from linkseal.testing.dns_server import DNSServer, running_dns
from linkseal.testing.lab import Site, WebPKI, prober_section
from linkseal.testing.programs import Running
from linkseal.testing.service import ServiceProcess

EDGE: Final = "127.0.0.1"
FRONTS: Final = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
"""Addresses of those who stand before us."""
VISITOR: Final = "127.0.0.9"
"""The address of a recipient."""

_ACME = """
[acme]
enabled = true
resolvers = ["{dns}"]
http_port = {http_port}
allow_private_addresses = true

[[acme.issuers]]
directory = "{directory}"
"""


class Internet(Running):
    """Everything that is not the service.

    A context manager.

    Args:
        directory: For its files.
        base_domain: The service's.

    Attributes:
        web: The web PKI.
        roots_file: What recipients trust, PEM: also ``curl --cacert``.
    """

    def __init__(self, directory: Path, base_domain: str) -> None:
        self.directory = directory
        self.web = WebPKI(directory)
        self.roots_file = directory / "roots.pem"
        self._base = base_domain
        self._targets: list[str] = []
        self._ca = AcmeDirectory()
        self._ca_root = directory / "acme-root.pem"
        self._parts = contextlib.ExitStack()
        self._dns: DNSServer | None = None

    @property
    def dns(self) -> DNSServer:
        """The DNS server, once it runs."""
        assert self._dns is not None
        return self._dns

    def config(self, http: Address, https: Address) -> str:
        """Return what the service's configuration says of it.

        Args:
            http: Where the edge will listen in plain text.
            https: Where it will listen with TLS.
        """
        self._ca.validate = lambda *asked: _validate(http, *asked)
        dns = Address(self.dns.host, self.dns.port)
        return _ACME.format(dns=dns, http_port=http.port, directory=self._ca.url) + prober_section(
            dns,
            http_port=http.port,
            https_port=https.port,
            roots=(self.web.root_file, self._ca_root),
        )

    def trust(self, local_ca: Path) -> None:
        """Have recipients trust the service's local CA as well, which fills in for the other."""
        roots = (self.web.root_pem, self._ca.root_pem, local_ca.read_bytes())
        self.roots_file.write_bytes(b"".join(roots))

    def publish(self, host: str, address: str, target: str, ownership: str) -> None:
        """Publish a customer's records, and ours for the target.

        Args:
            host: The branded domain, one label under the customer's zone.
            address: Where it leads; empty: by a CNAME to the target.
            target: Its target.
            ownership: The TXT value.
        """
        label, _, zone = host.partition(".")
        there = f"A {address}" if address else f"CNAME {target}."
        self.dns.publish(zone, [f"{label} {there}", f'_ct-challenge.{label} TXT "{ownership}"'])
        self._targets.append(target.partition(".")[0])
        self._publish_ours()

    def site(self, service: ServiceProcess, found: dict[str, str], address: str) -> Site:
        """Return what a stand-in at an address has to know of a claimed domain.

        Args:
            service: Whose edge it leads to.
            found: What ``domain add --json`` said.
            address: Of the stand-in.
        """
        config: Config = service.config
        return Site(
            directory=self.directory / found["host"],
            host=found["host"],
            target=found["target"],
            base_domain=self._base,
            ownership=found["ownership"],
            certificate=self.web.issue(found["host"]),
            roots=self.roots_file,
            http=Address(address, config.edge.http.port),
            https=Address(address, config.edge.https.port),
            edge_http=config.edge.http,
            edge_https=config.edge.https,
            resolver=f"{self.dns.host}:{self.dns.port}",
        )

    def _publish_ours(self) -> None:
        names = ("@", "go", *self._targets)
        self.dns.publish(self._base, [f"{name} A {EDGE}" for name in names])

    def start(self) -> None:
        """Start it."""
        with contextlib.ExitStack() as parts:
            self._dns = parts.enter_context(running_dns({}))
            parts.enter_context(self._ca)
            self._ca_root.write_bytes(self._ca.root_pem)
            self._publish_ours()
            self._parts = parts.pop_all()

    def stop(self) -> None:
        """Stop it."""
        self._parts.close()


def _validate(edge: Address, name: str, kind: str, token: str, proof: str) -> Problem | None:
    """Validate HTTP-01 as a CA does: every name that asks for it here leads to the edge."""
    if kind != "http-01":
        return Problem("unauthorized", "there is no way to it here")
    connection = http.client.HTTPConnection(edge.host, edge.port, timeout=5)
    with contextlib.closing(connection):
        path = f"/.well-known/acme-challenge/{token}"
        connection.request("GET", path, headers={"Host": name})
        said = connection.getresponse().read().decode("latin-1")
    return None if said == proof else Problem("unauthorized", said[:80])
