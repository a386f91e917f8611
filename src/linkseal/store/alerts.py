"""What an operator is to be told of: kept, listed, and there for webhooks to read on."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from linkseal.domains.lifecycle import Action
from linkseal.store.database import Database
from linkseal.store.schema import alerts
from linkseal.store.times import from_ms, to_ms


class AlertKind(enum.StrEnum):
    """What happened."""

    DEGRADED = "degraded"
    RECOVERED = "recovered"
    DNS_FAILED = "dns-failed"
    CERTIFICATE_ENDS = "certificate-ends"
    WATCH_BLIND = "watch-blind"
    WATCH_SEES = "watch-sees"
    CDN_NETWORKS = "cdn-networks"


class AlertSeverity(enum.StrEnum):
    """How much it matters."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing to be told.

    Attributes:
        seq: Rises in the order they were stored.
        at: When, aware UTC.
        host: The branded domain; empty where it is of the watch itself, or of a CDN.
        kind: What happened.
        severity: How much it matters.
        detail: What else there is to say of it.
    """

    seq: int
    at: datetime
    host: str
    kind: AlertKind
    severity: AlertSeverity
    detail: Mapping[str, Any]


_OF_ACTION: Final = {
    Action.DEGRADE: (AlertKind.DEGRADED, AlertSeverity.CRITICAL),
    Action.RECOVER: (AlertKind.RECOVERED, AlertSeverity.INFO),
    Action.DNS_FAILED: (AlertKind.DNS_FAILED, AlertSeverity.WARNING),
}


def alert_of_step(
    connection: sa.Connection,
    host: str,
    action: Action,
    who: str,
    reasons: Sequence[str],
    now: datetime,
) -> None:
    """Note, in the transaction of a step of a domain's life, the alert that it is, if any."""
    if action in _OF_ACTION:
        kind, severity = _OF_ACTION[action]
        detail = {"who": who, "reasons": list(reasons)}
        connection.execute(alerts.insert().values(_row(host, kind, severity, detail, now)))


class Alerts:
    """Queries about alerts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        host: str,
        kind: AlertKind,
        severity: AlertSeverity,
        detail: Mapping[str, Any],
        now: datetime,
        *,
        once: str | None = None,
    ) -> bool:
        """Note an alert; return whether it is new.

        Args:
            host: The domain; empty where it is of the watch itself, or of a CDN.
            kind: What happened.
            severity: How much it matters.
            detail: What else there is to say, as JSON has it.
            now: Aware.
            once: A key, at most 128 characters: of several with one key the first is noted.
        """
        row = _row(host, kind, severity, detail, now) | {"once": once}
        with self._database.transaction() as connection:
            return bool(self._database.insert_ignoring(connection, alerts, [row]))

    def blindness(self) -> Alert | None:
        """Return what told that the watch is blind; ``None`` while it sees."""
        query = (
            sa.select(alerts)
            .where(
                alerts.c.host == "",
                alerts.c.kind.in_([AlertKind.WATCH_BLIND.value, AlertKind.WATCH_SEES.value]),
            )
            .order_by(alerts.c.seq.desc())
            .limit(1)
        )
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        if row is None or row.kind != AlertKind.WATCH_BLIND.value:
            return None
        return _alert_of(row)

    def list(self, *, host: str | None = None, after: int = 0, limit: int = 1000) -> list[Alert]:
        """Return alerts, oldest first.

        Args:
            host: Only that domain's.
            after: Only those with a higher ``seq``.
            limit: At most so many: the latest, or with ``after`` the next.
        """
        query = sa.select(alerts).where(alerts.c.seq > after)
        if host is not None:
            query = query.where(alerts.c.host == host)
        order = alerts.c.seq.asc() if after else alerts.c.seq.desc()
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(order).limit(limit)).all()
        return sorted(map(_alert_of, rows), key=lambda each: each.seq)


def _row(
    host: str,
    kind: AlertKind,
    severity: AlertSeverity,
    detail: Mapping[str, Any],
    now: datetime,
) -> dict[str, Any]:
    return {
        "at_ms": to_ms(now),
        "host": host,
        "kind": kind.value,
        "severity": severity.value,
        "detail": dict(detail),
    }


def _alert_of(row: Any) -> Alert:
    return Alert(
        seq=row.seq,
        at=from_ms(row.at_ms),
        host=row.host,
        kind=AlertKind(row.kind),
        severity=AlertSeverity(row.severity),
        detail=row.detail,
    )
