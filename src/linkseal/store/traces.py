"""What a database tells of links that were sent, and secrets that were sealed."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from linkseal.store.database import Database
from linkseal.store.schema import acme_accounts, certificates, customers, events, messages

_SEALED: Final = (messages, events, certificates, acme_accounts)


class Traces:
    """Queries about what can only be there if there were keys."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_keys(self, *, customers_too: bool) -> bool:
        """Whether it holds messages, events or sealed keys, of any version of the schema.

        Args:
            customers_too: Take customers for a sign as well, to whom links are given.

        Raises:
            StoreError: ``database-unavailable``.
        """
        tables = (*_SEALED, customers) if customers_too else _SEALED
        with self._database.reading() as connection:
            there = sa.inspect(connection).get_table_names()
            return any(
                connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first()
                for table in tables
                if table.name in there
            )
