"""A request for SSL that waits: asked for by another route, or withdrawn."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from linkseal.domains.base import DomainState
from linkseal.domains.lifecycle import Action, Route, Step
from linkseal.errors import DomainError
from linkseal.store import Domain, Store

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
HOST = "links.acme.example"
TARGET = "t-1.ct.example.net"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Of a domain that asks for SSL by the wrong route, with a report that blocks nothing."""
    with Store.open(f"sqlite:///{tmp_path}/linkseal.db") as opened:
        opened.domains.claim(
            HOST,
            customer_id=opened.customers.add("acme").id,
            target=TARGET,
            ownership="ct-verify=1",
            delegation="1.acme.ct.example.net",
            who="ann",
            now=NOW,
        )
        opened.domains.apply_dns(HOST, target=TARGET, passed=True, who="check", now=NOW)
        request(opened, Route.ACME)
        checked(opened, Route.ACME)
        yield opened


def request(store: Store, route: Route, *, late: int = 0) -> Domain:
    step = Step(Action.REQUEST_SSL, "ann", route=route)
    return store.domains.apply(HOST, step, NOW + timedelta(seconds=late))


def checked(store: Store, route: Route) -> None:
    assert store.domains.save_report(
        HOST, {"verdicts": []}, target=TARGET, route=route, blocks=False, now=NOW
    )


def refusal(store: Store, step: Step) -> str:
    with pytest.raises(DomainError) as refused:
        store.domains.apply(HOST, step, NOW)
    assert refused.value.hint
    return refused.value.code


def test_another_route_is_asked_for_and_the_report_of_the_old_one_approves_nothing(
    store: Store,
) -> None:
    after = request(store, Route.CDN, late=5)
    assert (after.state, after.route) == (DomainState.SSL_REQUESTED, Route.CDN)
    assert (after.report, after.report_at, after.since) == (None, None, NOW + timedelta(seconds=5))
    assert refusal(store, Step(Action.APPROVE, "bob")) == "domain-report-missing"
    assert store.domains.history(HOST)[-1].reasons == ("SSL requested, route cdn",)
    checked(store, Route.CDN)
    after = store.domains.apply(HOST, Step(Action.APPROVE, "bob"), NOW)
    assert (after.state, after.route) == (DomainState.SSL_ENABLED, Route.CDN)


def test_the_same_route_again_keeps_its_place_in_the_queue(store: Store) -> None:
    before, steps = store.domains.get(HOST), len(store.domains.history(HOST))
    step = Step(Action.REQUEST_SSL, "ann", route=Route.ACME)
    assert refusal(store, step) == "domain-request-waits"
    assert (store.domains.get(HOST), len(store.domains.history(HOST))) == (before, steps)


def test_a_request_that_is_withdrawn_waits_no_more(store: Store) -> None:
    withdraw = Step(Action.DISABLE_SSL, "ann", ("the wrong route",))
    after = store.domains.apply(HOST, withdraw, NOW)
    assert (after.state, after.dns_valid) == (DomainState.DNS_VALID, True)
    assert store.domains.queue() == []
    assert refusal(store, Step(Action.APPROVE, "bob")) == "domain-action-refused"
    assert request(store, Route.CDN).report is None
