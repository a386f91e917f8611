"""Is it time to renew? The CA is asked (RFC 9773); when it says nothing, the plain rule holds."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import structlog

from linkseal.certificates.accounts import Accounts
from linkseal.certificates.schedule import ASK_WINDOW_EVERY, Life, Window, renew_at
from linkseal.store import StoredCertificate

_SAID: Final = ("start", "end", "explanation")

log = structlog.get_logger("certificates")


def look(
    accounts: Accounts,
    known: Mapping[str, str] | None,
    in_use: Sequence[StoredCertificate],
    now: datetime,
) -> tuple[dict[str, str], datetime | None]:
    """Return what is known of a renewal now, and when to look again; ``None``: it is time.

    Args:
        accounts: The CAs.
        known: What was known at the last look.
        in_use: A name's certificates; the one that ends first counts.
        now: Aware.
    """
    first = min(in_use, key=lambda each: each.ends_at)
    found = dict(known or {})
    asked_at = _instant(found.get("asked_at"))
    if asked_at is None or now - asked_at >= ASK_WINDOW_EVERY:
        said = _ask(accounts, first)
        if said is None:
            # A CA that does not answer does not take back what it said.
            said = {key: found[key] for key in _SAID if key in found}
        # Drawn once a window: a new draw at each look would come early too often.
        chance = found.get("chance") or repr(random.random())  # noqa: S311
        found = {"asked_at": now.isoformat(), "chance": chance, **said}
    start, end = _instant(found.get("start")), _instant(found.get("end"))
    window = Window(start, end) if start and end else None
    life = Life(first.starts_at, first.ends_at)
    instant = renew_at(life, window, float(found.get("chance", "0.5")))
    return found, (min(instant, now + ASK_WINDOW_EVERY) if instant > now else None)


def _ask(accounts: Accounts, certificate: StoredCertificate) -> dict[str, str] | None:
    """Return what the CA says; ``None`` when it does not answer."""
    issuer = accounts.issuer(certificate.issuer)
    if issuer is None:
        return {}
    try:
        authority = accounts.open(issuer)
        if not authority.knows_windows:
            return {}
        window, page = authority.window(certificate.chain.encode())
    except Exception as error:  # noqa: BLE001 - whatever a CA answers, the plain rule holds
        log.warning("renewal window unknown", name=certificate.name, error=str(error))
        return None
    said = {"start": window.start.isoformat(), "end": window.end.isoformat()}
    return said | ({"explanation": page} if page else {})


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
