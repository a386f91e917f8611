"""ORG-01 to 06, DNS-08 and 09, ACM-01 to 03, by value."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from linkseal.domains.checks import Result
from linkseal.domains.observation import Answer, Exchange, Tried
from support.checks import (
    BASE,
    CLOUDFLARE,
    HOST,
    PROBE,
    TARGET,
    V4,
    Cdn,
    answer,
    exchange,
    found,
)

FAIL, WARN, PASS, SKIPPED = Result.FAIL, Result.WARN, Result.PASS, Result.SKIPPED
NOTHING = (SKIPPED, "no request reached us")
SILENT = (exchange(status=404, seen=None),)
PLAIN = PROBE.replace("https", "http", 1)
DELEGATED = f"x.acme.{BASE}"
NAME = f"_acme-challenge.{HOST}"
CHALLENGE = f"http://{HOST}/.well-known/acme-challenge/token"


def acme(check: str, **other: Any) -> tuple[Result, str]:
    return found(check, route="acme", **other)


def test_the_leg_to_us_is_encrypted() -> None:
    assert found("ORG-01") == (PASS, "Encrypted: TLSv1.3")
    assert found("ORG-01", exchanges=SILENT) == (SKIPPED, "no request over https reached us")


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("", "Cloudflare talks plain http to us."),
        ("TLSv1.1", "Cloudflare talks TLSv1.1 to us; TLS 1.2 is the least."),
    ],
)
def test_the_leg_to_us_is_not_encrypted(version: str, message: str) -> None:
    leg = exchange(seen={"tls_version": version, "sni": ""})
    assert found("ORG-01", CLOUDFLARE, exchanges=(exchange(), leg)) == (FAIL, message)


def test_a_leg_that_follows_the_visitors_scheme() -> None:
    both = (exchange(), exchange(f"{PLAIN}/echo", seen={"tls_version": "", "sni": ""}))
    assert found("ORG-01", exchanges=both) == (
        FAIL,
        "The CDN or proxy talks plain http to us when the visitor comes by http.",
    )
    assert found("ORG-01", Cdn("your own proxy"), exchanges=both, route="proxy") == (
        FAIL,
        "Your own proxy talks plain http to us when the visitor comes by http.",
    )
    # Straight to us, http is what the visitor chose.
    assert acme("ORG-01", exchanges=both)[0] is PASS
    # A CA asks over http, and what it asks for is no secret.
    asked = (exchange(), exchange(CHALLENGE, seen={"tls_version": "", "sni": ""}))
    assert found("ORG-01", exchanges=asked)[0] is PASS


def test_the_name_in_the_handshake() -> None:
    assert found("ORG-02") == (PASS, f"SNI: {HOST}")
    assert found("ORG-02", exchanges=(exchange(seen={"sni": TARGET}),)) == (PASS, f"SNI: {TARGET}")
    assert found("ORG-02", exchanges=(exchange(seen={"sni": ""}),)) == (
        WARN,
        "No SNI on the origin leg.",
    )
    assert found("ORG-02", exchanges=(exchange(seen={"sni": "x.example"}),)) == (
        WARN,
        f"SNI on the origin leg is `x.example`, neither `{HOST}` nor `{TARGET}`.",
    )
    assert found("ORG-02", exchanges=SILENT) == (SKIPPED, "no request over TLS reached us")


def test_a_wrong_certificate_shown_on_purpose() -> None:
    def canary(**other: Any) -> tuple[Exchange, ...]:
        return (exchange(purpose="canary", **other),)

    def end(refused: int) -> tuple[Exchange, ...]:
        before = exchange(seen={"canary_refused": 7})
        return before, exchange(purpose="canary-end", seen={"canary_refused": refused})

    assert found("ORG-03", exchanges=(*canary(status=526, seen=None), *end(8))) == (
        PASS,
        "Strict: a wrong certificate is refused",
    )
    # Our edge was away, or started anew: nobody is seen to verify.
    for count in (7, 0):
        restarted = (*canary(status=502, seen=None), *end(count))
        assert found("ORG-03", exchanges=restarted) == (
            SKIPPED,
            "requests were refused, but our edge saw nobody refuse the certificate",
        )
    refused = exchange(purpose="canary-end", status=526, seen=None)
    assert found("ORG-03", exchanges=(*canary(status=526, seen=None), refused)) == (
        SKIPPED,
        "requests are refused with the right certificate too",
    )
    assert found("ORG-03", exchanges=canary()) == (
        SKIPPED,
        "all requests came by connections that were made before",
    )
    assert found("ORG-03", CLOUDFLARE, exchanges=canary(seen={"canary": True})) == (
        WARN,
        "Cloudflare does not verify the origin certificate (Full, not strict).",
    )
    assert found("ORG-03", exchanges=canary(status=404, seen=None)) == (
        SKIPPED,
        "the answers to the wrong certificate say neither",
    )
    assert found("ORG-03") == (
        SKIPPED,
        "no wrong certificate was shown on purpose; it is done on demand only",
    )
    assert acme("ORG-03", exchanges=canary()) == (SKIPPED, "not asked on route acme")


def test_who_connects_is_the_cdn() -> None:
    assert found("ORG-04", CLOUDFLARE) == (PASS, f"Peer: {V4}: Cloudflare")
    stranger = (exchange(seen={"peer": "192.0.2.66"}),)
    assert found("ORG-04", CLOUDFLARE, exchanges=stranger) == (
        WARN,
        "Request came from 192.0.2.66, not Cloudflare.",
    )
    assert found("ORG-04") == (SKIPPED, "the CDN is not known")
    assert found("ORG-04", Cdn("KeyCDN")) == (SKIPPED, "KeyCDN publishes no addresses that we hold")
    assert found("ORG-04", CLOUDFLARE, exchanges=SILENT) == NOTHING


@pytest.mark.parametrize(
    ("forwarded", "result", "message"),
    [
        ({}, PASS, "CDN loop: each once"),
        ({"cdn-loop": "cloudflare; loops=1, fastly"}, PASS, "CDN loop: each once"),
        # Fastly's shield is a second hop of its own.
        ({"cdn-loop": "Fastly, Fastly"}, PASS, "CDN loop: each once"),
        (
            {"cdn-loop": "cloudflare, cloudflare; subreqs=1"},
            FAIL,
            "CDN loop: CDN-Loop: cloudflare, cloudflare; subreqs=1.",
        ),
        ({"via": "1.1 google, 1.1 google"}, PASS, "CDN loop: each once"),
        ({"Via": "1.1 x, 1.1 x, 1.1 x"}, FAIL, "CDN loop: Via: 1.1 x, 1.1 x, 1.1 x."),
    ],
)
def test_a_cdn_that_calls_itself(forwarded: dict[str, str], result: Result, message: str) -> None:
    exchanges = (exchange(seen={"forwarded": forwarded}),)
    assert found("ORG-05", exchanges=exchanges) == (result, message)


def test_a_cdn_loop_needs_an_answer() -> None:
    assert found("ORG-05", exchanges=SILENT) == NOTHING


def caa(*values: str, at: str = "acme.example", rcode: str = "NOERROR") -> tuple[Answer, ...]:
    """CAA answers of the host and its parents, with a set at one of them."""
    names = (HOST, "acme.example", "example")
    return tuple(
        answer(name, "CAA", *values, rcode=rcode) if name == at else answer(name, "CAA")
        for name in names
    )


LETSENCRYPT = ("letsencrypt.org",)
BY_DNS = '"letsencrypt.org; validationmethods=dns-01"'
OURS = '0 issue "letsencrypt.org; accounturi=https://ca.example/acct/1"'


@pytest.mark.parametrize(
    ("dns", "result", "message"),
    [
        (caa(), PASS, "CAA: no CAA record stands anywhere above the name"),
        # Which account is ours was not observed: the order itself looks at it.
        (caa(OURS), PASS, 'CAA: CAA at acme.example allows it: issue "letsencrypt.org"'),
        (
            caa('0 issue "digicert.com"'),
            FAIL,
            'CAA at acme.example allows only "digicert.com" (another CA).',
        ),
        (caa('0 issue ";"'), FAIL, 'CAA at acme.example allows only ";" (no CA at all).'),
        (
            caa(f"0 issue {BY_DNS}"),
            FAIL,
            f"CAA at acme.example allows only {BY_DNS} (another method than http-01).",
        ),
        (
            caa('128 tbs "x"'),
            FAIL,
            "CAA at acme.example has a critical tag that CAs do not know: tbs.",
        ),
        (
            caa(rcode="SERVFAIL"),
            FAIL,
            "CAA of acme.example cannot be read (SERVFAIL), and CAs take that as a no.",
        ),
        # The closest set counts, whatever stands above.
        (caa('0 issue "letsencrypt.org"', at=HOST), PASS, None),
        (caa()[:1], SKIPPED, "CAA of acme.example was not asked for"),
    ],
)
def test_caa(dns: tuple[Answer, ...], result: Result, message: str | None) -> None:
    seen, said = acme("DNS-08", dns=dns, caa_identities=LETSENCRYPT)
    assert seen is result
    assert message is None or said == message


def test_caa_that_names_an_account() -> None:
    mine, other = "https://ca.example/acct/1", "https://ca.example/acct/2"
    dns = caa(f'0 issue "letsencrypt.org; accounturi={mine}"')

    def said(*accounts: str) -> tuple[Result, str]:
        return acme("DNS-08", dns=dns, caa_identities=LETSENCRYPT, caa_accounts=accounts)

    assert said(mine)[0] is PASS
    assert said(other, mine)[0] is PASS
    assert said()[0] is PASS, "an account that is not known yet is the order's to judge"
    assert said(other) == (
        FAIL,
        f'CAA at acme.example allows only "letsencrypt.org; accounturi={mine}" (another account).',
    )


def test_caa_that_nobody_needs() -> None:
    assert found("DNS-08", dns=caa()) == (SKIPPED, "not asked on route cdn")
    assert acme("DNS-08", dns=caa()) == (SKIPPED, "our CAs do not say what they call themselves")
    dns_only = caa(f"0 issue {BY_DNS}")
    other = {"caa_identities": LETSENCRYPT, "acme_delegation": DELEGATED}
    assert acme("DNS-08", dns=dns_only, **other)[0] is PASS


@pytest.mark.parametrize(
    ("dns", "instead"),
    [
        ((answer(NAME, "CNAME", "other.example"),), "CNAME other.example"),
        ((answer(NAME, "CNAME"), answer(NAME, "TXT", "abc")), 'TXT "abc"'),
        ((answer(NAME, "CNAME", rcode="NXDOMAIN"),), "missing"),
        ((answer(NAME, "CNAME", rcode="", error="timeout"),), "unreadable (timeout)"),
        (
            (answer(NAME, "CNAME", DELEGATED), answer(NAME, "CNAME", "old.example", server="ns2")),
            "CNAME old.example",
        ),
    ],
)
def test_a_delegation_that_leads_elsewhere(dns: tuple[Answer, ...], instead: str) -> None:
    assert acme("DNS-09", dns=dns, acme_delegation=DELEGATED) == (
        FAIL,
        f"`{NAME}` is {instead}; expected CNAME {DELEGATED}.",
    )


def test_a_delegation() -> None:
    dns = (answer(NAME, "CNAME", DELEGATED), answer(NAME, "TXT", "followed through the CNAME"))
    assert acme("DNS-09", dns=dns, acme_delegation=DELEGATED) == (
        PASS,
        f"ACME delegation: CNAME {DELEGATED}",
    )
    assert acme("DNS-09") == (SKIPPED, "DNS-01 is not used for this name")
    assert acme("DNS-09", acme_delegation=DELEGATED) == (
        SKIPPED,
        "_acme-challenge was not asked for",
    )


def test_the_challenge_path() -> None:
    onward = {"location": CHALLENGE.replace("http:", "https:")}
    assert acme("ACM-01", exchanges=(exchange(CHALLENGE),)) == (
        PASS,
        f"HTTP-01 self-test: our signed answer through {V4}",
    )
    led = exchange(CHALLENGE, status=301, headers=onward, seen=None)
    assert acme("ACM-01", exchanges=(led, exchange(onward["location"])))[0] is PASS
    assert acme("ACM-01", exchanges=(led,)) == (
        FAIL,
        f"Challenge path leads to {onward['location']}, where we do not answer.",
    )
    closed = (Tried(V4, 80, "refused"),)
    assert acme("ACM-01", exchanges=(), reached=closed) == (
        FAIL,
        f"Challenge path gets no answer from {V4} port 80 (refused).",
    )
    dead_v6 = (Tried(V4, 80), Tried("2001:db8::1", 80, "refused"))
    assert acme("ACM-01", exchanges=(exchange(CHALLENGE),), reached=dead_v6)[0] is PASS
    assert acme("ACM-01") == (SKIPPED, "the challenge path was not asked for")
    assert acme("ACM-01", acme_delegation=DELEGATED) == (SKIPPED, "the order uses DNS-01")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (
            {"status": 404, "headers": {"server": "Apache"}},
            "Challenge path answered by Apache (404).",
        ),
        (
            {"status": 301, "headers": {"server": "x", "location": "https://www.acme.example/"}},
            "Challenge path leads to https://www.acme.example/, where we do not answer.",
        ),
        (
            {"status": 0, "headers": {}, "error": "timeout"},
            f"Challenge path gets no answer from {V4} port 80 (timeout).",
        ),
    ],
)
def test_a_challenge_path_answered_by_another(said: dict[str, Any], message: str) -> None:
    answered = exchange(CHALLENGE, seen=None, **said)
    assert acme("ACM-01", exchanges=(answered,)) == (FAIL, message)


def test_an_order_that_waits() -> None:
    none_yet = (SKIPPED, "no certificate of ours is there yet")
    assert acme("ACM-02", waiting="waiting until 14:00: the CA's limit") == (
        WARN,
        "The next order is waiting until 14:00: the CA's limit.",
    )
    assert acme("ACM-02", certificate_state="valid") == (PASS, "Order budget: nothing to wait for")
    assert acme("ACM-02") == none_yet
    assert acme("ACM-03") == none_yet


@pytest.mark.parametrize(
    ("state", "problem", "result", "message"),
    [
        ("valid", "", PASS, "Renewal: valid"),
        ("expiring", "", PASS, "Renewal: expiring"),
        ("expiring", "CAA forbids", WARN, "Renewal fails: CAA forbids."),
        ("failed", "caa: no", FAIL, "No certificate is in use (failed): caa: no."),
        ("", "caa: no", FAIL, "No certificate is in use (none yet): caa: no."),
        ("expired", "", FAIL, "The certificate we hold is expired."),
        ("revoked", "", FAIL, "The certificate we hold is revoked."),
        ("pending", "", SKIPPED, "the certificate is pending"),
    ],
)
def test_renewal(state: str, problem: str, result: Result, message: str) -> None:
    said = acme("ACM-03", certificate_state=state, certificate_problem=problem)
    assert said == (result, message)


def test_since_when_the_renewal_fails_and_what_the_ca_calls_it() -> None:
    failing: dict[str, Any] = {
        "certificate_problem": "CAA forbids",
        "certificate_problem_type": "caa",
        "certificate_failing_since": datetime(2026, 11, 20, 8, 30, tzinfo=UTC),
    }
    assert acme("ACM-03", certificate_state="expiring", **failing) == (
        WARN,
        "Renewal failing since 2026-11-20 08:30 UTC: caa: CAA forbids.",
    )
    assert acme("ACM-03", certificate_state="failed", **failing) == (
        FAIL,
        "No certificate is in use (failed), failing since 2026-11-20 08:30 UTC: caa: CAA forbids.",
    )
