"""Which networks may be believed: a customer's own, and those a CDN publishes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import Final

from linkseal.errors import DomainError

MOST_OWN: Final = 256
"""Networks a domain may be enrolled with."""
MOST_PUBLISHED: Final = 20_000
"""Networks a CDN may publish; Bunny's are single addresses, some thousands."""
_OWN_WIDEST: Final = {4: 16, 6: 32}
_PUBLISHED_WIDEST: Final = {4: 8, 6: 20}
# IANA's special-purpose registries: what no public peer has. Networks of documentation (RFC
# 5737, 3849, 9637) are left out: nobody connects from them, and examples are written with them.
_NOT_PUBLIC: Final = tuple(
    ip_network(each)
    for each in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "224.0.0.0/3",
        # All but 2000::/3 (RFC 4291 §2.4); of that protocol assignments, as Teredo, and 6to4.
        "::/3",
        "4000::/2",
        "8000::/1",
        "2001::/23",
        "2002::/16",
    )
)

_Network = IPv4Network | IPv6Network


def own_networks(texts: Iterable[str], *, private: bool = False) -> tuple[str, ...]:
    """Read the networks a customer's proxy or CDN connects from.

    Args:
        texts: As ``203.0.113.0/24``; single addresses as ``203.0.113.7``.
        private: Whether addresses that are not public may be among them; for a lab.

    Returns:
        Each once, in their order, with a prefix length.

    Raises:
        DomainError: ``network-invalid``, ``network-private``, ``network-too-wide``,
            ``networks-too-many``.
    """
    found: dict[str, None] = {}
    for text in texts:
        network = _read(text.strip(), private=private)
        widest = _OWN_WIDEST[network.version]
        if network.prefixlen < widest:
            raise DomainError(
                f"{network} is too wide: all of it would be believed about clients' addresses",
                code="network-too-wide",
                hint=f"give the networks it connects from, none wider than /{widest}",
            )
        found[str(network)] = None
    if len(found) > MOST_OWN:
        raise DomainError(
            f"{len(found)} networks are too many for one domain",
            code="networks-too-many",
            hint=f"at most {MOST_OWN}: join neighbouring ones",
        )
    return tuple(found)


def published_networks(
    name: str,
    texts: Iterable[str],
    known: Iterable[str],
    *,
    shipped: Iterable[str] = (),
    private: bool = False,
    force: bool = False,
) -> tuple[str, ...]:
    """Judge the networks that a CDN publishes now.

    They are measured by the last good ones and by the shipped ones, so that no number of small
    steps leads far away. The shipped ones are no measure any more once the last good ones are
    far from them: those came by ``force``.

    Args:
        name: The CDN, for messages.
        texts: As it published them.
        known: The last good ones.
        shipped: Those of its profile; none for a CDN of which none are shipped.
        private: Whether addresses that are not public may be among them; for a lab.
        force: Take them although half of the known addresses are gone, or they are more than
            twice as many.

    Returns:
        Sorted, neighbouring networks written as one.

    Raises:
        DomainError: ``cdn-ranges-refused``: nothing, something that is no public network, or
            far too much; ``cdn-ranges-shrunk``; ``cdn-ranges-grown``.
    """
    written = list(texts)
    if not written:
        raise _refused(name, "there is none")
    if len(written) > MOST_PUBLISHED:
        # Before they are read: that takes far longer than to count them.
        raise _refused(name, f"{len(written)} are too many")
    try:
        networks = [_read(each, private=private) for each in written]
    except DomainError as error:
        raise _refused(name, error.message) from error
    found = list(_joined(networks))
    for version, widest in _PUBLISHED_WIDEST.items():
        # Together, not one by one: a list of halves is as wide as the whole.
        if _size(found, version) > 1 << ((32 if version == 4 else 128) - widest):
            raise _refused(name, f"those of IPv{version} are wider than a /{widest} together")
    if not force:
        last, first = (list(_joined(map(ip_network, each))) for each in (known, shipped))
        _refuse_far(name, found, last, "had")
        if _strays(last, first) is None:
            _refuse_far(name, found, first, "had when this version of Linkseal was made")
    return tuple(str(each) for each in found)


def _refuse_far(name: str, found: list[_Network], measure: list[_Network], had: str) -> None:
    strays = _strays(found, measure)
    if strays is None:
        return
    version, less = strays
    if less:
        raise DomainError(
            f"{name} publishes less than half of the IPv{version} addresses it {had}: "
            "the last good networks stay",
            code="cdn-ranges-shrunk",
            hint="look at what it publishes; if it is right, `linkseal cdn refresh --force`",
        )
    raise DomainError(
        f"{name} publishes more than twice the IPv{version} addresses it {had}: "
        "the last good networks stay",
        code="cdn-ranges-grown",
        hint="look at what it publishes; if it is right, `linkseal cdn refresh --force`",
    )


def _strays(found: list[_Network], measure: list[_Network]) -> tuple[int, bool] | None:
    """Say of which version too few are left (true) or too many there; else, None."""
    if not measure:
        return None
    shared = _shared(measure, found)
    for version in (4, 6):
        was, left, now = (_size(each, version) for each in (measure, shared, found))
        if left * 2 < was:
            return version, True
        if now > was * 2:
            return version, False
    return None


def _read(text: str, *, private: bool) -> _Network:
    try:
        network = ip_network(text)
    except ValueError as error:
        raise DomainError(
            f"{text!r} is no network: {_reason(text) or error}",
            code="network-invalid",
            hint="as 203.0.113.0/24 or 2001:db8::/48; an address alone is one as well",
        ) from error
    if not private and any(
        network.version == each.version and network.overlaps(each) for each in _NOT_PUBLIC
    ):
        raise DomainError(
            f"{network} is not public",
            code="network-private",
            hint="give the addresses it has on the internet; in a lab, set "
            "prober.allow_private_addresses",
        )
    return network


def _reason(text: str) -> str:
    """Say what is meant by a network that has bits beyond its prefix, as 192.0.2.7/24."""
    try:
        return f"{ip_network(text, strict=False)} may be meant"
    except ValueError:
        return ""


def _joined(networks: Iterable[_Network]) -> Iterator[_Network]:
    every = list(networks)
    yield from collapse_addresses(each for each in every if isinstance(each, IPv4Network))
    yield from collapse_addresses(each for each in every if isinstance(each, IPv6Network))


def _shared(one: list[_Network], two: list[_Network]) -> list[_Network]:
    """Return what two joined lists have in common: of two networks that meet, the narrower."""
    shared: list[_Network] = []
    at = 0
    for mine in one:
        begins, ends = _bounds(mine)
        while at < len(two) and _bounds(two[at])[1] < begins:
            at += 1
        here = at
        while here < len(two) and _bounds(two[here])[0] <= ends:
            shared.append(max(mine, two[here], key=lambda each: each.prefixlen))
            here += 1
    return shared


def _bounds(network: _Network) -> tuple[tuple[int, int], tuple[int, int]]:
    first, last = int(network.network_address), int(network.broadcast_address)
    return (network.version, first), (network.version, last)


def _size(networks: Iterable[_Network], version: int) -> int:
    return sum(each.num_addresses for each in networks if each.version == version)


def _refused(name: str, why: str) -> DomainError:
    return DomainError(
        f"what {name} publishes is not taken for its networks: {why}",
        code="cdn-ranges-refused",
        hint="the last good networks stay; look at what its address in [cdn.sources] answers",
    )
