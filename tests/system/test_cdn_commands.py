"""``linkseal cdn`` as a person types it, and a running edge that follows it."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from linkseal.demo.recipient import read_message
from linkseal.domains.profiles import PROFILES
from linkseal.testing.service import ServiceProcess, linkseal
from support.publishing import Published, publishing

HOST = "links.acme.example"
CDN = "127.0.0.3"
CLIENT = "203.0.113.77"
CONFIG = """\
base_domain = "ct.example"
data_dir = "data"
[edge]
http = "127.0.0.1:0"
https = "127.0.0.1:0"
ops = "127.0.0.1:0"
[smtp]
enabled = false
[prober]
allow_private_addresses = true
"""


class Desk:
    def __init__(self, directory: Path, published: Published) -> None:
        self.published = published
        self.service = ServiceProcess(directory)
        self.service.config_file.write_text(CONFIG + published.toml(directory / "root.pem"))

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return linkseal("--config", str(self.service.config_file), *words)

    def json(self, *words: str) -> Any:
        done = self.run(*words, "--json")
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "root.pem")
    with publishing(ca) as published:
        yield Desk(tmp_path, published)


def test_profiles_are_listed_and_shown_as_shipped_until_they_are_fetched(desk: Desk) -> None:
    listed = {each["id"]: each for each in desk.json("cdn", "list")}
    assert listed.keys() == PROFILES.keys()
    assert (listed["cloudflare"]["source"], listed["bunny"]["source"]) == ("shipped", None)
    table = desk.run("cdn", "list").stdout
    assert "CF-Connecting-IP" in table
    shown = desk.run("cdn", "show", "bunny").stdout
    assert "linkseal cdn refresh bunny" in " ".join(shown.split())

    said = desk.run("cdn", "refresh", "cloudflare", "bunny", "--force")
    assert (said.returncode, said.stderr) == (0, ""), said.stderr
    assert said.stdout.count("changed") == 2
    listed = {each["id"]: each for each in desk.json("cdn", "list")}
    assert {listed[each]["source"] for each in ("cloudflare", "bunny")} == {"fetched"}
    assert len(listed["bunny"]["networks"]) == 4
    shown = desk.run("cdn", "show", "bunny").stdout
    assert "89.187.188.227/32" in shown.splitlines()
    assert desk.json("cdn", "refresh", "bunny") == [
        {
            "cdn": "bunny",
            "result": "unchanged",
            "networks": 4,
            "added": 0,
            "removed": 0,
            "error": None,
        }
    ]


def test_one_that_fails_is_told_with_what_to_do_and_the_others_are_refreshed(desk: Desk) -> None:
    desk.published.publish("bunny4", "<html>down for maintenance</html>")
    done = desk.run("cdn", "refresh", "bunny", "keycdn")
    assert done.returncode == 1
    assert "Bunny" in done.stderr
    assert "(cdn-ranges-refused)" in done.stderr
    assert "hint: " in done.stderr
    lines = {line.split()[0]: line.split()[1] for line in done.stdout.splitlines()[1:]}
    assert lines == {"bunny": "failed", "keycdn": "changed"}
    for word, code in (("akamai", "cdn-publishes-none"), ("nobody", "cdn-unknown")):
        done = desk.run("cdn", "refresh", word)
        assert (done.returncode, f"({code})" in done.stderr) == (1, True)
    assert desk.run("cdn", "show", "nobody").returncode == 1


def path_of_a_link(desk: Desk, customer: int) -> str:
    message = b"Content-Type: text/html\r\n\r\n<a href='https://shop.example/'>shop</a>\r\n"
    config = str(desk.service.config_file)
    words = ("--config", config, "mail", "seal", "--customer", str(customer))
    sealed = linkseal(*words, stdin=message)
    return "/" + read_message(sealed.stdout.encode()).links[0].split("/", 3)[3]


def client_seen(desk: Desk, target: str, path: str, count: int) -> str:
    """Click as the CDN would pass it on, and return the client that was recorded."""
    edge = desk.service.config.edge.http
    fields = f"Host: {target}\r\nCF-Connecting-IP: {CLIENT}\r\nConnection: close\r\n"
    with socket.create_connection(("127.0.0.1", edge.port), 20, (CDN, 0)) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\n{fields}\r\n".encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 302 ")
    deadline = time.monotonic() + 60
    while len(events := desk.json("event", "list")) < count:
        assert time.monotonic() < deadline, events
    return str(max(events, key=lambda each: each["at"])["address"])


def test_a_running_edge_believes_what_was_fetched(desk: Desk) -> None:
    """The CDN's networks are fetched while it serves, and then its word is taken."""
    customer = desk.json("customer", "add", "acme")["id"]
    target = desk.json("domain", "add", HOST, "--customer", "acme")["target"]
    desk.run("domain", "enrol", HOST, "cloudflare")
    result = {"ipv4_cidrs": [f"{CDN}/32"], "ipv6_cidrs": ["2400:cb00::/32"]}
    with desk.service:
        path = path_of_a_link(desk, customer)
        assert client_seen(desk, target, path, 1) == CDN
        desk.published.publish("cloudflare", {"success": True, "result": result})
        assert "(cdn-ranges-shrunk)" in desk.run("cdn", "refresh", "cloudflare").stderr
        assert desk.run("cdn", "refresh", "cloudflare", "--force").returncode == 0
        deadline = time.monotonic() + 60
        count = 2
        while (client := client_seen(desk, target, path, count)) != CLIENT:
            assert (client, time.monotonic() < deadline) == (CDN, True)
            count += 1
