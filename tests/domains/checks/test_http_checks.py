"""HTTP-01, 02, 05 and 13: the way there and the redirect back, by value."""

from __future__ import annotations

from typing import Any

import pytest

from linkseal.domains.checks import Result
from linkseal.domains.observation import Exchange, Tried
from support.checks import (
    CLOUDFLARE,
    HOST,
    LOCATION,
    PROBE,
    V4,
    exchange,
    found,
    handshakes,
    redirect,
)

FAIL, WARN, PASS, SKIPPED = Result.FAIL, Result.WARN, Result.PASS, Result.SKIPPED
PLAIN = PROBE.replace("https", "http", 1)
URL = f"{PLAIN}/echo?a=1"


def moved(to: str, url: str = f"{PROBE}/echo", status: int = 301, **other: Any) -> Exchange:
    headers = {"location": to, "server": "nginx"}
    return exchange(url, status=status, headers=headers, seen=None, **other)


def test_port_80_answers_or_leads_to_https() -> None:
    secure = f"https://{HOST}/.well-known/ct-probe/nonce/echo?a=1"
    assert found("HTTP-01", exchanges=(exchange(URL),)) == (PASS, "Port 80: answered by us")
    for to in (secure, secure.replace(HOST, f"{HOST}:443")):
        assert found("HTTP-01", exchanges=(moved(to, URL),)) == (
            PASS,
            "Port 80: redirected to https",
        )
    assert found("HTTP-01", reached=()) == (SKIPPED, "nothing was asked over http")


def test_http_links_that_browsers_turn_into_https_are_told_until_links_are_https() -> None:
    there: dict[str, Any] = {"host": "links.acme.dev", "exchanges": (exchange(URL),)}
    result, message = found("HTTP-01", **there)
    assert (result, message[:43]) == (WARN, "Browsers turn http links of `links.acme.dev")
    assert found("HTTP-01", **there, https_links=True)[0] is PASS


@pytest.mark.parametrize(
    ("answer", "symptom"),
    [
        (exchange(URL, status=404, seen=None), "answers 404"),
        (exchange(URL, status=0, error="timeout", seen=None), "does not answer (timeout)"),
        (moved("https://www.acme.example/", URL), "redirects to https://www.acme.example/"),
        (moved(f"{PROBE}/echo", URL), f"redirects to {PROBE}/echo"),
        (moved(f"{PROBE}/echo?a=1", URL, 300), "answers 300"),
    ],
)
def test_port_80_that_breaks_old_links(answer: Exchange, symptom: str) -> None:
    assert found("HTTP-01", exchanges=(answer,)) == (
        WARN,
        f"Old http links break: port 80 {symptom}.",
    )


@pytest.mark.parametrize("status", [302, 303, 307])
def test_port_80_that_leads_to_https_for_this_once(status: int) -> None:
    once = moved(f"{PROBE}/echo?a=1", URL, status)
    assert found("HTTP-01", exchanges=(once,)) == (
        WARN,
        (
            f"Port 80 redirects to https with {status}, which is temporary: browsers ask by http "
            "again every time."
        ),
    )
    # What breaks links comes first.
    broken = moved("https://www.acme.example/", URL)
    assert "Old http links break" in found("HTTP-01", exchanges=(once, broken))[1]
    lasting = moved(f"{PROBE}/echo?a=1", URL, 308)
    assert found("HTTP-01", exchanges=(lasting,))[0] is PASS


def test_port_80_closed() -> None:
    assert found("HTTP-01", exchanges=(), reached=(Tried(V4, 80, "refused"),)) == (
        WARN,
        "Old http links break: port 80 does not answer (refused).",
    )


def test_a_request_that_reaches_us() -> None:
    assert found("HTTP-02") == (PASS, f"Challenge: our signed answer through {V4}")
    assert found("HTTP-02", exchanges=()) == (SKIPPED, "nothing was asked over https")


def test_a_request_that_does_not() -> None:
    elsewhere = exchange(status=404, headers={"server": "Apache"}, seen=None)
    silent = exchange(status=0, error="reset", seen=None)
    assert found("HTTP-02", exchanges=(elsewhere,)) == (
        FAIL,
        "Request did not reach us: got 404 from Apache.",
    )
    assert found("HTTP-02", exchanges=(silent,)) == (
        FAIL,
        f"Request did not reach us: {V4} gives no answer (reset).",
    )


def test_our_redirect_without_our_signature_proves_nothing() -> None:
    copied = redirect(seen=None)
    assert found("HTTP-02", exchanges=(copied,)) == (
        FAIL,
        "Request did not reach us: got 302 from cdn.",
    )


def test_every_address_has_to_lead_to_us() -> None:
    other = exchange(address="203.0.113.10", status=200, headers={}, seen=None)
    assert found("HTTP-02", exchanges=(exchange(), other)) == (
        FAIL,
        "Request did not reach us: got 200 from 203.0.113.10.",
    )


def test_an_ipv6_address_that_is_dead_beside_ipv4_says_nothing_of_the_way() -> None:
    """Those who have IPv6 fall back to IPv4; TLS-01 passes over it too."""
    v6 = "2001:db8::9"
    silent = exchange(address=v6, status=0, error="timeout", seen=None)
    reached = (Tried(V4, 443), Tried(v6, 443, "timeout"))
    assert found("HTTP-02", exchanges=(exchange(), silent), reached=reached) == (
        PASS,
        f"Challenge: our signed answer through {V4}",
    )
    assert found("HTTP-02", exchanges=(silent,), reached=reached)[0] is SKIPPED
    elsewhere = exchange(address=v6, status=404, headers={"server": "Apache"}, seen=None)
    taken = (Tried(V4, 443), Tried(v6, 443))
    assert found("HTTP-02", exchanges=(exchange(), elsewhere), reached=taken)[0] is FAIL


def test_what_another_check_judges_is_skipped() -> None:
    silent = exchange(status=0, error="TLS", seen=None)
    failing = handshakes(v12="alert", v13="alert")
    bot = exchange(status=403, headers={"cf-mitigated": "challenge"}, seen=None)
    assert found("HTTP-02", exchanges=(silent,), handshakes=failing) == (
        SKIPPED,
        "no TLS connection could be made, which TLS-01 and TLS-05 judge",
    )
    assert found("HTTP-02", exchanges=(bot,)) == (
        SKIPPED,
        "a bot challenge is in the way, which HTTP-12 judges",
    )
    assert found("HTTP-02", exchanges=(moved(f"{PROBE}/echo"),)) == (
        SKIPPED,
        "the redirects run in a circle, which HTTP-13 judges",
    )


def test_before_a_route_is_chosen_http_will_do() -> None:
    assert found("HTTP-02", route="", exchanges=(exchange(URL),))[0] is PASS
    assert found("HTTP-02", exchanges=(exchange(URL),)) == (
        SKIPPED,
        "nothing was asked over https",
    )


def test_a_redirect_that_arrives() -> None:
    assert found("HTTP-05") == (PASS, "Redirect: 302 with its Location unchanged")
    assert found("HTTP-05", exchanges=(exchange(),)) == (
        SKIPPED,
        "no redirect was asked for, or none was answered",
    )
    lost = redirect(status=502, headers={"location": ""}, seen=None)
    assert found("HTTP-05", exchanges=(lost,)) == (SKIPPED, "no request reached us")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            redirect(status=200, seen=None),
            "Cloudflare followed our redirect: the answer is 200, not 302.",
        ),
        (
            redirect(headers={"location": "https://shop.example/a%20b?x=1"}),
            "Cloudflare rewrote our redirect (https://shop.example/a%20b?x=1).",
        ),
        (redirect(status=301), "Our redirect arrives with status 301, not 302."),
        (
            redirect(status=502, headers={"server": "nginx"}, seen=None),
            "Our redirect does not arrive: got 502 from nginx.",
        ),
    ],
)
def test_a_redirect_that_does_not(answer: Exchange, message: str) -> None:
    assert found("HTTP-05", CLOUDFLARE, exchanges=(exchange(), answer)) == (FAIL, message)


def test_a_redirect_rewritten_by_an_unknown_server() -> None:
    answer = redirect(headers={"location": "https://other.example/"})
    assert found("HTTP-05", exchanges=(answer, exchange())) == (
        FAIL,
        "The CDN or proxy rewrote our redirect (https://other.example/).",
    )


def test_no_loop() -> None:
    to_https = moved(f"{PROBE}/echo?a=1", URL)
    assert found("HTTP-13", exchanges=(exchange(), redirect(), to_https)) == (
        PASS,
        "Loops: no redirect leads back",
    )
    assert found("HTTP-13", exchanges=()) == (SKIPPED, "nothing was answered")


@pytest.mark.parametrize(
    "to", [f"{PROBE}/echo", "/.well-known/ct-probe/nonce/echo", f"{PLAIN}/echo"]
)
def test_https_that_leads_back_to_itself_or_to_http_is_a_loop(to: str) -> None:
    assert found("HTTP-13", exchanges=(moved(to),)) == (
        FAIL,
        f"Redirect loop (Flexible SSL?): {PROBE}/echo leads to {to}.",
    )


def test_a_loop_over_several_urls_and_a_long_way() -> None:
    a, b, c = (f"https://{name}.acme.example/" for name in "abc")
    assert found("HTTP-13", exchanges=(moved(b, a), moved(a, b))) == (
        FAIL,
        f"Redirect loop (Flexible SSL?): {a} leads to {b}.",
    )
    assert found("HTTP-13", exchanges=(moved(b, a), moved(c, b), moved(LOCATION, c))) == (
        FAIL,
        f"More than 2 redirects before an answer: the last leads to {LOCATION}.",
    )
