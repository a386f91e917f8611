"""Open what a person uploads: PEM or PKCS #12, and a key in it or apart.

Pure: bytes come in; certificates and keys, or a refusal, come out.
Standards: RFC 7468 (PEM), RFC 7292 (PKCS #12).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import pkcs12

from linkseal.errors import CertificateError

MAX_BYTES = 1 << 20
MAX_CERTIFICATES = 12
"""Every path through them is tried, so their number is bounded."""
_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----[^-]*(?:-(?!----)[^-]*)*-----END \1-----")
_CERTIFICATE_LABELS = (b"CERTIFICATE", b"X509 CERTIFICATE")
BROKEN = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What the library raises for a certificate or key that it cannot read."""


def open_upload(
    data: bytes, key: bytes | None, password: str | None
) -> tuple[list[x509.Certificate], list[PrivateKeyTypes]]:
    """Return the certificates of an upload, once each, and all its keys.

    The order of the certificates does not depend on the upload's.

    Args:
        data: PEM blocks with any text between, or DER PKCS #12.
        key: A PEM private key given apart.
        password: Of what is encrypted; not used where nothing is.

    Raises:
        CertificateError: ``certificate-unreadable``, ``certificate-key-unreadable`` or
            ``certificate-password``.
    """
    found, keys = _open_data(data, password)
    if key is not None:
        keys += _keys(_blocks(key, "the key file"), password)
        if not keys:
            raise CertificateError(
                "the key file holds no PEM private key",
                code="certificate-key-unreadable",
                hint="give PEM: -----BEGIN PRIVATE KEY-----; "
                "`openssl pkey -inform der` turns a DER key into it",
            )
    return _distinct(found), keys


def _open_data(
    data: bytes, password: str | None
) -> tuple[list[x509.Certificate], list[PrivateKeyTypes]]:
    # DER: a SEQUENCE whose length takes the long form, which no text begins with.
    if data[:1] == b"\x30" and data[1:2] >= b"\x80" and len(data) <= MAX_BYTES:
        return _open_pkcs12(data, password)
    blocks = _blocks(data, "the upload")
    certificates = [_load(block) for label, block in blocks if label in _CERTIFICATE_LABELS]
    if not certificates:
        seen = ", ".join(sorted({label.decode() for label, _ in blocks})) or "no PEM block"
        raise CertificateError(
            f"the upload holds no certificate, but {seen}",
            code="certificate-unreadable",
            hint="give PEM (-----BEGIN CERTIFICATE-----) or PKCS #12; `openssl x509 -inform der` "
            "turns a DER certificate into PEM, `openssl pkcs7 -print_certs` a .p7b file",
        )
    return certificates, _keys(blocks, password)


def _open_pkcs12(
    data: bytes, password: str | None
) -> tuple[list[x509.Certificate], list[PrivateKeyTypes]]:
    try:
        bundle = _decrypt_pkcs12(data, password)
    except BROKEN as error:
        # The library has one type for both; only its words tell a password from damage.
        if "password" in str(error).lower():
            raise _wrong_password("the PKCS #12 file", password) from error
        raise CertificateError(
            "the upload looks binary, and is not a PKCS #12 file that can be read",
            code="certificate-unreadable",
            hint="export it anew as PKCS #12 with AES-256, or give PEM; "
            "`openssl x509 -inform der` turns a DER certificate into PEM",
        ) from error
    entries = [*([bundle.cert] if bundle.cert else []), *bundle.additional_certs]
    if not entries:
        raise CertificateError(
            "the PKCS #12 file holds no certificate",
            code="certificate-unreadable",
            hint="export the certificate with its key and its chain",
        )
    keys = [] if bundle.key is None else [bundle.key]
    return [_load(to_pem(entry.certificate)) for entry in entries], keys


def _decrypt_pkcs12(data: bytes, password: str | None) -> pkcs12.PKCS12KeyAndCertificates:
    try:
        return pkcs12.load_pkcs12(data, _secret(password))
    except BROKEN:
        if not password:
            raise
        return pkcs12.load_pkcs12(data, None)


def _blocks(data: bytes, source: str) -> list[tuple[bytes, bytes]]:
    """Return each PEM block with its label, whatever text stands around it (RFC 7468 §2)."""
    if len(data) > MAX_BYTES:
        raise CertificateError(
            f"{source} has {len(data)} bytes, more than {MAX_BYTES}",
            code="certificate-unreadable",
            hint="give the certificate, its intermediates and its key, and nothing else",
        )
    blocks = [(match[1], match[0]) for match in _BLOCK.finditer(data)]
    if len(blocks) != data.count(b"-----BEGIN "):
        raise CertificateError(
            f"{source} is damaged: a PEM block in it begins and does not end",
            code="certificate-unreadable",
            hint="copy the whole file again, from -----BEGIN to -----END and all dashes",
        )
    return blocks


def _load(block: bytes) -> x509.Certificate:
    try:
        loaded = x509.load_pem_x509_certificate(block)
        # The library parses these when asked: ask now, so that nothing fails later.
        _ = (loaded.subject, loaded.issuer, loaded.public_key(), loaded.extensions)
        _ = (loaded.not_valid_before_utc, loaded.not_valid_after_utc)
    except BROKEN as error:
        raise CertificateError(
            "a certificate in the upload is damaged, or of a kind browsers do not know",
            code="certificate-unreadable",
            hint="copy the file again from where the CA gave it",
        ) from error
    return loaded


def _keys(blocks: Sequence[tuple[bytes, bytes]], password: str | None) -> list[PrivateKeyTypes]:
    return [_key(block, password) for label, block in blocks if label.endswith(b"PRIVATE KEY")]


def _key(block: bytes, password: str | None) -> PrivateKeyTypes:
    encrypted = b"ENCRYPTED" in block
    try:
        return serialization.load_pem_private_key(block, _secret(password) if encrypted else None)
    except BROKEN as error:
        if encrypted:
            raise _wrong_password("the private key", password) from error
        raise CertificateError(
            "the private key is damaged, or of a kind browsers do not know",
            code="certificate-key-unreadable",
            hint="check it with `openssl pkey -check`; copy the whole file again",
        ) from error


def _secret(password: str | None) -> bytes | None:
    return password.encode(errors="surrogateescape") if password else None


def _wrong_password(what: str, password: str | None) -> CertificateError:
    if password:
        return CertificateError(
            f"the password does not open {what}",
            code="certificate-password",
            hint="give the one it was exported with",
        )
    return CertificateError(
        f"{what} is encrypted, and no password was given",
        code="certificate-password",
        hint="give its password",
    )


def _distinct(found: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    certificates = sorted(set(found), key=fingerprint)
    if len(certificates) > MAX_CERTIFICATES:
        raise CertificateError(
            f"the upload holds {len(certificates)} certificates, more than {MAX_CERTIFICATES}",
            code="certificate-unreadable",
            hint="give the certificate and its own intermediates, not the CA's whole bundle",
        )
    return certificates


def fingerprint(certificate: x509.Certificate) -> bytes:
    """Return its SHA-256."""
    return certificate.fingerprint(hashes.SHA256())


def to_pem(certificate: x509.Certificate) -> bytes:
    """Return its PEM block."""
    return certificate.public_bytes(serialization.Encoding.PEM)
