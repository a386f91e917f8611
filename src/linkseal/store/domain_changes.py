"""What every change of a branded domain is made of: its row, and its history."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from linkseal.domains.base import DomainState
from linkseal.domains.lifecycle import Step
from linkseal.errors import StoreError
from linkseal.store.schema import domain_history, domains
from linkseal.store.times import to_ms

# What a look at a domain found is of the claim and the route it was made for.
UNBROKEN: dict[str, Any] = {"failures": 0, "failing_since_ms": None}
UNSEEN: dict[str, Any] = {
    **UNBROKEN,
    "report": sa.null(),
    "report_at_ms": None,
    "report_blocks": False,
}


def locked(connection: sa.Connection, host: str) -> Any:
    """Return a domain's row, which nobody else changes before the transaction ends."""
    return connection.execute(
        sa.select(domains).where(domains.c.host == host).with_for_update()
    ).one_or_none()


def held(connection: sa.Connection, host: str) -> Any:
    """Return the same of a domain that is there.

    Raises:
        StoreError: ``domain-missing``.
    """
    row = locked(connection, host)
    if row is None:
        raise missing(host)
    return row


def change(connection: sa.Connection, host: str, **values: Any) -> None:
    """Write columns of a domain.

    Raises:
        StoreError: ``domain-missing``.
    """
    changed = connection.execute(domains.update().where(domains.c.host == host).values(values))
    if changed.rowcount != 1:
        raise missing(host)


def note(
    connection: sa.Connection,
    host: str,
    step: Step,
    before: DomainState | None,
    after: DomainState,
    now: datetime,
) -> None:
    """Put a step of a domain's life on record."""
    connection.execute(
        domain_history.insert().values(
            host=host,
            at_ms=to_ms(now),
            action=step.action.value,
            before=before.value if before else "",
            after=after.value,
            who=step.who,
            reasons=list(step.reasons),
        )
    )


def missing(host: str) -> StoreError:
    """Return the error that a domain is not there."""
    return StoreError(
        f"{host} is not claimed",
        code="domain-missing",
        hint="`linkseal domain list` shows all; claim it with `linkseal domain add`",
    )
