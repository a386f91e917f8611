"""Read a certificate chain and its key, and refuse what a browser would refuse."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtensionOID

from linkseal.errors import CertificateError

MIN_RSA_BITS = 2048
_CURVES = (ec.SECP256R1, ec.SECP384R1)
"""What every browser takes; Chrome refuses P-521."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A chain with its key, ready to serve.

    Attributes:
        names: DNS names of the leaf, lower case, wildcards included.
        chain: PEM, leaf first.
        key: PEM, PKCS #8, not encrypted. Secret: never log it.
        expires_at: When the leaf expires, aware UTC.
    """

    names: tuple[str, ...]
    chain: bytes
    key: bytes
    expires_at: datetime

    def covers(self, host: str) -> bool:
        """Whether the leaf is valid for ``host`` (RFC 6125 §6.4.3: one label a wildcard)."""
        return host in self.names or f"*.{host.partition('.')[2]}" in self.names

    def __repr__(self) -> str:
        """Name it without its key."""
        return f"Certificate(names={self.names}, expires_at={self.expires_at.isoformat()})"


def read_certificate(chain_file: Path, key_file: Path, host: str, now: datetime) -> Certificate:
    """Read and check a configured certificate.

    Args:
        chain_file: PEM, leaf first, intermediates after it.
        key_file: PEM private key, not encrypted.
        host: The name it must be valid for.
        now: Aware; it must not be expired then.

    Raises:
        CertificateError: The message says what is wrong, the hint what to do.
    """
    chain = read_file(chain_file)
    certificate = parse_certificate(chain, read_file(key_file), source=str(chain_file))
    if certificate.expires_at <= now:
        raise CertificateError(
            f"the certificate {chain_file} expired at {certificate.expires_at.isoformat()}",
            code="certificate-expired",
            hint="renew it; the service goes on with the one it has",
        )
    if not certificate.covers(host):
        raise CertificateError(
            f"the certificate {chain_file} is for {', '.join(certificate.names)}, not {host}",
            code="certificate-name",
            hint=f"get one for {host} and *.{host.partition('.')[2]}",
        )
    return certificate


def parse_certificate(chain: bytes, key: bytes, *, source: str) -> Certificate:
    """Turn PEM texts into a certificate whose key is strong enough and belongs to it.

    Raises:
        CertificateError: Not PEM, no names, a weak key, or another certificate's key.
    """
    try:
        leaf = x509.load_pem_x509_certificates(chain)[0]
    except ValueError as error:
        raise CertificateError(
            f"{source} holds no PEM certificate",
            code="certificate-unreadable",
            hint="give the PEM chain, leaf first: -----BEGIN CERTIFICATE-----",
        ) from error
    try:
        private = serialization.load_pem_private_key(key, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CertificateError(
            f"the key for {source} is not an unencrypted PEM key",
            code="certificate-key-unreadable",
            hint="decrypt it with `openssl pkey`, and give that file",
        ) from error
    _refuse_weak(private, source)
    if private.public_key() != leaf.public_key():
        raise CertificateError(
            f"the key does not belong to the certificate {source}",
            code="certificate-key-mismatch",
            hint="give the key the certificate was requested with",
        )
    return Certificate(
        names=_names(leaf, source),
        chain=chain,
        key=private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        expires_at=leaf.not_valid_after_utc,
    )


def _refuse_weak(private: object, source: str) -> None:
    if isinstance(private, ec.EllipticCurvePrivateKey) and isinstance(private.curve, _CURVES):
        return
    if isinstance(private, rsa.RSAPrivateKey) and private.key_size >= MIN_RSA_BITS:
        return
    raise CertificateError(
        f"the key of {source} is too weak or of a kind browsers refuse",
        code="certificate-key-weak",
        hint="use P-256, or RSA with 2048 bits or more",
    )


def _names(leaf: x509.Certificate, source: str) -> tuple[str, ...]:
    try:
        found = leaf.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    except x509.ExtensionNotFound as error:
        raise CertificateError(
            f"the certificate {source} names no host",
            code="certificate-name",
            hint="browsers read subjectAltName only: request it with DNS names",
        ) from error
    value = found.value
    assert isinstance(value, x509.SubjectAlternativeName)
    return tuple(name.lower() for name in value.get_values_for_type(x509.DNSName))


def read_file(file: Path) -> bytes:
    """Return what is in a file of certificates or keys.

    Raises:
        CertificateError: ``certificate-unreadable``.
    """
    try:
        return file.read_bytes()
    except OSError as error:
        raise CertificateError(
            f"cannot read {file}: {error.strerror}",
            code="certificate-unreadable",
            hint="mend the path or the permissions",
        ) from error
