"""Uploaded certificates: refuse what a browser would refuse, and serve the rest.

Pure: bytes and the time come in, a chain in serving order or a refusal comes out. A chain
must hold up without fetching anything (no AIA), for not every client fetches.

Standards: RFC 5280 (chains), RFC 6125 §6.4.3 (wildcards), CA/Browser Forum Baseline
Requirements §6.3.2 (life).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from linkseal.certificates.chain import (
    CertificatePath,
    build_chain,
    extension,
    fault_of,
    is_ca,
    printable,
    title_of,
)
from linkseal.certificates.opening import fingerprint, open_upload, to_pem
from linkseal.certificates.pem import MIN_RSA_BITS, Certificate, parse_certificate
from linkseal.errors import CertificateError

_CURVES = ("secp256r1", "secp384r1")
# The issuers of Cloudflare's Origin CA carry no common name; these are their organizational units.
_ORIGIN_CA_UNITS = (
    "cloudflare origin ssl certificate authority",
    "cloudflare origin ssl ecc certificate authority",
)
# Baseline Requirements §6.3.2: the longest life, by the day of issue, newest first.
_LIFE_LIMITS = (
    (datetime(2029, 3, 15, tzinfo=UTC), timedelta(days=47)),
    (datetime(2027, 3, 15, tzinfo=UTC), timedelta(days=100)),
    (datetime(2026, 3, 15, tzinfo=UTC), timedelta(days=200)),
    (datetime(2020, 9, 1, tzinfo=UTC), timedelta(days=398)),
)


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload that may be served.

    Attributes:
        certificate: The chain, leaf first and without its root, and its key.
        warnings: What the person should know, one sentence each.
        origin_ca: Only Cloudflare trusts it: it may serve a name on route ``cdn`` alone.
    """

    certificate: Certificate
    warnings: tuple[str, ...]
    origin_ca: bool


def read_upload(
    data: bytes,
    key: bytes | None,
    *,
    password: str | None,
    names: Sequence[str],
    cdn: bool,
    now: datetime,
    roots: Sequence[x509.Certificate],
) -> Upload:
    """Open an upload, check it as a browser will, and put its chain in order.

    Args:
        data: PEM certificates in any order, perhaps with their key and with text between; or
            DER PKCS #12.
        key: A PEM private key given apart.
        password: Of the key or of the PKCS #12; not used where nothing is encrypted.
        names: Host names it must cover, as A-labels; ``*.`` asks for a wildcard.
        cdn: Whether these names are reached through Cloudflare, so an Origin CA will do.
        now: Aware.
        roots: Those the recipients' browsers trust. A private CA's root among them is trusted
            as any other: whoever adds it says that these recipients trust it.

    Raises:
        CertificateError: The code says which check failed, the message what was seen, the
            hint what to do.
    """
    certificates, keys = open_upload(data, key, password)
    leaf, private = _pair(certificates, keys, now)
    _refuse_leaf(leaf, now)
    certificate = _parsed(leaf, private)
    wanted = [name.lower().rstrip(".") for name in names]
    _refuse_names(certificate, leaf, wanted)
    others = [other for other in certificates if other != leaf]
    origin_ca = _is_origin_ca(leaf)
    if origin_ca:
        _refuse_origin_ca(leaf, cdn=cdn)
        # Cloudflare has the issuer and wants nothing but the leaf. Who forges the issuer's name
        # harms himself only: Cloudflare then answers 526.
        path: CertificatePath = (leaf,)
    else:
        path = build_chain(leaf, others, roots, name=(*wanted, *certificate.names)[0], now=now)
    return Upload(
        replace(certificate, chain=b"".join(to_pem(link) for link in path)),
        (
            *_leaf_warnings(leaf, origin_ca=origin_ca),
            *_left_out(path, others, roots),
        ),
        origin_ca,
    )


# The leaf and its key


def _pair(
    certificates: Sequence[x509.Certificate], keys: Sequence[PrivateKeyTypes], now: datetime
) -> tuple[x509.Certificate, PrivateKeyTypes]:
    """Return the certificate a key belongs to; of several (a renewal kept the key), the newest."""
    if not keys:
        raise CertificateError(
            f"no private key was given for {_titles(certificates)}",
            code="certificate-key-missing",
            hint="give the key the certificate was requested with, in the same file or apart",
        )
    pairs = [
        (certificate, private)
        for certificate in certificates
        for private in keys
        if private.public_key() == certificate.public_key()
    ]
    if not pairs:
        kinds = ", ".join(sorted({_kind(private) for private in keys}))
        raise CertificateError(
            f"the key ({kinds}) belongs to none of the certificates: {_titles(certificates)}",
            code="certificate-key-mismatch",
            hint="give the key the certificate was requested with",
        )

    def worth(pair: tuple[x509.Certificate, PrivateKeyTypes]) -> tuple[bool, bool, datetime, bytes]:
        leaf = pair[0]
        begun = leaf.not_valid_before_utc <= now
        return not is_ca(leaf), begun, leaf.not_valid_after_utc, fingerprint(leaf)

    return max(pairs, key=worth)


def _parsed(leaf: x509.Certificate, private: PrivateKeyTypes) -> Certificate:
    strong = (
        private.key_size >= MIN_RSA_BITS
        if isinstance(private, rsa.RSAPrivateKey)
        else isinstance(private, ec.EllipticCurvePrivateKey) and private.curve.name in _CURVES
    )
    if not strong:
        raise CertificateError(
            f"the key of {title_of(leaf)} is {_kind(private)}, which browsers refuse",
            code="certificate-key-weak",
            hint="request a certificate with a new key: P-256, or RSA with 2048 bits or more",
        )
    key_pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return parse_certificate(to_pem(leaf), key_pem, source=title_of(leaf))


def _kind(private: PrivateKeyTypes) -> str:
    if isinstance(private, ec.EllipticCurvePrivateKey):
        return f"EC on {private.curve.name}"
    kind = type(private).__name__.removesuffix("PrivateKey")
    return f"RSA with {private.key_size} bits" if isinstance(private, rsa.RSAPrivateKey) else kind


def _refuse_leaf(leaf: x509.Certificate, now: datetime) -> None:
    title = title_of(leaf)
    if is_ca(leaf):
        raise CertificateError(
            f"the key belongs to {title}, which is the certificate of a CA",
            code="certificate-is-ca",
            hint="give the server certificate and its key; of a certificate signed by itself, "
            "get one from a CA in its place",
        )
    fault = fault_of(leaf, now)
    if fault is not None:
        raise fault
    # Absent, RFC 5280 §4.2.1.12 allows every purpose; Apple's clients refuse all the same.
    purposes = extension(leaf, x509.ExtendedKeyUsage)
    if purposes is None or ExtendedKeyUsageOID.SERVER_AUTH not in purposes:
        raise CertificateError(
            f"the certificate {title} is not for servers: its extended key usage lacks serverAuth",
            code="certificate-purpose",
            hint="request a TLS server certificate, with extendedKeyUsage = serverAuth",
        )


def _refuse_names(certificate: Certificate, leaf: x509.Certificate, names: Sequence[str]) -> None:
    missing = [name for name in names if not certificate.covers(name)]
    if missing or not certificate.names:
        seen = printable(", ".join(certificate.names[:5])) or "no host name"
        more = f" and {len(certificate.names) - 5} more" if len(certificate.names) > 5 else ""
        wanted = ", ".join(missing) or "any host"
        raise CertificateError(
            f"the certificate {title_of(leaf)} is for {seen}{more}, not for {wanted}",
            code="certificate-name",
            hint=f"request one whose subjectAltName has {wanted}; "
            "a wildcard stands for exactly one label",
        )


def _refuse_origin_ca(leaf: x509.Certificate, *, cdn: bool) -> None:
    if not cdn:
        raise CertificateError(
            f"the certificate {title_of(leaf)} is from Cloudflare's Origin CA: "
            "only Cloudflare trusts it, browsers do not",
            code="certificate-origin-ca",
            hint="put the domain on route cdn behind Cloudflare's proxy, "
            "or upload a certificate from a public CA",
        )


def _is_origin_ca(leaf: x509.Certificate) -> bool:
    organizations = leaf.issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    units = leaf.issuer.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    return any(str(each.value).lower() == "cloudflare, inc." for each in organizations) and any(
        str(each.value).lower() in _ORIGIN_CA_UNITS for each in units
    )


def _titles(certificates: Sequence[x509.Certificate]) -> str:
    return ", ".join(title_of(certificate) for certificate in certificates)


# What is said of it


def _leaf_warnings(leaf: x509.Certificate, *, origin_ca: bool) -> Iterator[str]:
    if origin_ca:
        yield (
            "only Cloudflare trusts this certificate: taking the name off its proxy "
            "(grey cloud) breaks every link on it"
        )
        return
    life = leaf.not_valid_after_utc - leaf.not_valid_before_utc
    limits = (limit for since, limit in _LIFE_LIMITS if leaf.not_valid_before_utc >= since)
    limit = next(limits, None)
    if limit is not None and life > limit:
        yield (
            f"it is valid for {life.days} days; browsers may refuse one of a public CA that "
            f"lives longer than {limit.days}"
        )


def _left_out(
    path: CertificatePath, others: Sequence[x509.Certificate], roots: Sequence[x509.Certificate]
) -> Iterator[str]:
    issuers = [link.issuer for link in path]
    for other in others:
        # Every client has the root already: leaving it out is no news.
        is_root = other.subject == other.issuer or other in roots
        if other not in path and not (is_root and other.subject in issuers):
            yield f"{title_of(other)} is not part of the chain, and is left out"
