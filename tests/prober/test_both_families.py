"""IPv4 and IPv6, each address on its own."""

from __future__ import annotations

import contextlib
import socket

import pytest
import trustme

from linkseal.domains.checks import judge
from linkseal.domains.observation import Observation
from linkseal.prober import probe
from prober.lab import CUSTOMER, HOST, Origin, request, server_tls, serving, settings, zones

AUTHORITY = trustme.CA()
BOTH = [CUSTOMER[1], "links A 127.0.0.1", "links AAAA ::1"]
try:
    socket.create_server(("::1", 0), family=socket.AF_INET6).close()
except OSError:
    pytest.skip("this machine has no IPv6", allow_module_level=True)


async def seen(*hosts: str) -> tuple[Observation, list[Origin]]:
    tls = server_tls(AUTHORITY.issue_cert(HOST))
    origins = [Origin() for _ in hosts]
    with zones(BOTH) as dns:
        async with contextlib.AsyncExitStack() as stack:
            http = https = 0
            for host, origin in zip(hosts, origins, strict=True):
                https = await stack.enter_async_context(serving(origin, tls, host, https))
                http = await stack.enter_async_context(serving(origin, None, host, http))
            found = await probe(request(), settings(dns, http_port=http, https_port=https))
    return found, origins


async def test_both_are_asked_and_each_by_its_address() -> None:
    found, origins = await seen("127.0.0.1", "::1")
    assert {(each.address, each.port, each.error) for each in found.reached} == {
        (address, port, "") for address in ("127.0.0.1", "::1") for port in (80, 443)
    }
    assert set(found.egress) == {"127.0.0.1", "::1"}
    assert {each.address for each in found.handshakes} == {"127.0.0.1", "::1"}
    assert all(origin.asked for origin in origins)
    for each in found.exchanges:
        assert each.echo is not None
        assert each.echo.peer == each.address
    # Forgeries are tried on each, for each may be believed by another rule.
    assert {each.address for each in found.exchanges if each.forged} == {"127.0.0.1", "::1"}


async def test_a_dead_ipv6_address_is_told_of() -> None:
    found, _ = await seen("127.0.0.1")
    (dead,) = judge(found, roots=[], only={"DNS-06"}).verdicts
    assert dead.message == (
        "AAAA ::1 does not answer on port 80 (connection refused); Let's Encrypt prefers IPv6."
    )
    assert {each.address for each in found.exchanges} == {"127.0.0.1"}
