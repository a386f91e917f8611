"""Rows of names and certificates as the values the rest of the service works with, and back."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from linkseal.store.times import from_ms, to_ms
from linkseal.store.values import (
    CertificateName,
    CertificateRoute,
    CertificateStatus,
    Challenge,
    NameKind,
    StoredCertificate,
)


def name_of(row: sa.Row[Any]) -> CertificateName:
    """Return the value of a row of names."""
    return CertificateName(
        name=row.name,
        kind=NameKind(row.kind),
        customer_id=row.customer_id,
        route=CertificateRoute(row.route),
        challenge=Challenge(row.challenge),
        due_at=from_ms(row.due_at_ms) if row.due_at_ms is not None else None,
        failures=row.failures,
        problem=row.problem,
        waiting=row.waiting,
        renewal=row.renewal,
        sealed_order=row.sealed_order,
        leased_until=from_ms(row.leased_until_ms) if row.leased_until_ms else None,
    )


def columns_of(**values: Any) -> dict[str, Any]:
    """Return fields of a :class:`CertificateName` as the columns that keep them."""
    columns = dict(values)
    if "due_at" in values:
        due_at = columns.pop("due_at")
        columns["due_at_ms"] = None if due_at is None else to_ms(due_at)
    if "leased_until" in values:
        leased_until = columns.pop("leased_until")
        columns["leased_until_ms"] = 0 if leased_until is None else to_ms(leased_until)
    for name in ("problem", "renewal"):
        if name in values and values[name] is None:
            columns[name] = sa.null()
    return columns


def certificate_of(row: sa.Row[Any]) -> StoredCertificate:
    """Return the value of a row of certificates."""
    return StoredCertificate(
        id=row.id,
        name=row.name,
        status=CertificateStatus(row.status),
        key_type=row.key_type,
        chain=row.chain,
        sealed_key=row.sealed_key,
        fingerprint=row.fingerprint,
        issuer=row.issuer,
        origin_ca=row.origin_ca,
        starts_at=from_ms(row.starts_at_ms),
        ends_at=from_ms(row.ends_at_ms),
        stored_at=from_ms(row.stored_at_ms),
    )
