"""A zone that is really signed, behind a resolver that really validates."""

from __future__ import annotations

from pathlib import Path

import dns.dnssec
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from linkseal.config import Address
from linkseal.domains.checks import Result
from linkseal.errors import ServiceError
from linkseal.prober import probe
from linkseal.testing.knot import Knot, find_knotd
from linkseal.testing.programs import find_program
from linkseal.testing.unbound import validating
from prober.lab import (
    BASE,
    CUSTOMER,
    HOST,
    ZONES,
    Origin,
    Seen,
    assert_told,
    request,
    server_tls,
    serving,
    settings,
)

AUTHORITY = trustme.CA()
SIGNED = "acme.example"


@pytest.fixture(autouse=True)
def _programs() -> None:
    try:
        find_knotd()
        find_program("unbound", "unbound")
    except ServiceError as error:
        pytest.skip(f"{error.message}: {error.hint}")


def a_former_key() -> str:
    """Return the DS record of a key that the zone is not signed with."""
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    dnskey = dns.dnssec.make_dnskey(key, "ECDSAP256SHA256", flags=257)
    return ds_of(dnskey)


def ds_of(key: object) -> str:
    return f"{SIGNED}. DS {dns.dnssec.make_ds(f'{SIGNED}.', key, 'SHA256').to_text()}"  # type: ignore[arg-type]


async def look_at(directory: Path, *, fitting: bool) -> Seen:
    """Probe a domain whose signed zone's DS record fits its key, or does not."""
    zones = {SIGNED: CUSTOMER, BASE: ZONES[BASE]}
    certificate = server_tls(AUTHORITY.issue_cert(HOST))
    with Knot(directory / "knot", zones, signed={SIGNED}) as knot:
        (key,) = knot.signing_keys(SIGNED)
        server = Address(knot.host, knot.port)
        anchors = [ds_of(key) if fitting else a_former_key()]
        with validating(directory / "unbound", dict.fromkeys(zones, server), anchors) as resolver:
            async with (
                serving(Origin(), certificate, "127.0.0.1") as https,
                serving(Origin(), None, "127.0.0.1") as http,
            ):
                config = settings(
                    None,
                    resolvers=(resolver,),
                    public_resolvers=(resolver,),
                    authority_port=knot.port,
                    http_port=http,
                    https_port=https,
                )
                seen = await probe(request(), config)
    return Seen(seen, [], x509.load_pem_x509_certificates(AUTHORITY.cert_pem.bytes()))


async def test_a_zone_that_is_signed_rightly_passes(tmp_path: Path) -> None:
    seen = await look_at(tmp_path, fitting=True)
    assert seen.verdicts() == {}
    results = {each.check: each.result for each in seen.report().verdicts}
    assert (results["DNS-07"], results["DNS-01"], results["HTTP-02"]) == (Result.PASS,) * 3


async def test_a_ds_record_of_another_key_is_told_by_the_one_right_check(tmp_path: Path) -> None:
    seen = await look_at(tmp_path, fitting=False)
    said = [each for each in seen.observation.dns if each.name == HOST and not each.authoritative]
    assert {(each.rcode, each.unchecked) for each in said} == {
        ("SERVFAIL", False),
        ("NOERROR", True),
    }
    assert_told(seen, "dnssec-bogus")
