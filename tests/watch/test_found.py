"""A look of each level sees what the checks of its interval ask, and what it comes to."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import trustme

from linkseal.domains.checks import Result, judge
from linkseal.domains.observation import Echo, Exchange, Observation, Tried
from linkseal.domains.watching import LEVELS, Scope, checks_of
from linkseal.edge.probe import Asked
from linkseal.prober import EVERYTHING, Part
from linkseal.watch.found import Found, fails_over_ipv6, find, parts_of, without_ipv6
from prober.lab import BASE, HOST, OWNERSHIP, TARGET, Origin, Seen, look, request

AUTHORITY = trustme.CA()


def found_in(seen: Seen, level: float, parts: Part, scope: Scope = Scope.SSL) -> Found:
    return find(seen.observation, seen.roots, level=level, scope=scope, parts=parts)


def skipped(seen: Seen, level: float, scope: Scope) -> set[str]:
    report = judge(seen.observation, roots=seen.roots, only=checks_of(level, scope))
    return {each.check for each in report.verdicts if each.result is Result.SKIPPED}


@pytest.mark.parametrize("level", LEVELS)
async def test_a_look_judges_all_that_the_table_has_for_its_interval(level: float) -> None:
    parts = parts_of(level, Scope.SSL, known=True)
    asking = request(parts=parts, addresses=("127.0.0.1",))
    seen = await look(Origin(), authority=AUTHORITY, asking=asking)
    whole = await look(Origin(), authority=AUTHORITY)
    # Some are skipped whatever is looked at: there is no CDN, or nothing of theirs is set up.
    assert skipped(seen, level, Scope.SSL) <= skipped(whole, level, Scope.SSL)
    found = found_in(seen, level, parts)
    assert (found.failed, found.unproven, found.addresses) == ((), "", ("127.0.0.1",))
    assert len(found.leaves) == 1
    assert (found.report is not None) == (level >= 3600)


@pytest.mark.parametrize("level", [300.0, 3600.0])
async def test_of_a_domain_without_ssl_dns_alone_is_judged(level: float) -> None:
    parts = parts_of(level, Scope.DNS, known=False)
    asking = request(parts=parts)
    seen = await look(Origin(), authority=AUTHORITY, asking=asking)
    assert {each.purpose for each in seen.observation.exchanges} <= {"echo"}
    whole = await look(Origin(), authority=AUTHORITY)
    assert skipped(seen, level, Scope.DNS) == skipped(whole, level, Scope.DNS)
    assert found_in(seen, level, parts, Scope.DNS).failed == ()
    gone = await look(Origin(), authority=AUTHORITY, asking=asking, customer=[])
    assert found_in(gone, level, parts, Scope.DNS).failed[0] == "DNS-01"


async def dns_of(seen_by: Origin, *customer: str, **known: Any) -> Found:
    """Look as the watch does each week at a domain without SSL."""
    level = LEVELS[-1]
    parts = parts_of(level, Scope.DNS, known=False)
    proof = f"_ct-challenge.links TXT {OWNERSHIP}"
    asking = request(parts=parts, **known)
    seen = await look(seen_by, authority=AUTHORITY, asking=asking, customer=[*customer, proof])
    return found_in(seen, level, parts, Scope.DNS)


@pytest.mark.parametrize("route", ["", "cdn", "proxy", "acme"])
async def test_links_leave_no_name_for_what_one_route_asks_of_dns(route: str) -> None:
    delegation = f"d1.{BASE}" if route == "acme" else ""
    links = f"links CNAME {TARGET}."
    found = await dns_of(Origin(), links, route=route, acme_delegation=delegation)
    assert found.failed == ()
    # A proxy of theirs, at an address nobody knows: that it leads to us is enough.
    elsewhere = {"base_domain": "other.example", "target": "t.other.example", "route": route}
    found = await dns_of(Origin(), "links A 127.0.0.1", **elsewhere)
    assert (found.failed, found.leaves) == ((), ())
    stranger = Origin(lambda _asked, _answer: b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    found = await dns_of(stranger, "links A 127.0.0.1", **elsewhere)
    assert found.failed == ("DNS-03",)


async def test_the_look_of_each_minute_is_one_request() -> None:
    origin = Origin()
    parts = parts_of(60.0, Scope.SSL, known=True)
    asking = request(parts=parts, addresses=("127.0.0.1",))
    seen = await look(origin, authority=AUTHORITY, asking=asking)
    assert [(each.method, each.path.split("/")[-1]) for each in origin.asked] == [("GET", "echo")]
    assert seen.observation.dns == ()


async def test_a_port_that_is_closed_is_told_as_such() -> None:
    parts = parts_of(60.0, Scope.SSL, known=True)
    asking = request(parts=parts, addresses=("127.0.0.77",))
    found = found_in(await look(Origin(), authority=AUTHORITY, asking=asking), 60.0, parts)
    assert found.failed == ("TLS-01",)
    assert found.problems == ("TLS-01: Port 443 on 127.0.0.77 closed (connection refused).",)
    assert (found.addresses, found.leaves) == ((), ())


async def test_a_name_that_leads_nowhere_any_more_is_no_good_look() -> None:
    """After a failure the addresses are asked anew: without any nothing else can be judged."""
    parts = parts_of(60.0, Scope.SSL, known=False)
    seen = await look(Origin(), authority=AUTHORITY, asking=request(parts=parts), customer=[])
    assert found_in(seen, 60.0, parts).failed == ("DNS-01",)


async def test_a_challenge_in_the_way_is_seen_by_the_look_of_each_minute() -> None:
    """It is judged by a check that is due less often; what does not reach us is not good."""

    def challenge(_asked: Asked, _answer: bytes) -> bytes:
        return b"HTTP/1.1 403 Forbidden\r\ncf-mitigated: challenge\r\nContent-Length: 0\r\n\r\n"

    parts = parts_of(60.0, Scope.SSL, known=True)
    asking = request(parts=parts, addresses=("127.0.0.1",))
    seen = await look(Origin(challenge), authority=AUTHORITY, asking=asking)
    found = found_in(seen, 60.0, parts)
    assert found.failed == ("HTTP-12",)
    assert found.unproven.startswith("HTTP-02: a bot challenge is in the way")


def seen_over(*reached: Tried, route: str = "acme", **more: Any) -> Observation:
    return Observation(
        host=HOST,
        target=TARGET,
        ownership=OWNERSHIP,
        base_domain=BASE,
        route=route,
        at=datetime.now(UTC),
        egress=("198.51.100.1", "2001:db8::1"),
        reached=reached,
        **more,
    )


def test_ipv6_that_is_dead_from_here_is_left_out_beside_ipv4() -> None:
    v4, v6 = Tried("203.0.113.5", 443), Tried("2001:db8::5", 443, "timeout")
    seen = seen_over(v4, v6)
    (dead,) = judge(seen, only={"DNS-06"}).verdicts
    assert dead.result is Result.FAIL
    assert fails_over_ipv6(seen)
    over_v4 = without_ipv6(seen)
    assert (over_v4.reached, over_v4.egress) == ((v4,), ("198.51.100.1",))
    (left,) = judge(over_v4, only={"DNS-06"}).verdicts
    assert left.result is Result.SKIPPED
    assert not fails_over_ipv6(seen_over(v6))
    assert not fails_over_ipv6(seen_over(v4, Tried("2001:db8::5", 443)))


@pytest.mark.parametrize(("own", "result"), [((), "warn"), (("198.51.100.0/24",), "pass")])
def test_the_networks_a_domain_was_enrolled_with_are_its_cdns(
    own: tuple[str, ...], result: str
) -> None:
    """As `domain check` judges it: else the watch would overwrite its report with another."""
    echo = Echo(
        serial=1,
        node="n",
        method="GET",
        target="/",
        host=HOST,
        header_names=(),
        forwarded={},
        user_agent="",
        accept_language="",
        tls_version="TLSv1.3",
        sni=HOST,
        peer="198.51.100.7",
        client="198.51.100.7",
    )
    headers = {"server": "cloudflare", "cf-ray": "1-FRA"}
    url = f"https://{HOST}/.well-known/ct-probe/n/echo"
    asked = Exchange("echo", url, "GET", "203.0.113.5", "ua", 200, headers, echo=echo)
    seen = seen_over(route="cdn", exchanges=(asked,))
    found = find(
        seen,
        [],
        level=3600.0,
        scope=Scope.SSL,
        parts=EVERYTHING,
        enrolled="cloudflare",
        own=own,
    )
    assert found.report is not None
    (verdict,) = (each for each in found.report.verdicts if each.check == "ORG-04")
    assert verdict.result == result
