"""Certificates that recipients are shown and that are not ours to renew."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509

from linkseal.domains.watching import ending


@dataclass(slots=True)
class Foreign:
    """The certificate of a name that ends first.

    Attributes:
        shown: What it was read from, to be read once only.
        fingerprint: SHA-256 of it, hexadecimal.
        issuer: Who issued it.
        begins: Aware UTC.
        ends: Aware UTC.
        told: The days its end was last told of at; ``None`` before.
    """

    shown: frozenset[bytes]
    fingerprint: str
    issuer: str
    begins: datetime
    ends: datetime
    told: int | None = None

    def days_left(self, now: float) -> float:
        """Return the days to its end; negative after it."""
        return (self.ends.timestamp() - now) / 86_400

    def to_tell(self, now: float) -> int | None:
        """Return the days under which its end has come since it was last told; else ``None``."""
        life = (self.ends - self.begins).total_seconds()
        days = ending(self.ends.timestamp(), life, now)
        return None if days == self.told else days

    def key(self, host: str, days: int) -> str:
        """Return what tells this alert from all others."""
        said = f"{host} {self.fingerprint} {days}"
        return hashlib.sha256(said.encode()).hexdigest()


def foreign_certificate(leaves: Sequence[bytes], before: Foreign | None) -> Foreign | None:
    """Return the one that ends first; what was seen before stays while the same is shown.

    Args:
        leaves: The leaf certificates that were shown, DER; one that cannot be read is left to
            the checks.
        before: What was seen last.
    """
    shown = frozenset(leaves)
    if not shown or (before is not None and before.shown == shown):
        return before
    found = []
    for leaf in sorted(shown):
        try:
            read = x509.load_der_x509_certificate(leaf)
            ends, begins = read.not_valid_after_utc, read.not_valid_before_utc
            issuer = read.issuer.rfc4514_string()
        except ValueError:
            continue
        found.append(
            Foreign(
                shown=shown,
                fingerprint=hashlib.sha256(leaf).hexdigest(),
                issuer=issuer,
                begins=begins.astimezone(UTC),
                ends=ends.astimezone(UTC),
            )
        )
    first = min(found, key=lambda each: each.ends, default=None)
    if first is not None and before is not None and before.fingerprint == first.fingerprint:
        first.told = before.told
    return first
