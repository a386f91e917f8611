"""Who may sign the client certificate of a customer's CDN, and whether one is theirs. Pure.

A CDN or proxy can show us a certificate of its own on the way to us. We never refuse one: the
answer to whose it is only stands in a report (check ORG-06).

Standards: RFC 5280 (chains), RFC 7468 (PEM), RFC 8446 §4.3.2 (asking for a certificate).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID

from linkseal.domains.observation import ClientCertificate
from linkseal.errors import CertificateError

MAX_BYTES: Final = 1 << 17
MAX_AUTHORITIES: Final = 8
"""An old and a new one, each with its intermediate, is four; they are named in each handshake."""
MAX_TEXT: Final = 300
"""Characters of a name that are told."""
_MIN_RSA_BITS = 2048
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
_MAX_LINKS = 10
_Extension = TypeVar("_Extension", bound=x509.ExtensionType)
_KEY = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")
_BROKEN = (
    ValueError,
    TypeError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What is raised for a certificate that cannot be read, or is of a day at the end of all days."""


@dataclass(frozen=True, slots=True)
class ClientAuthority:
    """Those that sign a CDN's client certificates.

    Attributes:
        id: SHA-256 of what they are, hexadecimal.
        pem: All of them, without anything else that stood in the file.
        title: Their subjects.
        expires_at: When the first of them expires, aware UTC.
    """

    id: str
    pem: str
    title: str
    expires_at: datetime


def read_authority(data: bytes, now: datetime, *, source: str) -> ClientAuthority:
    """Read the CAs of a CDN's client certificates, or one certificate that is its own CA.

    Args:
        data: PEM, with any text between.
        now: Aware.
        source: What the file is called.

    Raises:
        CertificateError: ``client-ca-has-key``, ``certificate-unreadable``, ``client-ca-too-many``,
            ``client-ca-not-ca``, ``certificate-key-weak``, ``certificate-expired``.
    """
    if _KEY.search(data):
        raise CertificateError(
            f"{source} holds a private key, which is not taken and was not kept",
            code="client-ca-has-key",
            hint="give the CA's certificate alone; the key stays with the CDN or proxy that shows "
            "the certificate",
        )
    try:
        found = x509.load_pem_x509_certificates(data[:MAX_BYTES])
        links = list(dict.fromkeys(found))
        for link in links:
            _ = link.extensions, link.public_key()
    except _BROKEN as error:
        raise CertificateError(
            f"{source} holds no PEM certificate that can be read",
            code="certificate-unreadable",
            hint="give the CA as PEM: -----BEGIN CERTIFICATE-----; `openssl x509 -inform der` "
            "turns a DER certificate into it",
        ) from error
    if len(links) > MAX_AUTHORITIES:
        raise CertificateError(
            f"{source} holds {len(links)} certificates; {MAX_AUTHORITIES} are the most",
            code="client-ca-too-many",
            hint="give only the CA that signs this CDN's client certificate, no list of public CAs",
        )
    for link in links:
        _refuse(link, now)
    pem = b"".join(link.public_bytes(serialization.Encoding.PEM) for link in links)
    return authority_of(pem.decode("ascii"))


def authority_of(pem: str) -> ClientAuthority:
    """Return what :func:`read_authority` made, from its PEM."""
    links = x509.load_pem_x509_certificates(pem.encode("ascii"))
    return ClientAuthority(
        hashlib.sha256(pem.encode("ascii")).hexdigest(),
        pem,
        "; ".join(_text(link.subject) for link in links),
        min(link.not_valid_after_utc for link in links),
    )


def der_of(pem: str) -> tuple[bytes, ...]:
    """Return the certificates of an authority as the edge takes them."""
    links = x509.load_pem_x509_certificates(pem.encode("ascii"))
    return tuple(link.public_bytes(serialization.Encoding.DER) for link in links)


def _refuse(link: x509.Certificate, now: datetime) -> None:
    title = _text(link.subject)
    if not _is_ca(link) and link.subject != link.issuer:
        raise CertificateError(
            f"{title} is no CA: it is a certificate that {_text(link.issuer)} issued",
            code="client-ca-not-ca",
            hint="give the certificate of the CA that issued it; the CDN then stays trusted when "
            "its certificate is renewed",
        )
    key = link.public_key()
    strong = (
        key.key_size >= _MIN_RSA_BITS
        if isinstance(key, rsa.RSAPublicKey)
        else isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES
    )
    if not strong:
        raise CertificateError(
            f"the key of {title} is too weak, or of a kind that is not verified",
            code="certificate-key-weak",
            hint="make the CA anew with a P-256 key, or RSA of 2048 bits or more",
        )
    if link.not_valid_after_utc <= now:
        raise CertificateError(
            f"{title} expired at {link.not_valid_after_utc.isoformat()}",
            code="certificate-expired",
            hint="give the CA's present certificate, and leave the old one out",
        )


def judge_client(
    leaf: bytes, others: Sequence[bytes], authorities: Sequence[bytes], now: datetime
) -> ClientCertificate:
    """Say what a peer showed, and whether it is of an authority; nothing in it raises.

    Args:
        leaf: DER, as it was shown.
        others: What was sent with it.
        authorities: DER, as :func:`der_of` returns them.
        now: Aware.
    """
    subject, issuer, not_before, not_after = "unreadable", "", None, None
    try:
        shown = x509.load_der_x509_certificate(leaf)
        subject, issuer = _text(shown.subject), _text(shown.issuer)
        not_before, not_after = shown.not_valid_before_utc, shown.not_valid_after_utc
        links = [x509.load_der_x509_certificate(each) for each in others[:_MAX_LINKS]]
        known = [x509.load_der_x509_certificate(each) for each in authorities]
        problem, why = _fault(shown, links, known, now)
    except _BROKEN:
        problem, why = "refused", "it, or what was sent with it, cannot be read"
    fingerprint = hashlib.sha256(leaf).hexdigest()
    return ClientCertificate(
        subject, issuer, not_after, fingerprint, problem, why[:MAX_TEXT], not_before
    )


def _fault(
    leaf: x509.Certificate,
    others: list[x509.Certificate],
    authorities: list[x509.Certificate],
    now: datetime,
) -> tuple[str, str]:
    """Return what is wrong and, where that says too little, why; both empty for nothing."""
    # Whose it is comes first, whether it is valid today then: an expired one is still theirs.
    second = timedelta(seconds=1)
    at = min(max(now, leaf.not_valid_before_utc), leaf.not_valid_after_utc - second)
    if not authorities:
        return "foreign", ""
    if leaf not in authorities:
        why = _refusal(leaf, others, authorities, at)
        if why:
            subjects = [each.subject for each in authorities]
            ours = any(each.issuer in subjects for each in (leaf, *others))
            late = [each for each in authorities if each.not_valid_after_utc <= at]
            if ours and late:
                return "refused", f"the CA {_text(late[0].subject)} is expired itself"
            return ("refused", why) if ours else ("foreign", "")
    if leaf.not_valid_after_utc <= now:
        return "expired", ""
    if leaf.not_valid_before_utc > now:
        return "refused", f"it is not valid before {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
    # RFC 5280 §4.2.1.12: without it every purpose is allowed.
    purposes = _extension(leaf, x509.ExtendedKeyUsage)
    allowed = {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    if purposes is not None and allowed.isdisjoint(purposes):
        return "refused", "it is not for clients: its extended key usage lacks clientAuth"
    return "", ""


def _refusal(
    leaf: x509.Certificate,
    others: list[x509.Certificate],
    authorities: list[x509.Certificate],
    at: datetime,
) -> str:
    """Return why no path to an authority is valid (RFC 5280 §6); empty when one is."""
    anything = verification.ExtensionPolicy.permit_all()
    some = verification.Criticality.AGNOSTIC
    # Private CAs follow no profile of browsers': CDNs' client certificates mostly have no names.
    builder = (
        verification.PolicyBuilder()
        .store(verification.Store(authorities))
        .time(at)
        .extension_policies(
            ca_policy=anything.require_present(x509.BasicConstraints, some, None),
            ee_policy=anything,
        )
    )
    try:
        builder.build_client_verifier().verify(leaf, others)
    except verification.VerificationError as error:
        return str(error) or "its chain is not valid"
    return ""


def _is_ca(link: x509.Certificate) -> bool:
    constraints = _extension(link, x509.BasicConstraints)
    return constraints is not None and constraints.ca


def _extension(link: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    try:
        return link.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _text(name: x509.Name) -> str:
    text = name.rfc4514_string() or "no name"
    return "".join(char if char.isprintable() else "?" for char in text[:MAX_TEXT])
