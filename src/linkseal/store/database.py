"""The connection to the database, and every place where databases differ.

Everything else in the store is written for any database SQLAlchemy speaks to.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from linkseal.errors import StoreError

MIGRATIONS = Path(__file__).parent / "migrations"
REVISIONS: Final = tuple(
    sorted(file.name.partition("_")[0] for file in MIGRATIONS.glob("versions/[0-9]*.py"))
)
"""The schema's revisions, the oldest first: the numbers its migrations' files begin with."""
HEAD: Final = REVISIONS[-1]
_BUSY_MS = 10_000


class Database:
    """An engine, its transactions, and its migrations.

    Not to be carried across a fork: open it after.

    Args:
        url: SQLAlchemy URL.

    Raises:
        StoreError: The URL is not one.
    """

    def __init__(self, url: str) -> None:
        try:
            self.engine = sa.create_engine(url)
        except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError) as error:
            raise StoreError(
                f"store.url is not a database URL: {error}",
                code="database-url-invalid",
                hint="as in sqlite:////var/lib/linkseal/linkseal.db; empty uses the data directory",
            ) from error
        if self.engine.dialect.name == "sqlite":
            sa.event.listen(self.engine, "connect", _prepare_sqlite)
            # Writers take the lock when they begin: two that read first and write then
            # would otherwise refuse each other instead of waiting.
            sa.event.listen(self.engine, "begin", _begin_sqlite)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """Run a transaction that writes; it is durable on return.

        Raises:
            StoreError: ``database-unavailable``, retryable, or ``store-refused``: nothing
                was changed.
        """
        with _told(), self.engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Read, without taking a lock that a writer waits for.

        Raises:
            StoreError: ``database-unavailable``, retryable.
        """
        with _told(), self.engine.connect().execution_options(reading=True) as connection:
            yield connection

    def migrate(self) -> None:
        """Bring the schema to this version's.

        Raises:
            StoreError: The database is unreachable, or is of a later version.
        """
        # Most often there is nothing to do, and then no writer is waited for.
        with self.reading() as connection:
            if _revision(connection) == HEAD:
                return
        with self.transaction() as connection:
            current = _revision(connection)
            if current == HEAD:
                return
            if current is not None and current not in REVISIONS:
                raise StoreError(
                    f"the database is of a later version of linkseal (schema {current})",
                    code="database-later-version",
                    hint="run that version, or restore a backup made by this one",
                )
            _upgrade(connection)

    def insert_ignoring(
        self, connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]
    ) -> int:
        """Insert rows, leaving out those whose key is there; return how many were inserted."""
        if not rows:
            return 0
        insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        before = connection.scalar(sa.select(sa.func.max(table.c.seq))) or 0
        connection.execute(insert(table).on_conflict_do_nothing(), rows)
        inserted = sa.select(sa.func.count()).select_from(table).where(table.c.seq > before)
        return connection.scalar(inserted) or 0

    def put(self, connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        """Insert rows, each in place of the one that has its primary key, if there is one."""
        insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        keys = [each.name for each in table.primary_key]
        query = insert(table)
        changes = {name: query.excluded[name] for name in rows[0] if name not in keys}
        connection.execute(query.on_conflict_do_update(index_elements=keys, set_=changes), rows)

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Tell a database that refuses or cannot be used in our words."""
    try:
        yield
    except sa.exc.IntegrityError as error:
        raise StoreError(
            f"the database refuses a row: {error.orig}",
            code="store-refused",
            hint="what it names is not in the database, or is there already",
        ) from error
    except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
        # TimeoutError: every connection of the pool is in use.
        cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        raise StoreError(
            f"the database cannot be used: {cause}",
            code="database-unavailable",
            hint="free disk space, mend permissions, or see that it runs; then try again",
            retryable=True,
        ) from error


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # We begin transactions ourselves (_begin_sqlite); the driver must not.
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout={_BUSY_MS}",
        "journal_mode=WAL",
        # FULL: the collector deletes a journal segment once its events are committed here,
        # so a commit must be on disk.
        "synchronous=FULL",
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    reading = connection.get_execution_options().get("reading")
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return revision


def _upgrade(connection: sa.Connection) -> None:
    # Imported here: a sixth of what a command takes to start, and only a migration needs it.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
