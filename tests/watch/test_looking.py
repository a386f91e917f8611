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
GOOD = Report((Verdict("HTTP-02", Result.PASS, "echo", "our signed answer", "It came."),))
UNASKED = Report((Verdict("HTTP-02", Result.SKIPPED, "", "our signed answer", "No room."),))
BAD = Report((Verdict("HTTP-03", Result.FAIL, "404", "our echo", "Not ours."),))
NAMES = Report((Verdict("DNS-04", Result.PASS, "ct-verify=1", "", "Ownership: ct-verify=1"),))
NO_NAMES = Report((Verdict("DNS-04", Result.FAIL, "NXDOMAIN", "a TXT record", "It is missing."),))


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
    store: Store,
    report: Report = GOOD,
    *,
    names: Report = NAMES,
    before: Domain | None = None,
    late: int = 0,
) -> str:
    """Conclude a look that began so many seconds before now; return the state after it."""
    at, before = NOW - timedelta(seconds=late), before or store.domains.get(HOST)
    done = conclude(CONFIG, store, before, report, names, at, NOW)
    assert done.domain == store.domains.get(HOST)
    return done.domain.state.value


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
    # Nothing fails where nothing could be asked: that proves nothing.
    assert look(store, UNASKED) == "ssl_requested"
    assert store.domains.get(HOST).report_blocks
    # Nor on one that began before another that saw it broken, and took longer.
    assert look(store, late=30) == "ssl_requested"
    assert store.domains.get(HOST).report_blocks
    assert look(store) == "ssl_enabled"
    assert store.domains.history(HOST)[-1].who == "auto-approve"


@pytest.mark.parametrize("reached", ["dns_valid", "ssl_requested", "rejected"])
def test_no_look_takes_a_domain_a_step_back(store: Store, reached: str) -> None:
    """It may have been our own resolvers; the watch, which asks again, takes such steps."""
    look(store, names=NAMES)
    if reached != "dns_valid":
        request(store)
    if reached == "rejected":
        store.domains.apply(HOST, Step(Action.REJECT, "ann", ("cached",)), NOW)
    assert look(store, NO_NAMES, names=NO_NAMES) == reached
    # The report is kept all the same: nothing is approved on it.
    assert store.domains.get(HOST).report_blocks
    assert store.domains.get(HOST).dns_valid


@pytest.mark.parametrize("names", [NO_NAMES, Report(())])
def test_dns_is_valid_only_once_the_proof_was_seen(store: Store, names: Report) -> None:
    assert look(store, names=names) == "claimed"


def test_an_older_look_that_ends_later_takes_no_step(store: Store) -> None:
    assert look(store, NO_NAMES, names=NO_NAMES) == "claimed"
    seen = store.domains.get(HOST)
    at = NOW - timedelta(seconds=30)
    done = conclude(CONFIG, store, seen, GOOD, NAMES, at, NOW)
    assert (done.kept, done.domain.state.value) == (False, "claimed")
    assert store.domains.get(HOST).report_blocks


def test_a_report_is_dated_by_when_the_look_began(store: Store) -> None:
    look(store, late=60)
    assert store.domains.get(HOST).report_at == NOW - timedelta(seconds=60)
    assert store.domains.get(HOST).state is DomainState.DNS_VALID
