"""What the watch reads of all domains at once, and its last look at each."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from linkseal.domains.base import DomainState
from linkseal.store.database import Database
from linkseal.store.domain_rows import domain_of, optional_from_ms, query_domains
from linkseal.store.domain_values import Domain
from linkseal.store.schema import domain_history, domain_looks, domains, edge_revision
from linkseal.store.times import from_ms, to_ms

_ASIDE = [DomainState.RELEASED.value, DomainState.CLAIMED.value]


@dataclass(frozen=True, slots=True)
class Look:
    """The watch's last look at a domain.

    Attributes:
        host: The domain.
        at: When it ended, aware UTC.
        due_at: When the next one was to begin.
        every: Seconds: it asked all checks that are asked so often, or more often.
        problems: What failed, or why it proved nothing; nothing after a good look.
        good: Good looks in a row, of a domain that was broken.
        ends_at: When the certificate ends that recipients are shown, if it is not ours.
    """

    host: str
    at: datetime
    due_at: datetime
    every: int
    problems: tuple[str, ...] = ()
    good: int = 0
    ends_at: datetime | None = None


class Watching:
    """Queries of the watch."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def mark(self) -> tuple[int, int, int]:
        """Return what changes when a domain's state, route or claim does, or its report.

        Of the reports only those count in which nothing blocks, of domains that are broken:
        somebody looked, and found them mended.
        """
        latest = sa.select(sa.func.coalesce(sa.func.max(domain_history.c.seq), 0))
        revision = sa.select(edge_revision.c.revision)
        mended = sa.select(sa.func.max(domains.c.report_at_ms)).where(
            domains.c.state == DomainState.SSL_DEGRADED.value, ~domains.c.report_blocks
        )
        with self._database.reading() as connection:
            found = [connection.scalar(each) or 0 for each in (latest, revision, mended)]
        return found[0], found[1], found[2]

    def domains(self) -> list[Domain]:
        """Return the domains that may have to be watched, without their reports."""
        query = query_domains(reports=False).where(
            sa.or_(
                domains.c.state.not_in(_ASIDE),
                sa.and_(
                    domains.c.state == DomainState.CLAIMED.value,
                    domains.c.failing_since_ms.is_not(None),
                ),
            )
        )
        with self._database.reading() as connection:
            return [domain_of(row) for row in connection.execute(query)]

    def counts(self) -> dict[DomainState, int]:
        """Return how many domains are in each state."""
        query = sa.select(domains.c.state, sa.func.count().label("number")).group_by(
            domains.c.state
        )
        with self._database.reading() as connection:
            found = {row.state: row.number for row in connection.execute(query)}
        return {state: found.get(state.value, 0) for state in DomainState}

    def keep(self, looks: Collection[Look]) -> None:
        """Keep the last looks at some domains in place of those before, all in one transaction."""
        rows = [
            {
                "host": each.host,
                "at_ms": to_ms(each.at),
                "due_at_ms": to_ms(each.due_at),
                "every_seconds": each.every,
                "problems": list(each.problems),
                "good": each.good,
                "ends_at_ms": to_ms(each.ends_at) if each.ends_at else None,
            }
            for each in looks
        ]
        if rows:
            with self._database.transaction() as connection:
                self._database.put(connection, domain_looks, rows)

    def looks(self, host: str | None = None) -> dict[str, Look]:
        """Return the last look at every domain, or at one, by host."""
        query = sa.select(domain_looks)
        if host is not None:
            query = query.where(domain_looks.c.host == host)
        with self._database.reading() as connection:
            return {row.host: _look_of(row) for row in connection.execute(query)}


def _look_of(row: Any) -> Look:
    return Look(
        host=row.host,
        at=from_ms(row.at_ms),
        due_at=from_ms(row.due_at_ms),
        every=row.every_seconds,
        problems=tuple(row.problems),
        good=row.good,
        ends_at=optional_from_ms(row.ends_at_ms),
    )
