"""Rows of branded domains, as the values that come out of the store."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from linkseal.domains.base import DomainState
from linkseal.domains.lifecycle import Action, Route
from linkseal.store.domain_values import Domain, Transition
from linkseal.store.schema import customers, domains
from linkseal.store.times import from_ms


def query_domains(*, reports: bool) -> sa.Select[Any]:
    """Return the query whose rows :func:`domain_of` reads.

    Args:
        reports: Whether with the report, which is most of a row.
    """
    found = [each for each in domains.c if reports or each is not domains.c.report]
    left_out = [] if reports else [sa.null().label("report")]
    return sa.select(*found, *left_out, customers.c.name.label("customer")).join(customers)


def domain_of(row: Any) -> Domain:
    """Return a domain from its row, joined with its customer's name."""
    return Domain(
        host=row.host,
        customer_id=row.customer_id,
        customer=row.customer,
        state=DomainState(row.state),
        since=from_ms(row.since_ms),
        reasons=tuple(row.reasons),
        target=row.target,
        ownership=row.ownership,
        delegation=row.delegation,
        default=row.is_default,
        from_domains=tuple(row.from_domains),
        dns_valid=row.dns_valid,
        route=Route(row.route) if row.route else None,
        cdn=row.cdn,
        own_networks=tuple(row.own_networks),
        https_only=row.https_only,
        failures=row.failures,
        failing_since=optional_from_ms(row.failing_since_ms),
        report=row.report,
        report_at=optional_from_ms(row.report_at_ms),
        report_blocks=row.report_blocks,
        claimed_at=from_ms(row.claimed_at_ms),
    )


def transition_of(row: Any) -> Transition:
    """Return a step of a domain's life from its row."""
    return Transition(
        seq=row.seq,
        host=row.host,
        at=from_ms(row.at_ms),
        action=Action(row.action),
        before=DomainState(row.before) if row.before else None,
        after=DomainState(row.after),
        who=row.who,
        reasons=tuple(row.reasons),
    )


def optional_from_ms(value: int | None) -> datetime | None:
    """Return Unix milliseconds as an aware UTC instant, if there are any."""
    return None if value is None else from_ms(value)
