"""Only an enrolled CDN whose networks and field are known is believed."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from linkseal.domains.profiles import PROFILES
from linkseal.edge.client import client_address
from linkseal.edge.enrolled import client_rules


@dataclass
class Domain:
    host: str
    target: str
    cdn: str


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
