"""What is known of a CDN: how it shows itself, where it connects from, what it tells. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The networks a CDN connects from, as it published them on a day.

    Attributes:
        networks: As ``192.0.2.0/24``; empty where none is published, or none that lasts.
        of: The day it was looked up; ``None`` without networks.
        source: Where the current ones are: an address, or who is to be asked.
        note: What to know before they are relied on; empty for nothing.
    """

    networks: tuple[str, ...]
    of: date | None
    source: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """A response field by which a CDN is known.

    Attributes:
        header: Lower case.
        contains: A part of its value, lower case; empty where the name alone says it.
    """

    header: str
    contains: str = ""


@dataclass(frozen=True, slots=True)
class Profile:
    """A CDN, or the customer's own proxy.

    Attributes:
        id: As commands take it.
        name: As people know it.
        cname_suffixes: Names under these are its own.
        snapshot: Where it connects from, and what that is worth.
        answers_there: Whether recipients reach it at addresses of those networks, too.
        response_marks: Fields of its answers.
        request_marks: Fields of its requests, lower case. A visitor can send them as well.
        client_header: The field that tells the client's address; empty where none does.
        client_kind: How: ``single`` address or ``list``; empty without a field.
        appends_own_address: Whether the address recipients reach ends that list, after
            the client's.
        shows_origin: The name it asks our edge for by SNI: ``host`` (the branded one),
            ``target``, or ``either``, as it is set up; empty where it is not known.
    """

    id: str
    name: str
    cname_suffixes: tuple[str, ...]
    snapshot: Snapshot
    answers_there: bool
    response_marks: tuple[Mark, ...]
    request_marks: tuple[str, ...]
    client_header: str
    client_kind: str
    shows_origin: str
    appends_own_address: bool = False

    @property
    def networks(self) -> tuple[str, ...]:
        """Where it connects from, as shipped."""
        return self.snapshot.networks


def holds(profile: Profile, fetched: datetime) -> bool:
    """Whether networks that were fetched then hold in place of the shipped: the later do.

    Args:
        profile: Whose they are.
        fetched: When, aware.
    """
    return profile.snapshot.of is None or fetched.astimezone(UTC).date() >= profile.snapshot.of


def with_networks(
    profile: Profile | None,
    *,
    enrolled: str,
    current: Mapping[str, Iterable[str]],
    own: Iterable[str] = (),
) -> Profile | None:
    """Return the profile that was found in front, with the networks that hold for a domain.

    Args:
        profile: As found; without any there is nothing to hold.
        enrolled: The id of the one the domain is enrolled with: only then ``own`` is of it.
        current: Those fetched later than the shipped ones, by the profile's id.
        own: The customer's, of a CDN. Those of a proxy make it no CDN.
    """
    if profile is None or not (profile.cname_suffixes or profile.networks):
        return profile
    ours = tuple(own) if enrolled == profile.id else ()
    held = networks(profile, current=current.get(profile.id), own=ours)
    return replace(profile, snapshot=replace(profile.snapshot, networks=held))


def networks(
    profile: Profile,
    *,
    current: Iterable[str] | None = None,
    own: Iterable[str] = (),
    host_addresses: Iterable[str] = (),
) -> tuple[str, ...]:
    """Return the networks whose word is taken for a domain's client addresses.

    Args:
        profile: The one the domain is enrolled with.
        current: As fetched later than the shipped ones, in their place.
        own: The customer's, for a proxy or a CDN that publishes none.
        host_addresses: What the branded domain resolves to: only a CDN that appends its own
            address after the client's needs them.
    """
    found = [*(profile.networks if current is None else current), *own]
    if profile.appends_own_address:
        found += host_addresses
    return tuple(dict.fromkeys(found))
