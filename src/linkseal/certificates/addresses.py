"""Which addresses are on the internet: where a customer's DNS leads must not be our own net."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

# RFC 4291 §2.4: all that is given out; so neither ::/96, fec0::/10 nor multicast.
_GIVEN_OUT: Final = IPv6Network("2000::/3")
# 6to4 (RFC 3056 §2) and Teredo (RFC 4380 §2.6) lead to an IPv4 address inside.
_CARRIERS: Final = (IPv6Network("2002::/16"), IPv6Network("2001::/32"))
# RFC 6052 §2.1: the last 32 bits are an IPv4 address.
_NAT64: Final = IPv6Network("64:ff9b::/96")


def is_public(text: str) -> bool:
    """Whether an address is a unicast one on the internet; what is no address is not.

    One that stands for an IPv4 address, by NAT64 or mapped (RFC 4291 §2.5.5.2), is judged by it.
    """
    try:
        address: IPv4Address | IPv6Address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            address = IPv4Address(address.packed[-4:])
        elif address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        elif address not in _GIVEN_OUT or any(address in each for each in _CARRIERS):
            return False
    return address.is_global and not address.is_multicast
