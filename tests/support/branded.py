"""A customer with a branded domain, their DNS, and a service that tracks their mail."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiosmtplib
import pytest
import trustme

from linkseal.config import Address
from linkseal.demo.recipient import read_message
from linkseal.errors import ServiceError
from linkseal.testing.knot import Knot, find_knotd
from linkseal.testing.lab import Site, prober_section
from linkseal.testing.mailbox import Mailbox
from linkseal.testing.programs import end, find_program, free_port
from linkseal.testing.service import ServiceProcess, linkseal
from support.lab import ACME

HOST = "links.acme.example"
BASE = "ct.example"
ZONE = ["ct 60 IN A 127.0.0.1", "*.ct 60 IN A 127.0.0.1"]
VISITOR = "127.0.0.9"
"""A recipient's address."""
IN_FRONT = "links.acme 60 IN A 127.0.0.1"
"""The customer's CDN or proxy: the name leads to it, not to its target."""
CONFIG = """\
base_domain = "ct.example"
data_dir = "data"
[edge]
http = "127.0.0.1:{edge_http}"
https = "127.0.0.1:{edge_https}"
ops = "127.0.0.1:0"
public_http_port = 80
public_https_port = 443
[smtp]
listen = "127.0.0.1:0"
next_hop = "{next_hop}"
[log]
format = "json"
"""


class Customer:
    """Claims, publishes the records, is checked, sends mail; and a recipient of theirs clicks.

    Args:
        directory: For the service.
        mailbox: The next hop of the mail.
        straight: Whether the name is a CNAME to its target, and so leads to our edge.

    Attributes:
        web: The web PKI: what it signs, recipients and the prober trust.
        ports: Where recipients find the name, ``http`` and ``https``.
        more: Put at the end of the configuration.
    """

    def __init__(self, directory: Path, mailbox: Mailbox, *, straight: bool) -> None:
        self.directory = directory
        self.mailbox = mailbox
        self.straight = straight
        self.more = ""
        self.ports = {name: free_port("127.0.0.1") for name in ("http", "https")}
        self.service = ServiceProcess(directory)
        self.web = trustme.CA()
        self.web.cert_pem.write_to_path(directory / "root.pem")
        self.trusted = ssl.create_default_context()
        self.web.configure_trust(self.trusted)
        self.zone = list(ZONE)
        self.knot = Knot(directory / "knot", {"example": self.zone})
        self.configure()

    def trust(self, root: bytes) -> None:
        """Have recipients and the prober trust a root in place of :attr:`web`."""
        (self.directory / "root.pem").write_bytes(root)
        self.trusted = ssl.create_default_context(cadata=root.decode())

    def configure(self, issuer: str = "") -> None:
        """Write the configuration: with the directory of a CA to ask, if one is given."""
        text = CONFIG.format(
            next_hop=self.mailbox.address,
            edge_http=self.ports["http"] if self.straight else 0,
            edge_https=self.ports["https"] if self.straight else 0,
        )
        text += prober_section(
            Address(self.knot.host, self.knot.port or 53),
            http_port=self.ports["http"],
            https_port=self.ports["https"],
            roots=["root.pem"],
        )
        if issuer:
            acme = {"host": self.knot.host, "port": self.knot.port, "key": self.knot.key}
            text += ACME.format(**acme, http_port=self.ports["http"], more="")
            text += f'[[acme.issuers]]\ndirectory = "{issuer}"\n'
        self.service.config_file.write_text(text + self.more)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return linkseal("--config", str(self.service.config_file), *words)

    def json(self, *words: str) -> Any:
        done = self.run(*words, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def claim(self, issuer: str = "") -> Any:
        """Claim the name, put the lines that the command prints into DNS, start the service."""
        dedicated = ("--from-domain", "acme.example", "--sending-ip", "dedicated")
        self.json("customer", "add", "acme", *dedicated)
        add = ("domain", "add", HOST, "--customer", "acme")
        found = self.json(*add)
        printed = self.run(*add, "--zone").stdout.splitlines()
        if self.straight:
            self.zone += printed
        else:
            self.zone += [IN_FRONT, *(line for line in printed if " IN TXT " in line)]
        self.knot.start()
        self.configure(issuer)
        self.service.start()
        return found

    async def shown(self) -> None:
        """Wait until whoever holds the name shows a certificate for it that is trusted.

        The edge takes what the store holds within seconds, not at once, and each of its workers
        by itself: it is shown when it was so often, and for longer than a worker waits.
        """
        deadline, seen = time.monotonic() + 60, 0
        while seen < 15:
            assert time.monotonic() < deadline, "the certificate is not shown"
            try:
                with (
                    self.connect() as plain,
                    self.trusted.wrap_socket(plain, server_hostname=HOST),
                ):
                    seen += 1
            except ssl.SSLError:
                seen = 0
            await asyncio.sleep(0.1)

    def site(self, found: Any, source: str = "127.0.0.1") -> Site:
        """Return the claimed domain as a stand-in before it knows it.

        Args:
            found: What the claim returned.
            source: The address from which the stand-in connects to our edge.
        """
        certificate = self.directory / "front.pem"
        self.web.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(certificate)
        edge = self.service.config.edge
        return Site(
            directory=self.directory / "front",
            host=HOST,
            target=found["target"],
            base_domain=BASE,
            ownership=found["ownership"],
            certificate=certificate,
            roots=self.service.ca_file,
            http=Address("127.0.0.1", self.ports["http"]),
            https=Address("127.0.0.1", self.ports["https"]),
            edge_http=edge.http,
            edge_https=edge.https,
            resolver=f"{self.knot.host}:{self.knot.port}",
            source=source,
        )

    def enable(self, route: str) -> Any:
        """Have the name checked, SSL requested and approved; return the report it is approved on.

        Neither is possible before it is due.
        """
        request = ("domain", "request-ssl", HOST, "--route", route)
        assert self.run(*request).returncode == 1
        self.pass_checks()
        assert self.json("domain", "show", HOST)["state"] == "dns_valid"
        self.json(*request)
        assert self.run("domain", "approve", HOST).returncode == 1
        report = self.pass_checks()
        assert self.json("domain", "approve", HOST)["state"] == "ssl_enabled"
        return report

    def pass_checks(self) -> Any:
        """Check the name, and return the report, in which nothing blocks."""
        done = self.run("domain", "check", HOST, "--json")
        report = json.loads(done.stdout)
        failing = [each for each in report["verdicts"] if each["check"] in report["blocking"]]
        assert (done.returncode, failing) == (0, []), (failing, done.stderr)
        return report

    async def send(self) -> str:
        """Send a message with a link, and return what it became."""
        smtp = self.service.config.smtp.listen
        message = (
            b"From: news@acme.example\r\nTo: reader@example.net\r\n"
            b"Content-Type: text/html\r\n\r\n<a href='https://shop.example/?a=1'>shop</a>\r\n"
        )
        await aiosmtplib.send(
            message,
            sender="news@acme.example",
            recipients=["reader@example.net"],
            hostname=smtp.host,
            port=smtp.port,
            start_tls=False,
        )
        return read_message(self.mailbox.messages[-1].content).links[0]

    def connect(self, source: str = "127.0.0.1", port: int = 0) -> socket.socket:
        """Connect to who holds the branded name, or to another port of this machine."""
        address = ("127.0.0.1", port or self.ports["https"])
        return socket.create_connection(address, 20, (source, 0))

    def click(self, link: str, *fields: str, source: str = "127.0.0.1") -> None:
        """Click as a browser would: verified TLS to whoever holds the branded name.

        Args:
            link: As it was sent.
            fields: More header fields of the request.
            source: The recipient's address.
        """
        assert link.startswith(f"https://{HOST}/c/")
        path = link.removeprefix(f"https://{HOST}")
        with (
            self.connect(source) as plain,
            self.trusted.wrap_socket(plain, server_hostname=HOST) as tls,
        ):
            assert_leads_on(ask(tls, path, *fields))

    async def events(self, count: int) -> list[Any]:
        """Return what is recorded, newest first, once there is that much."""
        deadline = time.monotonic() + 60
        while len(events := self.json("event", "list")) < count:
            assert time.monotonic() < deadline, events
            await asyncio.sleep(0.2)
        assert len(events) == count
        return list(events)

    async def send_and_click(self) -> None:
        """Send, click straight to us and see it recorded: the whole way of a link over https.

        The recipient's address is where the connection comes from, whatever the request says.
        """
        forged = (f"{name}: 192.0.2.66" for name in ("X-Forwarded-For", "CF-Connecting-IP"))
        self.click(await self.send(), *forged, source=VISITOR)
        (event,) = await self.events(1)
        assert (event["host"], event["event"], event["secure"]) == (HOST, "click", True)
        assert event["address"] == VISITOR


def ask(tls: ssl.SSLSocket, path: str, *fields: str) -> bytes:
    """Send a request for the branded name with more fields, and return the answer."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {HOST}", *fields, "Connection: close", "", ""]
    tls.sendall("\r\n".join(lines).encode())
    answer = b""
    while chunk := tls.recv(65536):
        answer += chunk
    return answer


def assert_leads_on(answer: bytes) -> None:
    assert answer.startswith(b"HTTP/1.1 302 "), answer
    assert b"\r\nlocation: https://shop.example/?a=1\r\n" in answer.replace(
        b"Location", b"location"
    )


@contextlib.contextmanager
def front(program: str, *words: str, port: int) -> Iterator[None]:
    """Run the customer's CDN or proxy, or a part of it; skips the test where it cannot be had."""
    process = subprocess.Popen([installed(program), *words], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            assert process.poll() is None, f"{program} did not start"
            assert time.monotonic() < deadline, f"{program} does not listen"
            time.sleep(0.05)
        yield
    finally:
        end(process)


def installed(program: str) -> str:
    """Return the path of a program; skips the test where it is not to be had."""
    try:
        return find_program(program, program)
    except ServiceError as error:
        pytest.skip(f"{error.message}: {error.hint}")


@contextlib.asynccontextmanager
async def new_customer(directory: Path, *, straight: bool) -> AsyncIterator[Customer]:
    """A customer who has done nothing yet; skips the test where there is no Knot."""
    try:
        find_knotd()
    except ServiceError as error:
        pytest.skip(f"{error.message}: {error.hint}")
    mailbox = Mailbox()
    await mailbox.start()
    made = Customer(directory, mailbox, straight=straight)
    try:
        yield made
    except ServiceError as error:
        if error.code == "program-missing":
            pytest.skip(f"{error.message}: {error.hint}")
        raise
    finally:
        made.service.stop()
        made.knot.stop()
        await mailbox.stop()
