"""Build the chain to serve: from a leaf up to a root that is trusted, without fetching anything.

Pure. Standards: RFC 5280 (chains), RFC 4158 (building them).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import verification
from cryptography.x509.oid import AuthorityInformationAccessOID

from linkseal.certificates.opening import BROKEN, fingerprint
from linkseal.errors import CertificateError

_MAX_INTERMEDIATES = 5
_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_Extension = TypeVar("_Extension", bound=x509.ExtensionType)
CertificatePath = tuple[x509.Certificate, ...]
"""Leaf first, each issued by the next."""


def build_chain(
    leaf: x509.Certificate,
    others: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
    *,
    name: str,
    now: datetime,
) -> CertificatePath:
    """Return the chain to serve: leaf first, without its root.

    Args:
        leaf: Free of faults (:func:`fault_of`).
        others: What may stand between it and a root, in any order.
        roots: Those that are trusted.
        name: One name of the leaf, perhaps a wildcard.
        now: Aware.

    Raises:
        CertificateError: ``certificate-chain-incomplete``, ``certificate-untrusted`` or
            ``certificate-chain-invalid``; or what :func:`fault_of` finds in an intermediate.
    """
    path = _trusted_path(leaf, others, roots, now)
    _verify(path, roots, name, now)
    return path


def _trusted_path(
    leaf: x509.Certificate,
    others: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
    now: datetime,
) -> CertificatePath:
    """Return the path to serve: of those without fault that reach a root, the longest.

    The longest, since a cross-signed root is uploaded for clients that lack the nearer root.
    """
    links = [other for other in others if is_ca(other) and other.subject != other.issuer]
    issuers = {child: [link for link in links if _issued(link, child)] for child in (leaf, *links)}
    paths = sorted(_paths((leaf,), issuers), key=_preference, reverse=True)
    trusted = [path for path in paths if _anchors(path[-1], roots, now)]
    faults = [
        next((fault for link in path if (fault := fault_of(link, now)) is not None), None)
        for path in trusted
    ]
    if None in faults:
        return trusted[faults.index(None)]
    raise faults[0] if faults and faults[0] else _untrusted(paths[0], others)


def _paths(
    path: CertificatePath, issuers: Mapping[x509.Certificate, Sequence[x509.Certificate]]
) -> Iterator[CertificatePath]:
    yield path
    if len(path) > _MAX_INTERMEDIATES:
        return
    for issuer in issuers[path[-1]]:
        # CAs that signed each other would lead round for ever (RFC 4158 §2.4.2).
        if not any(_same_entity(issuer, link) for link in path):
            yield from _paths((*path, issuer), issuers)


def _preference(path: CertificatePath) -> tuple[int, datetime, list[bytes]]:
    soonest = min(link.not_valid_after_utc for link in path)
    return len(path), soonest, [fingerprint(link) for link in path]


def _same_entity(one: x509.Certificate, other: x509.Certificate) -> bool:
    return one.subject == other.subject and one.public_key() == other.public_key()


def _issued(issuer: x509.Certificate, child: x509.Certificate) -> bool:
    """Whether name and signature say so; the name alone where the signature is a weak one."""
    if issuer.subject != child.issuer:
        return False
    if not _is_signed_strongly(child):
        return True  # The library verifies none of these, and fault_of refuses them by name.
    try:
        child.verify_directly_issued_by(issuer)
    except (*BROKEN, InvalidSignature):
        return False
    return True


def _anchors(
    top: x509.Certificate, roots: Sequence[x509.Certificate], now: datetime
) -> list[x509.Certificate]:
    """Return the roots that issued ``top`` and are valid."""
    return [
        root
        for root in roots
        if _issued(root, top) and root.not_valid_before_utc <= now < root.not_valid_after_utc
    ]


def _untrusted(path: CertificatePath, others: Sequence[x509.Certificate]) -> CertificateError:
    """Say why no path reaches a root: one is missing, or the root is not trusted."""
    top = path[-1]
    issuer = printable(top.issuer.rfc4514_string())
    urls = _issuer_urls(top)
    if urls and not any(_issued(other, top) for other in (*path, *others)):
        namesake = any(other.subject == top.issuer for other in others)
        seen = "was uploaded with another key" if namesake else "is neither uploaded nor trusted"
        return CertificateError(
            f"the chain ends at {title_of(top)}: its issuer, {issuer}, {seen}",
            code="certificate-chain-incomplete",
            hint=f"add the issuer's certificate: it is at {urls[0]} "
            "(`openssl x509 -inform der` turns it into PEM)",
        )
    return CertificateError(
        f"the chain ends at {title_of(top)}, issued by {issuer}, which is no root browsers trust",
        code="certificate-untrusted",
        hint="upload a certificate from a public CA with all its intermediates; if this is a "
        "private CA that all recipients trust, add its root to the trusted roots",
    )


def _issuer_urls(certificate: x509.Certificate) -> list[str]:
    """Return where the issuer's certificate can be had (RFC 5280 §4.2.2.1)."""
    access = extension(certificate, x509.AuthorityInformationAccess)
    return [
        printable(entry.access_location.value)
        for entry in access or ()
        if entry.access_method == AuthorityInformationAccessOID.CA_ISSUERS
        and isinstance(entry.access_location, x509.UniformResourceIdentifier)
    ]


def _verify(
    path: CertificatePath, roots: Sequence[x509.Certificate], name: str, now: datetime
) -> None:
    """Let the library judge too: it knows name constraints and path lengths (RFC 5280 §6)."""
    some = verification.Criticality.AGNOSTIC
    anything = verification.ExtensionPolicy.permit_all()
    builder = (
        verification.PolicyBuilder()
        .store(verification.Store(_anchors(path[-1], roots, now)))
        .time(now)
        .extension_policies(
            ca_policy=anything.require_present(x509.BasicConstraints, some, None),
            ee_policy=anything.require_present(x509.SubjectAlternativeName, some, None),
        )
    )
    # Every name of the leaf is held against the constraints, whichever is asked for.
    host = name.replace("*", "x", 1)
    try:
        builder.build_server_verifier(x509.DNSName(host)).verify(path[0], list(path[1:]))
    except (verification.VerificationError, ValueError) as error:
        raise CertificateError(
            f"browsers would refuse the chain of {title_of(path[0])}: {printable(str(error))}",
            code="certificate-chain-invalid",
            hint="ask the CA: a certificate above this one forbids what it is used for",
        ) from error


def fault_of(certificate: x509.Certificate, now: datetime) -> CertificateError | None:
    """Return why a certificate, leaf or intermediate, may not stand in a chain by itself."""
    title = title_of(certificate)
    if certificate.not_valid_after_utc <= now:
        return CertificateError(
            f"the certificate {title} expired at {certificate.not_valid_after_utc.isoformat()}",
            code="certificate-expired",
            hint="upload a renewed one, with the intermediates the CA gives with it today",
        )
    if certificate.not_valid_before_utc > now:
        return CertificateError(
            f"the certificate {title} is not valid before "
            f"{certificate.not_valid_before_utc.isoformat()}",
            code="certificate-not-yet-valid",
            hint="upload it then; if that time is past, set this machine's clock",
        )
    if not _is_signed_strongly(certificate):
        return CertificateError(
            f"the certificate {title} is signed with {_signature(certificate)}, "
            "which browsers refuse",
            code="certificate-signature-weak",
            hint="have the CA issue it anew, signed with SHA-256",
        )
    return None


def _is_signed_strongly(certificate: x509.Certificate) -> bool:
    try:
        return isinstance(certificate.signature_hash_algorithm, _HASHES)
    except UnsupportedAlgorithm:
        return False


def _signature(certificate: x509.Certificate) -> str:
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return f"algorithm {certificate.signature_algorithm_oid.dotted_string}"
    return algorithm.name.upper() if algorithm else "an Edwards curve"


def is_ca(certificate: x509.Certificate) -> bool:
    """Whether it may issue others (RFC 5280 §4.2.1.9)."""
    constraints = extension(certificate, x509.BasicConstraints)
    return constraints is not None and constraints.ca


def extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    """Return its extension of this kind, if it has one."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def title_of(certificate: x509.Certificate) -> str:
    """Name a certificate for people: its subject, or its serial number when it has none."""
    subject = printable(certificate.subject.rfc4514_string())
    return subject or f"serial {certificate.serial_number:x}"


def printable(text: str) -> str:
    """Return text from a stranger's certificate, cut and fit for a terminal."""
    return "".join(char if char.isprintable() else "?" for char in text[:200])
