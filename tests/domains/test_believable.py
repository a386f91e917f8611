"""Which networks may be believed, in which formats they are published, and when to look again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkseal.domains.profiles import (
    PROFILES,
    PUBLISHING,
    own_networks,
    published_networks,
    read_published,
    refresh_due,
)
from linkseal.errors import DomainError

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
DOCUMENTATION = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def code(call: object) -> str:
    with pytest.raises(DomainError) as refusal:
        call()  # type: ignore[operator]
    assert refusal.value.hint
    return refusal.value.code


def test_own_networks_are_taken_once_each_in_their_order() -> None:
    given = ["203.0.113.7", " 2001:db8::/48", "203.0.113.0/24", "203.0.113.7/32", "2001:DB8::1"]
    assert own_networks(given) == (
        "203.0.113.7/32",
        "2001:db8::/48",
        "203.0.113.0/24",
        "2001:db8::1/128",
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "network-invalid"),
        ("proxy.example", "network-invalid"),
        ("203.0.113.7/24", "network-invalid"),
        ("203.0.113.7:443", "network-invalid"),
        ("10.1.2.3", "network-private"),
        ("100.64.0.1", "network-private"),
        ("127.0.0.1", "network-private"),
        ("169.254.169.254", "network-private"),
        ("172.31.255.0/24", "network-private"),
        ("192.168.0.0/16", "network-private"),
        ("239.1.2.3", "network-private"),
        ("255.255.255.255", "network-private"),
        ("8.0.0.0/5", "network-private"),
        ("0.0.0.0/0", "network-private"),
        ("::/0", "network-private"),
        ("::1", "network-private"),
        ("::ffff:203.0.113.7", "network-private"),
        ("64:ff9b::cb00:7107", "network-private"),
        ("fd00::1", "network-private"),
        ("fe80::1", "network-private"),
        ("ff02::1", "network-private"),
        ("2002:a00:1::/48", "network-private"),
        ("2001:0:a00:1::", "network-private"),
        ("9.0.0.0/15", "network-too-wide"),
        ("2a00::/31", "network-too-wide"),
    ],
)
def test_what_is_not_believed_is_refused_with_what_to_do(text: str, why: str) -> None:
    assert code(lambda: own_networks(["203.0.113.9", text])) == why


def test_bits_beyond_the_prefix_are_told() -> None:
    with pytest.raises(DomainError, match=r"203\.0\.113\.0/24 may be meant"):
        own_networks(["203.0.113.7/24"])


def test_a_lab_has_private_networks_and_none_that_are_too_wide() -> None:
    assert own_networks(["127.0.0.3", "::1"], private=True) == ("127.0.0.3/32", "::1/128")
    assert code(lambda: own_networks(["10.0.0.0/8"], private=True)) == "network-too-wide"


def test_a_domain_has_no_more_networks_than_anybody_has_proxies() -> None:
    many = [f"203.0.113.{number}" for number in range(256)]
    assert len(own_networks(many)) == 256
    assert code(lambda: own_networks([*many, "198.51.100.1"])) == "networks-too-many"


@given(st.ip_addresses())
def test_what_is_taken_is_on_the_internet(address: IPv4Address | IPv6Address) -> None:
    """Networks of documentation are let through: nobody is there."""
    documented = any(address in ip_network(each) for each in DOCUMENTATION)
    try:
        taken = own_networks([str(address)])
    except DomainError:
        taken = ()
    assert not taken or address in ip_network(taken[0])
    assert not taken or documented or (address.is_global and not address.is_multicast)
    assert taken or not documented


@pytest.mark.parametrize("cdn", PUBLISHING)
def test_what_is_shipped_would_be_taken(cdn: str) -> None:
    shipped = PROFILES[cdn].networks
    if shipped:
        assert set(published_networks(cdn, shipped, shipped)) == set(shipped)


def test_neighbours_are_written_as_one() -> None:
    found = published_networks("X", ["198.51.100.128/25", "2a04::/32", "198.51.100.0/25"], ())
    assert found == ("198.51.100.0/24", "2a04::/32")


@pytest.mark.parametrize(
    "texts",
    [
        [],
        ["not found"],
        ["198.51.100.1/24"],
        ["10.0.0.0/24"],
        ["0.0.0.0/0"],
        ["0.0.0.0/1", "128.0.0.0/1"],
        ["8.0.0.0/7"],
        ["8.0.0.0/8", "11.0.0.0/8"],
        ["2a00::/12"],
        [f"8.{high}.{low}.0/25" for high in range(100) for low in range(201)],
    ],
)
def test_what_cannot_be_a_cdns_networks_is_refused(texts: list[str]) -> None:
    assert code(lambda: published_networks("X", texts, ())) == "cdn-ranges-refused"
    assert code(lambda: published_networks("X", texts, (), force=True)) == "cdn-ranges-refused"


@pytest.mark.parametrize(
    ("texts", "taken"),
    [
        (["198.51.100.0/24", "2a04:4e40::/32"], True),
        (["198.51.100.0/25", "2a04:4e40::/33"], True),
        (["198.51.100.0/23", "2a04:4e40::/31"], True),
        (["198.51.100.0/24", "203.0.113.0/24", "2a04:4e40::/32", "2a05::/32"], True),
        (["198.51.100.0/26", "2a04:4e40::/32"], False),
        (["198.51.100.0/24", "2a04:4e40::/34"], False),
        (["198.51.100.0/24"], False),
        (["2a04:4e40::/32"], False),
        # As many as before, but others.
        (["203.0.113.0/24", "2a04:4e40::/32"], False),
    ],
)
def test_half_of_the_known_addresses_have_to_be_there(texts: list[str], taken: bool) -> None:
    known = ["198.51.100.0/24", "2a04:4e40::/32"]
    assert published_networks("X", texts, known, force=True)
    if taken:
        assert published_networks("X", texts, known)
    else:
        assert code(lambda: published_networks("X", texts, known)) == "cdn-ranges-shrunk"


@pytest.mark.parametrize(
    ("texts", "taken"),
    [
        (["198.51.100.0/24", "203.0.113.0/24", "2a04:4e40::/31"], True),
        (["198.51.100.0/24", "203.0.113.0/24", "192.0.2.7", "2a04:4e40::/32"], False),
        (["198.51.100.0/24", "2a04:4e40::/31", "2a05::1"], False),
    ],
)
def test_no_more_than_as_many_again_come_at_once(texts: list[str], taken: bool) -> None:
    known = ["198.51.100.0/24", "2a04:4e40::/32"]
    assert published_networks("X", texts, known, force=True)
    if taken:
        assert published_networks("X", texts, known)
    else:
        assert code(lambda: published_networks("X", texts, known)) == "cdn-ranges-grown"


def test_a_family_that_a_cdn_had_not_is_taken_by_force_only() -> None:
    texts, known = ["198.51.100.0/24", "2a04:4e40::/32"], ["198.51.100.0/24"]
    assert code(lambda: published_networks("X", texts, known)) == "cdn-ranges-grown"
    assert published_networks("X", texts, ()) == tuple(texts)


def test_small_steps_do_not_lead_away_from_what_is_shipped() -> None:
    shipped = ["198.51.100.0/25"]
    first = published_networks("X", ["198.51.100.0/24"], shipped, shipped=shipped)
    for further, why in (
        (["198.51.100.0/23"], "cdn-ranges-grown"),
        (["198.51.100.128/25"], "cdn-ranges-shrunk"),
    ):
        assert published_networks("X", further, first)
        with pytest.raises(DomainError, match="when this version of Linkseal was made") as far:
            published_networks("X", further, first, shipped=shipped)
        assert far.value.code == why


def test_where_force_has_led_away_the_last_copy_alone_measures() -> None:
    shipped, forced = ["198.51.100.0/24"], ["203.0.113.0/24"]
    assert code(lambda: published_networks("X", forced, shipped, shipped=shipped))
    known = published_networks("X", forced, shipped, shipped=shipped, force=True)
    assert published_networks("X", forced, known, shipped=shipped) == known
    assert code(lambda: published_networks("X", shipped, known, shipped=shipped))


def test_too_many_are_counted_not_read() -> None:
    texts = (f"no network {number}" for number in range(20_001))
    with pytest.raises(DomainError, match="20001 are too many"):
        published_networks("X", texts, ())


@given(st.lists(st.integers(0, 63), min_size=1), st.lists(st.integers(0, 63), min_size=1))
def test_addresses_are_measured_however_they_are_written(
    before: list[int], after: list[int]
) -> None:
    known, texts = ([f"198.51.100.{each}" for each in some] for some in (before, after))
    try:
        published_networks("X", texts, known)
        taken = True
    except DomainError:
        taken = False
    was, now = set(before), set(after)
    assert taken == (len(was & now) * 2 >= len(was) and len(now) <= len(was) * 2)


@pytest.mark.parametrize(
    ("cdn", "data"),
    [
        ("cloudflare", b'{"success": false, "result": {"ipv4_cidrs": [], "ipv6_cidrs": []}}'),
        ("cloudflare", b'{"success": true, "result": {"ipv4_cidrs": ["104.16.0.0/13"]}}'),
        ("cloudflare", b'{"success": true, "result": null}'),
        ("fastly", b'{"addresses": [1], "ipv6_addresses": []}'),
        ("fastly", b'{"addresses": ["151.101.0.0/16"]}'),
        ("cloudfront", b'{"prefixes": [{"ip_prefix": "13.124.199.0/24"}], "ipv6_prefixes": []}'),
        ("keycdn", b"[]"),
        ("bunny", b"[1]"),
        # Its lists are of single addresses.
        ("bunny", b"89.187.188.0/24"),
        ("bunny", "89.187.188.227 é".encode()),
        ("google", b"ip4:34.96.0.0/20"),
        ("google", b""),
        ("google", b"v=spf1 include:_spf.example ~all"),
        ("google", b"v=spf1 redirect=_spf.example"),
        *((cdn, b"<html></html>") for cdn in ("cloudflare", "fastly", "cloudfront", "keycdn")),
    ],
)
def test_another_format_is_refused(cdn: str, data: bytes) -> None:
    assert code(lambda: read_published(cdn, "X", [data])) == "cdn-ranges-refused"


def test_answers_of_several_addresses_are_one_list() -> None:
    found = read_published("bunny", "Bunny", [b"89.187.188.227\n\n", b'["2400:52e0::1"]'])
    assert found == ["89.187.188.227", "2400:52e0::1"]


@pytest.mark.parametrize(
    ("fetched", "tried", "due"),
    [
        (None, None, NOW),
        (NOW - 2 * HOUR, None, NOW + DAY - 2 * HOUR),
        (NOW - 9 * DAY, None, NOW),
        (None, NOW + 5 * HOUR, NOW + 6 * HOUR),
        (NOW + 5 * HOUR, NOW + 5 * HOUR, NOW + 5 * HOUR + DAY),
        (NOW - DAY, NOW + 2 * HOUR, NOW + 3 * HOUR),
    ],
)
def test_networks_are_due_daily_and_an_hour_after_a_failure(
    fetched: datetime | None, tried: datetime | None, due: datetime
) -> None:
    for jitter in (0.0, 0.25, 1.0):
        found = refresh_due(NOW, fetched=fetched, tried=tried, jitter=jitter)
        assert found == due + HOUR * jitter
