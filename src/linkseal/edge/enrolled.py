"""Which CDN or proxy the edge believes, for which host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from linkseal.domains.base import DomainState
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
    def state(self) -> DomainState:
        """Where its life has come to."""

    @property
    def cdn(self) -> str:
        """Id of the profile; empty for none."""

    @property
    def own_networks(self) -> Sequence[str]:
        """Where the customer's proxy or CDN connects from, besides what the CDN publishes."""


def client_rules(
    domains: Iterable[Enrolled], current: Mapping[str, Sequence[str]] | None = None
) -> dict[str, ClientRule]:
    """Return the rule of every host whose CDN can be believed: networks and field known.

    Args:
        domains: All of them; for one that was released nobody is believed any more.
        current: Networks fetched later than those shipped, by the profile's id.
    """
    rules: dict[str, ClientRule] = {}
    made: dict[tuple[str, tuple[str, ...]], ClientRule | None] = {}
    for domain in domains:
        if not domain.cdn or domain.state is DomainState.RELEASED:
            continue
        key = domain.cdn, tuple(domain.own_networks)
        if key not in made:
            made[key] = _rule(*key, current or {})
        rule = made[key]
        if rule is not None:
            rules[domain.host] = rules[domain.target] = rule
    return rules


def _rule(
    cdn: str, own: tuple[str, ...], current: Mapping[str, Sequence[str]]
) -> ClientRule | None:
    profile = PROFILES.get(cdn)
    if profile is None or not profile.client_header:
        return None
    if profile.appends_own_address and not own:
        # The list ends with an address of the customer's there: it would be taken for the
        # client's unless it is known.
        return None
    found = networks(profile, current=current.get(cdn), own=own)
    if not found:
        return None
    return ClientRule(found, profile.client_header, ClientKind(profile.client_kind))
