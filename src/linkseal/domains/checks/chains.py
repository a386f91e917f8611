"""Certificates as they were sent: reading them and judging the chain. Pure.

Whatever a stranger sends comes through here, so nothing in it may raise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import verification
from cryptography.x509.oid import NameOID

from linkseal.domains.observation import Observation

_BROKEN = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What the library raises for a certificate that it cannot read."""
_SHA2 = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
_MAX_LINKS = 10
_Fault = tuple[str, Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Shown:
    """One chain that was sent, and by which address.

    Attributes:
        address: Who sent it.
        links: Leaf first; empty when one cannot be read.
    """

    address: str
    links: tuple[x509.Certificate, ...]

    def title(self) -> str:
        """Return the leaf's subject, or its first name."""
        return title_of(self.links[0]) if self.links else "unreadable"

    def lines(self) -> list[str]:
        """Return one line a certificate, as evidence."""
        return [
            f"{self.address}: {title_of(link)}, issued by {_text(link.issuer)}, "
            f"until {link.not_valid_after_utc:%Y-%m-%d}"
            for link in self.links
        ] or [f"{self.address}: unreadable"]


def shown_chains(seen: Observation) -> list[Shown]:
    """Return the different chains of handshakes with modern TLS, one of each."""
    found: dict[tuple[bytes, ...], Shown] = {}
    shakes = [each for each in seen.handshakes if each.chain and not each.error]
    modern = [each for each in shakes if each.offered in {"1.2", "1.3"}]
    for each in modern or shakes:
        if each.chain not in found:
            found[each.chain] = Shown(each.address, _read(each.chain))
    return list(found.values())


def _read(chain: Sequence[bytes]) -> tuple[x509.Certificate, ...]:
    try:
        links = tuple(x509.load_der_x509_certificate(der) for der in chain[:_MAX_LINKS])
        for link in links:  # The library reads these only when asked.
            _ = link.extensions, link.subject, link.issuer
            _ = link.not_valid_before_utc, link.not_valid_after_utc
    except _BROKEN:
        return ()
    return links


def _text(name: x509.Name) -> str:
    return name.rfc4514_string() or "a nameless CA"


def title_of(certificate: x509.Certificate) -> str:
    """Return the subject, else the first name, of a certificate that could be read."""
    return certificate.subject.rfc4514_string() or next(iter(names_of(certificate)), "no name")


def names_of(certificate: x509.Certificate) -> list[str]:
    """Return the DNS names; the common name is none (RFC 6125 §6.4.4 is history)."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return extension.value.get_values_for_type(x509.DNSName)


def covers(pattern: str, host: str) -> bool:
    """Whether a certificate's name is the host's; a wildcard is one whole label."""
    pattern = pattern.lower().rstrip(".")
    if pattern.startswith("*."):
        return host.partition(".")[2] == pattern[2:] and "." in pattern[2:]
    return pattern == host


def weakness(certificate: x509.Certificate) -> str:
    """Return what browsers refuse in a key or signature; empty for nothing."""
    try:
        key = certificate.public_key()
        digest = certificate.signature_hash_algorithm
    except _BROKEN:
        return "a key or signature of an unknown kind"
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < 2048:
            return f"an RSA key of {key.key_size} bits"
    elif not isinstance(key, ec.EllipticCurvePublicKey):
        return f"a key of a kind browsers refuse ({type(key).__name__.removesuffix('PublicKey')})"
    elif key.curve.name not in _CURVES:
        return f"a key on the curve {key.curve.name}"
    # A root's own signature is judged by nobody.
    if certificate.subject != certificate.issuer and not isinstance(digest, _SHA2):
        return f"a signature with {digest.name.upper() if digest else 'no digest'}"
    return ""


def is_taken(
    chain: Sequence[bytes], host: str, roots: Sequence[x509.Certificate], now: datetime
) -> bool:
    """Whether a browser takes a chain for a host without a warning.

    Args:
        chain: DER certificates as sent, leaf first.
        host: Whose the leaf has to be.
        roots: Those that browsers trust; without any, it is not asked who issued it.
        now: The time of the verdict.
    """
    links = _read(chain)
    if not links:
        return False
    leaf = links[0]
    valid = leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc
    named = any(covers(each, host) for each in names_of(leaf))
    return valid and named and not (roots and _refusal(links, roots, now))


def fault_in_chain(shown: Shown, roots: Sequence[x509.Certificate], now: datetime) -> _Fault | None:
    """Return which message of TLS-02 fits, with its fields; ``None`` when browsers trust it.

    The leaf's own dates are TLS-04's and its names TLS-03's: neither is held against it here.
    """
    if not shown.links:
        return "unreadable", {"ip": shown.address}
    leaf = shown.links[0]
    problem = _refusal(shown.links, roots, now)
    if not problem:
        return None
    values = {
        "ip": shown.address,
        "subject": title_of(leaf),
        "issuer": _text(leaf.issuer),
        "problem": problem,
    }
    units = leaf.issuer.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    if any(str(unit.value).lower().startswith("cloudflare origin ssl") for unit in units):
        return "origin-ca", values
    if any(mark in values["issuer"].lower() for mark in ("(staging)", "fake le ")):
        return "staging", values
    if leaf.subject == leaf.issuer:
        return "self-signed", values
    top = _top(shown.links)
    values |= {"subject": title_of(top), "issuer": _text(top.issuer)}
    if top.subject == top.issuer:
        return ("untrusted" if top not in roots else "refused"), values
    if not any(root.subject == top.issuer for root in roots):
        return "missing", values
    return "refused", values | {"subject": title_of(leaf)}


def _top(links: Sequence[x509.Certificate]) -> x509.Certificate:
    """Return where the chain ends that the leaf begins, in whatever order it was sent."""
    top = links[0]
    for _ in links:
        above = next((one for one in links[1:] if one != top and _issued(one, top)), None)
        if above is None:
            break
        top = above
    return top


def _issued(issuer: x509.Certificate, child: x509.Certificate) -> bool:
    if issuer.subject != child.issuer or child.subject == child.issuer:
        return False
    try:
        child.verify_directly_issued_by(issuer)
    except (*_BROKEN, InvalidSignature):
        return False
    return True


def _refusal(
    links: Sequence[x509.Certificate], roots: Sequence[x509.Certificate], now: datetime
) -> str:
    """Return why no path to a root is valid (RFC 5280 §6); empty when one is."""
    leaf = links[0]
    second = timedelta(seconds=1)
    at = min(max(now, leaf.not_valid_before_utc), leaf.not_valid_after_utc - second)
    some = verification.Criticality.AGNOSTIC
    anything = verification.ExtensionPolicy.permit_all()
    host = next(iter(names_of(leaf)), "")
    if not host:
        return "it has no names"
    try:
        verifier = (
            verification.PolicyBuilder()
            .store(verification.Store(list(roots)))
            .time(at)
            .extension_policies(
                ca_policy=anything.require_present(x509.BasicConstraints, some, None),
                ee_policy=anything.require_present(x509.SubjectAlternativeName, some, None),
            )
            .build_server_verifier(x509.DNSName(host.replace("*", "x", 1)))
        )
        verifier.verify(leaf, list(links[1:]))
    except (verification.VerificationError, *_BROKEN) as error:
        return str(error) or type(error).__name__
    return ""
