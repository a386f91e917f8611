"""Uploaded certificates: open what a person gives, refuse what a browser would refuse.

Pure: bytes and the time come in, a chain in serving order or a refusal comes out. A chain
must hold up without fetching anything (no AIA), for not every client fetches.

Standards: RFC 5280 (chains), RFC 7468 (PEM), RFC 7292 (PKCS #12), RFC 6125 §6.4.3 (wildcards),
CA/Browser Forum Baseline Requirements §6.3.2 (life).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509 import verification
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from linkseal.certificates.pem import MIN_RSA_BITS, Certificate, parse_certificate
from linkseal.errors import CertificateError

MAX_BYTES = 1 << 20
MAX_CERTIFICATES = 12
"""Every path through them is tried, so their number is bounded."""
_MAX_INTERMEDIATES = 5
_WARN_DAYS = (1, 7, 14, 30)

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----[^-]*(?:-(?!----)[^-]*)*-----END \1-----")
_CERTIFICATE_LABELS = (b"CERTIFICATE", b"X509 CERTIFICATE")
_CURVES = ("secp256r1", "secp384r1")
_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
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
_BROKEN = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)
_Path = tuple[x509.Certificate, ...]
"""Leaf first, each issued by the next."""


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
    found, keys = _open(data, password)
    if key is not None:
        keys += _keys(_blocks(key, "the key file"), password)
        if not keys:
            raise CertificateError(
                "the key file holds no PEM private key",
                code="certificate-key-unreadable",
                hint="give PEM: -----BEGIN PRIVATE KEY-----; "
                "`openssl pkey -inform der` turns a DER key into it",
            )
    certificates = _distinct(found)
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
        path: _Path = (leaf,)
    else:
        path = _trusted_path(leaf, others, roots, now)
        _verify(path, roots, (*wanted, *certificate.names)[0], now)
    return Upload(
        replace(certificate, chain=b"".join(_pem(link) for link in path)),
        (
            *_leaf_warnings(leaf, origin_ca=origin_ca),
            *_left_out(path, others, roots),
        ),
        origin_ca,
    )


def expiry_warning(expires_at: datetime, now: datetime) -> int | None:
    """Return the smallest of 30, 14, 7 and 1 days that the life left does not exceed.

    0 when it has expired, ``None`` with more than 30 days left. Both are aware.
    """
    left = expires_at - now
    if left <= timedelta(0):
        return 0
    return next((days for days in _WARN_DAYS if left <= timedelta(days=days)), None)


# Opening


def _open(
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
    except _BROKEN as error:
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
    return [_load(_pem(entry.certificate)) for entry in entries], keys


def _decrypt_pkcs12(data: bytes, password: str | None) -> pkcs12.PKCS12KeyAndCertificates:
    try:
        return pkcs12.load_pkcs12(data, _secret(password))
    except _BROKEN:
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
    except _BROKEN as error:
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
    except _BROKEN as error:
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
        message, hint = f"the password does not open {what}", "give the one it was exported with"
    else:
        message, hint = f"{what} is encrypted, and no password was given", "give its password"
    return CertificateError(message, code="certificate-password", hint=hint)


def _distinct(found: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """Return them once each, in an order that does not depend on the upload's."""
    certificates = sorted(set(found), key=_fingerprint)
    if len(certificates) > MAX_CERTIFICATES:
        raise CertificateError(
            f"the upload holds {len(certificates)} certificates, more than {MAX_CERTIFICATES}",
            code="certificate-unreadable",
            hint="give the certificate and its own intermediates, not the CA's whole bundle",
        )
    return certificates


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
        return not _is_ca(leaf), begun, leaf.not_valid_after_utc, _fingerprint(leaf)

    return max(pairs, key=worth)


def _parsed(leaf: x509.Certificate, private: PrivateKeyTypes) -> Certificate:
    strong = (
        private.key_size >= MIN_RSA_BITS
        if isinstance(private, rsa.RSAPrivateKey)
        else isinstance(private, ec.EllipticCurvePrivateKey) and private.curve.name in _CURVES
    )
    if not strong:
        raise CertificateError(
            f"the key of {_title(leaf)} is {_kind(private)}, which browsers refuse",
            code="certificate-key-weak",
            hint="request a certificate with a new key: P-256, or RSA with 2048 bits or more",
        )
    key_pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return parse_certificate(_pem(leaf), key_pem, source=_title(leaf))


def _kind(private: PrivateKeyTypes) -> str:
    if isinstance(private, ec.EllipticCurvePrivateKey):
        return f"EC on {private.curve.name}"
    kind = type(private).__name__.removesuffix("PrivateKey")
    return f"RSA with {private.key_size} bits" if isinstance(private, rsa.RSAPrivateKey) else kind


def _refuse_leaf(leaf: x509.Certificate, now: datetime) -> None:
    title = _title(leaf)
    if _is_ca(leaf):
        raise CertificateError(
            f"the key belongs to {title}, which is the certificate of a CA",
            code="certificate-is-ca",
            hint="give the server certificate and its key; of a certificate signed by itself, "
            "get one from a CA in its place",
        )
    fault = _fault(leaf, now)
    if fault is not None:
        raise fault
    # Absent, RFC 5280 §4.2.1.12 allows every purpose; Apple's clients refuse all the same.
    purposes = _extension(leaf, x509.ExtendedKeyUsage)
    if purposes is None or ExtendedKeyUsageOID.SERVER_AUTH not in purposes:
        raise CertificateError(
            f"the certificate {title} is not for servers: its extended key usage lacks serverAuth",
            code="certificate-purpose",
            hint="request a TLS server certificate, with extendedKeyUsage = serverAuth",
        )


def _refuse_names(certificate: Certificate, leaf: x509.Certificate, names: Sequence[str]) -> None:
    missing = [name for name in names if not certificate.covers(name)]
    if missing or not certificate.names:
        seen = _plain(", ".join(certificate.names[:5])) or "no host name"
        more = f" and {len(certificate.names) - 5} more" if len(certificate.names) > 5 else ""
        wanted = ", ".join(missing) or "any host"
        raise CertificateError(
            f"the certificate {_title(leaf)} is for {seen}{more}, not for {wanted}",
            code="certificate-name",
            hint=f"request one whose subjectAltName has {wanted}; "
            "a wildcard stands for exactly one label",
        )


def _refuse_origin_ca(leaf: x509.Certificate, *, cdn: bool) -> None:
    if not cdn:
        raise CertificateError(
            f"the certificate {_title(leaf)} is from Cloudflare's Origin CA: "
            "only Cloudflare trusts it, browsers do not",
            code="certificate-origin-ca",
            hint="put the domain on route cdn behind Cloudflare's proxy, "
            "or upload a certificate from a public CA",
        )


def _fault(certificate: x509.Certificate, now: datetime) -> CertificateError | None:
    """Return why a certificate, leaf or intermediate, may not stand in a chain by itself."""
    title = _title(certificate)
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


# The chain


def _trusted_path(
    leaf: x509.Certificate,
    others: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
    now: datetime,
) -> _Path:
    """Return the path to serve: of those without fault that reach a root, the longest.

    The longest, since a cross-signed root is uploaded for clients that lack the nearer root.
    """
    links = [other for other in others if _is_ca(other) and other.subject != other.issuer]
    issuers = {child: [link for link in links if _issued(link, child)] for child in (leaf, *links)}
    paths = sorted(_paths((leaf,), issuers), key=_preference, reverse=True)
    trusted = [path for path in paths if _anchors(path[-1], roots, now)]
    faults = [
        next((fault for link in path if (fault := _fault(link, now)) is not None), None)
        for path in trusted
    ]
    if None in faults:
        return trusted[faults.index(None)]
    raise faults[0] if faults and faults[0] else _untrusted(paths[0], others)


def _paths(
    path: _Path, issuers: Mapping[x509.Certificate, Sequence[x509.Certificate]]
) -> Iterator[_Path]:
    yield path
    if len(path) > _MAX_INTERMEDIATES:
        return
    for issuer in issuers[path[-1]]:
        # CAs that signed each other would lead round for ever (RFC 4158 §2.4.2).
        if not any(_same_entity(issuer, link) for link in path):
            yield from _paths((*path, issuer), issuers)


def _preference(path: _Path) -> tuple[int, datetime, list[bytes]]:
    soonest = min(link.not_valid_after_utc for link in path)
    return len(path), soonest, [_fingerprint(link) for link in path]


def _same_entity(one: x509.Certificate, other: x509.Certificate) -> bool:
    return one.subject == other.subject and one.public_key() == other.public_key()


def _issued(issuer: x509.Certificate, child: x509.Certificate) -> bool:
    """Whether name and signature say so; the name alone where the signature is a weak one."""
    if issuer.subject != child.issuer:
        return False
    if not _is_signed_strongly(child):
        return True  # The library verifies none of these, and _fault refuses them by name.
    try:
        child.verify_directly_issued_by(issuer)
    except (*_BROKEN, InvalidSignature):
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


def _untrusted(path: _Path, others: Sequence[x509.Certificate]) -> CertificateError:
    """Say why no path reaches a root: one is missing, or the root is not trusted."""
    top = path[-1]
    issuer = _plain(top.issuer.rfc4514_string())
    urls = _issuer_urls(top)
    if urls and not any(_issued(other, top) for other in (*path, *others)):
        namesake = any(other.subject == top.issuer for other in others)
        seen = "was uploaded with another key" if namesake else "is neither uploaded nor trusted"
        return CertificateError(
            f"the chain ends at {_title(top)}: its issuer, {issuer}, {seen}",
            code="certificate-chain-incomplete",
            hint=f"add the issuer's certificate: it is at {urls[0]} "
            "(`openssl x509 -inform der` turns it into PEM)",
        )
    return CertificateError(
        f"the chain ends at {_title(top)}, issued by {issuer}, which is no root browsers trust",
        code="certificate-untrusted",
        hint="upload a certificate from a public CA with all its intermediates; if this is a "
        "private CA that all recipients trust, add its root to the trusted roots",
    )


def _issuer_urls(certificate: x509.Certificate) -> list[str]:
    """Return where the issuer's certificate can be had (RFC 5280 §4.2.2.1)."""
    access = _extension(certificate, x509.AuthorityInformationAccess)
    return [
        _plain(entry.access_location.value)
        for entry in access or ()
        if entry.access_method == AuthorityInformationAccessOID.CA_ISSUERS
        and isinstance(entry.access_location, x509.UniformResourceIdentifier)
    ]


def _verify(path: _Path, roots: Sequence[x509.Certificate], name: str, now: datetime) -> None:
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
            f"browsers would refuse the chain of {_title(path[0])}: {_plain(str(error))}",
            code="certificate-chain-invalid",
            hint="ask the CA: a certificate above this one forbids what it is used for",
        ) from error


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
    path: _Path, others: Sequence[x509.Certificate], roots: Sequence[x509.Certificate]
) -> Iterator[str]:
    issuers = [link.issuer for link in path]
    for other in others:
        # Every client has the root already: leaving it out is no news.
        is_root = other.subject == other.issuer or other in roots
        if other not in path and not (is_root and other.subject in issuers):
            yield f"{_title(other)} is not part of the chain, and is left out"


def _is_origin_ca(leaf: x509.Certificate) -> bool:
    organizations = leaf.issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    units = leaf.issuer.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    return any(str(each.value).lower() == "cloudflare, inc." for each in organizations) and any(
        str(each.value).lower() in _ORIGIN_CA_UNITS for each in units
    )


def _is_ca(certificate: x509.Certificate) -> bool:
    constraints = _extension(certificate, x509.BasicConstraints)
    return constraints is not None and constraints.ca


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


def _extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _fingerprint(certificate: x509.Certificate) -> bytes:
    return certificate.fingerprint(hashes.SHA256())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _titles(certificates: Sequence[x509.Certificate]) -> str:
    return ", ".join(_title(certificate) for certificate in certificates)


def _title(certificate: x509.Certificate) -> str:
    """Name a certificate for people: its subject, or its serial number when it has none."""
    subject = _plain(certificate.subject.rfc4514_string())
    return subject or f"serial {certificate.serial_number:x}"


def _plain(text: str) -> str:
    """Return text from a stranger's certificate, cut and fit for a terminal."""
    return "".join(char if char.isprintable() else "?" for char in text[:200])
