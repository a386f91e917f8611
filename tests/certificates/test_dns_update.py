"""Dynamic updates to a real Knot, and to scripted servers for what Knot never says."""

from __future__ import annotations

import time
from collections.abc import Iterator

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from linkseal.certificates.dns01 import DNSProvider
from linkseal.certificates.dns_update import DynamicUpdate, TSIGKey
from linkseal.testing.knot import Knot
from linkseal.testing.programs import free_port
from support.certificates import (
    BASE,
    KEY,
    Script,
    refused,
    reply,
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


# Knot: publish, withdraw


def test_two_values_live_under_one_name_and_go_one_by_one(
    knot: Knot, provider: DNSProvider
) -> None:
    provider.publish(BASE, "for-the-base")
    provider.publish(BASE, "for-the-wildcard")
    assert knot.values(BASE) == {"for-the-base", "for-the-wildcard"}
    provider.withdraw(BASE, "for-the-base")
    assert knot.values(BASE) == {"for-the-wildcard"}
    provider.withdraw(BASE, "for-the-wildcard")
    assert knot.values(BASE) == set()


def test_doing_it_twice_is_doing_it_once(knot: Knot, provider: DNSProvider) -> None:
    for _ in range(2):
        provider.publish(f"{BASE}.", "once")
    assert knot.values(BASE) == {"once"}
    for _ in range(2):
        provider.withdraw(BASE, "once")
    assert knot.values(BASE) == set()


@pytest.mark.parametrize("value", ['say "hi" \\ ; $(id)', "-dash", "ü", "x" * 255])
def test_a_value_arrives_unchanged(knot: Knot, provider: DNSProvider, value: str) -> None:
    provider.publish(f"value.{BASE}", value)
    assert knot.values(f"value.{BASE}") == {value}
    provider.withdraw(f"value.{BASE}", value)
    assert knot.values(f"value.{BASE}") == set()


def test_a_host_name_and_a_named_zone_do_too(knot: Knot) -> None:
    update = DynamicUpdate("localhost", knot.port, key=knot.key, zone="ct.example.net")
    update.publish(f"host.{BASE}", "v")
    assert knot.values(f"host.{BASE}") == {"v"}


# Knot: refusals


@pytest.mark.parametrize("zone", ["", "ct.example.net"])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "nobody"}, "BADKEY"),
        ({"algorithm": "hmac-sha512"}, "BADKEY"),
        ({"secret": KEY.secret}, "BADSIG"),
    ],
)
def test_a_wrong_key_is_refused(knot: Knot, zone: str, change: dict[str, str], said: str) -> None:
    fields = {"name": knot.key.name, "secret": knot.key.secret, "algorithm": knot.key.algorithm}
    key = TSIGKey(**(fields | change))
    update = DynamicUpdate(knot.host, knot.port, key=key, zone=zone)
    error = refused(lambda: update.publish(BASE, "never"))
    assert (error.code, error.retryable) == ("dns-update-refused", False)
    assert error.message.endswith(f": {said}")
    assert "TSIG" in error.hint
    assert key.secret not in f"{error.message} {error.hint} {key!r}"
    assert "never" not in knot.values(BASE)


def test_a_key_without_rights_is_refused(knot: Knot) -> None:
    update = DynamicUpdate(knot.host, knot.port, key=knot.stranger, zone="ct.example.net")
    error = refused(lambda: update.publish(BASE, "never"))
    assert error.code == "dns-update-refused"
    assert "allows them nothing" in error.hint
    assert "never" not in knot.values(BASE)


@pytest.mark.parametrize(
    ("zone", "said", "hint"),
    [
        ("nowhere.example", "NOTAUTH", "must be the zone's primary"),
        ("acme.example", "NOTZONE", "name the zone that holds it"),
    ],
)
def test_a_wrong_zone_is_refused(knot: Knot, zone: str, said: str, hint: str) -> None:
    update = DynamicUpdate(knot.host, knot.port, key=knot.key, zone=zone)
    error = refused(lambda: update.withdraw(BASE, "v"))
    assert (error.code, error.retryable) == ("dns-update-refused", False)
    assert error.message.endswith(f": {said}")
    assert hint in error.hint


def test_a_name_in_no_zone_of_the_server_is_refused(provider: DNSProvider) -> None:
    error = refused(lambda: provider.publish("_acme-challenge.elsewhere.example", "v"))
    assert error.code == "dns-update-refused"
    assert error.message.endswith("the zone of _acme-challenge.elsewhere.example: REFUSED")
    assert "no such zone" in error.hint


def test_an_unreachable_server_may_be_tried_again() -> None:
    port = free_port("127.0.0.1")
    update = DynamicUpdate("127.0.0.1", port, key=KEY, zone="ct.example.net", timeout=10.0)
    error = refused(lambda: update.publish(BASE, "v"))
    assert (error.code, error.retryable) == ("dns-update-failed", True)
    assert error.message.endswith("does not answer: connection refused")


# Scripted servers


def update_at(port: int, timeout: float = 6.0) -> DynamicUpdate:
    return DynamicUpdate("127.0.0.1", port, key=KEY, zone="ct.example.net", ttl=7, timeout=timeout)


@pytest.mark.parametrize("key", [KEY, None])
@pytest.mark.parametrize(
    ("rcode", "hint"),
    [
        (dns.rcode.REFUSED, "policy forbids"),
        (dns.rcode.NOTAUTH, "key or the zone"),
        (dns.rcode.NOTZONE, "not in this zone"),
        (dns.rcode.NOTIMP, "log of the DNS server"),
        (dns.rcode.FORMERR, "log of the DNS server"),
        (dns.rcode.YXDOMAIN, "log of the DNS server"),
        (dns.rcode.NXDOMAIN, "log of the DNS server"),
    ],
)
def test_every_refusal_keeps_its_reason_signed_or_not(
    rcode: dns.rcode.Rcode, hint: str, key: TSIGKey | None
) -> None:
    with scripted(reply(rcode, key=key)) as port:
        error = refused(lambda: update_at(port).publish(BASE, "v"))
    assert (error.code, error.retryable) == ("dns-update-refused", False)
    assert error.message == (
        f"the DNS server 127.0.0.1:{port} refused the update of {BASE}: {rcode.name}"
    )
    assert hint in error.hint


@pytest.mark.parametrize(
    ("fault", "said", "hint"),
    [
        (dns.rcode.BADSIG, "BADSIG", "secret"),
        (dns.rcode.BADKEY, "BADKEY", "TSIG key"),
        (dns.rcode.BADTIME, "BADTIME", "clocks"),
        (999, "999", "log of the DNS server"),
    ],
)
def test_a_fault_of_the_signature_is_told_by_its_own_name(fault: int, said: str, hint: str) -> None:
    with scripted(reply(dns.rcode.NOTAUTH, fault=fault)) as port:
        error = refused(lambda: update_at(port).publish(BASE, "v"))
    assert error.code == "dns-update-refused"
    assert error.message.endswith(f": {said}")
    assert hint in error.hint


def test_another_zone_than_that_of_the_name_is_not_taken() -> None:
    def script(query: dns.message.Message) -> bytes:
        answer = dns.message.make_response(query)
        soa = "ns.x.example. h.x.example. 1 60 60 60 60"
        answer.authority.append(dns.rrset.from_text("x.example.", 60, "IN", "SOA", soa))
        return answer.to_wire()

    with scripted(script) as port:
        error = refused(lambda: DynamicUpdate("127.0.0.1", port, key=KEY).publish(BASE, "v"))
    assert (error.code, error.retryable) == ("dns-update-refused", False)
    assert error.message.endswith(f"has no zone for {BASE}")


def test_a_server_that_fails_may_be_tried_again() -> None:
    with scripted(reply(dns.rcode.SERVFAIL)) as port:
        error = refused(lambda: update_at(port).withdraw(BASE, "v"))
    assert (error.code, error.retryable) == ("dns-update-failed", True)
    assert error.message.endswith(": SERVFAIL")


@pytest.mark.parametrize("key", [None, TSIGKey("linkseal", "b3RoZXI=")])
def test_a_yes_that_is_not_signed_by_the_server_is_no_yes(key: TSIGKey | None) -> None:
    with scripted(reply(key=key)) as port:
        error = refused(lambda: update_at(port).publish(BASE, "v"))
    assert (error.code, error.retryable) == ("dns-update-failed", True)
    assert "not signed" in error.message


@pytest.mark.parametrize("on_udp", [silence, reply(flags=dns.flags.TC)])
def test_tcp_is_asked_when_udp_is_silent_or_cut_short(on_udp: Script) -> None:
    seen: list[str] = []

    def on_tcp(query: dns.message.Message) -> bytes | None:
        seen.extend(str(each) for each in query.sections[2])
        return reply()(query)

    with scripted(on_udp, on_tcp) as port:
        update_at(port).publish(BASE, "v")
    assert seen == [f'{BASE}. 7 IN TXT "v"']


def test_a_server_that_hangs_up_may_be_tried_again() -> None:
    with scripted(silence) as port:
        error = refused(lambda: update_at(port, timeout=3.0).publish(BASE, "v"))
    assert (error.code, error.retryable) == ("dns-update-failed", True)
    assert error.message.endswith("does not answer: it closed the connection")


def test_a_silent_server_costs_no_more_than_the_timeout() -> None:
    with scripted(silence, silence) as port:
        began = time.monotonic()
        error = refused(lambda: update_at(port, timeout=0.6).publish(BASE, "v"))
        took = time.monotonic() - began
    assert (error.code, error.retryable) == ("dns-update-failed", True)
    assert error.message.endswith("does not answer: timeout")
    assert took < 6


# What is told before anything is asked


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (TSIGKey("k", "no base64!"), "its secret is not base64"),
        (TSIGKey("k", ""), "its secret is not base64"),
        (TSIGKey("k", KEY.secret, "hmac-md5"), "its algorithm is not one of hmac-sha256"),
    ],
)
def test_an_unusable_key_is_told_at_once(key: TSIGKey, said: str) -> None:
    error = refused(lambda: DynamicUpdate("127.0.0.1", key=key))
    assert error.code == "dns-key-unusable"
    assert said in error.message


@pytest.mark.parametrize("name", ["a..b", f"{'x' * 64}.example", ".".join(["abcdefg"] * 40)])
def test_what_is_no_name_is_refused_before_anything_is_asked(name: str) -> None:
    error = refused(lambda: update_at(1).publish(name, "v"))
    assert error.code == "dns-name-invalid"
