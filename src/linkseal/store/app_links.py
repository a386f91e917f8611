"""The files by which phones' apps open links of branded domains."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from linkseal.domains.app_links import AppFile, AppFileKind, serves
from linkseal.domains.base import DomainState
from linkseal.store.certificates import bump
from linkseal.store.database import Database
from linkseal.store.domain_values import Domain
from linkseal.store.schema import app_links, domains
from linkseal.store.times import from_ms, to_ms

_SERVED_IN = [state.value for state in DomainState if serves(state)]


@dataclass(frozen=True, slots=True)
class StoredAppFile:
    """A file of a domain.

    Attributes:
        kind: Whose phones it is for.
        content: Byte for byte as it was given.
        changed_at: Since when it is this one, aware UTC.
    """

    kind: AppFileKind
    content: bytes
    changed_at: datetime


class AppLinks:
    """Queries about the files of app links."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, host: str, files: Iterable[AppFile], now: datetime) -> None:
        """Keep files of a domain in place of those of their kind; the others stay.

        A file that is kept already is not changed by it.

        Args:
            host: A domain that is claimed.
            files: As they were read: UTF-8.
            now: Aware.

        Raises:
            StoreError: ``store-refused``: there is no such domain.
        """
        with self._database.transaction() as connection:
            kept = {
                (row.file, row.content)
                for row in connection.execute(
                    sa.select(app_links.c.file, app_links.c.content).where(app_links.c.host == host)
                )
            }
            new = [each for each in files if (each.kind, each.content.decode("utf-8")) not in kept]
            for file in new:
                _delete(connection, host, [file.kind])
                connection.execute(
                    app_links.insert().values(
                        host=host,
                        file=file.kind.value,
                        content=file.content.decode("utf-8"),
                        changed_at_ms=to_ms(now),
                    )
                )
            if new:
                bump(connection)

    def remove(self, host: str, kinds: Collection[AppFileKind]) -> int:
        """Forget files of a domain; return how many there were."""
        with self._database.transaction() as connection:
            removed = _delete(connection, host, kinds)
            if removed:
                bump(connection)
            return removed

    def of(self, host: str) -> list[StoredAppFile]:
        """Return what is kept for a domain."""
        query = sa.select(app_links).where(app_links.c.host == host).order_by(app_links.c.file)
        with self._database.reading() as connection:
            return [
                StoredAppFile(
                    AppFileKind(row.file), row.content.encode("utf-8"), from_ms(row.changed_at_ms)
                )
                for row in connection.execute(query)
            ]

    def served_on(self, domain: Domain) -> tuple[str, ...]:
        """Return the names under ``/.well-known/`` of the files that a domain serves now."""
        if not serves(domain.state):
            return ()
        return tuple(each.kind.file_name for each in self.of(domain.host))

    def served(self) -> dict[str, dict[AppFileKind, datetime]]:
        """Return what the edge serves: by host and kind, since when a file is as it is."""
        query = (
            sa.select(app_links.c.host, app_links.c.file, app_links.c.changed_at_ms)
            .join(domains)
            .where(domains.c.state.in_(_SERVED_IN))
        )
        found: dict[str, dict[AppFileKind, datetime]] = {}
        with self._database.reading() as connection:
            for row in connection.execute(query):
                files = found.setdefault(row.host, {})
                files[AppFileKind(row.file)] = from_ms(row.changed_at_ms)
        return found


def _delete(connection: sa.Connection, host: str, kinds: Collection[AppFileKind]) -> int:
    chosen = app_links.delete().where(
        app_links.c.host == host, app_links.c.file.in_([kind.value for kind in kinds])
    )
    return connection.execute(chosen).rowcount
