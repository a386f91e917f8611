"""Where a probe may connect to."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from linkseal.config import Config, ProberConfig
from linkseal.errors import ConfigError
from linkseal.prober import trusted_roots
from linkseal.prober.addresses import (
    egress_addresses,
    has_route,
    is_allowed,
    is_public,
    known_sources,
)
from prober.lab import CUSTOMER, Origin, look

AUTHORITY = trustme.CA()
INSIDE = (
    *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
    *("0.0.0.0", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1"),
    *("::", "::1", "fe80::1", "fc00::1", "fd00::1", "fec0::1", "ff02::1", "2001:db8::1"),
    # An IPv4 address of the inside, written as or carried in an IPv6 one.
    *("::ffff:10.0.0.1", "::10.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::a00:1", "2002:a00:1::1"),
    *("2001:0:a00:1::1", "fe80::1%eth0", "", "links.acme.example", "010.0.0.1", "0x7f.1"),
)


@pytest.mark.parametrize("address", INSIDE)
def test_what_is_not_on_the_internet_is_refused(address: str) -> None:
    assert not is_public(address)
    assert not is_allowed(address, ProberConfig())
    assert not is_allowed(address, ProberConfig(), own=(address,))


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "2a00::1"])
def test_what_is_on_the_internet_is_allowed(address: str) -> None:
    assert is_allowed(address, ProberConfig())


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_carried_by_ipv6_is_never_public(address: object) -> None:
    for text in (f"::ffff:{address}", f"::{address}", f"64:ff9b::{address}"):
        assert not is_public(text)


def test_networks_of_ours_are_refused_but_for_what_the_base_domain_leads_to() -> None:
    config = ProberConfig(refused_networks=("1.1.1.0/24", "2606:4700::/32"))
    assert not is_allowed("1.1.1.1", config)
    assert not is_allowed("2606:4700::1", config)
    assert is_allowed("1.1.1.1", config, own=("1.1.1.1",))
    assert is_allowed("1.1.2.1", config)


def test_refused_networks_hold_in_a_lab_too() -> None:
    config = ProberConfig(allow_private_addresses=True, refused_networks=("10.0.0.0/8",))
    assert is_allowed("192.168.1.1", config)
    assert not is_allowed("10.0.0.1", config)


async def test_a_domain_that_leads_inside_is_not_connected_to_but_told_of() -> None:
    origin = Origin()
    customer = [*CUSTOMER[1:], "links A 127.0.0.1", "links A 169.254.169.254"]
    seen = await look(origin, authority=AUTHORITY, customer=customer, allow_private_addresses=False)
    assert origin.asked == []
    assert (seen.observation.handshakes, seen.observation.exchanges) == ((), ())
    assert {(each.address, each.port) for each in seen.observation.reached} == {
        (address, port) for address in ("127.0.0.1", "169.254.169.254") for port in (80, 443)
    }
    assert "(not a public address, not asked)" in seen.verdicts()["TLS-01"]


async def test_a_name_server_inside_is_not_asked_but_told_of() -> None:
    seen = await look(Origin(), authority=AUTHORITY, allow_private_addresses=False)
    of_zone = [each for each in seen.observation.dns if each.authoritative]
    assert {(each.server, each.error) for each in of_zone} == {
        ("127.0.0.1", "not a public address, not asked")
    }


def test_the_addresses_asked_from() -> None:
    assert egress_addresses(["127.0.0.1"], ProberConfig()) == ("127.0.0.1",)
    assert egress_addresses(["127.0.0.1"], ProberConfig(egress=("1.2.3.4",))) == ("1.2.3.4",)
    assert egress_addresses([], ProberConfig()) == ()
    assert has_route("127.0.0.1")


def test_behind_nat_the_address_is_not_known() -> None:
    assert known_sources({"1.1.1.1": "10.0.0.2", "2606:4700::1": "2a00::1"}) == ()
    assert known_sources({"1.1.1.1": "1.2.3.4", "2606:4700::1": None}) == ("1.2.3.4",)
    assert known_sources({"10.0.0.1": "10.0.0.2", "10.0.0.3": "10.0.0.2"}) == ("10.0.0.2",)


@pytest.mark.parametrize("key", ["refused_networks", "egress"])
def test_what_is_no_address_is_refused_in_the_config(key: str) -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        Config.model_validate({"prober": {key: ["nowhere"]}})


def test_roots_of_a_lab_are_trusted_besides_the_web_s(tmp_path: Path) -> None:
    file = tmp_path / "root.pem"
    AUTHORITY.cert_pem.write_to_path(file)
    usual = trusted_roots(ProberConfig())
    assert len(usual) > 50
    more = trusted_roots(ProberConfig(extra_roots=(file,)))
    assert len(more) == len(usual) + 1
    for wrong in (tmp_path / "none.pem", Path(__file__)):
        with pytest.raises(ConfigError, match="extra_roots"):
            trusted_roots(ProberConfig(extra_roots=(wrong,)))
