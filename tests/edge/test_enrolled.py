"""Only an enrolled CDN whose networks and field are known is believed."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from linkseal.domains.base import DomainState
from linkseal.domains.profiles import PROFILES
from linkseal.edge.client import client_address
from linkseal.edge.enrolled import client_rules


@dataclass
class Domain:
    host: str
    target: str
    cdn: str
    own_networks: tuple[str, ...] = ()
    state: DomainState = DomainState.CLAIMED


def test_cloudflare_is_believed_for_its_domain_and_target_and_nobody_else_is() -> None:
    rules = client_rules(
        [Domain("links.a.example", "t-a.ct.example", "cloudflare"), Domain("b", "t-b", "")]
    )
    assert rules.keys() == {"links.a.example", "t-a.ct.example"}
    rule = rules["links.a.example"]
    inside = PROFILES["cloudflare"].networks[0].partition("/")[0]
    said = [(b"CF-Connecting-IP", b"203.0.113.9")]
    assert client_address(inside, said, rule) == "203.0.113.9"
    assert client_address("198.51.100.7", said, rule) == "198.51.100.7"


@pytest.mark.parametrize("cdn", sorted(PROFILES))
def test_every_profile_gives_a_rule_that_holds_or_none(cdn: str) -> None:
    profile = PROFILES[cdn]
    rules = client_rules([Domain("a.example", "t-a.ct.example", cdn)])
    known = bool(profile.networks and profile.client_header and not profile.appends_own_address)
    assert bool(rules) == known
    for rule in rules.values():
        assert rule.header == profile.client_header


def test_a_customers_own_networks_are_believed_besides_those_that_are_published() -> None:
    rules = client_rules(
        [
            Domain("proxied.example", "t-1", "proxy", ("203.0.113.7/32", "2001:db8::/48")),
            Domain("bare.example", "t-2", "proxy"),
            Domain("both.example", "t-3", "cloudflare", ("203.0.113.7/32",)),
        ]
    )
    assert rules.keys() == {"proxied.example", "t-1", "both.example", "t-3"}
    said = [(b"X-Forwarded-For", b"192.0.2.1, 198.51.100.9")]
    for peer in ("203.0.113.7", "2001:db8::5"):
        assert client_address(peer, said, rules["t-1"]) == "198.51.100.9"
    assert client_address("203.0.113.8", said, rules["t-1"]) == "203.0.113.8"
    said = [(b"CF-Connecting-IP", b"198.51.100.9")]
    published = PROFILES["cloudflare"].networks[0].partition("/")[0]
    for peer in ("203.0.113.7", published):
        assert client_address(peer, said, rules["both.example"]) == "198.51.100.9"


def test_fetched_networks_take_the_place_of_the_shipped() -> None:
    domains = [Domain("a.example", "t-1", "cloudflare"), Domain("b.example", "t-2", "bunny")]
    fetched = {"cloudflare": ["198.51.100.0/24"], "bunny": ["203.0.113.9/32"]}
    rules = client_rules(domains, fetched)
    assert rules["a.example"].networks == ("198.51.100.0/24",)
    assert rules["b.example"].networks == ("203.0.113.9/32",)


def test_googles_load_balancer_is_believed_once_its_own_address_is_known() -> None:
    rules = client_rules([Domain("a.example", "t-1", "google", ("203.0.113.7/32",))])
    peer = PROFILES["google"].networks[0].partition("/")[0]
    said = [(b"X-Forwarded-For", b"192.0.2.1, 198.51.100.9, 203.0.113.7")]
    assert client_address(peer, said, rules["a.example"]) == "198.51.100.9"


def test_domains_that_are_enrolled_alike_share_one_rule() -> None:
    rules = client_rules(
        Domain(f"{number}.example", f"t-{number}", "cloudflare", own)
        for number, own in enumerate([(), (), ("203.0.113.7/32",), ("203.0.113.7/32",)])
    )
    assert rules["0.example"] is rules["1.example"] is rules["t-1"]
    assert rules["2.example"] is rules["3.example"]
    assert rules["1.example"] is not rules["2.example"]


def test_nobody_is_believed_for_a_domain_that_was_released() -> None:
    released = DomainState.RELEASED
    domains = [
        Domain("a.example", "t-1", "cloudflare"),
        Domain("b.example", "t-2", "cloudflare", state=released),
        Domain("c.example", "t-3", "proxy", ("203.0.113.7/32",), released),
    ]
    assert client_rules(domains).keys() == {"a.example", "t-1"}
