"""Whatever was observed, the checks judge it, and what they say can be shown."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from linkseal.domains.checks import CHECKS, Result, judge
from linkseal.domains.checks.model import ROUTES
from linkseal.domains.observation import (
    Answer,
    AppFile,
    Echo,
    Exchange,
    Handshake,
    Hop,
    Observation,
    Tried,
    load_observation,
    save_observation,
)
from support.checks import AT, BASE, HOST, LEAF, OWNERSHIP, ROOT, TARGET, Cdn

NAMES = st.sampled_from(
    [HOST, TARGET, f"_ct-challenge.{HOST}", f"_acme-challenge.{HOST}", f"{HOST}.acme.example",
     "acme.example", "example", f"t-other.{BASE}", ""]
)  # fmt: skip
TEXT = st.sampled_from(
    [OWNERSHIP, TARGET, HOST, "192.0.2.1", "2001:db8::1", "", "{0}", "{host}", "%", "\x1b[31m",
     '0 issue "letsencrypt.org"', "128 x", "301", "HIT", "text/html; charset"]
) | st.text(max_size=12)  # fmt: skip
ADDRESSES = st.sampled_from(["192.0.2.1", "198.51.100.7", "2001:db8::1", "::ffff:192.0.2.1", "x"])
URLS = st.builds(
    "{}://{}{}".format,
    st.sampled_from(["https", "http", "HTTPS", "x"]),
    st.sampled_from([HOST, f"{HOST}:443", "[::1", "a@b", ""]),
    st.sampled_from(
        ["", "/", "?a=1&b=2", "/.well-known/ct-probe/n/echo?a=%2F&a",
         "/.well-known/ct-probe/n/html",
         "/.well-known/ct-probe/n/pixel.gif",
         "/.well-known/acme-challenge/x", "/" + "x" * 2100]
    ),
)  # fmt: skip
HEADERS = st.dictionaries(
    st.sampled_from(["location", "age", "x-cache", "content-type", "server", "cf-mitigated"]),
    TEXT | URLS,
    max_size=4,
)
ECHOES = st.builds(
    Echo,
    serial=st.integers(0, 3),
    target=TEXT | st.just("/.well-known/ct-probe/n/echo?a&a=%2F"),
    host=TEXT,
    method=st.sampled_from(["GET", "HEAD", "POST"]),
    tls_version=st.sampled_from(["", "TLSv1.1", "TLSv1.3"]),
    peer=ADDRESSES,
    client=ADDRESSES,
    forwarded=st.dictionaries(st.sampled_from(["cdn-loop", "via", "Via"]), TEXT, max_size=2),
)
EXCHANGES = st.builds(
    Exchange,
    purpose=st.sampled_from(["echo", "redirect", "burst", "canary", "pixel"]),
    url=URLS,
    method=st.sampled_from(["GET", "HEAD", "POST"]),
    address=ADDRESSES,
    user_agent=TEXT,
    status=st.sampled_from([0, 200, 301, 302, 403, 413, 526]) | st.integers(-1, 999),
    headers=HEADERS,
    seconds=st.floats(),
    body=st.binary(max_size=8) | st.just(b"/cdn-cgi/ captcha"),
    echo=st.none() | ECHOES,
    expected_location=TEXT | URLS,
)
OBSERVATIONS = st.builds(
    Observation,
    host=NAMES.filter(bool),
    target=st.just(TARGET),
    ownership=st.just(OWNERSHIP),
    base_domain=st.sampled_from([BASE, ""]),
    route=st.sampled_from(ROUTES) | st.just("another"),
    at=st.just(AT) | st.datetimes(timezones=st.just(AT.tzinfo)),
    own_addresses=st.lists(ADDRESSES, max_size=2).map(tuple),
    egress=st.lists(ADDRESSES, max_size=2).map(tuple),
    dns=st.lists(
        st.builds(
            Answer,
            name=NAMES,
            type=st.sampled_from(["A", "AAAA", "CNAME", "TXT", "CAA", "NS"]),
            rcode=st.sampled_from(["NOERROR", "NXDOMAIN", "SERVFAIL", ""]),
            values=st.lists(TEXT, max_size=2).map(tuple),
        ),
        max_size=6,
    ).map(tuple),
    chain=st.lists(st.builds(Hop, name=NAMES, target=NAMES), max_size=10).map(tuple),
    reached=st.lists(
        st.builds(Tried, address=ADDRESSES, port=st.sampled_from([80, 443])), max_size=4
    ).map(tuple),
    handshakes=st.lists(
        st.builds(
            Handshake,
            address=ADDRESSES,
            offered=st.sampled_from(["1.0", "1.1", "1.2", "1.3", "x"]),
            error=st.sampled_from(["", "alert"]),
            chain=st.lists(
                st.binary(max_size=9) | st.sampled_from([LEAF, LEAF[:200], LEAF[:-9] + b"x" * 9]),
                max_size=3,
            ).map(tuple),
        ),
        max_size=4,
    ).map(tuple),
    exchanges=st.lists(EXCHANGES, max_size=6).map(tuple),
    app_files=st.lists(
        st.builds(AppFile, status=st.sampled_from([0, 200, 302]), body=st.binary(max_size=4)),
        max_size=2,
    ).map(tuple),
)


@settings(max_examples=300, deadline=None)
@given(OBSERVATIONS, st.booleans())
def test_judging_never_raises_and_every_text_can_be_shown(seen: Observation, known: bool) -> None:
    cdn = Cdn("Cloudflare", ("192.0.2.0/24",)) if known else None
    report = judge(seen, roots=[ROOT], cdn=cdn)

    assert [each.check for each in report.verdicts] == list(CHECKS)
    for each in report.verdicts:
        assert each.message
        texts = (each.message, each.seen, each.expected, *each.evidence)
        assert all(text.isprintable() for text in texts)
        assert all(len(text) < 2000 for text in texts)
        if each.result in {Result.WARN, Result.FAIL}:
            assert each.expected
    assert set(report.worst_first()) == set(report.verdicts)
    assert report.blocking == tuple(each for each in report.verdicts if each.result == "fail")


@settings(max_examples=100, deadline=None)
@given(OBSERVATIONS)
def test_a_saved_observation_is_judged_as_it_was(seen: Observation) -> None:
    try:
        again = load_observation(save_observation(seen))
    except (msgspec.ValidationError, UnicodeEncodeError, ValueError):
        return  # Not every made-up one can be JSON: infinite seconds, lone surrogates.
    finite = all(each.seconds == each.seconds for each in seen.exchanges)

    assert not finite or judge(again, roots=[ROOT]) == judge(seen, roots=[ROOT])


def test_what_was_not_observed_is_skipped_and_never_passed() -> None:
    for route in ROUTES:
        seen = Observation(HOST, TARGET, OWNERSHIP, BASE, route, AT)
        report = judge(seen, roots=[ROOT])

        assert {each.result for each in report.verdicts} == {Result.SKIPPED}


def test_only_the_checks_that_are_asked_for_are_judged() -> None:
    seen = Observation(HOST, TARGET, OWNERSHIP, BASE, "cdn", AT)

    assert [each.check for each in judge(seen, only={"TLS-01", "DNS-04"}).verdicts] == [
        "DNS-04",
        "TLS-01",
    ]
