"""Which addresses a probe may connect to, and from which it does.

Where a branded domain and its name servers lead is the customer's choice, so it must not
make us ask machines that only we can reach.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from linkseal.config import ProberConfig

# All that is given out (RFC 4291 §2.4, IANA's registry); of it 6to4 (RFC 3056) and Teredo
# (RFC 4380) carry an IPv4 address inside, which would have to be judged in turn.
_GIVEN_OUT: Final = IPv6Network("2000::/3")
_CARRIERS: Final = (IPv6Network("2002::/16"), IPv6Network("2001::/32"))


def is_public(text: str) -> bool:
    """Whether an address is a unicast one on the internet; anything else is not."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        if address not in _GIVEN_OUT or any(address in each for each in _CARRIERS):
            return False
    elif address.is_multicast:
        return False
    return address.is_global


def is_allowed(text: str, config: ProberConfig, own: Sequence[str] = ()) -> bool:
    """Whether a probe may connect to an address.

    Args:
        text: The address.
        config: Says whether private ones may be, and which networks may not.
        own: Addresses of the base domain: they are published, and meant to be asked.
    """
    if not config.allow_private_addresses and not is_public(text):
        return False
    if text in own:
        return True
    try:
        address: IPv4Address | IPv6Address = ip_address(text)
    except ValueError:
        return False
    return not any(address in ip_network(each) for each in config.refused_networks)


def has_route(address: str) -> bool:
    """Whether this machine has a way to an address at all, as to IPv6 many have none."""
    return _source(address) is not None


def egress_addresses(addresses: Iterable[str], config: ProberConfig) -> tuple[str, ...]:
    """Return the addresses this machine asks from, without sending anything.

    Args:
        addresses: Those that are asked.
        config: ``egress`` wins.
    """
    return config.egress or known_sources({each: _source(each) for each in addresses})


def known_sources(sources: Mapping[str, str | None]) -> tuple[str, ...]:
    """Return the addresses by which the other side knows us.

    None when a public address is asked from a private one: then there is a NAT between, what
    the other side sees cannot be known here, and nothing must be judged by it.

    Args:
        sources: By address asked, the one it is asked from; ``None`` without a route.
    """
    routed = {each: source for each, source in sources.items() if source is not None}
    if any(is_public(each) and not is_public(source) for each, source in routed.items()):
        return ()
    return tuple(dict.fromkeys(routed.values()))


def _source(address: str) -> str | None:
    """Return the address this machine asks from; ``None`` without a route."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        # Connecting UDP sends nothing: it only asks the routing table.
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 53))
            return str(probe.getsockname()[0])
    except OSError:
        return None
