"""A branded domain on route `proxy`, from the claim to a recorded click: everything is real."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiosmtplib
import pytest
import trustme

from linkseal.certificates.dns_update import DynamicUpdate
from linkseal.demo.recipient import read_message
from linkseal.domains.guides import Setting, guide
from linkseal.testing.knot import Knot
from linkseal.testing.mailbox import Mailbox
from linkseal.testing.programs import free_port
from linkseal.testing.service import ServiceProcess, linkseal

HOST = "links.acme.example"
BASE = "ct.example"
ZONE = ["ct 60 IN A 127.0.0.1", "*.ct 60 IN A 127.0.0.1", "links.acme 60 IN A 127.0.0.1"]
CONFIG = """\
base_domain = "ct.example"
data_dir = "data"
[edge]
http = "127.0.0.1:0"
https = "127.0.0.1:0"
ops = "127.0.0.1:0"
[smtp]
listen = "127.0.0.1:0"
next_hop = "{next_hop}"
[log]
format = "json"
[prober]
resolvers = ["{dns}"]
public_resolvers = ["{dns}"]
authority_port = {dns_port}
http_port = {http_port}
https_port = {https_port}
allow_private_addresses = true
extra_roots = ["root.pem"]
timeout = 5.0
"""


class Customer:
    """Claims, publishes records, runs an own proxy by the guide's own file."""

    def __init__(self, directory: Path, knot: Knot, next_hop: str) -> None:
        self.directory = directory
        self.knot = knot
        self.ports = {name: free_port("127.0.0.1") for name in ("http", "https")}
        self.service = ServiceProcess(directory)
        self.web = trustme.CA()
        self.web.cert_pem.write_to_path(directory / "root.pem")
        self.service.config_file.write_text(
            CONFIG.format(
                next_hop=next_hop,
                dns=f"{knot.host}:{knot.port}",
                dns_port=knot.port,
                http_port=self.ports["http"],
                https_port=self.ports["https"],
            )
        )

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return linkseal("--config", str(self.service.config_file), *words)

    def json(self, *words: str) -> Any:
        done = self.run(*words, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def publish(self, ownership: str) -> None:
        dns = DynamicUpdate(self.knot.host, self.knot.port, key=self.knot.key, zone="example")
        dns.publish(f"_ct-challenge.{HOST}", ownership)

    @contextlib.contextmanager
    def proxy(self, found: Any, change: tuple[str, str] = ("", "")) -> Iterator[None]:
        """Run nginx by the guide's file, with one mistake if one is given."""
        issued = self.web.issue_cert(HOST)
        issued.private_key_and_cert_chain_pem.write_to_path(self.directory / "proxy.pem")
        edge = self.service.config.edge.https
        setting = Setting(
            certificate=str(self.directory / "proxy.pem"),
            key=str(self.directory / "proxy.pem"),
            roots=str(self.service.ca_file),
            resolver=f"{self.knot.host}:{self.knot.port}",
            http_port=self.ports["http"],
            https_port=self.ports["https"],
            target_port=edge.port,
        )
        made = guide(HOST, found["target"], ownership_of(found), "nginx", BASE, setting=setting)
        text = made.files[0].content
        assert change[0] in text
        (self.directory / "site.conf").write_text(text.replace(*change) if change[0] else text)
        (self.directory / "nginx.conf").write_text(
            f"daemon off; pid {self.directory}/nginx.pid; error_log stderr;\n"
            + ("user root;\n" if os.geteuid() == 0 else "")
            + f"events {{}}\nhttp {{ access_log off; include {self.directory}/site.conf; }}\n"
        )
        nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
        if nginx is None:
            pytest.skip("nginx is not installed")
        process = subprocess.Popen(
            [nginx, "-p", str(self.directory), "-c", str(self.directory / "nginx.conf")],
            stderr=subprocess.DEVNULL,
        )
        try:
            for _ in range(100):
                with contextlib.suppress(OSError), self.connect():
                    break
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.ports["https"]), 5)

    def click(self, path: str) -> bytes:
        """Click as a browser would: verified TLS to whoever holds the branded name."""
        context = ssl.create_default_context()
        self.web.configure_trust(context)
        with self.connect() as plain, context.wrap_socket(plain, server_hostname=HOST) as tls:
            tls.sendall(
                f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()
            )
            answer = b""
            while chunk := tls.recv(65536):
                answer += chunk
        return answer


def ownership_of(found: Any) -> str:
    return str(next(each["value"] for each in found["records"] if each["type"] == "TXT"))


@pytest.fixture
async def customer(tmp_path: Path) -> Any:
    mailbox = Mailbox()
    await mailbox.start()
    with Knot(tmp_path / "knot", {"example": ZONE}) as knot:
        made = Customer(tmp_path, knot, str(mailbox.address))
        try:
            yield made, mailbox
        finally:
            made.service.stop()
    await mailbox.stop()


async def test_from_the_claim_to_a_click_over_the_customers_own_proxy(
    customer: tuple[Customer, Mailbox],
) -> None:
    mine, mailbox = customer
    mine.service.start()
    mine.json(
        "customer", "add", "acme", "--from-domain", "acme.example", "--sending-ip", "dedicated"
    )
    found = mine.json("domain", "add", HOST, "--customer", "acme")
    mine.publish(ownership_of(found))
    with mine.proxy(found):
        assert mine.run("domain", "request-ssl", HOST, "--route", "proxy").returncode == 1
        first = mine.json("domain", "check", HOST)
        assert first["blocking"] == []
        assert mine.json("domain", "show", HOST)["state"] == "dns_valid"
        mine.json("domain", "request-ssl", HOST, "--route", "proxy")
        report = mine.json("domain", "check", HOST)
        assert report["blocking"] == [], report
        assert mine.json("domain", "approve", HOST)["state"] == "ssl_enabled"
        link = await send(mine, mailbox)
        assert link.startswith(f"https://{HOST}/c/")
        answer = mine.click(link.removeprefix(f"https://{HOST}"))
        assert answer.startswith(b"HTTP/1.1 302 ")
        assert b"\r\nLocation: https://shop.example/?a=1\r\n" in answer
        deadline = time.monotonic() + 20
        while not (events := mine.json("event", "list")):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.2)
    assert (events[0]["host"], events[0]["event"]) == (HOST, "click")
    assert events[0]["secure"]


async def send(mine: Customer, mailbox: Mailbox) -> str:
    smtp = mine.service.config.smtp.listen
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
    return read_message(mailbox.messages[-1].content).links[0]
