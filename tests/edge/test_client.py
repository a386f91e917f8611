"""The client's address: believed from the enrolled CDN's networks only."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkseal.edge.client import MOST_ADDRESSES, ClientKind, ClientRule, client_address
from support.edge import SHARED, Edge

NETWORKS = ("198.51.100.0/24", "2001:db8:1::/48")
LIST = ClientRule(NETWORKS, "X-Forwarded-For", ClientKind.LIST)
SINGLE = ClientRule(NETWORKS, "CF-Connecting-IP", ClientKind.SINGLE)
CDN, CDN6, STRANGER, CLIENT = "198.51.100.9", "2001:db8:1::9", "192.0.2.66", "203.0.113.5"


def forwarded(*values: str) -> list[tuple[bytes, bytes]]:
    return [(b"X-FORWARDED-FOR", value.encode("latin-1")) for value in values]


def connecting(*values: str) -> list[tuple[bytes, bytes]]:
    return [(b"cf-connecting-ip", value.encode("latin-1")) for value in values]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((CLIENT,), CLIENT),
        ((f"{STRANGER}, {CLIENT}",), CLIENT),
        ((f"{STRANGER}, {CLIENT}, 198.51.100.1",), CLIENT),
        ((STRANGER, f"{CLIENT},198.51.100.1"), CLIENT),
        ((f"{CLIENT}:4711",), CLIENT),
        (("[2001:DB8::5]:4711",), "2001:db8::5"),
        (("2001:0db8:0::5",), "2001:db8::5"),
        (("::ffff:203.0.113.5",), CLIENT),
        (("unknown",), CDN),
        ((f"{CLIENT}, unknown",), CDN),
        ((f"{CLIENT}, ",), CDN),
        (("",), CDN),
        (("198.51.100.1, 198.51.100.2",), CDN),
        ((), CDN),
        (("\xfc",), CDN),
    ],
)
def test_of_a_list_the_last_that_is_not_the_cdns(values: tuple[str, ...], expected: str) -> None:
    assert client_address(CDN, forwarded(*values), LIST) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((CLIENT,), CLIENT),
        ((" 2001:db8::5 ",), "2001:db8::5"),
        ((f"{CLIENT}:443",), CLIENT),
        ((f"{STRANGER}, {CLIENT}",), CDN),
        ((STRANGER, CLIENT), CDN),
        (("nobody",), CDN),
        ((), CDN),
    ],
)
def test_a_single_field_holds_one_address_or_is_not_believed(
    values: tuple[str, ...], expected: str
) -> None:
    assert client_address(CDN, connecting(*values), SINGLE) == expected


def test_peers_of_both_families_and_as_sockets_show_them() -> None:
    for peer in (CDN, CDN6, f"::ffff:{CDN}"):
        assert client_address(peer, forwarded(CLIENT), LIST) == CLIENT
    for peer in ("198.51.101.1", "2001:db8:2::1", f"::ffff:{STRANGER}", "", "not one"):
        assert client_address(peer, forwarded(CLIENT), LIST) == peer


def test_only_the_cdns_own_field_is_believed() -> None:
    forged = [
        (name, STRANGER.encode())
        for name in (b"True-Client-IP", b"Fastly-Client-IP", b"X-Real-IP", b"X-Forwarded-For")
    ]
    assert client_address(CDN, forged, SINGLE) == CDN
    assert client_address(CDN, [*forged, *connecting(CLIENT)], SINGLE) == CLIENT


def test_a_list_is_looked_at_for_so_long_only() -> None:
    hops = ["198.51.100.1"] * MOST_ADDRESSES
    assert client_address(CDN, forwarded(", ".join([CLIENT, *hops])), LIST) == CDN
    assert client_address(CDN, forwarded(", ".join([CLIENT, *hops[1:]])), LIST) == CLIENT


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(ValueError):
        ClientRule(("198.51.100.9/24",), "X-Forwarded-For", ClientKind.LIST)


@given(
    st.ip_addresses(),
    st.lists(st.tuples(st.sampled_from([b"X-Forwarded-For", b"x-forwarded-for"]), st.binary())),
)
def test_a_stranger_is_the_client_whatever_it_says(
    peer: ipaddress.IPv4Address | ipaddress.IPv6Address, headers: list[tuple[bytes, bytes]]
) -> None:
    networks = [ipaddress.ip_network(each) for each in NETWORKS]
    mapped = getattr(peer, "ipv4_mapped", None) or peer
    if not any(mapped in network for network in networks):
        assert client_address(str(peer), headers, LIST) == str(peer)


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_whatever_a_trusted_peer_sends_the_answer_is_an_address_out_of_it(
    values: list[bytes],
) -> None:
    found = client_address(CDN, [(b"X-Forwarded-For", value) for value in values], LIST)
    assert found == CDN or not LIST.trusts(ipaddress.ip_address(found))


def test_hits_record_it_on_the_host_that_has_a_rule_and_on_no_other(edge: Edge) -> None:
    fields = {
        "X_Forwarded_For": f"{STRANGER}, {CLIENT}",
        "CF_Connecting_IP": STRANGER,
        "True_Client_IP": STRANGER,
    }
    for host, customer in (
        ("links.acme.example", 1),
        ("links.other.example", 2),
        ("t-abc.ct.example.net", 1),
        (SHARED, 1),
    ):
        assert edge.get(edge.token_path(customer=customer), host, **fields).status == 302
    assert [(hit.host, hit.address) for hit in edge.hits()] == [
        ("links.acme.example", CLIENT),
        ("links.other.example", "127.0.0.1"),
        ("t-abc.ct.example.net", "127.0.0.1"),
        (SHARED, "127.0.0.1"),
    ]
