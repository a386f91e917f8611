"""A real Pebble: what can be told to it, what it says when it does not start, and its end."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from pathlib import Path

import dns.message
import dns.query
import psutil  # type: ignore[import-untyped]
import pytest
from acme import challenges, errors
from acme.client import ClientV2
from acme.messages import OrderResource

from linkseal.certificates.dns_update import DynamicUpdate
from linkseal.errors import ServiceError
from linkseal.testing.pebble import Pebble, find_pebble
from support.acme import (
    Authority,
    PatientNetwork,
    account,
    answer,
    csr,
    obtain,
    prove,
    soon,
    verify,
)
from support.certificates import running_knot

pytestmark = pytest.mark.usefixtures("pebble")  # skips where there is none


def authority(ca: Pebble, publish: Callable[[str, str, str], None]) -> Authority:
    return Authority(ca.url, str(ca.ca_file), ca.root_pem, publish, PatientNetwork)


def nothing(kind: str, where: str, value: str) -> None:
    """Publish nothing."""


def lookup(ca: Pebble, name: str, kind: str) -> list[str]:
    """What its DNS server says; each record as in a zone file."""
    host, port = ca.dns_server.split(":")
    said = dns.query.udp(dns.message.make_query(name, kind), host, port=int(port), timeout=5)
    return sorted(str(record) for records in said.answer for record in records)


def failure(who: ClientV2, order: OrderResource) -> str:
    """The code with which the CA fails the order's one authorization."""
    with pytest.raises(errors.ValidationError) as caught:
        who.poll_authorizations(order, soon())
    (failed,) = caught.value.failed_authzrs
    return next(str(one.error.code) for one in failed.body.challenges if one.error)


def test_a_name_is_at_the_address_it_was_given_last(pebble: Pebble) -> None:
    assert lookup(pebble, "a.pebble.example", "A") == ["127.0.0.1"]
    pebble.set_address("A.pebble.example", "127.0.0.2")
    pebble.set_address("a.pebble.example.", "127.0.0.3")
    assert lookup(pebble, "a.pebble.example", "A") == ["127.0.0.3"]
    assert lookup(pebble, "a.pebble.example", "AAAA") == []


def test_txt_values_stand_side_by_side_until_cleared(pebble: Pebble) -> None:
    name = "_acme-challenge.txt.pebble.example"
    pebble.set_txt(name, "one")
    pebble.set_txt(name, "two")
    assert lookup(pebble, name, "TXT") == ['"one"', '"two"']
    pebble.clear_txt(name)
    assert lookup(pebble, name, "TXT") == []


def test_it_validates_at_the_address_of_the_name(pebble: Pebble, web: ThreadingHTTPServer) -> None:
    who = account(authority(pebble, nothing))
    pebble.set_address("elsewhere.pebble.example", "127.0.0.9")  # nobody is there
    order = who.new_order(csr("elsewhere.pebble.example"))
    answer(who, order)
    assert failure(who, order) == "connection"


def test_it_follows_an_alias_to_the_txt_value(pebble: Pebble) -> None:
    ca = authority(pebble, lambda _kind, _where, value: pebble.set_txt("7f3a.acme.example", value))
    pebble.set_cname("_acme-challenge.alias.pebble.example", "7f3a.acme.example")
    who = account(ca)
    order = who.new_order(csr("*.alias.pebble.example"))
    prove(ca, who, order, challenges.DNS01)
    chain = who.poll_and_finalize(order, soon()).fullchain_pem
    verify(chain, pebble.root_pem(), "links.alias.pebble.example")


def test_it_asks_another_dns_server(tmp_path: Path) -> None:
    with running_knot(tmp_path / "knot") as knot:
        where = f"{knot.host}:{knot.port}"
        with Pebble(tmp_path / "pebble", dns_server=where) as running:
            assert running.dns_server == where
            update = DynamicUpdate(knot.host, knot.port, key=knot.key)
            ca = authority(running, lambda _kind, name, value: update.publish(name, value))
            who = account(ca)
            order = who.new_order(csr("*.ct.example.net"))
            prove(ca, who, order, challenges.DNS01)
            chain = who.poll_and_finalize(order, soon()).fullchain_pem
            verify(chain, running.root_pem(), "links.ct.example.net")
            tells: list[Callable[[], None]] = [
                lambda: running.set_address("a.example", "127.0.0.1"),
                lambda: running.set_cname("a.example", "b.example"),
                lambda: running.set_txt("a.example", "x"),
                lambda: running.clear_txt("a.example"),
            ]
            for tell in tells:
                with pytest.raises(ServiceError, match=where) as caught:
                    tell()
                assert caught.value.code == "no-challenge-dns"
    assert not (tmp_path / "pebble" / "pebble-challtestsrv.log").exists()


def test_its_environment_is_what_was_given(tmp_path: Path) -> None:
    environment = {"PEBBLE_VA_ALWAYS_VALID": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
    with Pebble(tmp_path, environment=environment) as running:
        ca = authority(running, nothing)
        verify(obtain(ca, account(ca), "any.example"), running.root_pem(), "any.example")
        log = (tmp_path / "pebble.log").read_text(encoding="utf-8")
    assert "reject 0% of good nonces" in log
    assert "maximum random VA sleep time to 2 seconds" in log


def test_it_listens_on_loopback_only_and_leaves_nothing(tmp_path: Path) -> None:
    with Pebble(tmp_path) as running:
        parts = [psutil.Process(one.pid) for one in running._processes]
        bound = [one.laddr for part in parts for one in part.net_connections() if not one.raddr]
        assert sorted(part.name() for part in parts) == ["pebble", "pebble-challtestsrv"]
        assert {address.ip for address in bound} == {"127.0.0.1"}
        assert len(bound) == 5  # API, management; DNS by UDP and TCP, its management
    running.stop()
    assert not any(part.is_running() for part in parts)
    for address in bound:
        with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
            probe.connect(tuple(address))


def test_two_at_once_have_roots_of_their_own(pebble: Pebble, tmp_path: Path) -> None:
    with Pebble(tmp_path) as other:
        assert other.root_pem() != pebble.root_pem()
        assert other.url != pebble.url


def test_what_does_not_start_says_why(tmp_path: Path) -> None:
    broken = Pebble(tmp_path, http_port=1 << 70)
    with pytest.raises(ServiceError, match="cannot unmarshal number") as caught:
        broken.start()
    assert caught.value.code == "service-not-started"
    assert str(tmp_path / "pebble.log") in caught.value.hint
    assert broken._processes == []
    assert json.loads((tmp_path / "pebble.json").read_text())["pebble"]["httpPort"] == 1 << 70


def test_both_programs_are_found() -> None:
    assert [Path(one).name for one in find_pebble()] == ["pebble", "pebble-challtestsrv"]
