"""Names with certificates, the certificates, and what happened to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from linkseal.errors import StoreError
from linkseal.store.certificate_rows import certificate_of, columns_of, name_of
from linkseal.store.database import Database
from linkseal.store.schema import (
    acme_accounts,
    certificate_history,
    certificate_names,
    certificates,
    edge_revision,
)
from linkseal.store.times import from_ms, to_ms
from linkseal.store.values import (
    CertificateName,
    CertificateRoute,
    CertificateStatus,
    Challenge,
    HistoryEntry,
    NameKind,
    NewCertificate,
    StoredCertificate,
)

_SEALED = (
    (certificates, certificates.c.id, certificates.c.sealed_key),
    (certificate_names, certificate_names.c.name, certificate_names.c.sealed_order),
    (acme_accounts, acme_accounts.c.directory, acme_accounts.c.sealed_key),
)


def bump(connection: sa.Connection) -> None:
    """Note, in the same transaction, that the edge has to be told something new."""
    connection.execute(edge_revision.update().values(revision=edge_revision.c.revision + 1))


class Certificates:
    """Queries about certificates."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def revision(self) -> int:
        """Return how many times what the edge is told was changed."""
        with self._database.reading() as connection:
            return connection.scalar(sa.select(edge_revision.c.revision)) or 0

    # Names.

    def add_name(
        self,
        name: str,
        *,
        kind: NameKind,
        route: CertificateRoute,
        challenge: Challenge,
        now: datetime,
        customer_id: int | None = None,
    ) -> bool:
        """Hold certificates for a name; return whether it is new. One there already stays.

        Raises:
            StoreError: ``store-refused``: there is no such customer.
        """
        with self._database.transaction() as connection:
            found = sa.select(certificate_names.c.name).where(certificate_names.c.name == name)
            if connection.scalar(found) is not None:
                return False
            connection.execute(
                certificate_names.insert().values(
                    name=name,
                    kind=kind.value,
                    customer_id=customer_id,
                    route=route.value,
                    challenge=challenge.value,
                    due_at_ms=to_ms(now) if route is CertificateRoute.ACME else None,
                    failures=0,
                    problem=sa.null(),
                    waiting="",
                    renewal=sa.null(),
                    leased_by="",
                    leased_until_ms=0,
                    created_at_ms=to_ms(now),
                )
            )
            _note(connection, name, now, "added", {"route": route.value})
            return True

    def change_name(self, name: str, now: datetime, what: str, **values: Any) -> None:
        """Change fields of a name by their attributes' names, and put ``what`` on record.

        Raises:
            StoreError: ``certificate-missing``.
        """
        with self._database.transaction() as connection:
            _update(connection, certificate_names.c.name == name, name, **values)
            _note(connection, name, now, what, {})

    def names(self) -> list[CertificateName]:
        """Return every name, in order."""
        return self._names(sa.true())

    def name(self, name: str) -> CertificateName:
        """Return one name.

        Raises:
            StoreError: ``certificate-missing``.
        """
        found = self._names(certificate_names.c.name == name)
        if not found:
            raise _missing(name)
        return found[0]

    def due(self, now: datetime, owner: str = "") -> list[CertificateName]:
        """Return the names for which something is to be done, and that no other works on.

        First those whose certificate in use ends first, then those without any, by when they
        were due. Names whose last try failed come after all of them, in the order they were
        due: however many there are, and however soon they end, nobody waits for them.
        """
        end = (
            sa.select(sa.func.min(certificates.c.ends_at_ms))
            .where(certificates.c.name == certificate_names.c.name, _is(CertificateStatus.CURRENT))
            .scalar_subquery()
        )
        failing = certificate_names.c.failures > 0
        return self._names(
            sa.and_(certificate_names.c.due_at_ms <= to_ms(now), _free(now, owner)),
            sa.case((failing, 1), else_=0),
            sa.case((failing, None), else_=end).nulls_last(),
            certificate_names.c.due_at_ms,
        )

    # A worker has a name to itself.

    def lease(self, name: str, owner: str, now: datetime, until: datetime) -> bool:
        """Take, or go on having, a name until an instant; return whether that worked."""
        with self._database.transaction() as connection:
            taken = connection.execute(
                certificate_names.update()
                .where(certificate_names.c.name == name, _free(now, owner))
                .values(leased_by=owner, leased_until_ms=to_ms(until))
            )
            return taken.rowcount == 1

    def settle(
        self,
        name: str,
        owner: str,
        now: datetime,
        what: str,
        detail: Mapping[str, str],
        **values: Any,
    ) -> bool:
        """Change fields of a name its worker has, and put it on record.

        Returns:
            Whether the worker still had it; else nothing was changed.
        """
        with self._database.transaction() as connection:
            mine = sa.and_(certificate_names.c.name == name, certificate_names.c.leased_by == owner)
            if not _try_update(connection, mine, **values):
                return False
            if what:
                _note(connection, name, now, what, detail)
            return True

    # Certificates.

    def put(
        self,
        name: str,
        new: Sequence[NewCertificate],
        now: datetime,
        what: str,
        *,
        owner: str | None = None,
        **values: Any,
    ) -> bool:
        """Store certificates and use them in place of the name's last, in one transaction.

        Args:
            name: Held already.
            new: One of each key type; those of other key types go out of use too.
            now: Aware.
            what: For the history.
            owner: The worker that must still have the name; ``None`` for an operator.
            values: Fields of the name to change with it.

        Returns:
            Whether they were stored: not when another worker has the name by now.
        """
        with self._database.transaction() as connection:
            where = certificate_names.c.name == name
            if owner is not None:
                where = sa.and_(where, certificate_names.c.leased_by == owner)
            if not _try_update(connection, where, failures=0, problem=None, waiting="", **values):
                return False
            connection.execute(
                certificates.update()
                .where(certificates.c.name == name, _is(CertificateStatus.CURRENT))
                .values(status=CertificateStatus.REPLACED.value)
            )
            for each in new:
                row = asdict(each)
                row["starts_at_ms"] = to_ms(row.pop("starts_at"))
                row["ends_at_ms"] = to_ms(row.pop("ends_at"))
                connection.execute(
                    certificates.insert().values(
                        name=name,
                        status=CertificateStatus.CURRENT.value,
                        stored_at_ms=to_ms(now),
                        **row,
                    )
                )
            ends = min(each.ends_at for each in new)
            detail = {
                "issuer": new[0].issuer,
                "ends_at": ends.isoformat(timespec="seconds"),
                "certificates": str(len(new)),
            }
            _note(connection, name, now, what, detail)
            bump(connection)
            return True

    def revoke(
        self,
        revoked: StoredCertificate,
        now: datetime,
        detail: Mapping[str, str],
        due_at: datetime | None,
    ) -> None:
        """Note that one certificate was revoked; it is shown no more, whatever else is.

        Args:
            revoked: As it was when its revocation was decided; another may have taken its
                place since, and stays in use.
            now: Aware.
            detail: For the history, beside which certificate it was.
            due_at: When to see to the next; nothing is due if it was replaced before.

        Raises:
            StoreError: ``certificate-missing``: the name is not held any more.
        """
        mine = certificates.c.id == revoked.id
        with self._database.transaction() as connection:
            in_use = connection.execute(
                certificates.update()
                .where(mine, _is(CertificateStatus.CURRENT))
                .values(status=CertificateStatus.REVOKED.value)
            ).rowcount
            connection.execute(
                certificates.update().where(mine).values(status=CertificateStatus.REVOKED.value)
            )
            # That a next one is wanted holds also where one of another key type is left.
            renewal = {"now": "revoked"} if due_at else None
            values = {"renewal": renewal, "due_at": due_at} if in_use else {}
            _update(connection, certificate_names.c.name == revoked.name, revoked.name, **values)
            which = {"certificate": revoked.fingerprint}
            _note(connection, revoked.name, now, "revoked", {**detail, **which})
            bump(connection)

    def in_use(self) -> list[StoredCertificate]:
        """Return the certificates in use, by name; of each name P-256 first."""
        return self._certificates(_is(CertificateStatus.CURRENT))

    def revoked(self) -> list[StoredCertificate]:
        """Return the certificates that were revoked, by name."""
        return self._certificates(_is(CertificateStatus.REVOKED))

    def of_name(self, name: str) -> list[StoredCertificate]:
        """Return every certificate a name ever had that is kept, the latest first."""
        return self._certificates(certificates.c.name == name)

    def forget_old(self, before: datetime) -> int:
        """Delete certificates out of use that ended before an instant; return how many."""
        with self._database.transaction() as connection:
            gone = connection.execute(
                certificates.delete().where(
                    certificates.c.ends_at_ms < to_ms(before),
                    certificates.c.status != CertificateStatus.CURRENT.value,
                )
            )
            return gone.rowcount

    def history(self, name: str | None = None, since: datetime | None = None) -> list[HistoryEntry]:
        """Return what happened, oldest first; with ``since``, only what came after that instant."""
        query = sa.select(certificate_history).order_by(certificate_history.c.seq)
        if name is not None:
            query = query.where(certificate_history.c.name == name)
        if since is not None:
            query = query.where(certificate_history.c.at_ms > to_ms(since))
        with self._database.reading() as connection:
            return [
                HistoryEntry(row.seq, row.name, from_ms(row.at_ms), row.what, row.detail)
                for row in connection.execute(query)
            ]

    def note(self, name: str, now: datetime, what: str, detail: Mapping[str, str]) -> None:
        """Put something on record."""
        with self._database.transaction() as connection:
            _note(connection, name, now, what, detail)

    def reseal(self, again: Callable[[str, bytes], bytes]) -> int:
        """Seal every secret again, all in one transaction; return how many.

        Args:
            again: Gets a table's name and a blob of it, and returns the blob sealed under
                another key.
        """
        count = 0
        with self._database.transaction() as connection:
            for table, key, blob in _SEALED:
                for row in connection.execute(sa.select(key, blob).where(blob.is_not(None))).all():
                    connection.execute(
                        table.update()
                        .where(key == row[0])
                        .values({blob.name: again(table.name, row[1])})
                    )
                    count += 1
        return count

    def _names(
        self, where: sa.ColumnElement[bool], *order: sa.ColumnElement[Any]
    ) -> list[CertificateName]:
        query = sa.select(certificate_names).where(where)
        query = query.order_by(*order, certificate_names.c.name)
        with self._database.reading() as connection:
            return [name_of(row) for row in connection.execute(query)]

    def _certificates(self, where: sa.ColumnElement[bool]) -> list[StoredCertificate]:
        query = (
            sa.select(certificates)
            .where(where)
            .order_by(
                certificates.c.name,
                certificates.c.stored_at_ms.desc(),
                certificates.c.key_type,
                certificates.c.id.desc(),
            )
        )
        with self._database.reading() as connection:
            return [certificate_of(row) for row in connection.execute(query)]


def _free(now: datetime, owner: str) -> sa.ColumnElement[bool]:
    return sa.or_(
        certificate_names.c.leased_by == owner, certificate_names.c.leased_until_ms <= to_ms(now)
    )


def _is(status: CertificateStatus) -> sa.ColumnElement[bool]:
    return certificates.c.status == status.value


def _note(
    connection: sa.Connection, name: str, now: datetime, what: str, detail: Mapping[str, str]
) -> None:
    connection.execute(
        certificate_history.insert().values(
            name=name, at_ms=to_ms(now), what=what, detail=dict(detail)
        )
    )


def _try_update(connection: sa.Connection, where: sa.ColumnElement[bool], **values: Any) -> bool:
    # An UPDATE without a SET is no SQL; with this one the row is still looked for, and locked.
    columns = columns_of(**values) or {"failures": certificate_names.c.failures}
    return connection.execute(certificate_names.update().where(where).values(columns)).rowcount == 1


def _update(
    connection: sa.Connection, where: sa.ColumnElement[bool], name: str, **values: Any
) -> None:
    if not _try_update(connection, where, **values):
        raise _missing(name)


def _missing(name: str) -> StoreError:
    return StoreError(
        f"no certificate is held for {name}",
        code="certificate-missing",
        hint="`linkseal certificate list` shows all; get one with `issue` or `import`",
    )
