"""The CAs that sign the client certificates of customers' CDNs; of many domains, each once."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import sqlalchemy as sa

from linkseal.domains.base import DomainState
from linkseal.domains.client_ca import ClientAuthority, authority_of, der_of
from linkseal.domains.lifecycle import Action, Route, Step, refuse_released
from linkseal.store.certificates import bump
from linkseal.store.database import Database
from linkseal.store.domain_changes import change, held, note
from linkseal.store.schema import client_authorities, domains

_FRONTED: Final = (Route.CDN.value, Route.PROXY.value)


class ClientAuthorities:
    """Queries about who signs the client certificates of what stands in front of domains."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, host: str, authority: ClientAuthority | None, *, who: str, now: datetime) -> None:
        """Set a domain's CA in place of another, or ``None``: nobody is asked; and note it.

        Args:
            host: The domain.
            authority: As ``read_authority`` returns it.
            who: Who says so.
            now: Aware.

        Raises:
            StoreError: ``domain-missing``.
            DomainError: ``domain-released``.
        """
        with self._database.transaction() as connection:
            row = held(connection, host)
            state = DomainState(row.state)
            refuse_released(host, state)
            wanted = authority.id if authority else ""
            if wanted == row.client_authority:
                return
            if authority is not None:
                known = sa.select(client_authorities.c.id).where(client_authorities.c.id == wanted)
                if connection.scalar(known) is None:
                    connection.execute(
                        client_authorities.insert().values(id=wanted, pem=authority.pem)
                    )
                reason = f"asked for a client certificate of {authority.title}"
            else:
                reason = "asked for a client certificate no more"
            change(connection, host, client_authority=wanted)
            used = sa.select(domains.c.client_authority)
            connection.execute(
                client_authorities.delete().where(client_authorities.c.id.not_in(used))
            )
            note(connection, host, Step(Action.ENROL, who, (reason,)), state, state, now)
            bump(connection)  # The edge asks in handshakes.

    def of(self, host: str) -> ClientAuthority | None:
        """Return a domain's CA; ``None`` where nobody is asked."""
        query = (
            sa.select(client_authorities.c.pem)
            .join(domains, domains.c.client_authority == client_authorities.c.id)
            .where(domains.c.host == host)
        )
        with self._database.reading() as connection:
            pem = connection.scalar(query)
        return None if pem is None else authority_of(pem)

    def asked(self) -> dict[str, tuple[bytes, ...]]:
        """Return the names in whose handshakes the edge asks, each with the CAs, DER.

        Those of domains that something stands in front of: to the others recipients come
        themselves, and a browser that is asked may show its user a choice of certificates.
        """
        query = (
            sa.select(domains.c.host, domains.c.target, domains.c.client_authority)
            .where(domains.c.client_authority != "", domains.c.route.in_(_FRONTED))
            .where(domains.c.state != DomainState.RELEASED.value)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
            every = connection.execute(sa.select(client_authorities)) if rows else ()
            known = {row.id: der_of(row.pem) for row in every}
        return {
            name: known[row.client_authority] for row in rows for name in (row.host, row.target)
        }
