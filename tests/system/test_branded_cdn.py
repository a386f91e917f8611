"""A branded domain on route `cdn`, behind a proxy that does what Cloudflare does."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from linkseal.testing.programs import free_port
from support.branded import HOST, Customer, ask, assert_leads_on, front, new_customer

# The scheme towards us is the visitor's, the name in SNI is the visitor's, and the client's
# address is told in a field of its own, whatever the visitor wrote into it.
CLOUDFLARE = """\
defaults
    mode http
    retries 0
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    source {source}

frontend visitors
    bind 127.0.0.1:{http_port}
    bind 127.0.0.1:{https_port} ssl crt {certificate} alpn h2,http/1.1
    http-request set-header CF-Connecting-IP %[src]
    http-request set-header CF-Ray 8f2a1b3c4d5e6f70-AMS
    http-request set-header CF-Visitor '{{"scheme":"https"}}' if {{ ssl_fc }}
    http-request set-header X-Forwarded-Proto https if {{ ssl_fc }}
    http-request add-header X-Forwarded-For %[src]
    http-request add-header CDN-Loop cloudflare
    http-after-response set-header Server cloudflare
    http-after-response set-header CF-Ray 8f2a1b3c4d5e6f70-AMS
    http-after-response set-header CF-Cache-Status DYNAMIC
    use_backend origin_https if {{ ssl_fc }}
    default_backend origin_http

backend origin_https
    server origin {origin}

backend origin_http
    server origin {edge.http}
"""
FULL = "{edge.https} ssl sni str({host}) verify none"
STRICT = """\
foreground = yes
pid =
[origin]
client = yes
accept = 127.0.0.1:{port}
connect = {edge.https}
local = {source}
sni = {host}
verifyChain = yes
checkHost = {name}
CAfile = {roots}
"""
CDN = "127.0.0.3"
"""Where the stand-in connects from: a network of the customer's, as no CDN is on loopback."""
VISITOR = "127.0.0.9"
STRANGER = "127.0.0.8"
FORGED = (
    "CF-Connecting-IP: 203.0.113.7",
    "True-Client-IP: 203.0.113.7",
    "Fastly-Client-IP: 203.0.113.7",
    "X-Real-IP: 203.0.113.7",
    "X-Forwarded-For: 203.0.113.7",
    "Forwarded: for=203.0.113.7",
    "CF-Ray: 1-AMS",
)


@contextlib.contextmanager
def strict(mine: Customer, roots: Path, name: str) -> Iterator[str]:
    """Verify us as Full (strict) does: SNI is the branded name, the certificate's another.

    HAProxy checks the certificate against the SNI it sends whenever it sends one, so the leg
    to us is stunnel's, which tells the two apart.
    """
    port = free_port("127.0.0.1")
    leg = mine.directory / "stunnel.conf"
    leg.write_text(
        STRICT.format(
            port=port,
            edge=mine.service.config.edge,
            host=HOST,
            roots=roots,
            name=name,
            source=CDN,
        )
    )
    with front("stunnel4", str(leg), port=port):
        yield f"127.0.0.1:{port}"


@contextlib.contextmanager
def cloudflare(mine: Customer, origin: str) -> Iterator[None]:
    pem, site = mine.directory / "cdn.pem", mine.directory / "haproxy.cfg"
    mine.web.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(pem)
    site.write_text(
        CLOUDFLARE.format(
            http_port=mine.ports["http"],
            https_port=mine.ports["https"],
            certificate=pem,
            edge=mine.service.config.edge,
            origin=origin,
            source=CDN,
        )
    )
    with front("haproxy", "-db", "-f", str(site), port=mine.ports["https"]):
        yield


def status_through(mine: Customer) -> bytes:
    with mine.connect() as plain, mine.trusted.wrap_socket(plain, server_hostname=HOST) as tls:
        return ask(tls, "/").partition(b"\r\n")[0]


def click_through(mine: Customer, link: str) -> None:
    """Click as a visitor who says to be somebody else."""
    with (
        mine.connect(VISITOR) as plain,
        mine.trusted.wrap_socket(plain, server_hostname=HOST) as tls,
    ):
        assert_leads_on(ask(tls, link.removeprefix(f"https://{HOST}"), *FORGED))


def click_past(mine: Customer, found: Any, link: str) -> None:
    """Click at our edge itself, as a stranger who says to be Cloudflare."""
    context = ssl.create_default_context(cafile=mine.service.ca_file)
    edge = mine.service.config.edge.https
    with (
        mine.connect(STRANGER, edge.port) as plain,
        context.wrap_socket(plain, server_hostname=found["target"]) as tls,
    ):
        assert_leads_on(ask(tls, link.removeprefix(f"https://{HOST}"), *FORGED))


@pytest.mark.parametrize("mode", ["full", "full-strict"])
async def test_from_the_claim_to_a_click_behind_cloudflare(tmp_path: Path, mode: str) -> None:
    """The links are https; the CDN says who a client is, and nobody else does."""
    async with new_customer(tmp_path, straight=False) as mine:
        found = mine.claim()
        mine.run("domain", "enrol", HOST, "cloudflare", "--network", CDN)
        full = contextlib.nullcontext(FULL.format(edge=mine.service.config.edge, host=HOST))
        ours = mine.service.ca_file
        leg = strict(mine, ours, found["target"]) if mode == "full-strict" else full
        with leg as origin, cloudflare(mine, origin):
            report = mine.enable("cdn")
            assert report["cdn"] == "cloudflare"
            (told,) = (each for each in report["verdicts"] if each["check"] == "HTTP-08")
            assert told["result"] == "pass", told
            link = await mine.send()
            mine.click(link, source=VISITOR)
            (event,) = await mine.events(1)
            assert (event["host"], event["event"], event["secure"]) == (HOST, "click", True)
            assert event["address"] == VISITOR
            click_through(mine, link)
            assert [each["address"] for each in await mine.events(2)] == [VISITOR, VISITOR]
            click_past(mine, found, link)
            seen = sorted(each["address"] for each in await mine.events(3))
            assert seen == [STRANGER, VISITOR, VISITOR]


async def test_a_cdn_outside_of_the_enrolled_networks_is_not_believed(tmp_path: Path) -> None:
    """Nothing connects from Cloudflare's own networks here, so who connects is the client."""
    async with new_customer(tmp_path, straight=False) as mine:
        mine.claim()
        mine.run("domain", "enrol", HOST, "cloudflare")
        with cloudflare(mine, FULL.format(edge=mine.service.config.edge, host=HOST)):
            mine.enable("cdn")
            mine.click(await mine.send(), source=VISITOR)
            (event,) = await mine.events(1)
            assert (event["host"], event["address"]) == (HOST, CDN)


async def test_full_strict_takes_our_certificate_for_the_target_and_no_other(
    tmp_path: Path,
) -> None:
    async with new_customer(tmp_path, straight=False) as mine:
        found = mine.claim()
        ours, others = mine.service.ca_file, tmp_path / "root.pem"
        for roots, name, status in (
            (ours, found["target"], 404),
            (others, found["target"], 502),
            (ours, "links.other.example", 502),
        ):
            with strict(mine, roots, name) as origin, cloudflare(mine, origin):
                answer = status_through(mine)
                assert answer.startswith(f"HTTP/1.1 {status} ".encode()), (roots, name, answer)
