"""A name whose http links browsers turn into https: what a look leaves behind, and is shown."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from linkseal.domains.base import DomainState, SendingIP, choose_base
from linkseal.domains.checks import Report, Result, Verdict
from linkseal.domains.lifecycle import Action, Route, Step
from linkseal.store import Store
from linkseal.watch.looking import keep_report
from support.desk import HOST, Desk

ANSWERED = Verdict("HTTP-02", Result.PASS, "echo", "our signed answer", "It came.")


@pytest.fixture
def kept(desk: Desk) -> Iterator[Store]:
    desk.said("add", HOST, "--customer", "acme")
    with Store.open(desk.url) as store:
        yield store


def look(store: Store, minutes: int, *, https_only: bool | None) -> bool:
    """Keep a look's report, and tell what is known after it."""
    at = datetime.now(UTC) + timedelta(minutes=minutes)
    assert keep_report(
        store, store.domains.get(HOST), Report((ANSWERED,), https_only=https_only), at
    )
    return store.domains.get(HOST).https_only


def base(store: Store) -> str:
    found = choose_base(
        shared_host="go.ct.example.net",
        from_domain="acme.example",
        sending_ip=SendingIP.DEDICATED,
        domains=[store.domains.get(HOST).branded()],
    )
    return f"{found.scheme}://{found.host}"


def test_what_a_look_saw_holds_until_one_sees_otherwise(kept: Store) -> None:
    assert not kept.domains.get(HOST).https_only
    assert look(kept, 1, https_only=True)
    assert look(kept, 2, https_only=None)
    assert not look(kept, 3, https_only=False)
    assert not look(kept, 4, https_only=None)


def test_such_a_name_gets_no_http_links_and_says_so(desk: Desk, kept: Store) -> None:
    desk.checked()
    assert base(kept) == f"http://{HOST}"
    assert "http links" not in desk.said("show", HOST)
    look(kept, 1, https_only=True)
    assert base(kept) == "https://go.ct.example.net"
    assert desk.json("show", HOST)["https_only"] is True
    assert "none: browsers turn them into https, see check HTTP-01" in desk.said("show", HOST)


def test_it_is_of_the_name_not_of_a_route_or_a_claim(desk: Desk, kept: Store) -> None:
    desk.checked()
    look(kept, 1, https_only=True)
    desk.said("request-ssl", HOST, "--route", "proxy")
    assert kept.domains.get(HOST).report is None
    assert base(kept) == "https://go.ct.example.net"
    desk.said("release", HOST)
    desk.said("add", HOST, "--customer", "acme")
    assert kept.domains.get(HOST).state is DomainState.CLAIMED
    assert kept.domains.get(HOST).https_only


def test_with_ssl_enabled_its_links_are_https(desk: Desk, kept: Store) -> None:
    desk.checked()
    kept.domains.apply(HOST, Step(Action.REQUEST_SSL, "ann", route=Route.CDN), datetime.now(UTC))
    look(kept, 1, https_only=True)
    kept.domains.apply(HOST, Step(Action.APPROVE, "ann"), datetime.now(UTC) + timedelta(minutes=2))
    assert base(kept) == f"https://{HOST}"
