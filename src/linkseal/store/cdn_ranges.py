"""The last good copy of the networks CDNs publish."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from linkseal.domains.profiles import PROFILES
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
    """Queries about CDNs' networks. Where there is no copy, the shipped ones hold."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> dict[str, FetchedRanges]:
        """Return every copy, by the profile's id."""
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(cdn_ranges).order_by(cdn_ranges.c.cdn))
            return {row.cdn: _ranges_of(row) for row in rows}

    def networks(self) -> dict[str, tuple[str, ...]]:
        """Return the networks of every copy, by the profile's id."""
        return {cdn: each.networks for cdn, each in self.all().items()}

    def enrolled(self) -> set[str]:
        """Return the ids of the profiles that domains are enrolled with."""
        query = sa.select(domains.c.cdn).distinct().where(domains.c.cdn != "")
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
            changed = set(networks) != set(PROFILES[cdn].networks if row is None else row.networks)
            if changed:
                bump(connection)
            return changed


def _ranges_of(row: Any) -> FetchedRanges:
    return FetchedRanges(row.cdn, tuple(row.networks), row.source, from_ms(row.fetched_at_ms))
