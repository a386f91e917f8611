"""What follows from a look that somebody asked for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from linkseal.config import Config
from linkseal.domains.base import DomainState
from linkseal.domains.checks import Report, Result, Verdict
from linkseal.domains.lifecycle import Action, Route, Step
from linkseal.store import Domain, Store
from linkseal.watch.looking import conclude

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
HOST = "links.acme.example"
CONFIG = Config(base_domain="ct.example.net", auto_approve=True)
GOOD = Report(())
BAD = Report((Verdict("HTTP-03", Result.FAIL, "404", "our echo", "Not ours."),))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/linkseal.db") as opened:
        opened.domains.claim(
            HOST,
            customer_id=opened.customers.add("acme").id,
            target="t-1.ct.example.net",
            ownership="ct-verify=1",
            delegation="1.acme.ct.example.net",
            who="ann",
            now=NOW,
        )
        yield opened


def request(store: Store, route: Route = Route.CDN) -> Domain:
    return store.domains.apply(HOST, Step(Action.REQUEST_SSL, "ann", route=route), NOW)


def look(
    store: Store, report: Report = GOOD, *, before: Domain | None = None, late: int = 0
) -> str:
    """Conclude a look that began so many seconds before now; return the state after it."""
    at = NOW - timedelta(seconds=late)
    conclude(CONFIG, store, before or store.domains.get(HOST), report, at, NOW)
    return store.domains.get(HOST).state.value


def test_ssl_is_approved_by_itself_on_the_report_of_a_look_that_began_after_the_request(
    store: Store,
) -> None:
    assert look(store) == "dns_valid"
    before = store.domains.get(HOST)
    request(store)
    # It was asked for while a look was made that knew nothing of it.
    assert look(store, before=before) == "ssl_requested"
    assert store.domains.get(HOST).report is None
    assert look(store, BAD) == "ssl_requested"
    # Nor on one that began before another that saw it broken, and took longer.
    assert look(store, late=30) == "ssl_requested"
    assert store.domains.get(HOST).report_blocks
    assert look(store) == "ssl_enabled"
    assert store.domains.history(HOST)[-1].who == "auto-approve"


def test_a_report_is_dated_by_when_the_look_began(store: Store) -> None:
    look(store, late=60)
    assert store.domains.get(HOST).report_at == NOW - timedelta(seconds=60)
    assert store.domains.get(HOST).state is DomainState.DNS_VALID
