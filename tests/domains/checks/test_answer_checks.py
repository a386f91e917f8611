"""HTTP-06, 07, 11, 12, 14 and 15: the answer as it comes back, by value."""

from __future__ import annotations

from typing import Any

import pytest

from linkseal.domains.checks import Result
from linkseal.domains.observation import AppFile, Exchange
from support.checks import CLOUDFLARE, PROBE, exchange, found

FAIL, WARN, PASS, SKIPPED = Result.FAIL, Result.WARN, Result.PASS, Result.SKIPPED
NOTHING = (SKIPPED, "no request reached us")
SILENT = (exchange(status=404, seen=None),)
SUSPECTS = "(optimizer/obfuscation/injection)"
STORED = {"cache-control": "private, no-store"}


@pytest.mark.parametrize("check", ["HTTP-06", "HTTP-07", "HTTP-12"])
def test_without_an_answer_of_ours_there_is_nothing_to_judge(check: str) -> None:
    assert found(check, exchanges=SILENT) == NOTHING


def test_the_same_url_is_answered_anew() -> None:
    assert found("HTTP-06", exchanges=(exchange(), exchange())) == (
        PASS,
        "Not cached: 1 URLs asked again, answered anew",
    )
    assert found("HTTP-06", exchanges=(exchange(),)) == (SKIPPED, "no URL was asked twice")


def test_the_same_answer_twice_came_from_a_cache() -> None:
    same = {"serial": 7}
    pixels = tuple(exchange(f"{PROBE}/pixel.gif", seen=same) for _ in range(2))
    assert found("HTTP-06", CLOUDFLARE, exchanges=pixels) == (
        FAIL,
        "/pixel.gif is cached by Cloudflare (the same answer).",
    )
    # Workers count for themselves.
    other = exchange(f"{PROBE}/pixel.gif", seen={"serial": 7, "node": "n2"})
    assert found("HTTP-06", exchanges=(pixels[0], other))[0] is PASS


@pytest.mark.parametrize(
    ("headers", "header"),
    [
        ({"age": "12"}, "Age: 12"),
        ({"cf-cache-status": "HIT"}, "cf-cache-status: HIT"),
        ({"x-cache": "Hit from cloudfront"}, "x-cache: Hit from cloudfront"),
        ({"x-cache": "MISS, HIT"}, "x-cache: MISS, HIT"),
        ({"cdn-cache": "STALE"}, "cdn-cache: STALE"),
    ],
)
def test_a_header_that_says_cache(headers: dict[str, str], header: str) -> None:
    cached = exchange(f"{PROBE}/302", headers=headers)
    assert found("HTTP-06", exchanges=(cached,)) == (
        FAIL,
        f"/302 is cached by the CDN ({header}).",
    )


def test_an_age_of_any_length_is_read() -> None:
    for age, result in (("9" * 5000, FAIL), ("0" * 5000, PASS)):
        twice = (exchange(headers={"age": age}), exchange(headers={"age": age}))
        assert found("HTTP-06", exchanges=twice)[0] is result


@pytest.mark.parametrize("headers", [{"age": "0"}, {"x-cache": "MISS, MISS"}, {"age": "x"}])
def test_a_header_that_does_not(headers: dict[str, str]) -> None:
    twice = (exchange(headers=headers), exchange(headers=headers))
    assert found("HTTP-06", exchanges=twice)[0] is PASS


def test_requests_at_once_that_are_merged() -> None:
    burst = tuple(exchange(purpose="burst", seen={"serial": n // 3}) for n in range(5))
    assert found("HTTP-06", exchanges=burst) == (
        FAIL,
        "/echo: 5 requests at once are merged into 2 by the CDN.",
    )


def test_the_query_is_part_of_the_cache_key() -> None:
    one, two = f"{PROBE}/echo?q=1", f"{PROBE}/echo?q=2"
    assert found("HTTP-07", exchanges=(exchange(one), exchange(two))) == (
        PASS,
        "Cache key: each query has its own answer",
    )
    assert found("HTTP-07", exchanges=(exchange(one),)) == (
        SKIPPED,
        "no two queries were asked of one path",
    )
    merged = (exchange(one, seen={"serial": 4}), exchange(two, seen={"serial": 4}))
    assert found("HTTP-07", exchanges=merged) == (FAIL, "Query string ignored in cache key.")


def page(variant: str = "html", digest: str = "aa", **other: Any) -> Exchange:
    headers = STORED | {"content-type": "text/html; charset=utf-8"} | other.pop("headers", {})
    said = {"body_sha256": digest, "seen": {"sent_body": "aa"}, "headers": headers} | other
    return exchange(f"{PROBE}/{variant}", **said)


def test_a_body_as_it_was_sent() -> None:
    pixel = page("pixel.gif", headers={"content-type": "image/gif"})
    assert found("HTTP-11", exchanges=(page(), pixel)) == (PASS, "Body: 2 answers as we sent them")
    assert found("HTTP-11") == (SKIPPED, "no answer with a body of ours was seen")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            page(digest="bb"),
            "Body altered: /html is not what we sent (optimizer/obfuscation/injection).",
        ),
        (
            page(digest="bb", body=b'<a href="/cdn-cgi/l/email-protection#1">'),
            f"Body altered: /html has its email addresses replaced {SUSPECTS}.",
        ),
        (
            page(digest="bb", body=b'<script src="/cdn-cgi/x.js">'),
            "Body altered: /html has a script put in (optimizer/obfuscation/injection).",
        ),
        (
            page("pixel", headers={"content-type": "image/webp"}),
            "Content-Type of /pixel arrives as `image/webp`.",
        ),
        (
            page(headers={"cache-control": "max-age=3600"}),
            "Cache-Control arrives as `max-age=3600`.",
        ),
    ],
)
def test_a_body_that_was_altered(answer: Exchange, message: str) -> None:
    assert found("HTTP-11", exchanges=(answer,)) == (WARN, message)


def test_machines_are_answered_as_people_are() -> None:
    agents = tuple(exchange(user_agent=agent) for agent in ("Mozilla/5.0", "GoogleImageProxy", ""))
    assert found("HTTP-12", exchanges=agents) == (PASS, "Bots: 3 User-Agents are answered alike")
    assert found("HTTP-12") == (SKIPPED, "only one User-Agent was tried")


def test_a_challenge_for_some() -> None:
    blocked = exchange(user_agent="", status=403, headers={"server": "waf"}, seen=None)
    assert found("HTTP-12", exchanges=(exchange(), blocked)) == (
        FAIL,
        "Clicks are challenged: waf for UA (empty).",
    )
    named = exchange(user_agent="curl/8", status=429, headers={}, seen=None)
    assert found("HTTP-12", CLOUDFLARE, exchanges=(exchange(), named)) == (
        FAIL,
        "Clicks are challenged: Cloudflare for UA `curl/8`.",
    )


@pytest.mark.parametrize(
    "marks",
    [
        {"headers": {"server": "cloudflare", "cf-mitigated": "challenge"}},
        {"headers": {"server": "cloudflare"}, "body": b"<h1>Solve this CAPTCHA</h1>"},
    ],
)
def test_a_challenge_for_all(marks: dict[str, Any]) -> None:
    challenge = exchange(status=403, seen=None, user_agent="Mozilla/5.0", **marks)
    assert found("HTTP-12", exchanges=(challenge,)) == (
        FAIL,
        "Clicks are challenged: cloudflare for UA `Mozilla/5.0`.",
    )


def file(status: int = 200, kind: str = "application/json", body: bytes = b"{}") -> AppFile:
    return AppFile("assetlinks.json", status, kind, body)


def test_well_known_files() -> None:
    assert found("HTTP-14") == (SKIPPED, "none is set up for this domain")
    assert found("HTTP-14", app_files=(file(),)) == (PASS, "Well-known files: assetlinks.json")


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (file(301), "redirected (301), which phones refuse"),
        (file(404), "answers 404"),
        (file(0), "no answer"),
        (file(kind="text/html"), "is text/html, not application/json"),
        (file(kind=""), "is of no type, not application/json"),
        (file(body=b"<html>"), "is no JSON"),
        (file(body=b" " * (128 * 1024 + 1)), "is larger than 128 KiB"),
    ],
)
def test_well_known_files_that_phones_refuse(answer: AppFile, problem: str) -> None:
    assert found("HTTP-14", app_files=(answer,)) == (FAIL, f"assetlinks.json: {problem}.")


def timed(*seconds: float) -> tuple[Exchange, ...]:
    return tuple(exchange(seconds=each) for each in seconds)


def test_latency() -> None:
    assert found("HTTP-15", exchanges=timed(*[0.05] * 19, 9.0)) == (
        PASS,
        "Latency: 50 ms, 95 % within 50 ms",
    )
    assert found("HTTP-15", exchanges=timed(*[0.6] * 20)) == (
        WARN,
        "Slow: half the answers take 600 ms or more, one in twenty 600 ms.",
    )
    assert found("HTTP-15", exchanges=timed(*[0.05] * 18, 2.0, 2.0)) == (
        WARN,
        "Slow: half the answers take 50 ms or more, one in twenty 2000 ms.",
    )
    # What our own edge takes is not the CDN's.
    assert found("HTTP-15", exchanges=timed(*[0.6] * 20), direct_seconds=(0.4, 0.4, 0.9)) == (
        PASS,
        "Latency: 200 ms, 95 % within 200 ms, besides our own 400 ms",
    )
    assert found("HTTP-15", CLOUDFLARE, exchanges=timed(*[0.9] * 20), direct_seconds=(0.1,)) == (
        WARN,
        "Slow: Cloudflare adds 800 ms or more to half the answers, 800 ms to one in twenty.",
    )
    assert found("HTTP-15", exchanges=timed(*[9.0] * 9)) == (
        SKIPPED,
        "fewer than 10 answers were timed",
    )
