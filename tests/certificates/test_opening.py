"""What an upload may be made of, and what cannot be opened."""

from __future__ import annotations

import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12
from hypothesis import given, settings
from hypothesis import strategies as st

from linkseal.certificates.opening import MAX_BYTES, MAX_CERTIFICATES
from linkseal.errors import CertificateError
from support.certificates import (
    BUNDLE,
    CHAIN,
    ISSUING,
    LEAF,
    MIDDLE,
    ROOT,
    make,
    p12,
    refusal,
    served,
    upload,
)

# What is opened


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
