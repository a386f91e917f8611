"""An edge that cannot take a probe's question says so, signed: that is no domain's fault."""

from __future__ import annotations

from typing import Any

import pytest

from linkseal.domains.checks import CHECKS, Result, judge
from support.checks import AGENT, HOST, PROBE, exchange, found, observed, redirect

PLAIN = f"http://{HOST}{PROBE.partition(HOST)[2]}/echo"
SECOND = "203.0.113.10"
TRY_AGAIN = (Result.SKIPPED, "our edge had no room for the question: try again in two minutes")


def busy(**other: Any) -> dict[str, Any]:
    return {"status": 503, "headers": {"server": "cdn"}, "seen": {"busy": True}} | other


REFUSED = (
    exchange(**busy()),
    exchange(PLAIN, **busy()),
    redirect(**busy()),
    exchange(f"{PROBE}/pixel", **busy(purpose="pixel")),
    exchange(f"{PROBE}/echo?q=1", **busy(purpose="key")),
    exchange(**busy(method="HEAD", purpose="head")),
    exchange(**busy(method="POST", purpose="post")),
    exchange(**busy(user_agent="python-requests/2")),
)


def test_a_challenge_that_the_edge_had_no_room_for_is_to_be_tried_again() -> None:
    assert found("HTTP-02", exchanges=REFUSED) == TRY_AGAIN


@pytest.mark.parametrize("route", ["", "cdn", "proxy", "acme", "uploaded"])
def test_a_full_edge_is_held_against_no_domain(route: str) -> None:
    whole = judge(observed(route=route))
    full = judge(observed(route=route, exchanges=REFUSED))
    worse = {Result.FAIL, Result.WARN}
    before = {each.check for each in whole.verdicts if each.result in worse}
    assert {each.check for each in full.verdicts if each.result in worse} <= before
    assert len(full.verdicts) == len(CHECKS)


def test_where_some_questions_were_taken_they_are_judged() -> None:
    exchanges = (exchange(), redirect(), *REFUSED)
    for check in ("HTTP-02", "HTTP-05", "HTTP-01"):
        assert found(check, exchanges=exchanges)[0] is Result.PASS
    rewritten = redirect(headers={"location": "https://evil.example/"})
    assert found("HTTP-05", exchanges=(*exchanges, rewritten))[0] is Result.FAIL


def test_an_address_that_never_had_its_turn_is_not_passed() -> None:
    second = exchange(**busy(address=SECOND))
    assert found("HTTP-02", exchanges=(exchange(), second)) == TRY_AGAIN
    assert found("HTTP-02", exchanges=(exchange(), second, exchange(address=SECOND)))[0] is (
        Result.PASS
    )


def test_another_address_that_does_not_lead_to_us_still_fails() -> None:
    other = exchange(address=SECOND, status=200, seen=None)
    assert found("HTTP-02", exchanges=(other, *REFUSED))[0] is Result.FAIL


def test_a_503_that_is_not_signed_is_whoevers_is_in_front() -> None:
    refused = exchange(**busy(seen=None, user_agent=AGENT))
    assert found("HTTP-02", exchanges=(refused,)) == (
        Result.FAIL,
        "Request did not reach us: got 503 from cdn.",
    )
