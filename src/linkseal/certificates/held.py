"""Certificates in the store: keys sealed, orders in flight, what to show for which name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from linkseal.certificates.schedule import Life, State, state
from linkseal.errors import CertificateError
from linkseal.store import (
    CertificateName,
    CertificateRoute,
    CertificateStatus,
    NewCertificate,
    StoredCertificate,
)
from linkseal.vault import Vault

UPLOADED: Final = "uploaded"
_KEY: Final = "certificate-key"
_ORDER: Final = "certificate-order"
ACCOUNT_KEY: Final = "acme-account-key"
PURPOSES: Final = {
    "certificates": _KEY,
    "certificate_names": _ORDER,
    "acme_accounts": ACCOUNT_KEY,
}
"""What the secrets in a table of the database are sealed for."""


class Made(msgspec.Struct, frozen=True):
    """A certificate that came of an order whose name wants more of them."""

    key_type: str
    key: bytes
    chain: str


class Flight(msgspec.Struct, frozen=True):
    """An order under way. Kept before a CA is told to issue, so that no crash loses its key.

    Attributes:
        issuer: The CA's directory.
        url: The order's; empty before it is made.
        key_type: Of the certificate ordered.
        key: PEM, secret.
        csr: PEM.
        made: Certificates of other key types that came before, of the same CA.
        tries: How often it was resumed in vain.
    """

    issuer: str
    url: str
    key_type: str
    key: bytes
    csr: bytes
    made: tuple[Made, ...] = ()
    tries: int = 0

    def __repr__(self) -> str:
        """Name it without its key."""
        return f"Flight(issuer={self.issuer!r}, url={self.url!r}, key_type={self.key_type!r})"


def seal_flight(vault: Vault, flight: Flight) -> bytes:
    """Return an order for the store."""
    return vault.seal(msgspec.msgpack.encode(flight), _ORDER)


def open_flight(vault: Vault, sealed: bytes) -> Flight:
    """Return an order out of the store.

    Raises:
        VaultError: It is sealed under another master key.
    """
    return msgspec.msgpack.decode(vault.open(sealed, _ORDER), type=Flight)


def to_store(
    vault: Vault, chain: bytes, key: bytes, *, issuer: str, origin_ca: bool = False
) -> NewCertificate:
    """Return a certificate for the store, its key sealed.

    Args:
        vault: Seals the key.
        chain: PEM, leaf first.
        key: PEM.
        issuer: The CA's directory, or :data:`UPLOADED`.
        origin_ca: Whether only Cloudflare trusts it.
    """
    leaf = x509.load_pem_x509_certificate(chain)
    return NewCertificate(
        key_type=key_type_of(leaf),
        chain=chain.decode("ascii"),
        sealed_key=vault.seal(key, _KEY),
        fingerprint=leaf.fingerprint(hashes.SHA256()).hex(),
        issuer=issuer,
        origin_ca=origin_ca,
        starts_at=leaf.not_valid_before_utc,
        ends_at=leaf.not_valid_after_utc,
    )


def open_key(vault: Vault, stored: StoredCertificate) -> bytes:
    """Return a stored certificate's key, PEM.

    Raises:
        VaultError: It is sealed under another master key.
    """
    return vault.open(stored.sealed_key, _KEY)


def key_type_of(leaf: x509.Certificate) -> str:
    """Return a certificate's kind of key, as ``p256`` or ``rsa2048``."""
    key = leaf.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"p{key.curve.key_size}"
    if isinstance(key, rsa.RSAPublicKey):
        return f"rsa{key.key_size}"
    raise CertificateError(
        "the certificate's key is of a kind browsers refuse",
        code="certificate-key-weak",
        hint="use P-256, or RSA with 2048 bits or more",
    )


@dataclass(frozen=True, slots=True)
class Standing:
    """How a name stands.

    Attributes:
        name: As stored.
        state: Now.
        in_use: Its certificates in use, P-256 first.
        life: Of the one that ends first; ``None`` without any.
    """

    name: CertificateName
    state: State
    in_use: tuple[StoredCertificate, ...]
    life: Life | None


def standing(
    name: CertificateName, certificates: Sequence[StoredCertificate], now: datetime
) -> Standing:
    """Return how a name stands.

    Args:
        name: As stored.
        certificates: Its certificates, those out of use too.
        now: Aware.
    """
    current = tuple(each for each in certificates if each.status is CertificateStatus.CURRENT)
    latest = max(certificates, key=lambda each: each.id, default=None)
    revoked = not current and latest is not None and latest.status is CertificateStatus.REVOKED
    soonest = min(current or ([latest] if revoked and latest else []), key=_end, default=None)
    life = Life(soonest.starts_at, soonest.ends_at) if soonest else None
    return Standing(
        name=name,
        state=state(
            life,
            now,
            failing=name.problem is not None,
            revoked=revoked,
            renewed=name.route is CertificateRoute.ACME,
        ),
        in_use=current,
        life=life,
    )


def standings(
    names: Sequence[CertificateName], certificates: Sequence[StoredCertificate], now: datetime
) -> list[Standing]:
    """Return how every name stands; see :func:`standing`."""
    by_name: Mapping[str, list[StoredCertificate]] = {
        name: list(group)
        for name, group in groupby(
            sorted(certificates, key=lambda each: each.name), key=lambda each: each.name
        )
    }
    return [standing(name, by_name.get(name.name, []), now) for name in names]


def shown(
    certificates: Sequence[StoredCertificate], now: datetime
) -> dict[str, list[StoredCertificate]]:
    """Return what to show for which name: what is in use and has not expired, P-256 first."""
    found: dict[str, list[StoredCertificate]] = {}
    for each in sorted(certificates, key=lambda each: (each.name, each.key_type)):
        if each.status is CertificateStatus.CURRENT and each.ends_at > now:
            found.setdefault(each.name, []).append(each)
    return found


def _end(stored: StoredCertificate) -> datetime:
    return stored.ends_at
