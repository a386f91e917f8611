"""Databases as older versions left them."""

from __future__ import annotations

from collections.abc import Sequence

from alembic import command
from alembic.config import Config

from linkseal.store.database import MIGRATIONS, Database


def make_database(url: str, revision: str, statements: Sequence[str]) -> None:
    """Make a database of a revision of the schema, with rows written as that version did."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    database = Database(url)
    with database.transaction() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        for statement in statements:
            connection.exec_driver_sql(statement)
    database.close()
