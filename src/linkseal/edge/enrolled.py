"""Which CDN or proxy the edge believes, for which host."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from linkseal.domains.profiles import PROFILES, networks
from linkseal.edge.client import ClientKind, ClientRule


class Enrolled(Protocol):
    """A branded domain and what stands in front of it."""

    @property
    def host(self) -> str:
        """The branded domain."""

    @property
    def target(self) -> str:
        """Its target: what its CDN may also call it by."""

    @property
    def cdn(self) -> str:
        """Id of the profile; empty for none."""


def client_rules(domains: Iterable[Enrolled]) -> dict[str, ClientRule]:
    """Return the rule of every host whose CDN can be believed: networks and field known.

    A CDN that appends an address of its own is left out: that would be taken for the client.
    """
    rules: dict[str, ClientRule] = {}
    by_profile: dict[str, ClientRule] = {}
    for domain in domains:
        profile = PROFILES.get(domain.cdn)
        if profile is None or not profile.client_header or profile.appends_own_address:
            continue
        if not networks(profile):
            continue
        rule = by_profile.setdefault(
            profile.id,
            ClientRule(networks(profile), profile.client_header, ClientKind(profile.client_kind)),
        )
        rules[domain.host] = rules[domain.target] = rule
    return rules
