"""How a name's certificates are shown: as a table's row, in full, and as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from linkseal.certificates.held import Standing
from linkseal.certificates.schedule import State
from linkseal.store import CertificateRoute, HistoryEntry, StoredCertificate

COLUMNS = ("name", "state", "route", "issuer", "ends (UTC)", "days", "next", "why")
"""Headings of :func:`row`."""


def row(found: Standing, now: datetime) -> tuple[object, ...]:
    """Return a name as one row of a table."""
    return (
        found.name.name,
        found.state.value,
        _route(found),
        found.in_use[0].issuer if found.in_use else "",
        f"{found.life.end:%Y-%m-%d %H:%M}" if found.life else "",
        (found.life.end - now).days if found.life else "",
        f"{found.name.due_at:%Y-%m-%d %H:%M}" if found.name.due_at else "",
        found.name.waiting or (found.name.problem or {}).get("detail", ""),
    )


def fields(found: Standing) -> list[tuple[str, object]]:
    """Return everything there is to say of a name now, each with its label."""
    name = found.name
    rows: list[tuple[str, object]] = [
        ("name", name.name),
        ("state", found.state.value),
        ("meaning", meaning(found)),
        ("route", _route(found)),
    ]
    rows += [(each.key_type, _sentence(each)) for each in found.in_use]
    if name.problem:
        rows.append(("problem", f"{name.problem['type']}: {name.problem['detail']}"))
        rows.append(("advice", name.problem["advice"]))
    if name.failures:
        rows.append(("failed tries", name.failures))
    if name.waiting:
        rows.append(("waiting", name.waiting))
    if name.sealed_order:
        rows.append(("order", "under way"))
    if name.renewal and name.renewal.get("start"):
        rows.append(("renewal window", f"{name.renewal['start']} to {name.renewal['end']}"))
    if name.due_at:
        rows.append(("next look", f"{name.due_at:%Y-%m-%d %H:%M:%S} UTC"))
    return rows


def meaning(found: Standing) -> str:
    """Return what a name's state means for whoever visits it, and what comes next."""
    acme = found.name.route is CertificateRoute.ACME
    if found.life is None:
        if found.state is State.FAILED:
            return "there is no certificate: the last try failed; it is tried again by itself"
        if found.name.waiting:
            return "there is no certificate yet: the CA's limits do not allow an order now"
        if acme:
            return "there is no certificate yet: a running service orders it"
        return "there is no certificate: import one"
    end = f"{found.life.end:%Y-%m-%d %H:%M} UTC"
    again = "the next is ordered by itself" if acme else "import the next one"
    match found.state:
        case State.REVOKED:
            return f"the certificate was revoked and is shown no more; {again}"
        case State.EXPIRED:
            return f"the certificate ended at {end} and is shown no more; {again}"
        case State.EXPIRING if acme:
            why = "the last try to renew it failed" if found.name.problem else "its renewal is late"
            return f"the certificate is shown, and ends at {end}: {found.name.waiting or why}"
        case State.EXPIRING:
            return f"the certificate is shown, and ends at {end}: import the next one"
    if acme and found.name.problem:
        return "the certificate is shown; the last try to get the next failed, and is made again"
    renewed = "is renewed by itself" if acme else "is warned of before that"
    return f"the certificate is shown, ends at {end}, and {renewed}"


def as_dict(found: Standing) -> dict[str, Any]:
    """Return the same for programs."""
    name = found.name
    return {
        "name": name.name,
        "state": found.state.value,
        "meaning": meaning(found),
        "kind": name.kind.value,
        "route": name.route.value,
        "challenge": name.challenge.value if name.route is CertificateRoute.ACME else None,
        "certificates": [
            {
                "key_type": each.key_type,
                "issuer": each.issuer,
                "starts_at": each.starts_at.isoformat(),
                "ends_at": each.ends_at.isoformat(),
                "fingerprint": each.fingerprint,
                "origin_ca": each.origin_ca,
            }
            for each in found.in_use
        ],
        "problem": dict(name.problem) if name.problem else None,
        "failures": name.failures,
        "waiting": name.waiting or None,
        "renewal": dict(name.renewal) if name.renewal else None,
        "due_at": name.due_at.isoformat() if name.due_at else None,
    }


def history_row(entry: HistoryEntry) -> tuple[str, str, str]:
    """Return what happened as one row of a table."""
    detail = ", ".join(f"{key}: {value}" for key, value in entry.detail.items() if value)
    return f"{entry.at:%Y-%m-%d %H:%M:%S}", entry.what, detail


def history_line(entry: HistoryEntry) -> str:
    """Return what happened just now as one line."""
    detail = entry.detail.get("detail") or entry.detail.get("issuer") or ""
    return f"{entry.at:%H:%M:%S} {entry.what} {detail}".rstrip()


def history_dict(entry: HistoryEntry) -> dict[str, Any]:
    """Return what happened for programs."""
    return {"at": entry.at.isoformat(), "what": entry.what, "detail": dict(entry.detail)}


def _sentence(each: StoredCertificate) -> str:
    trusted = ", trusted by Cloudflare only" if each.origin_ca else ""
    return (
        f"{each.starts_at:%Y-%m-%d} to {each.ends_at:%Y-%m-%d %H:%M} UTC, "
        f"{each.issuer}{trusted}, SHA-256 {each.fingerprint}"
    )


def _route(found: Standing) -> str:
    name = found.name
    return f"acme {name.challenge}" if name.route is CertificateRoute.ACME else name.route.value
