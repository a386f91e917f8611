"""A customer's own nginx by the guide's file, before an edge that asks it for a certificate."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
import uvloop
from cryptography import x509

from linkseal.config import Address
from linkseal.domains.guides import Setting, guide
from linkseal.edge.client import ClientKind, ClientRule
from linkseal.edge.worker import serve
from linkseal.listeners import listen
from linkseal.prober import KeySigner, probe
from linkseal.testing.programs import free_port
from prober.lab import (
    BASE,
    CUSTOMER,
    HOST,
    OWNERSHIP,
    TARGET,
    Seen,
    assert_told,
    request,
    settings,
    zones,
)
from support.edge import PROBE_KEY, certificate, files_in, snapshot, worker_setup
from support.nginx import nginx

WEB, OURS, CA, OTHER = trustme.CA(), trustme.CA(), trustme.CA(), trustme.CA()
NAME = "proxy.acme.example"
RULE = ClientRule(("127.0.0.0/8", "::1/128"), "X-Forwarded-For", ClientKind.LIST)
YESTERDAY = datetime.now(UTC) - timedelta(days=1)
SET_UPS: dict[str, trustme.LeafCert | None] = {
    "proxy-no-client-certificate": None,
    "proxy-foreign-client-certificate": OTHER.issue_cert(NAME),
    "proxy-old-client-certificate": CA.issue_cert(NAME, not_after=YESTERDAY),
}


async def look_through(directory: Path, shows: trustme.LeafCert | None) -> Seen:
    """Probe a domain on route ``proxy`` whose proxy shows our edge a certificate, or none."""
    WEB.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(directory / "proxy.pem")
    OURS.cert_pem.write_to_path(directory / "ours.pem")
    authority = CA.cert_pem.bytes()
    files = files_in(directory)
    known = snapshot(
        files,
        OURS,
        base_domain=BASE,
        hosts={HOST: 1, TARGET: 1},
        certificates=[certificate(files, OURS, f"*.{BASE}")],
        clients={HOST: RULE, TARGET: RULE},
        client_cas=dict.fromkeys((HOST, TARGET), (ssl.PEM_cert_to_DER_cert(authority.decode()),)),
    )
    http, https = (listen(Address("127.0.0.1", 0), name) for name in ("http", "https"))
    setup = worker_setup(directory, known, http, https)
    ports = {name: free_port("127.0.0.1") for name in ("http", "https")}
    stop = asyncio.Event()
    with http, https, zones([CUSTOMER[1], "links A 127.0.0.1"]) as dns:
        worker = asyncio.create_task(serve(setup, stop))
        file = _by_the_guide(directory, f"{dns.host}:{dns.port}", ports, https.getsockname()[1])
        if shows is not None:
            pem = directory / "client.pem"
            shows.private_key_and_cert_chain_pem.write_to_path(pem)
            more = f"proxy_ssl_certificate {pem}; proxy_ssl_certificate_key {pem};"
            file = file.replace("gzip off;", f"gzip off; {more}")
        try:
            async with nginx(directory, file, ports["https"]):
                title = x509.load_pem_x509_certificate(authority).subject.rfc4514_string()
                asking = request(
                    route="proxy", client_authority=title, signer=KeySigner(HOST, PROBE_KEY)
                )
                places: dict[str, Any] = {f"{name}_port": port for name, port in ports.items()}
                found = await probe(asking, settings(dns, **places))
        finally:
            stop.set()
            await worker
    return Seen(found, [], x509.load_pem_x509_certificates(WEB.cert_pem.bytes()))


def _by_the_guide(directory: Path, resolver: str, ports: dict[str, int], edge: int) -> str:
    setting = Setting(
        certificate=str(directory / "proxy.pem"),
        key=str(directory / "proxy.pem"),
        roots=str(directory / "ours.pem"),
        resolver=resolver,
        http_port=ports["http"],
        https_port=ports["https"],
        target_port=edge,
    )
    return guide(HOST, TARGET, OWNERSHIP, "nginx", BASE, setting=setting).files[0].content


def run(directory: Path, shows: trustme.LeafCert | None) -> Seen:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(look_through(directory, shows))


def test_one_of_the_ca_that_is_set_up_is_in_order(tmp_path: Path) -> None:
    seen = run(tmp_path, CA.issue_cert(NAME))
    assert seen.verdicts() == {}
    (told,) = (each for each in seen.report().verdicts if each.check == "ORG-06")
    assert told.result == "pass"


@pytest.mark.parametrize("name", SET_UPS)
def test_what_is_wrong_with_it_is_told_by_that_check_alone(name: str, tmp_path: Path) -> None:
    assert_told(run(tmp_path, SET_UPS[name]), name)
