"""Uploads: what is served, and every refusal with its fix."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from linkseal.certificates.upload import read_upload
from linkseal.errors import CertificateError
from support.certificates import (
    BUNDLE,
    CHAIN,
    DAY,
    HOST,
    ISSUING,
    LEAF,
    NOW,
    ROOT,
    STRANGER,
    make,
    refusal,
    served,
    upload,
)

LIFE_WARNING = (
    "it is valid for {} days; browsers may refuse one of a public CA that lives longer than {}"
)


# What is accepted


def test_pem_with_the_key_apart() -> None:
    result = upload(key=LEAF.key_pem())
    assert served(result) == CHAIN
    assert result.certificate.names == (HOST, "*.go.acme.example")
    assert result.certificate.expires_at == NOW + 89 * DAY
    assert result.certificate.key == LEAF.key_pem()
    assert result.warnings == ()
    assert not result.origin_ca


def test_rsa_from_another_tool() -> None:
    authority = trustme.CA(key_type=trustme.KeyType.RSA)
    pair = authority.issue_cert(HOST, key_type=trustme.KeyType.RSA)
    result = read_upload(
        pair.private_key_and_cert_chain_pem.bytes(),
        None,
        password=None,
        names=[HOST],
        cdn=False,
        now=datetime.now(UTC),
        roots=x509.load_pem_x509_certificates(authority.cert_pem.bytes()),
    )
    assert [link.public_bytes(serialization.Encoding.PEM) for link in served(result)] == [
        pair.cert_chain_pems[0].bytes()
    ]


def test_of_two_certificates_for_one_key_the_newer_is_served() -> None:
    renewed = make("leaf", ISSUING, key=LEAF.key, names=[HOST], life=100 * DAY)
    result = upload(BUNDLE + renewed.pem, LEAF.key_pem())
    assert served(result)[0] == renewed.certificate
    assert result.warnings == ("CN=leaf is not part of the chain, and is left out",)


@pytest.mark.parametrize(
    ("begins", "days", "limit"),
    [
        (datetime(2026, 3, 14, tzinfo=UTC), 398, None),
        (datetime(2026, 3, 14, tzinfo=UTC), 399, 398),
        (datetime(2026, 11, 1, tzinfo=UTC), 200, None),
        (datetime(2026, 11, 1, tzinfo=UTC), 201, 200),
        (datetime(2027, 3, 15, tzinfo=UTC), 100, None),
        (datetime(2027, 3, 15, tzinfo=UTC), 101, 100),
        (datetime(2029, 3, 15, tzinfo=UTC), 47, None),
        (datetime(2029, 3, 15, tzinfo=UTC), 48, 47),
    ],
)
def test_a_life_over_the_limit_of_its_day_is_a_warning(
    begins: datetime, days: int, limit: int | None
) -> None:
    root = make("Long root", ca=True, life=3650 * DAY)
    leaf = make("leaf", root, names=[HOST], begins=begins, life=days * DAY)
    result = upload(leaf.pem, leaf.key_pem(), now=max(NOW, begins), roots=[root])
    assert result.warnings == (() if limit is None else (LIFE_WARNING.format(days, limit),))


# Cloudflare's Origin CA


@pytest.mark.parametrize("kind", ["SSL", "SSL ECC"])
def test_an_origin_ca_certificate_is_for_route_cdn_only(kind: str) -> None:
    unit = f"CloudFlare Origin {kind} Certificate Authority"
    authority = make(
        x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "CloudFlare, Inc."),
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit),
            ]
        ),
        ca=True,
    )
    leaf = make("CloudFlare Origin Certificate", authority, names=[HOST], life=5475 * DAY)
    data = leaf.pem + authority.pem
    result = upload(data, leaf.key_pem(), cdn=True)
    assert result.origin_ca
    assert served(result) == [leaf.certificate]
    (warning,) = result.warnings
    assert warning.startswith("only Cloudflare trusts this certificate")
    refused = refusal(data, leaf.key_pem())
    assert refused.code == "certificate-origin-ca"
    assert "browsers do not" in refused.message
    assert "route cdn" in refused.hint


def test_a_name_like_the_origin_cas_is_not_enough() -> None:
    like = make("CloudFlare Origin SSL Certificate Authority", ca=True)
    leaf = make("leaf", like, names=[HOST])
    with pytest.raises(CertificateError) as caught:
        upload(leaf.pem, leaf.key_pem(), cdn=True)
    assert caught.value.code == "certificate-untrusted"


def test_a_public_certificate_on_route_cdn_is_no_origin_ca() -> None:
    assert upload(key=LEAF.key_pem(), cdn=True) == upload(key=LEAF.key_pem())


# Keys


def test_no_key() -> None:
    refused = refusal()
    assert refused.code == "certificate-key-missing"
    assert "CN=leaf" in refused.message


def test_a_key_that_belongs_to_none_of_them() -> None:
    refused = refusal(key=STRANGER.key_pem())
    assert refused.code == "certificate-key-mismatch"
    assert "EC on secp256r1" in refused.message
    assert all(name in refused.message for name in ("CN=leaf", "CN=Issuing", "CN=Middle"))
    assert "requested with" in refused.hint


@pytest.mark.parametrize(
    ("key", "seen"),
    [
        (rsa.generate_private_key(65537, 1024), "RSA with 1024 bits"),
        (ec.generate_private_key(ec.SECP521R1()), "EC on secp521r1"),
        (ec.generate_private_key(ec.SECP256K1()), "EC on secp256k1"),
        (dsa.generate_private_key(1024), "DSA"),
        (ed25519.Ed25519PrivateKey.generate(), "Ed25519"),
    ],
    ids=["rsa", "p521", "k1", "dsa", "ed25519"],
)
def test_a_weak_or_unknown_key(key: PrivateKeyTypes, seen: str) -> None:
    leaf = make("leaf", ROOT, key=key, names=[HOST])
    refused = refusal(leaf.pem, leaf.key_pem())
    assert refused.code == "certificate-key-weak"
    assert f"is {seen}, which browsers refuse" in refused.message
    assert "P-256" in refused.hint


@pytest.mark.parametrize(
    "key",
    [rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())],
    ids=["rsa", "p384"],
)
def test_the_other_keys_that_browsers_take(key: PrivateKeyTypes) -> None:
    leaf = make("leaf", ROOT, key=key, names=[HOST])
    assert served(upload(leaf.pem, leaf.key_pem())) == [leaf.certificate]


# The leaf


def test_the_validity_holds_from_its_first_second_to_its_last() -> None:
    leaf = make("leaf", ROOT, names=[HOST])
    begin, end = leaf.certificate.not_valid_before_utc, leaf.certificate.not_valid_after_utc
    second = timedelta(seconds=1)
    early = refusal(leaf.pem, leaf.key_pem(), now=begin - second)
    assert early.code == "certificate-not-yet-valid"
    assert begin.isoformat() in early.message
    assert "clock" in early.hint
    for now in (begin, end - second):
        assert upload(leaf.pem, leaf.key_pem(), now=now).certificate.expires_at == end
    late = refusal(leaf.pem, leaf.key_pem(), now=end)
    assert late.code == "certificate-expired"
    assert end.isoformat() in late.message
    assert "renewed" in late.hint


@pytest.mark.parametrize("name", [HOST, HOST.upper(), f"{HOST}.", "a.go.acme.example"])
def test_names_that_are_covered(name: str) -> None:
    assert served(upload(key=LEAF.key_pem(), names=[name])) == CHAIN


@pytest.mark.parametrize(
    "name", ["acme.example", "go.acme.example", "a.b.go.acme.example", "*.acme.example"]
)
def test_a_name_that_is_not_covered(name: str) -> None:
    refused = refusal(key=LEAF.key_pem(), names=[HOST, name])
    assert refused.code == "certificate-name"
    assert f"is for {HOST}, *.go.acme.example, not for {name}" in refused.message
    assert f"subjectAltName has {name}" in refused.hint


def test_a_certificate_without_names() -> None:
    leaf = make(HOST, ROOT)
    refused = refusal(leaf.pem, leaf.key_pem())
    assert refused.code == "certificate-name"
    assert "subjectAltName" in refused.hint


def test_the_certificate_of_a_ca() -> None:
    refused = refusal(ROOT.pem, ROOT.key_pem())
    assert refused.code == "certificate-is-ca"
    assert "CN=Root" in refused.message
    assert "server certificate" in refused.hint


@pytest.mark.parametrize("purposes", [(), (ExtendedKeyUsageOID.CLIENT_AUTH,)])
def test_a_certificate_that_is_not_for_servers(
    purposes: Sequence[x509.ObjectIdentifier],
) -> None:
    leaf = make("leaf", ROOT, names=[HOST], purposes=purposes)
    refused = refusal(leaf.pem, leaf.key_pem())
    assert refused.code == "certificate-purpose"
    assert "serverAuth" in refused.message
    assert "serverAuth" in refused.hint


def test_what_a_stranger_wrote_cannot_reach_the_terminal() -> None:
    leaf = make("a\x1b[2Jb", ROOT, names=["www.acme.example"])
    refused = refusal(leaf.pem, leaf.key_pem())
    assert refused.message.isprintable()
