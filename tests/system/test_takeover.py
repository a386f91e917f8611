"""Nobody takes over another customer's name, target or links, by command or on the wire."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiosmtplib
import pytest

from linkseal.demo.recipient import read_message
from support.branded import BASE, HOST, Customer, new_customer

THEIRS = "links.rival.example"
LURE = "links.lure.example"
SHARED = f"go.{BASE}"


@pytest.fixture
async def mine(tmp_path: Path) -> AsyncIterator[Customer]:
    """Acme, whose name leads straight to a running service, and a rival with a name to come."""
    async with new_customer(tmp_path, straight=True) as made:
        made.claim()
        made.json("customer", "add", "rival", "--from-domain", "rival.example")
        yield made


def refused(mine: Customer, code: str, *words: str) -> str:
    done = mine.run(*words)
    assert (done.returncode, done.stdout) == (1, "")
    said = " ".join(done.stderr.split())
    assert f"({code})" in said
    return said


def publish(mine: Customer, *lines: str) -> None:
    """Put lines into DNS, in place of others of the same name and type."""
    named = {tuple(line.split()[:1] + line.split()[-2:-1]) for line in lines}
    mine.zone[:] = [
        line for line in mine.zone if tuple(line.split()[:1] + line.split()[-2:-1]) not in named
    ]
    mine.zone += lines
    mine.knot.stop()
    mine.knot.start()
    mine.configure()


def zone_lines(mine: Customer, host: str) -> list[str]:
    return mine.run("domain", "records", host, "--zone").stdout.splitlines()


def check(mine: Customer, host: str) -> Any:
    return json.loads(mine.run("domain", "check", host, "--json").stdout)


def state(mine: Customer, host: str) -> str:
    return str(mine.json("domain", "show", host)["state"])


async def path_of(mine: Customer, sender: str) -> str:
    """Send a message with a link, and return the path that it became."""
    smtp = mine.service.config.smtp.listen
    message = (
        f"From: news@{sender}\r\nTo: reader@example.net\r\nContent-Type: text/html\r\n\r\n"
        f"<a href='https://shop.{sender}/?a=1'>shop</a>\r\n"
    )
    await aiosmtplib.send(
        message.encode(),
        sender=f"news@{sender}",
        recipients=["reader@example.net"],
        hostname=smtp.host,
        port=smtp.port,
        start_tls=False,
    )
    link = read_message(mine.mailbox.messages[-1].content).links[0]
    return "/" + link.split("/", 3)[3]


def click(mine: Customer, host: str, path: str, *, sni: str = "") -> tuple[int, str]:
    """Ask our edge for a host, by TLS if a name to show is given; return status and Location."""
    edge = mine.service.config.edge
    port = edge.https.port if sni else edge.http.port
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", port), 20) as plain:
        answer = exchange(plain, request) if not sni else over_tls(mine, plain, sni, request)
    head = answer.partition(b"\r\n\r\n")[0].decode().splitlines()
    fields = dict(line.lower().split(": ", 1) for line in head[1:])
    return int(head[0].split()[1]), fields.get("location", "")


def over_tls(mine: Customer, plain: socket.socket, sni: str, request: bytes) -> bytes:
    context = ssl.create_default_context(cafile=mine.service.ca_file)
    with context.wrap_socket(plain, server_hostname=sni) as tls:
        return exchange(tls, request)


def exchange(connection: socket.socket, request: bytes) -> bytes:
    connection.sendall(request)
    answer = b""
    while chunk := connection.recv(65536):
        answer += chunk
    return answer


async def test_a_held_name_is_claimed_by_nobody_else_and_a_released_one_neither(
    mine: Customer,
) -> None:
    before = mine.json("domain", "show", HOST)
    for name in (HOST, HOST.upper(), f"{HOST}."):
        said = refused(mine, "domain-taken", "domain", "add", name, "--customer", "rival")
        assert "acme" not in said.replace(HOST, "").replace(name, "")
    refused(mine, "domain-own", "domain", "add", before["target"], "--customer", "rival")
    assert mine.json("domain", "show", HOST) == before

    assert check(mine, HOST)["host"] == HOST
    assert state(mine, HOST) == "dns_valid"
    mine.json("domain", "release", HOST)
    # DNS still leads to us, and its proof is acme's.
    refused(mine, "domain-taken", "domain", "add", HOST, "--customer", "rival")
    assert (state(mine, HOST), mine.json("domain", "list", "--customer", "rival")) == (
        "released",
        [],
    )
    check(mine, HOST)
    assert state(mine, HOST) == "released"


async def test_who_released_a_name_proves_it_again(mine: Customer) -> None:
    check(mine, HOST)
    old = mine.json("domain", "show", HOST)
    path = await path_of(mine, "acme.example")
    mine.json("domain", "release", HOST)
    new = mine.json("domain", "add", HOST, "--customer", "acme")
    assert not {new["target"], new["ownership"]} & {old["target"], old["ownership"]}
    # The old records, still there, prove nothing.
    report = check(mine, HOST)
    assert {"DNS-03", "DNS-05"} & set(report["blocking"])
    assert state(mine, HOST) == "claimed"
    request = ("domain", "request-ssl", HOST, "--route", "cdn")
    assert mine.run(*request).returncode == 1
    publish(mine, *zone_lines(mine, HOST))
    check(mine, HOST)
    assert state(mine, HOST) == "dns_valid"
    # What was sent before goes on, on the name and on both targets.
    for host in (HOST, old["target"], new["target"]):
        assert click(mine, host, path) == (302, "https://shop.acme.example/?a=1"), host


async def test_a_name_that_leads_to_anothers_target_is_not_enabled(mine: Customer) -> None:
    acme = mine.json("domain", "show", HOST)
    mine.json("domain", "add", THEIRS, "--customer", "rival")
    proof = [line for line in zone_lines(mine, THEIRS) if " TXT " in line]
    publish(mine, *proof, f"links.rival 60 IN CNAME {acme['target']}.")
    report = check(mine, THEIRS)
    assert "DNS-03" in report["blocking"]
    (verdict,) = (each for each in report["verdicts"] if each["check"] == "DNS-03")
    assert verdict["fix"]
    assert state(mine, THEIRS) == "claimed"
    assert mine.run("domain", "request-ssl", THEIRS, "--route", "cdn").returncode == 1
    assert mine.run("domain", "approve", THEIRS).returncode == 1


async def test_links_of_one_customer_lead_nowhere_on_hosts_of_another(mine: Customer) -> None:
    acme = mine.json("domain", "show", HOST)["target"]
    rival = mine.json("domain", "add", THEIRS, "--customer", "rival")["target"]
    publish(mine, *zone_lines(mine, THEIRS), f"links.lure 60 IN CNAME {acme}.")
    check(mine, THEIRS)
    assert state(mine, THEIRS) == "dns_valid"
    sent = {name: await path_of(mine, f"{name}.example") for name in ("acme", "rival")}
    hosts = {"acme": (HOST, acme), "rival": (THEIRS, rival)}
    for sender, path in sent.items():
        on = (302, f"https://shop.{sender}.example/?a=1")
        assert click(mine, SHARED, path, sni=SHARED) == on
        for owner, (host, target) in hosts.items():
            expected = on if owner == sender else (404, "")
            assert click(mine, host, path) == expected, (sender, host)
            assert click(mine, target, path) == expected, (sender, target)
            # The host that is asked counts, whatever name the certificate was shown for.
            for sni in (acme, rival):
                assert click(mine, target, path, sni=sni) == expected, (sender, target, sni)
        # A name that nobody claimed, and that leads to acme's target.
        assert click(mine, LURE, path) == (421, "")
        assert click(mine, LURE, path, sni=acme) == (421, "")


async def test_a_name_that_was_never_proven_is_moved_by_the_operator(mine: Customer) -> None:
    # Acme claimed it, and so did nothing; it is the rival's, who can prove it.
    old = mine.json("domain", "add", THEIRS, "--customer", "acme", "--default")
    add = ("domain", "add", THEIRS, "--customer", "rival")
    said = refused(mine, "domain-taken", *add)
    assert "--take-over" in said
    assert "acme" not in said
    new = mine.json(*add, "--take-over", "rival.example wrote from its own address")
    assert (new["customer"], new["state"], new["default"]) == ("rival", "claimed", False)
    assert not {new["target"], new["ownership"]} & {old["target"], old["ownership"]}
    (_, step) = mine.json("domain", "history", THEIRS)
    assert (step["action"], step["before"], step["after"]) == ("claim", "claimed", "claimed")
    assert step["reasons"] == [
        "taken over from another customer, never proven: rival.example wrote from its own address"
    ]
    # The records of the claim that was taken prove nothing.
    publish(mine, f'_ct-challenge.links.rival 60 IN TXT "{old["ownership"]}"')
    assert "DNS-04" in check(mine, THEIRS)["blocking"]
    publish(mine, *zone_lines(mine, THEIRS))
    check(mine, THEIRS)
    assert state(mine, THEIRS) == "dns_valid"
    path = await path_of(mine, "rival.example")
    assert click(mine, THEIRS, path) == (302, "https://shop.rival.example/?a=1")
    # From now on it is proven, and links are out.
    back = ("domain", "add", THEIRS, "--customer", "acme", "--take-over", "wants it back")
    refused(mine, "domain-proven", *back)
    mine.json("domain", "release", THEIRS)
    assert "rival" not in refused(mine, "domain-proven", *back).replace(THEIRS, "")
    assert click(mine, THEIRS, path) == (302, "https://shop.rival.example/?a=1")


async def test_a_proven_name_is_not_moved(mine: Customer) -> None:
    check(mine, HOST)
    before = mine.json("domain", "show", HOST)
    move = ("domain", "add", HOST, "--customer", "rival", "--take-over", "they say so")
    refused(mine, "domain-proven", *move)
    said = refused(mine, "domain-taken", *move[:-2])
    assert "--take-over" not in said
    assert mine.json("domain", "show", HOST) == before
