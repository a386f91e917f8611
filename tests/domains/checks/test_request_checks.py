"""HTTP-03, 04, 08, 09 and 10: the request as it arrives, by value."""

from __future__ import annotations

import json
from typing import Any

import pytest

from linkseal.domains.checks import Result
from linkseal.domains.observation import Exchange, load_observation, save_observation
from support.checks import (
    CLOUDFLARE,
    EGRESS,
    HOST,
    PROBE,
    V4,
    Cdn,
    exchange,
    found,
    observed,
    verdict,
)

FAIL, WARN, PASS, SKIPPED = Result.FAIL, Result.WARN, Result.PASS, Result.SKIPPED
PATH = "/.well-known/ct-probe/nonce/echo"
NOTHING = (SKIPPED, "no request reached us")
SILENT = (exchange(status=404, seen=None),)


@pytest.mark.parametrize("check", ["HTTP-03", "HTTP-04", "HTTP-08", "HTTP-09", "HTTP-10"])
def test_without_an_answer_of_ours_there_is_nothing_to_judge(check: str) -> None:
    assert found(check, exchanges=SILENT) == NOTHING


def test_the_host_field() -> None:
    for host in (HOST, f"{HOST}:443", HOST.upper()):
        assert found("HTTP-03", exchanges=(exchange(seen={"host": host}),)) == (
            PASS,
            f"Host: {HOST}",
        )
    other = exchange(seen={"host": "d111.cloudfront.net"})
    assert found("HTTP-03", exchanges=(exchange(), other)) == (
        FAIL,
        "Host header arrives as `d111.cloudfront.net`.",
    )


def arrived(query: str, target: str) -> Exchange:
    return exchange(f"{PROBE}/echo{query}", seen={"target": target})


def test_a_target_that_arrives_byte_for_byte() -> None:
    query = "?a=%2F&b=%2f+%20;=&a=&c"
    assert found("HTTP-04", exchanges=(arrived(query, PATH + query),)) == (
        PASS,
        "Target: 1 targets, byte for byte",
    )
    assert found("HTTP-04", exchanges=(exchange(),)) == (
        SKIPPED,
        "no request with a query reached us",
    )


@pytest.mark.parametrize(
    ("query", "target", "result", "message"),
    [
        ("?a=1", PATH, FAIL, "Query string was dropped."),
        ("?a=1", f"{PATH}?", FAIL, "Query string was dropped."),
        ("?b=1&a=2", f"{PATH}?a=2&b=1", WARN, "Query string was reordered."),
        (
            "?a=%2F",
            f"{PATH}?a=/",
            WARN,
            f"Query string was decoded: `{PATH}?a=%2F` arrives as `{PATH}?a=/`.",
        ),
        (
            "?a=1&a=2",
            f"{PATH}?a=2",
            FAIL,
            f"Query string was changed: `{PATH}?a=1&a=2` arrives as `{PATH}?a=2`.",
        ),
        (
            "/%7Ex?a",
            f"{PATH}/~x?a",
            WARN,
            f"Path was decoded: `{PATH}/%7Ex?a` arrives as `{PATH}/~x?a`.",
        ),
        ("//x?a", f"{PATH}/x?a", FAIL, f"Path was changed: `{PATH}//x?a` arrives as `{PATH}/x?a`."),
    ],
)
def test_a_target_that_does_not(query: str, target: str, result: Result, message: str) -> None:
    exchanges = (arrived("?ok=1", f"{PATH}?ok=1"), arrived(query, target))
    assert found("HTTP-04", exchanges=exchanges) == (result, message)


def test_the_worst_that_happened_to_a_target_is_told() -> None:
    reordered = arrived("?b=1&a=2", f"{PATH}?a=2&b=1")
    dropped = arrived("?a=1", PATH)
    assert found("HTTP-04", exchanges=(reordered, dropped)) == (FAIL, "Query string was dropped.")


@pytest.mark.parametrize(("length", "result"), [(2048, FAIL), (6144, WARN)])
def test_a_long_url_that_is_refused(length: int, result: Result) -> None:
    url = f"{PROBE}/echo?".ljust(length, "x")
    refused = exchange(url, status=414, seen=None)
    assert found("HTTP-04", exchanges=(exchange(), refused)) == (
        result,
        f"A URL of {length} characters is refused (414).",
    )


def test_the_clients_address() -> None:
    assert found("HTTP-08") == (PASS, "Client address: the probe's own")
    assert found("HTTP-08", exchanges=(exchange(), exchange(forged=True))) == (
        PASS,
        "Client address: the probe's own, also when others are claimed",
    )
    mapped = exchange(seen={"client": f"::ffff:{EGRESS}"})
    assert found("HTTP-08", exchanges=(mapped,))[0] is PASS
    assert found("HTTP-08", egress=()) == (SKIPPED, "the addresses of the probe are not known")


def test_the_clients_address_lost_or_forged() -> None:
    lost = exchange(seen={"client": V4})
    forged = exchange(forged=True, seen={"client": "192.0.2.66"})
    assert found("HTTP-08", exchanges=(forged, lost)) == (
        WARN,
        f"Client IP not forwarded (we see {V4}).",
    )
    assert found("HTTP-08", exchanges=(forged, exchange())) == (
        WARN,
        "A forged client IP is believed (we see 192.0.2.66).",
    )


@pytest.mark.parametrize(
    ("peer", "cdn", "field", "message"),
    [
        (V4, CLOUDFLARE, "cf-connecting-ip", "CF-Connecting-IP … not enrolled with Cloudflare."),
        (
            "192.0.2.7",
            CLOUDFLARE,
            "CF-Connecting-IP",
            "CF-Connecting-IP … not enrolled with Cloudflare at 192.0.2.7.",
        ),
        (V4, None, "x-forwarded-for", f"X-Forwarded-For … not enrolled with your proxy at {V4}."),
    ],
)
def test_the_clients_address_told_but_not_believed(
    peer: str, cdn: Cdn | None, field: str, message: str
) -> None:
    """It is the operator who has not enrolled the domain: nothing is wrong at the CDN."""
    seen = {"peer": peer, "client": peer, "forwarded": {field: f"2001:db8::1, {EGRESS}"}}
    said = "tells the visitor's address, but is not believed: links.acme.example is"
    exchanges = (exchange(seen=seen), exchange(forged=True, seen=seen))
    assert found("HTTP-08", cdn=cdn, exchanges=exchanges) == (WARN, message.replace("…", said))


@pytest.mark.parametrize(
    "seen",
    [
        {"forwarded": {}},
        {"forwarded": {"cf-connecting-ip": "192.0.2.5"}},
        {"forwarded": {"x-forwarded-for": EGRESS}},
        {"forwarded": {"cf-connecting-ip": EGRESS}, "client": "192.0.2.5"},
    ],
)
def test_the_clients_address_that_the_cdns_own_field_does_not_tell(seen: dict[str, Any]) -> None:
    seen = {"peer": V4, "client": V4} | seen
    assert found("HTTP-08", cdn=CLOUDFLARE, exchanges=(exchange(seen=seen),)) == (
        WARN,
        f"Client IP not forwarded (we see {seen['client']}).",
    )


def test_the_user_agent() -> None:
    assert found("HTTP-09") == (PASS, "User agent: 1 arrive unchanged")
    amazon = exchange(seen={"user_agent": "Amazon CloudFront"})
    empty = exchange(seen={"user_agent": ""})
    assert found("HTTP-09", exchanges=(amazon,)) == (
        WARN,
        "User-Agent arrives as `Amazon CloudFront`.",
    )
    assert found("HTTP-09", exchanges=(empty,)) == (WARN, "User-Agent arrives as `(empty)`.")


GERMAN = {"accept_language": "de-CH,de;q=0.8"}


@pytest.mark.parametrize(
    ("seen", "result", "message"),
    [
        (GERMAN, PASS, "User agent: 1 arrive unchanged"),
        ({"accept_language": ""}, WARN, "Accept-Language arrives as `(empty)`."),
        ({"accept_language": "de"}, WARN, "Accept-Language arrives as `de`."),
        (
            {"user_agent": "Amazon CloudFront", "accept_language": ""},
            WARN,
            "User-Agent arrives as `Amazon CloudFront`, Accept-Language as `(empty)`.",
        ),
    ],
)
def test_the_language(seen: dict[str, str], result: Result, message: str) -> None:
    asked = exchange(**GERMAN, seen=seen)
    assert found("HTTP-09", exchanges=(asked,)) == (result, message)


def test_each_field_is_told_though_another_request_lost_the_other() -> None:
    asked = (
        exchange(**GERMAN, seen=GERMAN | {"user_agent": "Amazon CloudFront"}),
        exchange(**GERMAN, seen={"accept_language": "de"}),
    )
    assert found("HTTP-09", exchanges=asked) == (
        WARN,
        "User-Agent arrives as `Amazon CloudFront`, Accept-Language as `de`.",
    )


def test_a_look_of_before_does_not_say_which_language_was_sent() -> None:
    """It was saved without; what arrived then is not judged."""
    now = exchange(accept_language="de-CH", seen={"accept_language": "de"})
    saved = json.loads(save_observation(observed(exchanges=(now,))))
    del saved["exchanges"][0]["accept_language"]
    for field in ("certificate_problem_type", "certificate_failing_since"):
        del saved[field]
    loaded = load_observation(json.dumps(saved).encode())
    assert loaded.exchanges[0].accept_language is None
    assert verdict("HTTP-09", loaded).result is PASS
    assert verdict("HTTP-09", observed(exchanges=(now,))).result is WARN


def test_the_methods() -> None:
    head, post = exchange(method="HEAD"), exchange(method="POST")
    assert found("HTTP-10", exchanges=(exchange(), head, post)) == (PASS, "Methods: HEAD, POST")
    assert found("HTTP-10") == (SKIPPED, "neither HEAD nor POST was asked")
    # A CDN may answer HEAD by a GET to us: the recipient sees no difference.
    turned = exchange(method="HEAD", seen={"method": "GET"})
    assert found("HTTP-10", exchanges=(turned,)) == (PASS, "Methods: HEAD")


@pytest.mark.parametrize(
    ("answer", "result", "message"),
    [
        (exchange(method="HEAD", status=405, seen=None), FAIL, "HEAD blocked (405)."),
        (exchange(method="POST", status=403, seen=None), WARN, "POST blocked (403)."),
        (
            exchange(method="POST", status=0, error="reset", seen=None),
            WARN,
            "POST blocked (reset).",
        ),
        (exchange(method="POST", seen={"method": "GET"}), WARN, "POST arrives as GET."),
    ],
)
def test_methods_that_do_not_arrive(answer: Exchange, result: Result, message: str) -> None:
    assert found("HTTP-10", exchanges=(exchange(), answer)) == (result, message)
