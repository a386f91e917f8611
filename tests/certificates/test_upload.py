"""Uploads: what is served, and every refusal with its fix."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from linkseal.certificates.upload import (
    MAX_BYTES,
    MAX_CERTIFICATES,
    Upload,
    expiry_warning,
    read_upload,
)
from linkseal.errors import CertificateError

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
DAY = timedelta(days=1)
HOST = "links.acme.example"
CA_URL = "http://ca.example/r7.der"
LIFE_WARNING = (
    "it is valid for {} days; browsers may refuse one of a public CA that lives longer than {}"
)
SERVER = (ExtendedKeyUsageOID.SERVER_AUTH,)


@dataclass(frozen=True)
class Entity:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: PrivateKeyTypes

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def key_pem(self, password: str = "", *, traditional: bool = False) -> bytes:
        layout = serialization.PrivateFormat
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            layout.TraditionalOpenSSL if traditional else layout.PKCS8,
            serialization.BestAvailableEncryption(password.encode())
            if password
            else serialization.NoEncryption(),
        )


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def make(
    subject: str | x509.Name,
    issuer: Entity | None = None,
    *,
    ca: bool = False,
    key: PrivateKeyTypes | None = None,
    names: Sequence[str] = (),
    begins: datetime = NOW - DAY,
    life: timedelta = 90 * DAY,
    purposes: Sequence[x509.ObjectIdentifier] = SERVER,
    url: str = "",
    path_length: int | None = None,
    constraint: str = "",
) -> Entity:
    own = key or new_key()
    name = (
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
        if isinstance(subject, str)
        else subject
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.certificate.subject if issuer else name)
        .public_key(own.public_key())  # type: ignore[arg-type]  # any kind, to be refused
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + life)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=path_length), critical=True)
    )
    if names:
        san = x509.SubjectAlternativeName([x509.DNSName(each) for each in names])
        builder = builder.add_extension(san, critical=False)
    if purposes and not ca:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    if url:
        access = x509.AccessDescription(
            AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier(url)
        )
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
    if constraint:
        limits = x509.NameConstraints([x509.DNSName(constraint)], None)
        builder = builder.add_extension(limits, critical=True)
    signer = issuer.key if issuer else own
    assert isinstance(signer, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
    return Entity(builder.sign(signer, hashes.SHA256()), own)


ROOT = make("Root", ca=True, life=3650 * DAY)
MIDDLE = make("Middle", ROOT, ca=True, life=1000 * DAY)
ISSUING = make("Issuing", MIDDLE, ca=True, life=900 * DAY)
LEAF = make("leaf", ISSUING, names=[HOST, "*.go.acme.example"], url=CA_URL)
STRANGER = make("Stranger", make("Other root", ca=True), ca=True)
CHAIN = [LEAF.certificate, ISSUING.certificate, MIDDLE.certificate]
BUNDLE = LEAF.pem + ISSUING.pem + MIDDLE.pem


def upload(
    data: bytes = BUNDLE,
    key: bytes | None = None,
    *,
    password: str | None = None,
    names: Sequence[str] = (HOST,),
    cdn: bool = False,
    now: datetime = NOW,
    roots: Sequence[Entity] = (ROOT,),
) -> Upload:
    return read_upload(
        data,
        key,
        password=password,
        names=names,
        cdn=cdn,
        now=now,
        roots=[root.certificate for root in roots],
    )


def served(result: Upload) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(result.certificate.chain)


def refusal(
    data: bytes = BUNDLE,
    key: bytes | None = None,
    *,
    password: str | None = None,
    names: Sequence[str] = (HOST,),
    now: datetime = NOW,
    roots: Sequence[Entity] = (ROOT,),
) -> CertificateError:
    with pytest.raises(CertificateError) as caught:
        upload(data, key, password=password, names=names, now=now, roots=roots)
    assert caught.value.hint
    assert "PRIVATE KEY-----\n" not in caught.value.message
    return caught.value


def p12(leaf: Entity, others: Sequence[Entity], password: str = "") -> bytes:
    assert isinstance(leaf.key, ec.EllipticCurvePrivateKey)
    return pkcs12.serialize_key_and_certificates(
        b"links",
        leaf.key,
        leaf.certificate,
        [other.certificate for other in others],
        serialization.BestAvailableEncryption(password.encode())
        if password
        else serialization.NoEncryption(),
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


def test_pem_with_text_around_the_blocks_and_the_key_among_them() -> None:
    text = (
        b"\xef\xbb\xbfBag Attributes\r\n"
        + MIDDLE.pem.replace(b"\n", b"\r\n")
        + b"subject=CN = leaf - the one\n-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n"
        + b"-----END EC PARAMETERS-----\n"
        + LEAF.key_pem(traditional=True)
        + ISSUING.pem
        + LEAF.pem
        + b"\nthe end"
    )
    assert upload(text) == upload(key=LEAF.key_pem())


@pytest.mark.parametrize("traditional", [False, True])
def test_a_key_under_a_password(traditional: bool) -> None:
    key = LEAF.key_pem("päss", traditional=traditional)
    assert upload(key=key, password="päss") == upload(key=LEAF.key_pem())


@pytest.mark.parametrize("password", ["", "päss"])
def test_pkcs12(password: str) -> None:
    data = p12(LEAF, [MIDDLE, ROOT, ISSUING], password)
    assert upload(data, password=password or None) == upload(key=LEAF.key_pem())


def test_a_password_that_nothing_needs_is_not_used() -> None:
    expected = upload(key=LEAF.key_pem())
    assert upload(p12(LEAF, [MIDDLE, ISSUING]), password="x") == expected
    assert upload(key=LEAF.key_pem(), password="x") == expected


def test_pkcs12_without_a_key_takes_the_key_apart() -> None:
    data = pkcs12.serialize_key_and_certificates(
        None, None, None, CHAIN, serialization.NoEncryption()
    )
    assert upload(data, LEAF.key_pem()) == upload(key=LEAF.key_pem())


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


def test_the_root_is_left_out_silently_and_a_stranger_with_a_warning() -> None:
    result = upload(ROOT.pem + STRANGER.pem + BUNDLE, LEAF.key_pem())
    assert served(result) == CHAIN
    assert result.warnings == ("CN=Stranger is not part of the chain, and is left out",)


def test_a_cross_signed_root_is_served_for_clients_that_lack_the_nearer_one() -> None:
    new = make("New root", ca=True, life=3650 * DAY)
    crossed = make("New root", ROOT, ca=True, key=new.key, life=1000 * DAY)
    issuing = make("Issuing", new, ca=True)
    leaf = make("leaf", issuing, names=[HOST])
    data = leaf.pem + crossed.pem + new.pem + issuing.pem
    both = upload(data, leaf.key_pem(), roots=[new, ROOT])
    assert served(both) == [leaf.certificate, issuing.certificate, crossed.certificate]
    assert both.warnings == ()
    near = upload(data, leaf.key_pem(), roots=[new])
    assert served(near) == [leaf.certificate, issuing.certificate]
    lapsed = make("New root", ROOT, ca=True, key=new.key, begins=NOW - 9 * DAY, life=DAY)
    rest = upload(leaf.pem + lapsed.pem + issuing.pem, leaf.key_pem(), roots=[new, ROOT])
    assert served(rest) == [leaf.certificate, issuing.certificate]


def test_cas_that_signed_each_other_do_not_lead_round() -> None:
    one, two = make("One", ca=True), make("Two", ca=True)
    one_by_two = make("One", two, ca=True, key=one.key)
    two_by_one = make("Two", one, ca=True, key=two.key)
    leaf = make("leaf", one, names=[HOST])
    data = leaf.pem + one_by_two.pem + two_by_one.pem
    assert served(upload(data, leaf.key_pem(), roots=[two])) == [
        leaf.certificate,
        one_by_two.certificate,
    ]
    assert refusal(data, leaf.key_pem()).code == "certificate-untrusted"


def test_of_two_certificates_for_one_key_the_newer_is_served() -> None:
    renewed = make("leaf", ISSUING, key=LEAF.key, names=[HOST], life=100 * DAY)
    result = upload(BUNDLE + renewed.pem, LEAF.key_pem())
    assert served(result)[0] == renewed.certificate
    assert result.warnings == ("CN=leaf is not part of the chain, and is left out",)


def test_a_private_root_that_the_operator_trusts_is_trusted() -> None:
    private = make("Private", ca=True)
    leaf = make("leaf", private, names=[HOST])
    assert refusal(leaf.pem, leaf.key_pem()).code == "certificate-untrusted"
    assert served(upload(leaf.pem, leaf.key_pem(), roots=[ROOT, private])) == [leaf.certificate]


def test_an_intermediate_that_the_operator_trusts_ends_the_chain() -> None:
    result = upload(LEAF.pem + ISSUING.pem, LEAF.key_pem(), roots=[ISSUING])
    assert served(result) == [LEAF.certificate]
    assert result.warnings == ()


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


@given(
    st.permutations([LEAF, ISSUING, MIDDLE, ROOT, STRANGER, LEAF]),
    st.sampled_from(["first", "last"]),
)
@settings(max_examples=60, deadline=None)
def test_the_order_of_an_upload_does_not_matter(order: list[Entity], where: str) -> None:
    certificates = b"".join(each.pem for each in order)
    key = LEAF.key_pem()
    data = key + certificates if where == "first" else certificates + key
    result = upload(data)
    assert served(result) == CHAIN
    assert result == upload(BUNDLE + ROOT.pem + STRANGER.pem, key)


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


# What cannot be opened


@pytest.mark.parametrize(
    ("data", "seen"),
    [
        (b"", "no PEM block"),
        (b"hello", "no PEM block"),
        (LEAF.key_pem(), "but PRIVATE KEY"),
        (LEAF.pem[:200], "begins and does not end"),
        (LEAF.pem + ISSUING.pem[:-5], "begins and does not end"),
        (b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "is damaged"),
        (LEAF.certificate.public_bytes(serialization.Encoding.DER), "not a PKCS #12"),
        (p12(LEAF, [ISSUING])[:-40], "not a PKCS #12"),
        (BUNDLE + b" " * MAX_BYTES, f"more than {MAX_BYTES}"),
        (b"\x30\x82" + b"\x00" * MAX_BYTES, f"more than {MAX_BYTES}"),
    ],
)
def test_an_upload_that_cannot_be_read(data: bytes, seen: str) -> None:
    refused = refusal(data, LEAF.key_pem())
    assert refused.code == "certificate-unreadable"
    assert seen in refused.message


def test_the_hint_for_other_formats_names_the_command() -> None:
    assert "openssl x509 -inform der" in refusal(b"hello").hint
    p7b = b"-----BEGIN PKCS7-----\nMIIB\n-----END PKCS7-----\n"
    assert "but PKCS7" in refusal(p7b).message
    assert "openssl pkcs7 -print_certs" in refusal(p7b).hint


def test_a_pkcs12_without_certificates() -> None:
    assert isinstance(LEAF.key, ec.EllipticCurvePrivateKey)
    data = pkcs12.serialize_key_and_certificates(
        None, LEAF.key, None, None, serialization.NoEncryption()
    )
    refused = refusal(data)
    assert refused.code == "certificate-unreadable"
    assert "holds no certificate" in refused.message


def test_a_whole_bundle_of_cas() -> None:
    many = b"".join(make(f"CA {number}", ca=True).pem for number in range(MAX_CERTIFICATES))
    refused = refusal(LEAF.pem + many, LEAF.key_pem())
    assert refused.code == "certificate-unreadable"
    assert f"{MAX_CERTIFICATES + 1} certificates" in refused.message


@pytest.mark.parametrize("password", [None, "", "wrong"])
def test_a_wrong_or_missing_password(password: str | None) -> None:
    locked = (
        refusal(key=LEAF.key_pem("right"), password=password),
        refusal(key=LEAF.key_pem("right", traditional=True), password=password),
        refusal(p12(LEAF, [ISSUING], "right"), password=password),
    )
    assert [each.code for each in locked] == ["certificate-password"] * 3
    said = "does not open" if password else "no password was given"
    assert all(said in each.message for each in locked)
    assert all("give" in each.hint for each in locked)
    assert all("wrong" not in each.message for each in locked)


# Keys


def test_no_key() -> None:
    refused = refusal()
    assert refused.code == "certificate-key-missing"
    assert "CN=leaf" in refused.message


@pytest.mark.parametrize(
    ("key", "seen"),
    [
        (b"", "no PEM private key"),
        (LEAF.pem, "no PEM private key"),
        (b"-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n", "is damaged"),
    ],
)
def test_a_key_that_cannot_be_read(key: bytes, seen: str) -> None:
    refused = refusal(key=key)
    assert refused.code == "certificate-key-unreadable"
    assert seen in refused.message
    assert "openssl pkey" in refused.hint


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


# The chain


def test_a_missing_intermediate_is_named_with_where_to_get_it() -> None:
    refused = refusal(LEAF.pem, LEAF.key_pem())
    assert refused.code == "certificate-chain-incomplete"
    assert "ends at CN=leaf: its issuer, CN=Issuing, is neither uploaded" in refused.message
    assert CA_URL in refused.hint
    # A gap in the middle: what stands beyond it does not help.
    refused = refusal(LEAF.pem + MIDDLE.pem, LEAF.key_pem())
    assert refused.code == "certificate-chain-incomplete"


def test_an_issuer_that_is_neither_given_nor_findable() -> None:
    refused = refusal(LEAF.pem + ISSUING.pem, LEAF.key_pem())
    assert refused.code == "certificate-untrusted"
    assert "ends at CN=Issuing, issued by CN=Middle" in refused.message
    assert "all its intermediates" in refused.hint
    assert "trusted roots" in refused.hint


def test_no_roots_at_all() -> None:
    assert refusal(key=LEAF.key_pem(), roots=[]).code == "certificate-untrusted"


def test_an_unknown_root_is_untrusted_even_where_the_chain_says_where_it_is() -> None:
    private = make("Private", ca=True)
    leaf = make("leaf", private, names=[HOST], url=CA_URL)
    assert refusal(leaf.pem + private.pem, leaf.key_pem()).code == "certificate-untrusted"


def test_a_certificate_signed_by_itself() -> None:
    leaf = make("leaf", names=[HOST])
    refused = refusal(leaf.pem, leaf.key_pem())
    assert refused.code == "certificate-untrusted"
    assert "public CA" in refused.hint


def test_an_issuer_by_name_only_does_not_link() -> None:
    fake = make("Issuing", MIDDLE, ca=True)
    refused = refusal(LEAF.pem + fake.pem + MIDDLE.pem, LEAF.key_pem())
    assert refused.code == "certificate-chain-incomplete"
    assert "its issuer, CN=Issuing, was uploaded with another key" in refused.message


def test_a_certificate_that_is_no_ca_does_not_link() -> None:
    server = make("server", ROOT, names=["www.acme.example"])
    leaf = make("leaf", server, names=[HOST])
    assert refusal(leaf.pem + server.pem, leaf.key_pem()).code == "certificate-untrusted"


def test_an_expired_intermediate_and_an_expired_root() -> None:
    stale = make("Stale", ROOT, ca=True, begins=NOW - 9 * DAY, life=8 * DAY)
    leaf = make("leaf", stale, names=[HOST])
    refused = refusal(leaf.pem + stale.pem, leaf.key_pem())
    assert refused.code == "certificate-expired"
    assert "CN=Stale" in refused.message
    assert "intermediates" in refused.hint
    old = make("Old root", ca=True, begins=NOW - 9 * DAY, life=8 * DAY)
    leaf = make("leaf", old, names=[HOST])
    assert refusal(leaf.pem, leaf.key_pem(), roots=[old]).code == "certificate-untrusted"


def test_constraints_of_the_cas_are_kept() -> None:
    narrow = make("Narrow", ROOT, ca=True, constraint="other.example")
    leaf = make("leaf", narrow, names=[HOST])
    refused = refusal(leaf.pem + narrow.pem, leaf.key_pem())
    assert refused.code == "certificate-chain-invalid"
    assert "name constraints" in refused.message
    allowed = make("Allowed", ROOT, ca=True, constraint="acme.example")
    leaf = make("leaf", allowed, names=[HOST, "*.acme.example"])
    assert len(served(upload(leaf.pem + allowed.pem, leaf.key_pem()))) == 2
    short = make("Short", ROOT, ca=True, path_length=0)
    below = make("Below", short, ca=True)
    leaf = make("leaf", below, names=[HOST])
    refused = refusal(leaf.pem + below.pem + short.pem, leaf.key_pem())
    assert refused.code == "certificate-chain-invalid"
    assert "path length" in refused.message


def sign_with_sha1(directory: Path, entity: Entity, issuer: Entity, extensions: str) -> bytes:
    """Issue it again by openssl, for the library does not sign with SHA-1."""

    def run(*arguments: str, stdin: bytes = b"") -> bytes:
        done = subprocess.run(["openssl", *arguments], input=stdin, capture_output=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    for name, content in (
        ("key.pem", entity.key_pem()),
        ("ca.pem", issuer.pem),
        ("ca.key", issuer.key_pem()),
        ("extensions", extensions.encode()),
    ):
        (directory / name).write_bytes(content)
    subject = f"/CN={entity.certificate.subject.rfc4514_string().removeprefix('CN=')}"
    request = run("req", "-new", "-key", str(directory / "key.pem"), "-subj", subject)
    signer = ["-CA", str(directory / "ca.pem"), "-CAkey", str(directory / "ca.key")]
    extra = ["-extfile", str(directory / "extensions"), "-set_serial", "7", "-days", "30"]
    return run("x509", "-req", "-sha1", *signer, *extra, stdin=request)


def test_sha1_in_the_leaf_or_above_it(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    root = make("Root", ca=True, begins=now - DAY)
    middle = make("Middle", root, ca=True, begins=now - DAY)
    leaf = make("leaf", middle, names=[HOST], begins=now - DAY)
    later = now + timedelta(minutes=1)
    weak = sign_with_sha1(
        tmp_path, leaf, middle, f"subjectAltName=DNS:{HOST}\nextendedKeyUsage=serverAuth\n"
    )
    refused = refusal(weak + middle.pem, leaf.key_pem(), now=later, roots=[root])
    assert refused.code == "certificate-signature-weak"
    assert "CN=leaf is signed with SHA1" in refused.message
    assert "SHA-256" in refused.hint
    weak = sign_with_sha1(tmp_path, middle, root, "basicConstraints=critical,CA:TRUE\n")
    refused = refusal(leaf.pem + weak, leaf.key_pem(), now=later, roots=[root])
    assert refused.code == "certificate-signature-weak"
    assert "CN=Middle is signed with SHA1" in refused.message
    # A strong certificate of the same CA beside it is taken instead.
    result = upload(leaf.pem + weak + middle.pem, leaf.key_pem(), now=later, roots=[root])
    assert served(result) == [leaf.certificate, middle.certificate]


def test_what_a_stranger_wrote_cannot_reach_the_terminal() -> None:
    leaf = make("a\x1b[2Jb", ROOT, names=["www.acme.example"])
    refused = refusal(leaf.pem, leaf.key_pem())
    assert refused.message.isprintable()


# Anything at all


@given(st.binary(max_size=300), st.none() | st.binary(max_size=300), st.none() | st.text())
@settings(max_examples=100, deadline=None)
def test_garbage_is_refused_and_never_raises_anything_else(
    data: bytes, key: bytes | None, password: str | None
) -> None:
    assert refusal(data, key, password=password).code.startswith("certificate-")


WHOLE = (
    LEAF.certificate.public_bytes(serialization.Encoding.DER),
    BUNDLE + LEAF.key_pem(),
    p12(LEAF, [ISSUING, MIDDLE]),
)


@given(
    st.sampled_from(WHOLE),
    st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=4),
    st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_a_damaged_upload_is_served_whole_or_refused(
    data: bytes, changes: list[tuple[int, int]], wrapped: bool
) -> None:
    damaged = bytearray(data)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    given_data = bytes(damaged)
    if wrapped and data is WHOLE[0]:
        body = base64.encodebytes(given_data)
        given_data = b"-----BEGIN CERTIFICATE-----\n" + body + b"-----END CERTIFICATE-----\n"
        given_data += ISSUING.pem + MIDDLE.pem
    outcome = served_or_code(given_data, LEAF.key_pem())
    assert outcome == CHAIN or str(outcome).startswith("certificate-")


def served_or_code(data: bytes, key: bytes) -> list[x509.Certificate] | str:
    try:
        return served(upload(data, key))
    except CertificateError as refused:
        return refused.code


# Warnings of expiry


@pytest.mark.parametrize(
    ("left", "warning"),
    [
        (31 * DAY, None),
        (30 * DAY + timedelta(seconds=1), None),
        (30 * DAY, 30),
        (14 * DAY + timedelta(seconds=1), 30),
        (14 * DAY, 14),
        (8 * DAY, 14),
        (7 * DAY, 7),
        (2 * DAY, 7),
        (DAY, 1),
        (timedelta(seconds=1), 1),
        (timedelta(0), 0),
        (-DAY, 0),
    ],
)
def test_expiry_warnings(left: timedelta, warning: int | None) -> None:
    assert expiry_warning(NOW + left, NOW) == warning
