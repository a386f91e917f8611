"""Claiming a branded domain: whose a name becomes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from linkseal.domains.base import DomainState
from linkseal.domains.lifecycle import Action, Step
from linkseal.errors import StoreError
from linkseal.store.certificates import bump
from linkseal.store.domain_changes import UNSEEN, change, locked, note
from linkseal.store.schema import (
    app_links,
    certificates,
    domain_history,
    domain_looks,
    domain_targets,
    domains,
)
from linkseal.store.times import to_ms


def claim(
    connection: sa.Connection,
    host: str,
    *,
    customer_id: int,
    target: str,
    ownership: str,
    delegation: str,
    who: str,
    now: datetime,
    default: bool,
    from_domains: Sequence[str] | None,
    take_over: str,
) -> bool:
    """Claim a name within a transaction; see :meth:`linkseal.store.domains.Domains.claim`."""
    take_over = take_over.strip()
    row = locked(connection, host)
    moved = row is not None and row.customer_id != customer_id
    fresh = row is None or moved or DomainState(row.state) is DomainState.RELEASED
    reasons = ["claimed"] if fresh else []
    if moved:
        _refuse_taking(connection, host, take_over)
        reasons = [f"taken over from another customer, never proven: {take_over}"]
        # What was set up for the name was another's word, and would be served as this one's.
        for table in (app_links, domain_looks):
            connection.execute(table.delete().where(table.c.host == host))
    changes: dict[str, Any] = {}
    names = list(dict.fromkeys(from_domains or ()))
    before = [] if fresh else list(row.from_domains)
    if from_domains is not None and names != before:
        changes["from_domains"] = names
        reasons.append(_mail_moved(names, before))
    if default and (fresh or not row.is_default):
        changes["is_default"] = True
        reasons.append(_make_default(connection, host, customer_id, who, now))
    if not fresh:
        if changes:
            change(connection, host, **changes)
            state = DomainState(row.state)
            note(connection, host, Step(Action.CLAIM, who, tuple(reasons)), state, state, now)
        return False
    step = Step(Action.CLAIM, who, tuple(reasons))
    used = sa.select(domain_targets.c.target).where(domain_targets.c.target == target)
    if connection.scalar(used) is not None:
        raise StoreError(
            f"the target {target} was another claim's",
            code="domain-target-used",
            hint="claim again with a new random target",
        )
    changes = {
        "customer_id": customer_id,
        "from_domains": [],
        "is_default": False,
        "state": DomainState.CLAIMED.value,
        "since_ms": to_ms(now),
        "reasons": list(step.reasons),
        "target": target,
        "ownership": ownership,
        "delegation": delegation,
        "dns_valid": False,
        "route": "",
        "cdn": "",
        "own_networks": [],
        "client_authority": "",
        "claimed_at_ms": to_ms(now),
        **UNSEEN,
        **changes,
    }
    if row is None:
        connection.execute(domains.insert().values(host=host, **changes))
    else:
        change(connection, host, **changes)
    connection.execute(
        domain_targets.insert().values(target=target, host=host, claimed_at_ms=to_ms(now))
    )
    was = None if row is None else DomainState(row.state)
    note(connection, host, step, was, DomainState.CLAIMED, now)
    bump(connection)
    return True


def _mail_moved(names: Sequence[str], before: Sequence[str]) -> str:
    """Return the sentence on record for From domains that differ from those before."""
    listed = ", ".join(before)
    if not names:
        return f"for mail from its own domain only, no more from {listed}"
    return f"for mail from {', '.join(names)} too" + (f", in place of {listed}" if listed else "")


def _make_default(
    connection: sa.Connection, host: str, customer_id: int, who: str, now: datetime
) -> str:
    """Take the default from the customer's other domains; return the sentence on record."""
    others = connection.execute(
        sa.select(domains.c.host, domains.c.state)
        .where(domains.c.customer_id == customer_id, domains.c.is_default, domains.c.host != host)
        .with_for_update()
    ).all()
    for other in others:
        change(connection, other.host, is_default=False)
        state = DomainState(other.state)
        lost = Step(Action.CLAIM, who, (f"the customer's default no more: {host} is",))
        note(connection, other.host, lost, state, state, now)
    listed = ", ".join(other.host for other in others)
    return "the customer's default" + (f", in place of {listed}" if listed else "")


def _refuse_taking(connection: sa.Connection, host: str, take_over: str) -> None:
    """Refuse a name of another customer, unless it is taken over and they never proved it.

    Whose it is, is not this customer's to know.
    """
    # No link is made on a name whose DNS checks never passed, so none can be in a mailbox. Who
    # got a certificate has shown to its CA that the name is theirs.
    passed = sa.select(domain_history.c.seq).where(
        domain_history.c.host == host, domain_history.c.action == Action.DNS_PASSED.value
    )
    held = sa.select(certificates.c.id).where(certificates.c.name == host)
    proven = any(connection.scalar(each.limit(1)) is not None for each in (passed, held))
    if take_over and not proven:
        return
    if take_over:
        raise StoreError(
            f"{host} was proven by another customer: links that were sent may lead there",
            code="domain-proven",
            hint="claim another name; this one stays theirs, also when it is released",
        )
    movable = ': it was never proven, so `linkseal domain add --take-over "why"` can move it'
    raise StoreError(
        f"{host} is claimed by another customer",
        code="domain-taken",
        hint="claim another name; if this one is yours, the operator has to look at it"
        f"{'' if proven else movable}",
    )
