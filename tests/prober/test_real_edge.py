"""The prober and the edge together: a branded domain whose certificate we hold."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
import trustme
import uvloop
from cryptography import x509

from linkseal.domains.checks import Result, judge
from linkseal.domains.observation import Observation
from linkseal.edge.shared import Shared
from linkseal.edge.worker import serve
from linkseal.prober import KeySigner, probe
from prober.lab import HOST, request, settings, zones
from support.edge import CLIENTS, PROBE_KEY, files_in, snapshot, worker_setup


async def through_edge(
    directory: Path,
    authority: trustme.CA,
    clients: object,
    route: str,
    shared: Shared | None = None,
) -> Observation:
    known = snapshot(files_in(directory), authority, clients=clients)
    with (
        zones() as dns,
        socket.create_server(("127.0.0.1", 0)) as http,
        socket.create_server(("127.0.0.1", 0)) as https,
    ):
        setup = worker_setup(directory, known, http, https, shared=shared)
        config = settings(
            dns,
            http_port=http.getsockname()[1],
            https_port=https.getsockname()[1],
        )
        stop = asyncio.Event()
        worker = asyncio.create_task(serve(setup, stop))
        try:
            asking = request(signer=KeySigner(HOST, PROBE_KEY), route=route)
            return await probe(asking, config)
        finally:
            stop.set()
            await worker


def run(
    directory: Path, authority: trustme.CA, clients: object, route: str = "uploaded"
) -> dict[str, str]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        seen = runner.run(through_edge(directory, authority, clients, route))
    roots = x509.load_pem_x509_certificates(authority.cert_pem.bytes())
    bad = {Result.WARN, Result.FAIL}
    report = judge(seen, roots=roots)
    assert {each.result for each in report.verdicts if each.check == "HTTP-02"} == {Result.PASS}
    assert all(each.echo for each in seen.exchanges)
    results = {each.check: each.result for each in report.verdicts}
    assert results["ACM-01"] is (Result.PASS if route == "acme" else Result.SKIPPED)
    assert len(seen.direct_seconds) == (0 if route in {"acme", "uploaded"} else 5)
    return {each.check: each.message for each in report.verdicts if each.result in bad}


@pytest.mark.parametrize("route", ["uploaded", "acme", ""])
def test_a_domain_of_ours_is_in_order(route: str, tmp_path: Path) -> None:
    assert run(tmp_path, trustme.CA(), {}, route) == {}


def test_an_edge_that_believes_anybody_is_found_out(tmp_path: Path) -> None:
    """Its rule takes the probe's own network for a CDN's."""
    found = run(tmp_path, trustme.CA(), CLIENTS)
    assert found == {"HTTP-08": "A forged client IP is believed (we see 192.0.2.66)."}


@pytest.mark.parametrize("route", ["uploaded", "acme", ""])
def test_an_edge_without_room_blames_no_domain(route: str, tmp_path: Path) -> None:
    authority, full = trustme.CA(), Shared(most=1)
    full.use(bytes(16), expires_at=(1 << 32) - 1, uses=1, now=0)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        seen = runner.run(through_edge(tmp_path, authority, {}, route, full))
    report = judge(seen, roots=x509.load_pem_x509_certificates(authority.cert_pem.bytes()))
    assert {each.status for each in seen.exchanges} == {503}
    assert [each for each in report.verdicts if each.result in {Result.WARN, Result.FAIL}] == []
    challenge = next(each for each in report.verdicts if each.check == "HTTP-02")
    assert challenge.result is Result.SKIPPED
    assert "try again" in challenge.message
