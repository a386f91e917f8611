"""Customers: who they are, and whose a message is."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import idna
import sqlalchemy as sa

from linkseal.domains.base import SendingIP, SSLPolicy
from linkseal.domains.name import HOST
from linkseal.errors import StoreError
from linkseal.store.database import Database
from linkseal.store.schema import customers, smtp_users
from linkseal.store.schema import from_domains as _from_domains
from linkseal.store.times import from_ms, to_ms
from linkseal.store.values import Customer

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?")
_MOST_LABELS = 127
_LONGEST_LABEL = 63
# RFC 3490 §3.1: all of these part labels.
_DOT = re.compile("[.\u3002\uff0e\uff61]")
_LONGEST_USER = 128
_SALT_BYTES = 16
MIN_PASSWORD = 12


class Customers:
    """Queries about customers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        name: str,
        *,
        sending_ip: SendingIP = SendingIP.SHARED,
        ssl: SSLPolicy = SSLPolicy.ALLOWED,
        from_domains: Sequence[str] = (),
        smtp_user: str | None = None,
        smtp_password: str | None = None,
    ) -> Customer:
        """Add a customer, all of it or nothing.

        Args:
            name: Lower-case letters, digits and hyphens; what commands call it by.
            sending_ip: Whether its sending addresses are shared with others.
            ssl: ``required`` if its links may never be plain http.
            from_domains: Mail from addresses under these is this customer's.
            smtp_user: Its login at the SMTP proxy, at most 128 printable characters.
            smtp_password: That login's password, at least 12 characters.

        Raises:
            StoreError: A name, domain or user is malformed or taken, or a password short.
        """
        domains = _domains(from_domains)
        if not _NAME.fullmatch(name):
            raise StoreError(
                f"{name!r} cannot name a customer",
                code="customer-name-invalid",
                hint="use lower-case letters, digits and hyphens, at most 64, as in acme-eu",
            )
        login = _login(smtp_user, smtp_password)
        with self._database.transaction() as connection:
            if connection.scalar(sa.select(customers.c.id).where(customers.c.name == name)):
                raise StoreError(
                    f"there is a customer {name} already",
                    code="customer-exists",
                    hint=f"`linkseal customer show {name}` shows it; take another name",
                )
            result = connection.execute(
                customers.insert().values(
                    name=name,
                    sending_ip=sending_ip.value,
                    ssl=ssl.value,
                    created_at_ms=to_ms(datetime.now(UTC)),
                )
            )
            customer_id = result.inserted_primary_key[0]  # type: ignore[index]
            _put_domains(connection, customer_id, domains)
            _put_login(connection, customer_id, login)
        return self.get(name)

    def change(
        self,
        name: str,
        *,
        sending_ip: SendingIP | None = None,
        ssl: SSLPolicy | None = None,
        from_domains: Sequence[str] | None = None,
        smtp_user: str | None = None,
        smtp_password: str | None = None,
    ) -> Customer:
        """Change what is given of a customer, all of it or nothing; the rest stays.

        Args:
            name: Which one.
            sending_ip: As of :meth:`add`.
            ssl: As of :meth:`add`.
            from_domains: In place of those it has; none at all if empty.
            smtp_user: A login more, or one it has, which gets the new password.
            smtp_password: That login's password.

        Raises:
            StoreError: ``customer-missing``, or as of :meth:`add`.
        """
        domains = None if from_domains is None else _domains(from_domains)
        login = _login(smtp_user, smtp_password)
        given = {"sending_ip": sending_ip, "ssl": ssl}
        values = {column: value.value for column, value in given.items() if value is not None}
        with self._database.transaction() as connection:
            customer_id = connection.scalar(
                sa.select(customers.c.id).where(customers.c.name == name).with_for_update()
            )
            if customer_id is None:
                raise _missing(name)
            if values:
                connection.execute(
                    customers.update().where(customers.c.id == customer_id).values(values)
                )
            if domains is not None:
                connection.execute(
                    _from_domains.delete().where(_from_domains.c.customer_id == customer_id)
                )
                _put_domains(connection, customer_id, domains)
            _put_login(connection, customer_id, login)
        return self.get(name)

    def all(self) -> list[Customer]:
        """Return every customer, by name."""
        return self._select(sa.true())

    def get(self, name: str) -> Customer:
        """Return a customer by name.

        Raises:
            StoreError: ``customer-missing``.
        """
        found = self._select(customers.c.name == name)
        if not found:
            raise _missing(name)
        return found[0]

    def for_from_domain(self, domain: str) -> Customer | None:
        """Return whose mail from ``domain`` is: the closest listed domain at or above it.

        Below it anything may stand that mail systems use, as in ``bounce_1.acme.example``.
        """
        labels = _labels(domain)[-_MOST_LABELS:]
        suffixes = [".".join(labels[start:]) for start in range(len(labels))]
        names = [suffix for suffix in suffixes if HOST.fullmatch(suffix)]
        with self._database.reading() as connection:
            found = {
                row.domain: row.customer_id
                for row in connection.execute(
                    sa.select(_from_domains.c.domain, _from_domains.c.customer_id).where(
                        _from_domains.c.domain.in_(names)
                    )
                )
            }
        closest = next((found[name] for name in names if name in found), None)
        return None if closest is None else self._select(customers.c.id == closest)[0]

    def for_login(self, user: str, password: str) -> Customer | None:
        """Return whose SMTP login this is; ``None`` when user or password is wrong.

        Takes as long for an unknown user as for a wrong password.
        """
        with self._database.reading() as connection:
            row = connection.execute(
                sa.select(
                    smtp_users.c.customer_id, smtp_users.c.salt, smtp_users.c.password_hash
                ).where(smtp_users.c.name == user)
            ).one_or_none()
        salt = row.salt if row else bytes(_SALT_BYTES)
        given = _hash(password, salt)
        if row is None or not hmac.compare_digest(given, row.password_hash):
            return None
        return self._select(customers.c.id == row.customer_id)[0]

    def _select(self, where: sa.ColumnElement[bool]) -> list[Customer]:
        with self._database.reading() as connection:
            rows = connection.execute(
                sa.select(
                    customers.c.id,
                    customers.c.name,
                    customers.c.sending_ip,
                    customers.c.ssl,
                    customers.c.created_at_ms,
                )
                .where(where)
                .order_by(customers.c.name)
            ).all()
            ids = [row.id for row in rows]
            domains = _grouped(
                connection.execute(
                    sa.select(_from_domains.c.customer_id, _from_domains.c.domain)
                    .where(_from_domains.c.customer_id.in_(ids))
                    .order_by(_from_domains.c.domain)
                )
            )
            users = _grouped(
                connection.execute(
                    sa.select(smtp_users.c.customer_id, smtp_users.c.name)
                    .where(smtp_users.c.customer_id.in_(ids))
                    .order_by(smtp_users.c.name)
                )
            )
        return [
            Customer(
                id=row.id,
                name=row.name,
                sending_ip=SendingIP(row.sending_ip),
                ssl=SSLPolicy(row.ssl),
                from_domains=tuple(domains.get(row.id, ())),
                smtp_users=tuple(users.get(row.id, ())),
                created_at=from_ms(row.created_at_ms),
            )
            for row in rows
        ]


def _grouped(pairs: Iterable[tuple[int, str]]) -> dict[int, list[str]]:
    groups: dict[int, list[str]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups


def _put_domains(connection: sa.Connection, customer_id: int, domains: Sequence[str]) -> None:
    taken = connection.scalar(
        sa.select(_from_domains.c.domain).where(_from_domains.c.domain.in_(domains)).limit(1)
    )
    if taken:
        raise StoreError(
            f"mail from {taken} is another customer's already",
            code="from-domain-taken",
            hint="`linkseal customer list` shows whose",
        )
    for domain in domains:
        connection.execute(_from_domains.insert().values(domain=domain, customer_id=customer_id))


def _put_login(connection: sa.Connection, customer_id: int, login: tuple[str, str] | None) -> None:
    """Add a login, or give one of the customer's another password."""
    if login is None:
        return
    user, password = login
    salt = secrets.token_bytes(_SALT_BYTES)
    values = {"salt": salt, "password_hash": _hash(password, salt)}
    of = connection.scalar(sa.select(smtp_users.c.customer_id).where(smtp_users.c.name == user))
    if of is None:
        connection.execute(smtp_users.insert().values(name=user, customer_id=customer_id, **values))
    elif of == customer_id:
        connection.execute(smtp_users.update().where(smtp_users.c.name == user).values(values))
    else:
        raise StoreError(
            f"the SMTP user {user} is taken", code="smtp-user-taken", hint="take another name"
        )


def _login(user: str | None, password: str | None) -> tuple[str, str] | None:
    """Return user and password if both may be such; ``None`` if neither is given."""
    if user is None and password is None:
        return None
    if user is None or password is None:
        raise StoreError(
            "an SMTP user needs a password, and a password a user",
            code="smtp-user-incomplete",
            hint="give both, or neither",
        )
    if not _is_user(user):
        raise StoreError(
            f"{user!r} cannot be an SMTP user",
            code="smtp-user-invalid",
            hint=f"use 1 to {_LONGEST_USER} printable characters, no space at either end",
        )
    if len(password) < MIN_PASSWORD:
        raise StoreError(
            f"the SMTP password is shorter than {MIN_PASSWORD} characters",
            code="smtp-password-short",
            hint="let one be made with --generate-password",
        )
    return user, password


def _missing(name: str) -> StoreError:
    return StoreError(
        f"there is no customer {name}",
        code="customer-missing",
        hint="`linkseal customer list` shows all, `linkseal customer add` adds one",
    )


def _is_user(name: str) -> bool:
    return 0 < len(name) <= _LONGEST_USER and name.isprintable() and name == name.strip()


def _labels(text: str) -> list[str]:
    """Return a domain's labels in the one form they are kept in, lower-case A-labels.

    Labels that have no such form are left as they are.
    """
    return [_a_label(label) for label in _DOT.split(text.strip().lower().rstrip("."))]


def _a_label(label: str) -> str:
    if label.isascii() or len(label) > _LONGEST_LABEL:
        return label
    try:
        return idna.encode(label, uts46=True).decode("ascii")
    except UnicodeError:
        return label


def _domains(given: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(_domain(domain) for domain in given))


def _domain(text: str) -> str:
    name = ".".join(_labels(text))
    if not HOST.fullmatch(name):
        raise StoreError(
            f"{text!r} is not a domain",
            code="from-domain-invalid",
            hint="give what stands after the @ of From addresses, as in acme.example",
        )
    return name


def _hash(password: str, salt: bytes) -> bytes:
    # RFC 7914; 2¹⁴ blocks of 1 KiB cost about 40 ms: enough against guessing, little a login.
    return hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1)
