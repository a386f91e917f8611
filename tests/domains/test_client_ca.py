"""Whose client certificate it is, and what is taken for a CA: by value."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from linkseal.domains.client_ca import (
    MAX_AUTHORITIES,
    authority_of,
    der_of,
    judge_client,
    read_authority,
)
from linkseal.errors import CertificateError
from support.checks import (
    AT,
    CHAIN,
    LINK,
    LINK_KEY,
    ROOT,
    ROOT_KEY,
    der,
    issue,
    key,
)

EDGE_KEY = key()
EDGE = issue("edge", EDGE_KEY.public_key(), "Root", ROOT_KEY)
DEEP = issue("deep", EDGE_KEY.public_key(), "Link", LINK_KEY)
SELF = issue("self", EDGE_KEY.public_key(), "self", EDGE_KEY)
OTHER_KEY = key()
OTHER = issue("Other", OTHER_KEY.public_key(), "Other", OTHER_KEY, ca=True)
STRANGER = issue("stranger", EDGE_KEY.public_key(), "Other", OTHER_KEY)
PKCS8 = serialization.PrivateFormat.PKCS8


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)


def refused(data: bytes) -> tuple[str, str]:
    with pytest.raises(CertificateError) as refusal:
        read_authority(data, AT, source="ca.pem")
    assert refusal.value.hint
    return refusal.value.code, refusal.value.message


def test_cas_are_read_and_nothing_else_of_the_file_is_kept() -> None:
    found = read_authority(b"a note\n" + pem(ROOT, LINK, ROOT), AT, source="ca.pem")
    assert found.pem.encode() == pem(ROOT, LINK)
    assert (found.title, found.expires_at) == ("CN=Root; CN=Link", ROOT.not_valid_after_utc)
    assert authority_of(found.pem) == found
    assert der_of(found.pem) == (der(ROOT), der(LINK))


def test_a_certificate_that_signs_itself_is_its_own_ca() -> None:
    assert read_authority(pem(SELF), AT, source="ca.pem").title == "CN=self"


def test_a_private_key_is_refused_and_not_told() -> None:
    secret = EDGE_KEY.private_bytes(serialization.Encoding.PEM, PKCS8, serialization.NoEncryption())
    code, message = refused(pem(ROOT) + secret)
    assert code == "client-ca-has-key"
    assert secret.decode()[40:80] not in message


def test_what_cannot_be_a_ca_is_refused() -> None:
    weak, odd = rsa.generate_private_key(65537, 1024), ed25519.Ed25519PrivateKey.generate()
    old = issue("old", EDGE_KEY.public_key(), "old", EDGE_KEY, ca=True, end=AT - timedelta(days=1))
    assert refused(b"nothing")[0] == "certificate-unreadable"
    assert refused(der(ROOT))[0] == "certificate-unreadable"
    assert refused(pem(ROOT)[:200])[0] == "certificate-unreadable"
    assert refused(pem(EDGE)) == (
        "client-ca-not-ca",
        "CN=edge is no CA: it is a certificate that CN=Root issued",
    )
    assert refused(pem(old)) == (
        "certificate-expired",
        "CN=old expired at 2026-11-23T12:00:00+00:00",
    )
    for bad in (weak, odd):
        public = bad.public_key()
        assert refused(pem(issue("bad", public, "bad", EDGE_KEY)))[0] == "certificate-key-weak"
    many = [
        issue(f"CA {number}", EDGE_KEY.public_key(), f"CA {number}", EDGE_KEY, ca=True)
        for number in range(MAX_AUTHORITIES + 1)
    ]
    assert refused(pem(*many))[0] == "client-ca-too-many"
    assert read_authority(pem(*many[1:]), AT, source="ca.pem").title.startswith("CN=CA 1; ")


@pytest.mark.parametrize(
    ("leaf", "others", "authorities", "expected"),
    [
        (EDGE, [], [ROOT], ("", "")),
        (EDGE, [], [OTHER, ROOT], ("", "")),
        (DEEP, [LINK], [ROOT], ("", "")),
        (DEEP, [], [LINK], ("", "")),
        (SELF, [], [SELF], ("", "")),
        (STRANGER, [], [ROOT], ("foreign", "")),
        (STRANGER, [OTHER], [ROOT], ("foreign", "")),
        (SELF, [], [ROOT], ("foreign", "")),
        (DEEP, [], [ROOT], ("foreign", "")),
        (EDGE, [], [], ("foreign", "")),
    ],
)
def test_whose_it_is(
    leaf: x509.Certificate,
    others: list[x509.Certificate],
    authorities: list[x509.Certificate],
    expected: tuple[str, str],
) -> None:
    shown = judge_client(der(leaf), [*map(der, others)], [*map(der, authorities)], AT)
    assert (shown.problem, shown.why) == expected
    assert (shown.subject, shown.issuer) == (
        leaf.subject.rfc4514_string(),
        leaf.issuer.rfc4514_string(),
    )
    assert shown.not_after == leaf.not_valid_after_utc


def test_who_bears_the_cas_name_only_is_refused_with_why() -> None:
    forged = issue("edge", EDGE_KEY.public_key(), "Root", OTHER_KEY)
    shown = judge_client(der(forged), [], [der(ROOT)], AT)
    assert shown.problem == "refused"
    assert shown.why


def test_when_it_is_valid() -> None:
    ends, begins = EDGE.not_valid_after_utc, EDGE.not_valid_before_utc
    at = [begins - timedelta(days=1), ends - timedelta(seconds=1), ends, ends + timedelta(days=99)]
    told = [judge_client(der(EDGE), [], [der(ROOT)], each) for each in at]
    assert [each.problem for each in told] == ["refused", "", "expired", "expired"]
    assert told[0].why == "it is not valid before 2026-11-14 12:00 UTC"
    assert judge_client(der(STRANGER), [], [der(ROOT)], at[3]).problem == "foreign"


def test_a_day_before_all_days_is_told_too() -> None:
    end = datetime(2060, 1, 1, tzinfo=UTC)
    made = der(issue("edge", EDGE_KEY.public_key(), "Root", ROOT_KEY, end=end))
    first = made.replace(b"20600101000000Z", b"00010101000000Z")
    assert first != made
    assert judge_client(first, [], [der(ROOT)], AT).problem == "refused"


def test_a_ca_that_expired_meanwhile_is_told() -> None:
    ca = issue("Brief", OTHER_KEY.public_key(), "Brief", OTHER_KEY, ca=True)
    end = ca.not_valid_after_utc + timedelta(days=50)
    leaf = issue("edge", EDGE_KEY.public_key(), "Brief", OTHER_KEY, end=end)
    shown = judge_client(der(leaf), [], [der(ca)], end - timedelta(days=1))
    assert (shown.problem, shown.why) == ("refused", "the CA CN=Brief is expired itself")


def test_one_for_servers_only_is_refused() -> None:
    def purposes(*which: x509.ObjectIdentifier) -> str:
        made = (
            x509.CertificateBuilder()
            .subject_name(EDGE.subject)
            .issuer_name(EDGE.issuer)
            .public_key(EDGE_KEY.public_key())
            .serial_number(7)
            .not_valid_before(EDGE.not_valid_before_utc)
            .not_valid_after(EDGE.not_valid_after_utc)
            .add_extension(x509.ExtendedKeyUsage(which), critical=True)
            .sign(ROOT_KEY, hashes.SHA256())
        )
        return judge_client(der(made), [], [der(ROOT)], AT).why

    oid = ExtendedKeyUsageOID
    assert purposes(oid.CLIENT_AUTH, oid.SERVER_AUTH) == ""
    assert purposes(oid.ANY_EXTENDED_KEY_USAGE) == ""
    assert (
        purposes(oid.SERVER_AUTH)
        == "it is not for clients: its extended key usage lacks clientAuth"
    )


@given(st.binary(max_size=200), st.integers(0, len(CHAIN[0]) - 1), st.integers(0, 255))
def test_whatever_is_shown_is_told(noise: bytes, place: int, value: int) -> None:
    changed = bytearray(CHAIN[0])
    changed[place] = value
    for leaf in (noise, bytes(changed)):
        shown = judge_client(leaf, [noise], [der(ROOT)], AT)
        assert len(shown.fingerprint) == 64
        assert shown.subject.isprintable()
