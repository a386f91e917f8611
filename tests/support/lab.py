"""A running service, the DNS that its names are in, and the CA it asks."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from linkseal.config import Address
from linkseal.testing.acme_directory import AcmeDirectory
from linkseal.testing.acme_objects import Problem
from linkseal.testing.knot import Knot
from linkseal.testing.programs import free_port
from linkseal.testing.service import ServiceProcess, linkseal

T = TypeVar("T")
BASE = "ct.example"
BRANDED = "links.acme.example"
ZONE = [
    "ns 60 IN A 127.0.0.1",
    "go.ct 60 IN A 127.0.0.1",
    "t-abc.ct 60 IN A 127.0.0.1",
    "links.acme 60 IN CNAME t-abc.ct.example.",
    "links.other 60 IN CNAME t-abc.ct.example.",
]
CONFIG = """\
base_domain = "ct.example"
data_dir = "data"
[edge]
http = "127.0.0.1:{http_port}"
https = "127.0.0.1:0"
ops = "127.0.0.1:0"
workers = 2
[smtp]
enabled = false
[log]
format = "json"
"""
ACME = """
[acme]
enabled = true
resolvers = ["{host}:{port}"]
http_port = {http_port}
allow_private_addresses = true
{more}
[acme.dns]
provider = "rfc2136"
server = "{host}:{port}"
zone = "example"
key_name = "{key.name}"
key_secret = "{key.secret}"
key_algorithm = "{key.algorithm}"
authority_port = {port}
"""


class Lab:
    """A service, the DNS its names are in, and the CA it asks.

    Args:
        directory: For the service.
        ca: Asked, and shown challenges by the edge; without one, :meth:`configure` first.
        knot: Has :data:`ZONE`.
        http_port: Where the edge answers challenges.
    """

    def __init__(
        self, directory: Path, ca: AcmeDirectory | None, knot: Knot, *, http_port: int = 0
    ) -> None:
        self.service = ServiceProcess(directory)
        self.knot = knot
        self.http_port = http_port or free_port("127.0.0.1")
        self._ca = ca
        if ca is not None:
            ca.validate = self.fetch_challenge
            self.configure()

    @property
    def ca(self) -> AcmeDirectory:
        assert self._ca is not None
        return self._ca

    def configure(
        self, more: str = "", *, urls: tuple[str, ...] = (), ca_file: Path | None = None
    ) -> None:
        """Write the configuration: ``more`` of ACME's keys, the CAs, what verifies them."""
        text = CONFIG.format(http_port=self.http_port) + ACME.format(
            host=self.knot.host,
            port=self.knot.port,
            key=self.knot.key,
            http_port=self.http_port,
            more=more,
        )
        for url in urls or (self.ca.url,):
            text += f'[[acme.issuers]]\ndirectory = "{url}"\n'
            text += f'ca_file = "{ca_file}"\n' if ca_file else ""
        self.service.config_file.write_text(text)

    def cli(self, *words: str, check: bool = True) -> Any:
        """Return what a certificate command says as JSON."""
        done = self.run(*words)
        assert done.returncode == 0 or not check, done.stderr + done.stdout
        return json.loads(done.stdout)

    def run(self, *words: str, as_json: bool = True) -> subprocess.CompletedProcess[str]:
        config = ("--config", str(self.service.config_file))
        return linkseal(*config, "certificate", *words, *(["--json"] if as_json else []))

    def fetch_challenge(
        self, name: str, kind: str, token: str, key_authorization: str
    ) -> Problem | None:
        """Validate HTTP-01 as a CA does: by asking the edge."""
        if kind == "dns-01":
            return None
        edge = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=20)
        with contextlib.closing(edge):
            path = f"/.well-known/acme-challenge/{token}"
            edge.request("GET", path, headers={"Host": name})
            body = edge.getresponse().read().decode()
        return None if body == key_authorization else Problem("unauthorized", body[:80])

    def shown(self, name: str) -> str:
        """Return who issued what the edge shows for a name that verifies; or the alert."""
        context = ssl.create_default_context(cadata=self.ca.root_pem.decode())
        address = self.service.config.edge.https
        try:
            return issuer(context, address, name)
        except ssl.SSLError as error:
            return str(error.reason)

    def eventually_shown(self, name: str, seconds: float = 60) -> bool:
        """Whether the edge comes to show a certificate of the CA for a name."""
        return eventually(lambda: "linkseal" in self.shown(name).lower(), seconds)

    def wait_for(self, name: str, state: str = "valid", seconds: float = 120) -> Any:
        """Return what ``certificate show`` says once a name is in a state."""
        deadline = time.monotonic() + seconds
        while True:
            done = self.run("show", name)
            found = json.loads(done.stdout) if done.returncode == 0 else {}
            if found.get("state") == state:
                return found
            assert time.monotonic() < deadline, (found, self.service.log()[-5:])
            time.sleep(0.3)


def issuer(context: ssl.SSLContext, address: Address, name: str) -> str:
    with (
        socket.create_connection((address.host, address.port), 10) as plain,
        context.wrap_socket(plain, server_hostname=name) as connection,
    ):
        peer = connection.getpeercert()
        assert peer is not None
        return dict(part[0] for part in peer["issuer"])["commonName"]  # type: ignore[misc]


def eventually(read: Callable[[], T], seconds: float = 60) -> T:
    """Read until the answer is true or the time is over; return the last answer."""
    deadline = time.monotonic() + seconds
    while not (value := read()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return value
