"""Delegation and visibility over a real Knot, and scripted servers for what Knot never says."""

from __future__ import annotations

import itertools
import string
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import dns.message
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkseal.certificates.dns01 import DNSProvider, Resolver, challenge_owner, wait_until_visible
from linkseal.certificates.dns_update import DynamicUpdate
from linkseal.testing.knot import Knot
from support.certificates import (
    BASE,
    ZONES,
    refused,
    running_knot,
    scripted,
    silence,
)


@pytest.fixture(scope="module")
def knot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Knot]:
    with running_knot(tmp_path_factory.mktemp("knot")) as running:
        yield running


@pytest.fixture
def provider(knot: Knot) -> DNSProvider:
    return DynamicUpdate(knot.host, knot.port, key=knot.key)


def resolver_at(knot: Knot) -> Resolver:
    return Resolver(((knot.host, knot.port),), authority_port=knot.port, private_networks=True)


# Delegation


def test_delegation_leads_from_one_zone_into_another(knot: Knot, provider: DNSProvider) -> None:
    resolver = resolver_at(knot)
    owner = challenge_owner("Links.Acme.example.", resolver.cname)
    assert owner == "7f3a.acme.ct.example.net"
    provider.publish(owner, "delegated")
    wait_until_visible(
        owner, "delegated", deadline=time.monotonic() + 20, resolver=resolver, every=0.05
    )
    assert knot.values(owner) == {"delegated"}


def test_without_delegation_the_name_itself_is_the_owner(knot: Knot) -> None:
    cname = resolver_at(knot).cname
    assert challenge_owner("shop.acme.example", cname) == "_acme-challenge.shop.acme.example"
    assert challenge_owner("*.ct.example.net", cname) == BASE


def test_a_loop_in_dns_is_an_error(knot: Knot) -> None:
    error = refused(lambda: challenge_owner("loop.acme.example", resolver_at(knot).cname))
    assert (error.code, error.retryable) == ("dns-delegation-broken", False)
    assert "lead back to _acme-challenge.loop.acme.example" in error.message


def test_dns_that_does_not_say_is_not_no_delegation(knot: Knot) -> None:
    error = refused(lambda: challenge_owner("elsewhere.example", resolver_at(knot).cname))
    assert (error.code, error.retryable) == ("dns-lookup-failed", True)
    assert "CNAME of _acme-challenge.elsewhere.example" in error.message


@given(st.lists(st.text(string.ascii_lowercase, min_size=1), unique=True, max_size=12))
def test_a_chain_is_followed_to_its_end_up_to_eight(labels: list[str]) -> None:
    chain = ["_acme-challenge.a.example", *(f"{label}.b.example" for label in labels)]
    table = dict(itertools.pairwise(chain))
    if len(labels) <= 8:
        assert challenge_owner("a.example", table.get) == chain[-1]
    else:
        error = refused(lambda: challenge_owner("a.example", table.get))
        assert error.message.endswith("are more than 8")


@given(st.integers(0, 7), st.data())
def test_every_loop_is_found(length: int, data: st.DataObject) -> None:
    chain = ["_acme-challenge.a.example", *(f"{number}.b.example" for number in range(length))]
    back = data.draw(st.sampled_from(chain))
    table = dict(zip(chain, [*chain[1:], f"{back.upper()}."], strict=True))
    error = refused(lambda: challenge_owner("a.example", table.get))
    assert error.message.endswith(f"lead back to {back}")


@pytest.mark.parametrize("label", ["-o", "$(id)", "a b", "a;b", "a/b", "'a'", "\\\\200", "*"])
def test_a_target_that_means_more_than_a_name_is_refused(label: str) -> None:
    table = {"_acme-challenge.a.example": f"{label}.b.example"}
    error = refused(lambda: challenge_owner("a.example", table.get))
    assert error.code == "dns-delegation-refused"


def test_a_target_stands_below_what_is_allowed() -> None:
    table = {"_acme-challenge.a.example": "x.acme.ct.example.net."}
    allowed = ["acme.ct.example.net"]
    assert challenge_owner("a.example", table.get, allowed) == "x.acme.ct.example.net"
    for other in ("acme.ct.example.net", "go.ct.example.net", "x.evilacme.ct.example.net"):
        table["_acme-challenge.a.example"] = other
        error = refused(lambda: challenge_owner("a.example", table.get, allowed))
        assert error.code == "dns-delegation-refused"
    assert challenge_owner("b.example", table.get, allowed) == "_acme-challenge.b.example"


# Visibility


def test_servers_that_do_not_show_the_value_are_named(
    knot: Knot, provider: DNSProvider, tmp_path: Path
) -> None:
    owner = f"stale.{BASE}"
    provider.publish(owner, "fresh")
    with Knot(tmp_path / "secondary", ZONES) as secondary, scripted(silence, silence) as mute:
        servers = [(knot.host, knot.port), (secondary.host, secondary.port), (knot.host, mute)]
        # All of it is the last one's, so that each is asked once.
        deadline = time.monotonic() + 3
        error = refused(
            lambda: wait_until_visible(owner, "fresh", deadline=deadline, servers=servers)
        )
    assert (error.code, error.retryable) == ("dns-challenge-not-visible", True)
    assert error.message == (
        f"the challenge at {owner} is not shown by "
        f"{secondary.host}:{secondary.port} (it has no value), {knot.host}:{mute} (timeout)"
    )


def test_it_waits_for_a_server_that_follows_late(
    knot: Knot, provider: DNSProvider, tmp_path: Path
) -> None:
    owner = f"late.{BASE}"
    provider.publish(owner, "fresh")
    with Knot(tmp_path / "secondary", ZONES) as secondary:
        late = DynamicUpdate(secondary.host, secondary.port, key=secondary.key)
        late.publish(owner, "old")
        timer = threading.Timer(0.5, late.publish, (owner, "fresh"))
        timer.start()
        wait_until_visible(
            owner,
            "fresh",
            deadline=time.monotonic() + 20,
            servers=[(knot.host, knot.port), (secondary.host, secondary.port)],
            every=0.05,
        )
        timer.join()
        assert secondary.values(owner) == {"old", "fresh"}


def test_a_set_too_large_for_udp_is_read_too(knot: Knot, provider: DNSProvider) -> None:
    owner = f"many.{BASE}"
    values = {f"{number:043d}" for number in range(30)}
    for value in values:
        provider.publish(owner, value)
    assert knot.values(owner) == values
    for value in (min(values), max(values)):
        wait_until_visible(
            owner,
            value,
            deadline=time.monotonic() + 20,
            resolver=resolver_at(knot),
        )


def test_another_value_is_not_the_value(knot: Knot, provider: DNSProvider) -> None:
    provider.publish(f"other.{BASE}", "one")
    error = refused(
        lambda: wait_until_visible(
            f"other.{BASE}",
            "two",
            deadline=time.monotonic() + 3,
            resolver=resolver_at(knot),
            every=3.0,
        )
    )
    assert error.message.endswith(f"by {knot.host}:{knot.port} (it has other values)")


def test_many_silent_servers_cost_no_more_than_the_deadline(knot: Knot) -> None:
    with scripted(silence, silence) as mute:
        servers = [(f"127.0.0.{number}", mute) for number in range(1, 40)]
        began = time.monotonic()
        error = refused(
            lambda: wait_until_visible(BASE, "v", deadline=began + 0.5, servers=servers)
        )
        took = time.monotonic() - began
    assert took < 10
    assert error.message.endswith(f"127.0.0.39:{mute} (not asked in time)")


def test_servers_without_an_address_are_told() -> None:
    records = {"SOA": "ns.x.example. h.x.example. 1 60 60 60 60", "NS": "ns.x.example."}

    def script(query: dns.message.Message) -> bytes:
        answer = dns.message.make_response(query)
        kind = query.question[0].rdtype.name
        if kind in records:
            record = dns.rrset.from_text(query.question[0].name, 60, "IN", kind, records[kind])
            answer.answer.append(record)
        return answer.to_wire()

    with scripted(script) as port:
        resolver = Resolver((("127.0.0.1", port),))
        error = refused(
            lambda: wait_until_visible(
                "x.example", "v", deadline=time.monotonic() + 20, resolver=resolver
            )
        )
    assert (error.code, error.retryable) == ("dns-lookup-failed", True)
    assert error.message == "the servers of the zone x.example are not to be found"


def test_a_delegation_does_not_lead_us_into_private_networks(knot: Knot) -> None:
    resolver = Resolver(((knot.host, knot.port),), authority_port=knot.port)
    error = refused(
        lambda: wait_until_visible(BASE, "v", deadline=time.monotonic() + 20, resolver=resolver)
    )
    assert error.code == "dns-lookup-failed"
    assert error.message == "the servers of the zone ct.example.net are on private addresses only"
