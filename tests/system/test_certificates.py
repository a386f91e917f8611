"""The certificates of a running service: real DNS, an ACME directory, the real edge."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from linkseal.config import Address
from linkseal.testing.acme_directory import AcmeDirectory
from linkseal.testing.acme_objects import Problem
from linkseal.testing.knot import Knot
from linkseal.testing.service import ServiceProcess, linkseal

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
http = "127.0.0.1:0"
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
[[acme.issuers]]
directory = "{url}"
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


class Lab:
    """A service, the DNS its names are in, and the CA it asks."""

    def __init__(self, directory: Path, ca: AcmeDirectory, knot: Knot) -> None:
        self.service = ServiceProcess(directory)
        self.ca = ca
        self.knot = knot
        self.http_port = free_port()
        self.configure()

    def configure(self, more: str = "", *, urls: tuple[str, ...] = ()) -> None:
        first, *others = urls or (self.ca.url,)
        text = CONFIG.replace('http = "127.0.0.1:0"', f'http = "127.0.0.1:{self.http_port}"')
        text += ACME.format(
            host=self.knot.host,
            port=self.knot.port,
            key=self.knot.key,
            url=first,
            http_port=self.http_port,
            more=more,
        )
        text += "".join(f'[[acme.issuers]]\ndirectory = "{url}"\n' for url in others)
        self.service.config_file.write_text(text)

    def cli(self, *words: str) -> Any:
        done = self.run(*words)
        assert done.returncode == 0, done.stderr + done.stdout
        return json.loads(done.stdout)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        config = ("--config", str(self.service.config_file))
        return linkseal(*config, "certificate", *words, "--json")

    def fetch_challenge(
        self, name: str, kind: str, token: str, key_authorization: str
    ) -> Problem | None:
        """Validate HTTP-01 as a CA does: by asking the edge."""
        if kind == "dns-01":
            return None
        edge = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=5)
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

    def wait_for(self, name: str, state: str = "valid") -> Any:
        deadline = time.monotonic() + 60
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


def eventually(check: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if check():
            return True
        time.sleep(0.2)
    return False


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    (tmp_path / "knot").mkdir()
    with AcmeDirectory() as ca, Knot(tmp_path / "knot", {"example": ZONE}) as knot:
        found = Lab(tmp_path, ca, knot)
        ca.validate = found.fetch_challenge
        try:
            yield found
        finally:
            found.service.stop()


def test_names_get_their_certificates_and_strangers_the_alert(lab: Lab) -> None:
    lab.service.start()
    lab.wait_for(f"*.{BASE}")
    issued = lab.cli("issue", BRANDED)
    assert (issued["state"], issued["route"], issued["challenge"]) == ("valid", "acme", "http-01")
    assert issued["certificates"][0]["key_type"] == "p256"
    for name in (BRANDED, f"t-abc.{BASE}", f"go.{BASE}"):
        assert eventually(lambda name=name: "linkseal" in lab.shown(name).lower()), lab.shown(name)
    assert lab.shown("links.stranger.example") == "TLSV1_UNRECOGNIZED_NAME"
    assert [order.identifiers for order in lab.ca.orders] == [(f"*.{BASE}",), (BRANDED,)]
    assert lab.knot.values(f"_acme-challenge.{BASE}") == set()
    listed = {each["name"]: each["state"] for each in lab.cli("list")}
    assert listed == {f"*.{BASE}": "valid", BRANDED: "valid"}
    history = [entry["what"] for entry in lab.cli("show", BRANDED)["history"]]
    assert history == ["added", "ordered", "issued"]
