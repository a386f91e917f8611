"""Branded domains: whose they are, where they are in their life, and how they came there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from linkseal.domains.app_links import serves
from linkseal.domains.base import DomainState
from linkseal.domains.lifecycle import (
    Action,
    Route,
    Step,
    dns_action,
    next_state,
    refuse_approval,
    refuse_released,
    refuse_same_route,
)
from linkseal.errors import DomainError
from linkseal.store.alerts import alert_of_step
from linkseal.store.certificates import bump
from linkseal.store.claiming import claim
from linkseal.store.database import Database
from linkseal.store.domain_changes import UNBROKEN, UNSEEN, change, held, missing, note
from linkseal.store.domain_rows import domain_of, optional_from_ms, query_domains, transition_of
from linkseal.store.domain_values import Domain, Transition
from linkseal.store.schema import (
    app_links,
    domain_history,
    domain_targets,
    domains,
)
from linkseal.store.times import to_ms


class Domains:
    """Queries about branded domains. Hosts are given in the form ``claim_host`` makes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(
        self,
        host: str,
        *,
        customer_id: int,
        target: str,
        ownership: str,
        delegation: str,
        who: str,
        now: datetime,
        default: bool = False,
        from_domains: Sequence[str] | None = None,
        take_over: str = "",
    ) -> bool:
        """Claim a name for a customer, all of it or nothing; return whether the claim is new.

        A claim the customer has stays as it is, but ``default`` and ``from_domains`` are taken
        up if given, and what they change is put on record. A name the customer released is
        claimed anew.

        A name that another customer holds stays theirs for ever, but for one they never proved:
        with a reason it is taken over, with a new target and a new proof to show.

        Args:
            host: As ``claim_host`` returns it.
            customer_id: Whose it becomes.
            target: New, see ``new_target``.
            ownership: New, see ``ownership_value``.
            delegation: New, see ``new_delegation``.
            who: Who claims it.
            now: Aware.
            default: Make it the customer's default, in place of another.
            from_domains: Domains of From addresses it matches, besides its own parent, in place
                of those before; none if empty; ``None``: they stay.
            take_over: Why it is taken from another customer; empty: it is not.

        Raises:
            StoreError: ``domain-taken``, ``domain-proven``, ``domain-target-used``;
                ``store-refused``: there is no such customer.
        """
        with self._database.transaction() as connection:
            return claim(
                connection,
                host,
                customer_id=customer_id,
                target=target,
                ownership=ownership,
                delegation=delegation,
                who=who,
                now=now,
                default=default,
                from_domains=from_domains,
                take_over=take_over,
            )

    def apply(self, host: str, step: Step, now: datetime, *, seen: Domain | None = None) -> Domain:
        """Take a step of a domain's life and put it on record; return the domain after it.

        Args:
            host: The domain.
            step: Any but a claim, an enrolment and the result of DNS checks, which have ways of
                their own.
            now: Aware.
            seen: The domain that the step is for, as it was: of another claim, route or state
                it says nothing.

        Raises:
            StoreError: ``domain-missing``.
            DomainError: The step is not possible now; see :mod:`linkseal.domains.lifecycle`.
                ``domain-changed``: it is not as it was seen.
        """
        if step.action in {Action.CLAIM, Action.DNS_PASSED, Action.DNS_FAILED, Action.ENROL}:
            raise ValueError("use claim(), apply_dns() or set_cdn()")
        with self._database.transaction() as connection:
            row = held(connection, host)
            if seen is not None and not _is_as_seen(row, seen):
                raise DomainError(
                    f"{host} was changed meanwhile",
                    code="domain-changed",
                    hint="look at it again as it is now",
                )
            self._step(connection, row, step, now)
        return self.get(host)

    def apply_dns(
        self,
        host: str,
        *,
        target: str,
        passed: bool,
        who: str,
        now: datetime,
        reasons: Sequence[str] = (),
    ) -> Domain:
        """Take the step that the result of the DNS checks is, if any; return the domain.

        Args:
            host: The domain.
            target: Of the claim that was looked at: what was seen says nothing of another.
            passed: Whether ownership and DNS checks pass.
            who: Who looked.
            now: Aware.
            reasons: Why not; needed when they do not.

        Raises:
            StoreError: ``domain-missing``.
            DomainError: ``domain-reason-missing``.
        """
        with self._database.transaction() as connection:
            row = held(connection, host)
            action = dns_action(DomainState(row.state), passed=passed)
            if action is not None and row.target == target:
                self._step(connection, row, Step(action, who, tuple(reasons)), now)
        return self.get(host)

    def _step(self, connection: sa.Connection, row: Any, step: Step, now: datetime) -> None:
        before = DomainState(row.state)
        after = next_state(before, step.action)
        changes: dict[str, Any] = {
            "state": after.value,
            "since_ms": to_ms(now),
            "reasons": list(step.reasons),
        }
        match step.action:
            case Action.APPROVE:
                report_at = optional_from_ms(row.report_at_ms)
                refuse_approval(report_at=report_at, blocking=row.report_blocks, now=now)
                changes |= UNBROKEN
            case Action.REQUEST_SSL if step.route is not None:
                refuse_same_route(before, Route(row.route) if row.route else None, step.route)
                changes["route"] = step.route.value
                if step.route.value != row.route:
                    changes |= UNSEEN
                    if row.client_authority:
                        bump(connection)  # The edge asks for it on some routes only.
            case Action.RELEASE:
                changes |= {"is_default": False, "dns_valid": False}
                if row.cdn or row.client_authority:
                    bump(connection)  # The edge believes and asks it no more.
            case Action.DEGRADE | Action.REJECT:
                pass
            case Action.RECOVER:
                changes |= UNBROKEN
            case _:
                changes["dns_valid"] = after is DomainState.DNS_VALID
                if step.action is Action.DNS_PASSED:
                    changes |= UNBROKEN
        change(connection, row.host, **changes)
        note(connection, row.host, step, before, after, now)
        alert_of_step(connection, row.host, step.action, step.who, step.reasons, now)
        if serves(before) is not serves(after):
            files = sa.select(app_links.c.file).where(app_links.c.host == row.host)
            if connection.scalar(files.limit(1)) is not None:
                bump(connection)  # The edge serves them in some states only.

    def set_cdn(
        self,
        host: str,
        cdn: str,
        own_networks: Sequence[str] = (),
        *,
        who: str,
        now: datetime,
    ) -> None:
        """Enrol a domain with a CDN's profile, by its id, and note it; empty for none.

        Args:
            host: The domain.
            cdn: The profile's id.
            own_networks: Where the customer's proxy or CDN connects from, besides the networks
                that the CDN publishes; in place of those it was enrolled with before.
            who: Who says so.
            now: Aware.

        Raises:
            StoreError: ``domain-missing``.
            DomainError: ``domain-released``.
        """
        reason = f"enrolled with {', '.join([cdn or 'none', *own_networks])}"
        with self._database.transaction() as connection:
            row = held(connection, host)
            state = DomainState(row.state)
            refuse_released(host, state)
            if (cdn, list(own_networks)) == (row.cdn, list(row.own_networks)):
                return
            change(connection, host, cdn=cdn, own_networks=list(own_networks))
            note(connection, host, Step(Action.ENROL, who, (reason,)), state, state, now)
            bump(connection)  # The edge believes the client's address from there only.

    def save_report(
        self,
        host: str,
        report: Mapping[str, Any],
        *,
        target: str,
        route: Route | None,
        blocks: bool,
        now: datetime,
        https_only: bool | None = None,
    ) -> bool:
        """Keep the latest report of a domain's checks; return whether it was kept.

        Args:
            host: The domain.
            report: As JSON has it.
            target: Of the claim that was looked at; the report of another is not kept.
            route: It was looked at for; likewise.
            blocks: Whether SSL must not be enabled on it.
            now: When the look began, aware; the report of an older one than that kept is not
                kept, whichever took longer.
            https_only: Whether browsers turn its http links into https; ``None``: it was not seen,
                and what was seen before holds.
        """
        with self._database.transaction() as connection:
            kept = connection.execute(
                domains.update()
                .where(
                    domains.c.host == host,
                    domains.c.target == target,
                    domains.c.route == (route.value if route else ""),
                    sa.func.coalesce(domains.c.report_at_ms, 0) <= to_ms(now),
                )
                .values(
                    report=dict(report),
                    report_at_ms=to_ms(now),
                    report_blocks=blocks,
                    https_only=domains.c.https_only if https_only is None else https_only,
                )
            )
            return kept.rowcount == 1

    def count(self, host: str, failures: int, since: datetime | None) -> None:
        """Keep how often in a row the watch found a domain broken, and since when.

        Raises:
            StoreError: ``domain-missing``.
        """
        since_ms = to_ms(since) if since else None
        with self._database.transaction() as connection:
            change(connection, host, failures=failures, failing_since_ms=since_ms)

    def get(self, host: str) -> Domain:
        """Return one domain.

        Raises:
            StoreError: ``domain-missing``.
        """
        found = self._domains(domains.c.host == host)
        if not found:
            raise missing(host)
        return found[0]

    def all(self, *, reports: bool = True) -> list[Domain]:
        """Return every domain, released ones included, by host; with its report, or without."""
        return self._domains(sa.true(), reports=reports)

    def of_customer(self, customer_id: int, *, reports: bool = True) -> list[Domain]:
        """Return a customer's domains, as :meth:`all` does."""
        return self._domains(domains.c.customer_id == customer_id, reports=reports)

    def queue(self) -> list[Domain]:
        """Return what waits for approval, the longest first."""
        return self._domains(domains.c.state == DomainState.SSL_REQUESTED.value, domains.c.since_ms)

    def hosts(self) -> dict[str, int]:
        """Return the customer id of every host and target there ever was.

        Links already sent keep working on all of them: released names and old targets too.
        """
        with self._database.reading() as connection:
            found = {
                row.host: row.customer_id
                for row in connection.execute(sa.select(domains.c.host, domains.c.customer_id))
            }
            targets = sa.select(domain_targets.c.target, domains.c.customer_id).join(domains)
            return found | {row.target: row.customer_id for row in connection.execute(targets)}

    def history(self, host: str) -> list[Transition]:
        """Return every step of a domain's life, oldest first."""
        query = (
            sa.select(domain_history)
            .where(domain_history.c.host == host)
            .order_by(domain_history.c.seq)
        )
        with self._database.reading() as connection:
            return [transition_of(row) for row in connection.execute(query)]

    def _domains(
        self, where: sa.ColumnElement[bool], *order: sa.Column[Any], reports: bool = True
    ) -> list[Domain]:
        query = query_domains(reports=reports).where(where).order_by(*order, domains.c.host)
        with self._database.reading() as connection:
            return [domain_of(row) for row in connection.execute(query)]


def _is_as_seen(row: Any, seen: Domain) -> bool:
    route = seen.route.value if seen.route else ""
    return (row.target, row.route, row.since_ms) == (seen.target, route, to_ms(seen.since))
