"""DNS-01 over a real Knot, scripted servers for what Knot never says, and real hook programs."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import string
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import dns.tsig
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkseal.certificates.dns01 import (
    DNSProvider,
    DynamicUpdate,
    ExecHook,
    Resolver,
    TSIGKey,
    challenge_owner,
    wait_until_visible,
)
from linkseal.errors import CertificateError, ServiceError
from linkseal.testing.knot import Knot, find_knotd

KEY = TSIGKey("linkseal", "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0")
BASE = "_acme-challenge.ct.example.net"
ZONES = {
    "acme.example": [
        "_acme-challenge.links CNAME hop.acme.example.",
        "hop CNAME 7f3a.acme.ct.example.net.",
        "_acme-challenge.loop CNAME loop.acme.example.",
        "loop CNAME _acme-challenge.loop.acme.example.",
    ],
    "ct.example.net": [],
}


@pytest.fixture(scope="module")
def knot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Knot]:
    try:
        find_knotd()
    except ServiceError as error:
        pytest.skip(f"{error.message}: {error.hint}")
    with Knot(tmp_path_factory.mktemp("knot"), ZONES) as running:
        yield running


@pytest.fixture
def provider(knot: Knot) -> DNSProvider:
    return DynamicUpdate(knot.host, knot.port, key=knot.key)


def resolver_at(knot: Knot) -> Resolver:
    return Resolver(((knot.host, knot.port),), authority_port=knot.port, private_networks=True)


def refusal(call: Callable[[], object]) -> CertificateError:
    with pytest.raises(CertificateError) as caught:
        call()
    return caught.value


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
    error = refusal(lambda: update.publish(BASE, "never"))
    assert (error.code, error.retryable) == ("dns-update-refused", False)
    assert error.message.endswith(f": {said}")
    assert "TSIG" in error.hint
    assert key.secret not in f"{error.message} {error.hint} {key!r}"
    assert "never" not in knot.values(BASE)


def test_a_key_without_rights_is_refused(knot: Knot) -> None:
    update = DynamicUpdate(knot.host, knot.port, key=knot.stranger, zone="ct.example.net")
    error = refusal(lambda: update.publish(BASE, "never"))
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
    error = refusal(lambda: update.withdraw(BASE, "v"))
    assert (error.code, error.retryable) == ("dns-update-refused", False)
    assert error.message.endswith(f": {said}")
    assert hint in error.hint


def test_a_name_in_no_zone_of_the_server_is_refused(provider: DNSProvider) -> None:
    error = refusal(lambda: provider.publish("_acme-challenge.elsewhere.example", "v"))
    assert error.code == "dns-update-refused"
    assert error.message.endswith("the zone of _acme-challenge.elsewhere.example: REFUSED")
    assert "no such zone" in error.hint


def test_an_unreachable_server_may_be_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    update = DynamicUpdate("127.0.0.1", port, key=KEY, zone="ct.example.net", timeout=1.0)
    error = refusal(lambda: update.publish(BASE, "v"))
    assert (error.code, error.retryable) == ("dns-update-failed", True)
    assert error.message.endswith("does not answer: connection refused")


# Scripted servers

Script = Callable[[dns.message.Message], bytes | None]


@contextlib.contextmanager
def scripted(on_udp: Script, on_tcp: Script | None = None) -> Iterator[int]:
    """A DNS server that answers as told, on one port for UDP and TCP.

    A script that returns None is silent; without one for TCP, connections are closed.
    """

    def read(wire: bytes) -> dns.message.Message:
        return dns.message.from_wire(wire, keyring=dns.tsig.Key(KEY.name, KEY.secret))

    def serve_udp() -> None:
        with contextlib.suppress(OSError):
            while not stopping.is_set():
                wire, peer = udp.recvfrom(65535)
                answer = on_udp(read(wire)) if wire else None
                if answer is not None:
                    udp.sendto(answer, peer)

    def serve_tcp() -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as silent:
            while not stopping.is_set():
                peer, _ = tcp.accept()
                with contextlib.ExitStack() as open_now:
                    open_now.enter_context(peer)
                    stream = open_now.enter_context(peer.makefile("rb"))
                    wire = stream.read(int.from_bytes(stream.read(2)))
                    if not wire or on_tcp is None:
                        continue
                    answer = on_tcp(read(wire))
                    if answer is None:
                        silent.push(open_now.pop_all())
                    else:
                        peer.sendall(len(answer).to_bytes(2) + answer)

    stopping = threading.Event()
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
    ):
        place = tcp.getsockname()
        udp.bind(place)
        threads = [threading.Thread(target=each) for each in (serve_udp, serve_tcp)]
        for thread in threads:
            thread.start()
        try:
            yield place[1]
        finally:
            stopping.set()
            socket.create_connection(place).close()
            udp.sendto(b"", place)
            for thread in threads:
                thread.join()


def reply(
    rcode: int = dns.rcode.NOERROR, *, fault: int = 0, key: TSIGKey | None = KEY, flags: int = 0
) -> Script:
    """Answer with this code and TSIG error, signed with the key, or not at all."""

    def script(query: dns.message.Message) -> bytes:
        answer = dns.message.make_response(query)
        answer.set_rcode(dns.rcode.Rcode.make(rcode))
        answer.flags |= flags
        if key is None:
            answer.tsig = None
            answer.want_tsig_sign = False
        else:
            answer.use_tsig(dns.tsig.Key(key.name, key.secret), tsig_error=fault)
        return answer.to_wire()

    return script


def silence(_query: dns.message.Message) -> None:
    return None


def update_at(port: int, timeout: float = 2.0) -> DynamicUpdate:
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
        error = refusal(lambda: update_at(port).publish(BASE, "v"))
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
        error = refusal(lambda: update_at(port).publish(BASE, "v"))
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
        error = refusal(lambda: DynamicUpdate("127.0.0.1", port, key=KEY).publish(BASE, "v"))
    assert (error.code, error.retryable) == ("dns-update-refused", False)
    assert error.message.endswith(f"has no zone for {BASE}")


def test_a_server_that_fails_may_be_tried_again() -> None:
    with scripted(reply(dns.rcode.SERVFAIL)) as port:
        error = refusal(lambda: update_at(port).withdraw(BASE, "v"))
    assert (error.code, error.retryable) == ("dns-update-failed", True)
    assert error.message.endswith(": SERVFAIL")


@pytest.mark.parametrize("key", [None, TSIGKey("linkseal", "b3RoZXI=")])
def test_a_yes_that_is_not_signed_by_the_server_is_no_yes(key: TSIGKey | None) -> None:
    with scripted(reply(key=key)) as port:
        error = refusal(lambda: update_at(port).publish(BASE, "v"))
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
        error = refusal(lambda: update_at(port, timeout=0.4).publish(BASE, "v"))
    assert (error.code, error.retryable) == ("dns-update-failed", True)
    assert error.message.endswith("does not answer: it closed the connection")


def test_a_silent_server_costs_no_more_than_the_timeout() -> None:
    with scripted(silence, silence) as port:
        began = time.monotonic()
        error = refusal(lambda: update_at(port, timeout=0.6).publish(BASE, "v"))
        took = time.monotonic() - began
    assert (error.code, error.retryable) == ("dns-update-failed", True)
    assert error.message.endswith("does not answer: timeout")
    assert took < 3


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (TSIGKey("k", "no base64!"), "its secret is not base64"),
        (TSIGKey("k", ""), "its secret is not base64"),
        (TSIGKey("k", KEY.secret, "hmac-md5"), "its algorithm is not one of hmac-sha256"),
    ],
)
def test_an_unusable_key_is_told_at_once(key: TSIGKey, said: str) -> None:
    error = refusal(lambda: DynamicUpdate("127.0.0.1", key=key))
    assert error.code == "dns-key-unusable"
    assert said in error.message


@pytest.mark.parametrize("name", ["a..b", f"{'x' * 64}.example", ".".join(["abcdefg"] * 40)])
def test_what_is_no_name_is_refused_before_anything_is_asked(name: str) -> None:
    error = refusal(lambda: update_at(1).publish(name, "v"))
    assert error.code == "dns-name-invalid"


# Delegation


def test_delegation_leads_from_one_zone_into_another(knot: Knot, provider: DNSProvider) -> None:
    resolver = resolver_at(knot)
    owner = challenge_owner("Links.Acme.example.", resolver.cname)
    assert owner == "7f3a.acme.ct.example.net"
    provider.publish(owner, "delegated")
    wait_until_visible(
        owner, "delegated", deadline=time.monotonic() + 10, resolver=resolver, every=0.05
    )
    assert knot.values(owner) == {"delegated"}


def test_without_delegation_the_name_itself_is_the_owner(knot: Knot) -> None:
    cname = resolver_at(knot).cname
    assert challenge_owner("shop.acme.example", cname) == "_acme-challenge.shop.acme.example"
    assert challenge_owner("*.ct.example.net", cname) == BASE


def test_a_loop_in_dns_is_an_error(knot: Knot) -> None:
    error = refusal(lambda: challenge_owner("loop.acme.example", resolver_at(knot).cname))
    assert (error.code, error.retryable) == ("dns-delegation-broken", False)
    assert "lead back to _acme-challenge.loop.acme.example" in error.message


def test_dns_that_does_not_say_is_not_no_delegation(knot: Knot) -> None:
    error = refusal(lambda: challenge_owner("elsewhere.example", resolver_at(knot).cname))
    assert (error.code, error.retryable) == ("dns-lookup-failed", True)
    assert "CNAME of _acme-challenge.elsewhere.example" in error.message


@given(st.lists(st.text(string.ascii_lowercase, min_size=1), unique=True, max_size=12))
def test_a_chain_is_followed_to_its_end_up_to_eight(labels: list[str]) -> None:
    chain = ["_acme-challenge.a.example", *(f"{label}.b.example" for label in labels)]
    table = dict(itertools.pairwise(chain))
    if len(labels) <= 8:
        assert challenge_owner("a.example", table.get) == chain[-1]
    else:
        error = refusal(lambda: challenge_owner("a.example", table.get))
        assert error.message.endswith("are more than 8")


@given(st.integers(0, 7), st.data())
def test_every_loop_is_found(length: int, data: st.DataObject) -> None:
    chain = ["_acme-challenge.a.example", *(f"{number}.b.example" for number in range(length))]
    back = data.draw(st.sampled_from(chain))
    table = dict(zip(chain, [*chain[1:], f"{back.upper()}."], strict=True))
    error = refusal(lambda: challenge_owner("a.example", table.get))
    assert error.message.endswith(f"lead back to {back}")


# Visibility


def test_servers_that_do_not_show_the_value_are_named(
    knot: Knot, provider: DNSProvider, tmp_path: Path
) -> None:
    owner = f"stale.{BASE}"
    provider.publish(owner, "fresh")
    with Knot(tmp_path / "secondary", ZONES) as secondary, scripted(silence, silence) as mute:
        servers = [(knot.host, knot.port), (secondary.host, secondary.port), (knot.host, mute)]
        deadline = time.monotonic() + 1
        error = refusal(
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
            deadline=time.monotonic() + 10,
            resolver=resolver_at(knot),
        )


def test_another_value_is_not_the_value(knot: Knot, provider: DNSProvider) -> None:
    provider.publish(f"other.{BASE}", "one")
    error = refusal(
        lambda: wait_until_visible(
            f"other.{BASE}", "two", deadline=time.monotonic() + 0.5, resolver=resolver_at(knot)
        )
    )
    assert error.message.endswith(f"by {knot.host}:{knot.port} (it has other values)")


def test_many_silent_servers_cost_no_more_than_the_deadline(knot: Knot) -> None:
    with scripted(silence, silence) as mute:
        servers = [(f"127.0.0.{number}", mute) for number in range(1, 40)]
        began = time.monotonic()
        error = refusal(
            lambda: wait_until_visible(BASE, "v", deadline=began + 0.5, servers=servers)
        )
        took = time.monotonic() - began
    assert took < 3
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
        error = refusal(
            lambda: wait_until_visible(
                "x.example", "v", deadline=time.monotonic() + 5, resolver=resolver
            )
        )
    assert (error.code, error.retryable) == ("dns-lookup-failed", True)
    assert error.message == "the servers of the zone x.example are not to be found"


def test_a_delegation_does_not_lead_us_into_private_networks(knot: Knot) -> None:
    resolver = Resolver(((knot.host, knot.port),), authority_port=knot.port)
    error = refusal(
        lambda: wait_until_visible(BASE, "v", deadline=time.monotonic() + 5, resolver=resolver)
    )
    assert error.code == "dns-lookup-failed"
    assert error.message == "the servers of the zone ct.example.net are on private addresses only"


# The hook


def hook_at(folder: Path, script: str) -> Path:
    file = folder / "the hook"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


HOSTILE = ["plain", "-rf", "two words", "$(id) `id` ; | & > <", "'\"\\", "line\nbreak", "ü*?~", ""]


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("action", ["publish", "withdraw"])
def test_arguments_and_environment_arrive_unchanged(
    tmp_path: Path, action: str, value: str
) -> None:
    shown = tmp_path / "shown"
    script = (
        'printf "%s\\0" "$@" "$LINKSEAL_DNS_ACTION" "$LINKSEAL_DNS_NAME" "$LINKSEAL_DNS_VALUE" '
        f'> "{shown}"'
    )
    hook = ExecHook([str(hook_at(tmp_path, script)), "--zone", "a b"])
    getattr(hook, action)(BASE, value)
    told = [action, BASE, value]
    assert shown.read_text().split("\0")[:-1] == ["--zone", "a b", *told, *told]


def test_the_hook_gets_our_environment_without_our_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINKSEAL_MASTER_KEY", "secret")
    monkeypatch.setenv("PROVIDER_TOKEN", "for-the-hook")
    shown = tmp_path / "shown"
    ExecHook([str(hook_at(tmp_path, f'env > "{shown}"'))]).publish(BASE, "v")
    lines = shown.read_text().splitlines()
    assert "PROVIDER_TOKEN=for-the-hook" in lines
    assert sorted(line for line in lines if line.startswith("LINKSEAL_")) == [
        "LINKSEAL_DNS_ACTION=publish",
        f"LINKSEAL_DNS_NAME={BASE}",
        "LINKSEAL_DNS_VALUE=v",
    ]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo first >&2; echo 'no such zone' >&2; echo >&2; exit 3", "no such zone"),
        ("printf 'red \\033[31m\\377' >&2; exit 1", "red  [31m\ufffd"),
        ("yes x | head -c 100000 >&2; echo the end >&2; exit 1", "the end"),
        ("head -c 100000 /dev/zero | tr '\\0' y >&2; exit 1", "y" * 300),
        ("echo on stdout; exit 3", "it said nothing (exit code 3)"),
        ("kill -TERM $$", "it said nothing (exit code -15)"),
    ],
)
def test_a_failed_hook_is_told_by_its_last_line(tmp_path: Path, script: str, said: str) -> None:
    file = hook_at(tmp_path, script)
    error = refusal(lambda: ExecHook([str(file)]).publish(BASE, "v"))
    assert (error.code, error.retryable) == ("dns-hook-failed", True)
    assert error.message == f"the DNS hook {file} could not publish {BASE}: {said}"


def test_a_hook_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    # The grandchild ignores SIGTERM, and keeps stderr open.
    script = (
        f"export PIDS='{pids}'\n"
        """sh -c 'trap "" TERM; echo $$ >> "$PIDS"; sleep 60; :' &\n"""
        'echo $$ >> "$PIDS"\nwait'
    )
    hook = ExecHook([str(hook_at(tmp_path, script))], timeout=1.5)
    began = time.monotonic()
    error = refusal(lambda: hook.publish(BASE, "v"))
    assert time.monotonic() - began < 15
    assert (error.code, error.retryable) == ("dns-hook-timeout", True)
    assert "in 1.5 s, and was killed" in error.message
    started = [int(line) for line in pids.read_text().split()]
    assert len(set(started)) == 2
    deadline = time.monotonic() + 10
    while any(is_running(pid) for pid in started) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [pid for pid in started if is_running(pid)] == []


def is_running(pid: int) -> bool:
    """Whether it runs; an orphan that nobody reaps yet does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_a_hook_that_leaves_something_running_is_done_when_it_is(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    hook = ExecHook([str(hook_at(tmp_path, f"sleep 60 & echo $! > '{pids}'"))], timeout=30)
    began = time.monotonic()
    hook.publish(BASE, "v")
    assert time.monotonic() - began < 20
    left = int(pids.read_text())
    assert is_running(left)
    os.kill(left, 9)


@pytest.mark.parametrize("mode", [None, 0o644])
def test_a_hook_that_cannot_be_run_is_told_by_its_path(tmp_path: Path, mode: int | None) -> None:
    file = tmp_path / "hook"
    if mode is not None:
        file.write_text("#!/bin/sh\n")
        file.chmod(mode)
    error = refusal(lambda: ExecHook([str(file)]).publish(BASE, "v"))
    assert (error.code, error.retryable) == ("dns-hook-unusable", False)
    assert str(file) in error.message
    assert "full path" in error.hint


def test_a_hook_without_a_program_is_told_at_once() -> None:
    assert refusal(lambda: ExecHook([])).code == "dns-hook-unusable"
