"""A look of each level sees what the checks of its interval ask, and what it comes to."""

from __future__ import annotations

import pytest
import trustme

from linkseal.domains.checks import Result, judge
from linkseal.domains.watching import LEVELS, Scope, checks_of
from linkseal.edge.probe import Asked
from linkseal.prober import Part
from linkseal.watch.found import Found, find, parts_of
from prober.lab import Origin, Seen, look, request

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
    assert seen.observation.exchanges == ()
    whole = await look(Origin(), authority=AUTHORITY)
    assert skipped(seen, level, Scope.DNS) == skipped(whole, level, Scope.DNS)
    assert found_in(seen, level, parts, Scope.DNS).failed == ()
    gone = await look(Origin(), authority=AUTHORITY, asking=asking, customer=[])
    assert found_in(gone, level, parts, Scope.DNS).failed[0] == "DNS-01"


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
