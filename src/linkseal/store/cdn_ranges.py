"""The last good copy of the networks CDNs publish."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from linkseal.domains.base import DomainState
from linkseal.domains.profiles import PROFILES, holds
from linkseal.store.certificates import bump
from linkseal.store.database import Database
from linkseal.store.schema import cdn_ranges, domains
from linkseal.store.times import from_ms, to_ms


@dataclass(frozen=True, slots=True)
class FetchedRanges:
    """The networks of a CDN, as fetched.

    Attributes:
        cdn: The profile's id.
        networks: As ``192.0.2.0/24``.
        source: Where they were fetched.
        at: When, aware UTC.
    """

    cdn: str
    networks: tuple[str, ...]
    source: str
    at: datetime


class CDNRanges:
    """Queries about CDNs' networks. Where there is no later copy, the shipped ones hold."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> dict[str, FetchedRanges]:
        """Return the copies that hold, by the profile's id: not those older than the shipped."""
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(cdn_ranges).order_by(cdn_ranges.c.cdn))
            return {row.cdn: each for row in rows if (each := _ranges_of(row)) is not None}

    def networks(self) -> dict[str, tuple[str, ...]]:
        """Return the networks of the copies that hold, by the profile's id."""
        return {cdn: each.networks for cdn, each in self.all().items()}

    def enrolled(self) -> set[str]:
        """Return the ids of the profiles that domains are enrolled with, but for released ones."""
        left = domains.c.state == DomainState.RELEASED.value
        query = sa.select(domains.c.cdn).distinct().where(domains.c.cdn != "", ~left)
        with self._database.reading() as connection:
            return set(connection.scalars(query))

    def put(self, cdn: str, networks: Sequence[str], source: str, now: datetime) -> bool:
        """Keep a copy in place of the last.

        Returns:
            Whether other networks hold now than before: then the edge is told.
        """
        here = cdn_ranges.c.cdn == cdn
        values = {"networks": list(networks), "source": source, "fetched_at_ms": to_ms(now)}
        with self._database.transaction() as connection:
            row = connection.execute(sa.select(cdn_ranges).where(here)).one_or_none()
            if row is None:
                connection.execute(cdn_ranges.insert().values(cdn=cdn, **values))
            else:
                connection.execute(cdn_ranges.update().where(here).values(values))
            last = None if row is None else _ranges_of(row)
            changed = set(networks) != set((last or PROFILES[cdn]).networks)
            if changed:
                bump(connection)
            return changed


def _ranges_of(row: Any) -> FetchedRanges | None:
    """Return a copy; ``None`` if it does not hold."""
    at = from_ms(row.fetched_at_ms)
    if row.cdn not in PROFILES or not holds(PROFILES[row.cdn], at):
        return None
    return FetchedRanges(row.cdn, tuple(row.networks), row.source, at)
