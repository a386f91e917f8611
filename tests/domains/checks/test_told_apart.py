"""One mistake is one check's: what another judges is passed over, by value."""

from __future__ import annotations

from typing import Any

import pytest

from linkseal.domains.checks import Result
from linkseal.domains.observation import Exchange, Hop, Tried
from support.checks import (
    AGENT,
    BASE,
    HOST,
    PROBE,
    TARGET,
    V4,
    answer,
    exchange,
    found,
    handshakes,
    redirect,
)

FAIL, PASS, SKIPPED = Result.FAIL, Result.PASS, Result.SKIPPED
PATH = PROBE.partition(HOST)[2]
SCANNER: dict[str, Any] = {"user_agent": "python-requests/2"}
REFUSED: dict[str, Any] = {
    "status": 403,
    "headers": {"server": "waf", "location": ""},
    "seen": None,
}
PLAIN = f"http://{HOST}{PATH}/echo"


def test_the_answer_to_another_query_is_the_caches_fault_not_the_targets() -> None:
    first = exchange(f"{PROBE}/echo?q=1", seen={"serial": 7})
    second = exchange(f"{PROBE}/echo?q=2", seen={"serial": 7, "target": f"{PATH}/echo?q=1"})
    assert found("HTTP-07", exchanges=(first, second))[0] is FAIL
    assert found("HTTP-04", exchanges=(first, second))[0] is PASS


def test_a_target_that_arrives_changed_and_is_no_others_is_the_targets() -> None:
    first = exchange(f"{PROBE}/echo?q=1", seen={"serial": 7})
    second = exchange(f"{PROBE}/echo?q=2", seen={"serial": 8, "target": f"{PATH}/echo?q=1"})
    assert found("HTTP-04", exchanges=(first, second)) == (
        FAIL,
        f"Query string was changed: `{PATH}/echo?q=2` arrives as `{PATH}/echo?q=1`.",
    )


def test_head_that_is_refused_is_no_lost_redirect() -> None:
    head = redirect(method="HEAD", status=405, headers={"location": ""}, seen=None)
    assert found("HTTP-05", exchanges=(exchange(), redirect(), head))[0] is PASS
    assert found("HTTP-05", exchanges=(exchange(), head)) == (
        SKIPPED,
        "no redirect was asked for, or none was answered",
    )
    assert found("HTTP-10", exchanges=(exchange(), redirect(), head)) == (
        FAIL,
        "HEAD blocked (405).",
    )


@pytest.mark.parametrize("status", [403, 429, 503])
def test_an_agent_that_is_refused_is_the_bots_checks(status: int) -> None:
    kept_off = redirect(**SCANNER | REFUSED | {"status": status})
    exchanges = (exchange(), redirect(), kept_off)
    assert found("HTTP-05", exchanges=exchanges)[0] is PASS
    assert found("HTTP-12", exchanges=exchanges) == (
        FAIL,
        "Clicks are challenged: waf for UA `python-requests/2`.",
    )


def test_redirects_that_nobody_gets_are_the_redirects_checks() -> None:
    nobody = (redirect(**REFUSED), redirect(**SCANNER | REFUSED))
    exchanges = (exchange(), exchange(**SCANNER), *nobody)
    assert found("HTTP-05", exchanges=exchanges) == (
        FAIL,
        "Our redirect does not arrive: got 403 from waf.",
    )
    assert found("HTTP-12", exchanges=exchanges)[0] is PASS


def test_pixels_that_nobody_gets_are_the_bots_checks() -> None:
    pixel = exchange(f"{PROBE}/pixel.gif", purpose="pixel.gif", **REFUSED)
    assert found("HTTP-12", exchanges=(exchange(), pixel)) == (
        FAIL,
        f"Clicks are challenged: waf for UA `{AGENT}`.",
    )


@pytest.mark.parametrize("check", ["HTTP-01", "HTTP-10"])
def test_what_a_refused_agent_asks_in_another_way_is_passed_over(check: str) -> None:
    other = exchange(**SCANNER)
    again = (exchange(PLAIN, **REFUSED), exchange(method="HEAD", **REFUSED))
    assert found(check, exchanges=(other, exchange(**REFUSED), *again))[0] is SKIPPED
    assert found(check, exchanges=(other, exchange(), *again))[0] is not SKIPPED


@pytest.mark.parametrize("old", ["", "alert"])
def test_an_address_without_modern_tls_is_no_lost_request(old: str) -> None:
    silent = exchange(status=0, error="unsupported protocol", seen=None)
    shakes = handshakes(v12="alert", v13="alert", v10=old, v11=old)
    assert found("HTTP-02", exchanges=(silent,), handshakes=shakes) == (
        SKIPPED,
        "no TLS connection could be made, which TLS-01 and TLS-05 judge",
    )


def test_an_address_that_speaks_tls_and_nothing_more_is_a_lost_request() -> None:
    silent: Exchange = exchange(status=0, error="timeout", seen=None)
    assert found("HTTP-02", exchanges=(silent,)) == (
        FAIL,
        f"Request did not reach us: {V4} gives no answer (timeout).",
    )
    closed = (Tried(V4, 443, "refused"),)
    assert found("HTTP-02", exchanges=(silent,), handshakes=(), reached=closed)[0] is SKIPPED


@pytest.mark.parametrize("route", ["", "cdn", "proxy", "acme", "uploaded"])
def test_a_broken_chain_leads_to_no_target(route: str) -> None:
    chain = (Hop(HOST, "gone.example"), Hop("gone.example", "", "NXDOMAIN"))
    assert found("DNS-02", route=route, chain=chain)[0] is FAIL
    assert found("DNS-03", route=route, chain=chain) == (
        SKIPPED,
        "the CNAME chain breaks, which DNS-02 judges",
    )


def test_a_name_of_ours_that_never_was_is_a_wrong_target() -> None:
    typo = f"t-abd.{BASE}"
    seen: dict[str, Any] = {
        "chain": (Hop(HOST, typo), Hop(typo, "", "NXDOMAIN")),
        "dns": (answer(HOST, "A", rcode="NXDOMAIN"),),
    }
    elsewhere = (SKIPPED, "the chain leads to another name of ours, which DNS-03 judges")
    assert found("DNS-01", **seen) == elsewhere
    assert found("DNS-02", **seen) == elsewhere
    assert found("DNS-03", **seen) == (
        FAIL,
        f"`{HOST}` points to `{typo}`, which is not your target: yours is `{TARGET}`.",
    )
