"""ACME accounts, and the HTTP-01 challenges the edge answers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import sqlalchemy as sa

from linkseal.store.certificates import bump
from linkseal.store.database import Database
from linkseal.store.schema import acme_accounts, acme_challenges
from linkseal.store.times import to_ms


class ACME:
    """Queries about ACME accounts and challenges."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def account(self, directory: str) -> tuple[str, bytes] | None:
        """Return an account's URL (empty before it is registered) and its sealed key."""
        with self._database.reading() as connection:
            row = connection.execute(
                sa.select(acme_accounts.c.url, acme_accounts.c.sealed_key).where(
                    acme_accounts.c.directory == directory
                )
            ).one_or_none()
            return None if row is None else (row.url, row.sealed_key)

    def put_account(self, directory: str, url: str, sealed_key: bytes) -> None:
        """Keep an account: before it is registered, so that its key is never lost, and after."""
        with self._database.transaction() as connection:
            connection.execute(acme_accounts.delete().where(acme_accounts.c.directory == directory))
            connection.execute(
                acme_accounts.insert().values(directory=directory, url=url, sealed_key=sealed_key)
            )

    def forget_account(self, directory: str) -> None:
        """Drop an account the CA does not know."""
        with self._database.transaction() as connection:
            connection.execute(acme_accounts.delete().where(acme_accounts.c.directory == directory))

    def publish(self, token: str, answer: str, ends_at: datetime) -> None:
        """Have every edge answer a challenge until an instant; those that ended are deleted."""
        ended = acme_challenges.c.ends_at_ms <= to_ms(datetime.now(UTC))
        with self._database.transaction() as connection:
            connection.execute(
                acme_challenges.delete().where(sa.or_(acme_challenges.c.token == token, ended))
            )
            connection.execute(
                acme_challenges.insert().values(
                    token=token, answer=answer, ends_at_ms=to_ms(ends_at)
                )
            )
            bump(connection)

    def withdraw(self, token: str) -> None:
        """Answer a challenge no more."""
        with self._database.transaction() as connection:
            connection.execute(acme_challenges.delete().where(acme_challenges.c.token == token))
            bump(connection)

    def challenges(self, now: datetime) -> Mapping[str, str]:
        """Return what to answer, by token."""
        with self._database.reading() as connection:
            rows = connection.execute(
                sa.select(acme_challenges.c.token, acme_challenges.c.answer).where(
                    acme_challenges.c.ends_at_ms > to_ms(now)
                )
            )
            return dict(rows.all())
