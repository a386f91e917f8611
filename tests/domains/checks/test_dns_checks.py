"""DNS-01 to DNS-07, by value."""

from __future__ import annotations

import pytest

from linkseal.domains.checks import Result
from linkseal.domains.observation import Answer, Hop, Tried
from support.checks import (
    BASE,
    CLOUDFLARE,
    EGRESS,
    HOST,
    OWNERSHIP,
    TARGET,
    V4,
    Cdn,
    answer,
    exchange,
    found,
    from_zone,
)

FAIL, WARN, PASS, SKIPPED = Result.FAIL, Result.WARN, Result.PASS, Result.SKIPPED
TXT = f"_ct-challenge.{HOST}"
V6 = "2001:db8::9"


def test_a_name_with_an_address_resolves() -> None:
    assert found("DNS-01") == (PASS, f"Resolves: {V4}")
    # IPv6 alone is an address, and its servers have nothing to say of the other family.
    dns = (answer(HOST, "A"), answer(HOST, "AAAA", V6))
    assert found("DNS-01", dns=dns) == (PASS, f"Resolves: {V6}")


@pytest.mark.parametrize(
    ("dns", "message"),
    [
        ((answer(HOST, "A", rcode="NXDOMAIN"),), f"`{HOST}` does not resolve (NXDOMAIN)."),
        ((answer(HOST, "A"),), f"`{HOST}` does not resolve (no address)."),
        ((answer(HOST, "A", rcode="REFUSED"),), f"`{HOST}` does not resolve (REFUSED)."),
        (
            (answer(HOST, "A", rcode="", error="timeout"),),
            f"`{HOST}` does not resolve (timeout).",
        ),
    ],
)
def test_a_name_without_an_address_does_not(dns: tuple[Answer, ...], message: str) -> None:
    assert found("DNS-01", dns=dns, chain=()) == (FAIL, message)


def test_one_resolver_that_fails_is_a_warning() -> None:
    dns = (answer(HOST, "A", V4), answer(HOST, "A", rcode="SERVFAIL", server="9.9.9.9"))
    assert found("DNS-01", dns=dns) == (
        WARN,
        f"`{HOST}` does not resolve everywhere: 9.9.9.9 says SERVFAIL.",
    )


def test_what_another_check_judges_is_skipped() -> None:
    bogus = (answer(HOST, "A", rcode="SERVFAIL"), answer(HOST, "A", V4, unchecked=True))
    gone = (answer(HOST, "A", rcode="NXDOMAIN"),)
    assert found("DNS-01", dns=()) == (SKIPPED, "no address was asked for")
    assert found("DNS-01", dns=bogus) == (SKIPPED, "DNSSEC fails, which DNS-07 judges")
    assert found("DNS-01", dns=gone) == (SKIPPED, "the CNAME chain breaks, which DNS-02 judges")


def test_a_chain_that_ends_is_whole() -> None:
    assert found("DNS-02") == (PASS, f"CNAME chain: {HOST} -> {TARGET}")
    assert found("DNS-02", chain=()) == (PASS, "CNAME chain: no CNAME")
    assert found("DNS-02", chain=(), dns=()) == (SKIPPED, "no CNAME was asked for")
    eight = tuple(Hop(f"h{n}.example", f"h{n + 1}.example") for n in range(8))
    assert found("DNS-02", chain=eight)[0] is PASS


@pytest.mark.parametrize(
    ("chain", "message"),
    [
        (
            (Hop(HOST, "old.example"), Hop("old.example", "", "NXDOMAIN")),
            "CNAME chain breaks at `old.example`: NXDOMAIN.",
        ),
        (
            (Hop(HOST, "a.example"), Hop("a.example", HOST)),
            f"CNAME chain runs in a circle: it comes back to `{HOST}`.",
        ),
        (
            tuple(Hop(f"h{n}.example", f"h{n + 1}.example") for n in range(9)),
            "CNAME chain has 9 steps; resolvers give up after 8.",
        ),
    ],
)
def test_a_broken_chain_says_where(chain: tuple[Hop, ...], message: str) -> None:
    assert found("DNS-02", chain=chain) == (FAIL, message)


def test_a_chain_to_nowhere_breaks_at_its_end() -> None:
    chain = (Hop(HOST, "gone.example"),)
    for rcode, said in (("NXDOMAIN", "NXDOMAIN"), ("NOERROR", "no address")):
        assert found("DNS-02", chain=chain, dns=(answer(HOST, "A", rcode=rcode),)) == (
            FAIL,
            f"CNAME chain breaks at `gone.example`: {said}.",
        )


def test_the_name_leads_to_us_or_to_a_known_cdn() -> None:
    ours = (answer(HOST, "A", "192.0.2.80"),)
    assert found("DNS-03") == (PASS, f"Target: your target {TARGET}")
    assert found("DNS-03", chain=(), dns=ours) == (PASS, "Target: our addresses, without a CNAME")
    assert found("DNS-03", CLOUDFLARE, chain=()) == (PASS, f"Target: Cloudflare: {V4}")
    assert found("DNS-03", chain=(), dns=()) == (SKIPPED, "the name does not resolve")
    assert found("DNS-03", Cdn("your own proxy"), chain=())[0] is WARN
    # A proxy of the customer's own is known by nothing but our signed answer through it.
    assert found("DNS-03", chain=(), route="proxy") == (
        PASS,
        f"Target: a server that leads to us: {V4}",
    )


def test_names_are_the_same_in_capitals() -> None:
    capitals = TARGET.upper()
    dns = (from_zone(HOST, "CNAME", TARGET), from_zone(HOST, "CNAME", capitals, server="ns2"))
    assert found("DNS-03", chain=(Hop(HOST, capitals),))[0] is PASS
    assert found("DNS-06", dns=dns)[0] is PASS


@pytest.mark.parametrize(
    ("route", "result"), [("acme", FAIL), ("uploaded", FAIL), ("cdn", WARN), ("proxy", WARN)]
)
def test_an_unknown_end_blocks_where_we_hold_the_certificate(route: str, result: Result) -> None:
    silent = (exchange(seen=None),)
    assert found("DNS-03", route=route, chain=(), exchanges=silent) == (
        result,
        f"`{HOST}` points to `{V4}`, neither your target `{TARGET}` nor a known CDN.",
    )


def test_the_target_of_another_claim_blocks_on_every_route() -> None:
    other = f"t-zzzz.{BASE}"
    for route in ("cdn", "acme"):
        assert found("DNS-03", CLOUDFLARE, route=route, chain=(Hop(HOST, other),)) == (
            FAIL,
            f"`{HOST}` points to `{other}`, which is not your target: yours is `{TARGET}`.",
        )


def test_a_cdn_in_front_stops_http_01_but_not_dns_01() -> None:
    message = "points to Cloudflare, but on route acme it must point to your target"
    assert found("DNS-03", CLOUDFLARE, route="acme", chain=()) == (
        FAIL,
        f"`{HOST}` {message} `{TARGET}`.",
    )
    delegated = {"route": "acme", "acme_delegation": f"x.acme.{BASE}"}
    assert found("DNS-03", CLOUDFLARE, chain=(), **delegated)[0] is PASS


@pytest.mark.parametrize(
    ("dns", "message"),
    [
        (
            (from_zone(TXT, "TXT", rcode="NXDOMAIN"),),
            f"Ownership token missing: `{TXT}` has no TXT record.",
        ),
        (
            (from_zone(TXT, "TXT", "v=spf1 -all"),),
            f"Ownership token different: TXT at `{TXT}` is `v=spf1 -all`.",
        ),
        (
            (from_zone(TXT, "TXT", OWNERSHIP), from_zone(TXT, "TXT", server="ns2")),
            "Ownership token missing on some of your name servers: ns2.",
        ),
        (
            (from_zone(TXT, "TXT", rcode="", error="timeout"),),
            f"Ownership token cannot be read: TXT at `{TXT}` answers timeout.",
        ),
        # An old copy in a resolver does not prove what the zone says now.
        (
            (from_zone(TXT, "TXT"), answer(TXT, "TXT", OWNERSHIP)),
            f"Ownership token missing: `{TXT}` has no TXT record.",
        ),
    ],
)
def test_ownership_that_is_not_proven_blocks(dns: tuple[Answer, ...], message: str) -> None:
    assert found("DNS-04", dns=dns) == (FAIL, message)


def test_ownership_is_proven_by_every_server_of_the_zone() -> None:
    assert found("DNS-04") == (PASS, f"Ownership: {OWNERSHIP}")
    among = (answer(TXT, "TXT", "other", OWNERSHIP),)
    assert found("DNS-04", dns=among) == (PASS, f"Ownership: {OWNERSHIP}")
    assert found("DNS-04", dns=()) == (SKIPPED, f"TXT of {TXT} was not asked for")


def test_a_server_that_gives_no_answer_says_nothing_of_the_token() -> None:
    silent = Answer("ns2", True, TXT, "TXT", "", error="timeout")
    refusing = Answer("ns3", True, TXT, "TXT", "REFUSED")
    has = Answer("ns1", True, TXT, "TXT", "NOERROR", (OWNERSHIP,))
    assert found("DNS-04", dns=(has, silent, refusing)) == (PASS, f"Ownership: {OWNERSHIP}")
    lacks = Answer("ns4", True, TXT, "TXT", "NXDOMAIN")
    assert found("DNS-04", dns=(has, silent, lacks)) == (
        FAIL,
        "Ownership token missing on some of your name servers: ns4.",
    )


def test_a_name_with_the_zone_twice_is_found() -> None:
    twice = answer(f"{HOST}.acme.example", "CNAME", TARGET)
    token = answer(f"{TXT}.acme.example", "TXT", OWNERSHIP)
    say = "Your DNS provider appended the zone twice: enter "
    assert found("DNS-05", dns=(twice,)) == (WARN, f"{say}`links`, not `{HOST}`.")
    assert found("DNS-05", dns=(token,)) == (
        WARN,
        f"{say}`_ct-challenge.links`, not `{TXT}`.",
    )


def test_a_wildcard_is_no_doubled_name() -> None:
    wildcard = answer(f"{HOST}.acme.example", "CNAME", "www.acme.example")
    assert found("DNS-05", dns=(wildcard,)) == (PASS, "Doubled name: no record at a doubled name")
    assert found("DNS-05", dns=()) == (SKIPPED, "it was not asked for")


@pytest.mark.parametrize(("route", "result"), [("cdn", WARN), ("acme", FAIL)])
def test_name_servers_that_disagree(route: str, result: Result) -> None:
    dns = (
        from_zone(HOST, "CNAME", TARGET),
        from_zone(HOST, "CNAME", "old.example", server="ns2"),
    )
    assert found("DNS-06", dns=dns, route=route) == (
        result,
        f"Your name servers disagree on `{HOST}`: ns1 says {TARGET}, ns2 says old.example.",
    )


@pytest.mark.parametrize(("route", "result"), [("cdn", WARN), ("acme", FAIL)])
def test_a_dead_ipv6_address(route: str, result: Result) -> None:
    reached = (Tried(V4, 443), Tried(V6, 443, "timeout"))
    egress = (EGRESS, "2001:db8::7")
    assert found("DNS-06", reached=reached, egress=egress, route=route) == (
        result,
        f"AAAA {V6} does not answer on port 443 (timeout); Let's Encrypt prefers IPv6.",
    )
    # A probe without IPv6 of its own cannot tell.
    assert found("DNS-06", reached=reached, route=route)[0] is PASS


def test_a_lame_server_warns_and_addresses_may_differ() -> None:
    lame = (
        from_zone(HOST, "CNAME", TARGET),
        from_zone(HOST, "CNAME", server="ns2", rcode="", error="timeout"),
    )
    assert found("DNS-06", dns=lame, route="acme") == (
        WARN,
        f"Name server ns2 does not answer for `{HOST}` (timeout).",
    )
    near = (from_zone(HOST, "A", "192.0.2.1"), from_zone(HOST, "A", "192.0.2.2", server="ns2"))
    agree = "Consistency: name servers agree, and what IPv6 there is answers"
    assert found("DNS-06", dns=near) == (PASS, agree)
    assert found("DNS-06") == (PASS, agree)
    assert found("DNS-06", dns=(), reached=()) == (
        SKIPPED,
        "neither two name servers nor an IPv6 address were asked",
    )


def test_dnssec() -> None:
    refused = answer(HOST, "A", rcode="SERVFAIL")
    bogus = (refused, answer(HOST, "A", V4, unchecked=True))
    broken = (refused, answer(HOST, "A", rcode="SERVFAIL", unchecked=True))
    assert found("DNS-07", dns=bogus) == (FAIL, f"DNSSEC validation fails for `{HOST}`.")
    assert found("DNS-07", dns=broken) == (SKIPPED, "no resolver answered")
    assert found("DNS-07") == (PASS, "DNSSEC: resolvers that check answer")
