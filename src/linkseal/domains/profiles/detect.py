"""Which CDN is in front of a branded domain, from what was observed. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from linkseal.domains.observation import Echo, Observation
from linkseal.domains.profiles.model import Mark, Profile
from linkseal.domains.profiles.table import PROFILES, PROXY

# Where DNS leads is what a recipient meets. A field may be of a second CDN behind it, and
# those of a request come from whoever sends them.
_DNS: Final = 4
_PEER: Final = 3
_RESPONSE: Final = 2
_REQUEST: Final = 1
_ENOUGH: Final = 2
_SHOWN: Final = 80


@dataclass(frozen=True, slots=True)
class Detected:
    """What stands in front, and the sentences that say why.

    Attributes:
        profile: ``None``: nothing does, or it cannot be told.
        reasons: The strongest first; they are never empty.
    """

    profile: Profile | None
    reasons: tuple[str, ...]


def detect(observation: Observation) -> Detected:
    """Tell which CDN or proxy is in front of the observed domain.

    It decides how results are worded and which fix is told, never whose word is taken for a
    client's address: that is the profile the domain is enrolled with.
    """
    best: Profile | None = None
    most: list[tuple[int, str]] = []
    for profile in PROFILES.values():
        found = list(_evidence(profile, observation))
        if _total(found) > max(_total(most), _ENOUGH - 1):
            best, most = profile, found
    if best is not None:
        return Detected(best, tuple(reason for _, reason in sorted(most, key=lambda one: -one[0])))
    return _no_cdn(observation)


def worded_for(found: Profile | None, *, enrolled: str, route: str) -> Profile | None:
    """Return the profile in whose words fixes are told: what was seen, else what should be there.

    Args:
        found: What was seen in front, if anything was.
        enrolled: The id of the profile the domain is enrolled with; empty for none.
        route: ``proxy`` where the customer's own is to be in front; others say no more.
    """
    return found or PROFILES.get(enrolled) or (PROXY if route == PROXY.id else None)


def _total(found: Sequence[tuple[int, str]]) -> int:
    return sum(weight for weight, _ in found)


def _evidence(profile: Profile, seen: Observation) -> Iterator[tuple[int, str]]:
    """Yield each kind of evidence once: many answers that say the same are no more than one."""
    for name in _led_to(seen):
        if any(name == suffix or name.endswith(f".{suffix}") for suffix in profile.cname_suffixes):
            yield _DNS, f"{seen.host} leads to {name}, a name of {profile.name}"
            break
    if profile.answers_there:
        address = next((each for each in _addresses(seen) if _within(each, profile)), "")
        if address:
            yield _DNS, f"{seen.host} resolves to {address}, an address of {profile.name}"
    mark = next((each for each in _response_marks(seen, profile.response_marks)), "")
    if mark:
        yield _RESPONSE, f"answers carry {mark}, as those of {profile.name} do"
    for echo in _echoes(seen):
        if _within(echo.peer, profile):
            yield _PEER, f"requests reach us from {echo.peer}, an address of {profile.name}"
            break
    for echo in _echoes(seen):
        field = next((each for each in profile.request_marks if each in echo.header_names), "")
        if field:
            yield _REQUEST, f"requests reach us with {field}, which {profile.name} adds"
            break


def _no_cdn(seen: Observation) -> Detected:
    addresses = _addresses(seen)
    strangers = [each for each in addresses if each not in seen.own_addresses]
    echo = next(_echoes(seen), None)
    if seen.own_addresses and addresses and not strangers:
        return Detected(None, (f"{seen.host} resolves to our own addresses",))
    if echo is not None and seen.egress and echo.peer not in seen.egress:
        return Detected(
            PROXY, (f"requests reach us from {echo.peer}, which is neither ours nor a known CDN's",)
        )
    # An address that leads nowhere, beside one of ours, is nobody in front.
    through = next((each for each in strangers if _reaches_us(each, seen)), "")
    if through and seen.own_addresses:
        return Detected(
            PROXY, (f"{seen.host} resolves to {through}, not ours, and requests reach us",)
        )
    return Detected(None, ("nothing that was seen is the mark of a CDN",))


def _reaches_us(address: str, seen: Observation) -> bool:
    """Whether a request to an address was answered by our edge."""
    return any(
        each.address == address and each.echo is not None and not each.forged
        for each in seen.exchanges
    )


def _led_to(seen: Observation) -> list[str]:
    """Return the names the host leads to, in lower case and without a last dot."""
    names = [hop.target for hop in seen.chain]
    known = {seen.host, *names}
    for answer in seen.dns:
        if answer.type == "CNAME" and answer.name in known:
            names += answer.values
    return [name.lower().rstrip(".") for name in names]


def _addresses(seen: Observation) -> list[str]:
    """Return what the host resolves to, each address once."""
    names = {seen.host, *_led_to(seen)}
    found = [
        value
        for answer in seen.dns
        if answer.type in {"A", "AAAA"} and answer.name.lower().rstrip(".") in names
        for value in answer.values
    ]
    return list(dict.fromkeys(found))


def _echoes(seen: Observation) -> Iterator[Echo]:
    """Yield what our edge saw of requests to which the probe itself added no field of a CDN."""
    for exchange in seen.exchanges:
        if exchange.echo is not None and not exchange.forged:
            yield exchange.echo


def _response_marks(seen: Observation, marks: Sequence[Mark]) -> Iterator[str]:
    for mark in marks:
        for exchange in seen.exchanges:
            value = exchange.headers.get(mark.header)
            if value is not None and mark.contains in value.lower():
                yield f"{mark.header}: {value[:_SHOWN]}"


def _within(address: str, profile: Profile) -> bool:
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(known in ipaddress.ip_network(network) for network in profile.networks)
