"""DNS as a probe sees it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from linkseal.config import Address
from linkseal.domains.checks import Result, judge
from linkseal.domains.observation import Observation
from linkseal.prober import probe
from linkseal.prober.names import routed
from linkseal.testing.dns_server import Fault
from prober.lab import BASE, CUSTOMER, HOST, OWNERSHIP, TARGET, request, settings, zones

OWNED = CUSTOMER[1]


async def observe(
    customer: Sequence[str] = CUSTOMER,
    *,
    faults: Mapping[str, Fault] | None = None,
    asking: Mapping[str, Any] | None = None,
    **config: Any,
) -> Observation:
    with zones(customer, faults=faults) as dns:
        # No server listens on these: only DNS is looked at.
        ports: dict[str, Any] = {"http_port": 1, "https_port": 1}
        known = settings(dns, **(ports | {"timeout": 1.0 if faults else 10.0} | config))
        return await probe(request(**(asking or {})), known)


def failing(seen: Observation, check: str) -> str:
    (one,) = judge(seen, roots=[], only={check}).verdicts
    return one.message if one.result in {Result.FAIL, Result.WARN} else one.result.value


def values(seen: Observation, name: str, kind: str, *, authoritative: bool = True) -> set[str]:
    return {
        value
        for each in seen.dns
        if (each.name, each.type, each.authoritative) == (name, kind, authoritative)
        for value in each.values
    }


async def test_a_cname_to_the_target_in_order() -> None:
    seen = await observe()
    assert values(seen, HOST, "CNAME") == {TARGET}
    assert values(seen, HOST, "A", authoritative=False) == {"127.0.0.1"}
    assert values(seen, f"_ct-challenge.{HOST}", "TXT") == {OWNERSHIP}
    assert values(seen, "acme.example", "NS") == {"ns.acme.example"}
    for check in ("DNS-01", "DNS-02", "DNS-03", "DNS-04", "DNS-05"):
        assert failing(seen, check) == "pass", check


async def test_a_name_that_is_not_there() -> None:
    # Where the token stands below it, the name is there, if only as an empty one.
    for records, rcode in (([], "NXDOMAIN"), ([OWNED], "no address")):
        seen = await observe(records)
        assert seen.chain == ()
        assert failing(seen, "DNS-01") == f"`{HOST}` does not resolve ({rcode})."


async def test_a_chain_that_breaks() -> None:
    seen = await observe(["links CNAME gone", OWNED])
    assert [(hop.name, hop.target, hop.rcode) for hop in seen.chain] == [
        (HOST, "gone.acme.example", "NOERROR"),
        ("gone.acme.example", "", "NXDOMAIN"),
    ]
    assert failing(seen, "DNS-02") == "CNAME chain breaks at `gone.acme.example`: NXDOMAIN."


async def test_a_chain_that_runs_in_a_circle() -> None:
    seen = await observe(["links CNAME one", "one CNAME two", "two CNAME one", OWNED])
    assert [hop.target.partition(".")[0] for hop in seen.chain] == ["one", "two", "one"]
    assert "runs in a circle" in failing(seen, "DNS-02")


async def test_a_chain_of_eight_is_followed_and_of_more_given_up() -> None:
    for length, verdict in ((8, "pass"), (9, "CNAME chain has 9 steps"), (14, "9 steps")):
        steps = [f"s{n} CNAME s{n + 1}" for n in range(1, length)]
        seen = await observe(["links CNAME s1", *steps, f"s{length} A 127.0.0.1", OWNED])
        assert len(seen.chain) == min(length, 9)
        assert verdict in failing(seen, "DNS-02")


async def test_a_server_that_fails_and_one_that_talks_nonsense() -> None:
    for fault, error in ((Fault.SERVFAIL, "SERVFAIL"), (Fault.REFUSED, "REFUSED")):
        seen = await observe(faults={HOST: fault})
        assert failing(seen, "DNS-01") == f"`{HOST}` does not resolve ({error})."
    seen = await observe(faults={HOST: Fault.GARBAGE})
    assert {each.error for each in seen.dns if each.name == HOST} == {"timeout"}
    seen = await observe(faults={f"_ct-challenge.{HOST}": Fault.SILENT})
    assert failing(seen, "DNS-04").endswith("answers timeout.")


async def test_an_answer_too_long_for_udp_is_fetched_over_tcp() -> None:
    seen = await observe(faults={f"_ct-challenge.{HOST}": Fault.CUT})
    assert values(seen, f"_ct-challenge.{HOST}", "TXT") == {OWNERSHIP}


async def test_a_signature_that_fails_is_seen_by_asking_without_checking() -> None:
    seen = await observe(faults={HOST: Fault.BOGUS})
    without = [each for each in seen.dns if each.unchecked]
    assert {(each.name, each.rcode) for each in without} == {(HOST, "NOERROR")}
    assert failing(seen, "DNS-07") == f"DNSSEC validation fails for `{HOST}`."


async def test_a_doubled_name_is_found() -> None:
    seen = await observe([f"links.acme.example CNAME {TARGET}.", OWNED])
    assert "appended the zone twice: enter `links`" in failing(seen, "DNS-05")
    seen = await observe([CUSTOMER[0], f"_ct-challenge.{HOST} TXT {OWNERSHIP}"])
    assert "enter `_ct-challenge.links`" in failing(seen, "DNS-05")


async def test_a_token_in_parts_is_one_text() -> None:
    seen = await observe([CUSTOMER[0], f'_ct-challenge.links TXT "{OWNERSHIP[:5]}" "k4yq" "!"'])
    assert values(seen, f"_ct-challenge.{HOST}", "TXT") == {f"{OWNERSHIP[:5]}k4yq!"}


async def test_caa_of_a_parent_is_asked_for() -> None:
    asking = {"route": "acme", "caa_identities": ("letsencrypt.org",)}
    seen = await observe([*CUSTOMER, '@ CAA 0 issue "other.example"'], asking=asking)
    assert values(seen, "acme.example", "CAA", authoritative=False) == {'0 issue "other.example"'}
    assert "other.example" in failing(seen, "DNS-08")
    assert failing(await observe(asking=asking), "DNS-08") == "pass"


async def test_the_delegation_of_acme_challenges_is_asked_for() -> None:
    want = f"k7.acme.{BASE}"
    asking = {"route": "acme", "acme_delegation": want}
    seen = await observe([*CUSTOMER, f"_acme-challenge.links CNAME {want}."], asking=asking)
    assert failing(seen, "DNS-09") == "pass"
    seen = await observe([*CUSTOMER, "_acme-challenge.links TXT old"], asking=asking)
    assert '`TXT "old"`' in failing(seen, "DNS-09") or 'is TXT "old"' in failing(seen, "DNS-09")


async def test_name_servers_that_disagree_are_each_heard() -> None:
    both = ["@ NS ns1", "ns1 A 127.0.0.1", "@ NS ns2", "ns2 A 127.0.0.2"]
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(zones([*CUSTOMER, *both]))
        other = ["links CNAME elsewhere.example.", *both]
        stack.enter_context(zones(other, host="127.0.0.2", port=first.port))
        seen = await probe(request(), settings(first, http_port=1, https_port=1, timeout=10.0))
    assert {each.server for each in seen.dns if each.authoritative} == {
        f"127.0.0.1:{first.port}",
        f"127.0.0.2:{first.port}",
    }
    assert failing(seen, "DNS-06").startswith(f"Your name servers disagree on `{HOST}`")
    assert "missing on some of your name servers" in failing(seen, "DNS-04")


async def test_a_resolver_that_fails_is_told_apart_from_one_that_works() -> None:
    with contextlib.ExitStack() as stack:
        good = stack.enter_context(zones())
        bad = stack.enter_context(zones(faults={HOST: Fault.REFUSED}))
        known = settings(good, http_port=1, https_port=1)
        two = tuple(Address(each.host, each.port) for each in (good, bad))
        seen = await probe(request(), known.model_copy(update={"public_resolvers": two}))
    assert "does not resolve everywhere" in failing(seen, "DNS-01")
    assert {each.address for each in seen.reached} == {"127.0.0.1"}


def test_a_family_without_a_way_there_is_not_asked_beside_one_that_has_it() -> None:
    both, v6 = ["203.0.113.5", "2001:db8::5"], ["2001:db8::5"]
    assert routed(both, lambda each: ":" not in each) == ["203.0.113.5"]
    assert routed(both, lambda _each: True) == both
    # A name that cannot be looked at at all is told as such.
    assert routed(v6, lambda each: ":" not in each) == v6
