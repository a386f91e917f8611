"""The client's address, as the CDN or proxy a domain is enrolled with tells it. Pure.

A field is believed only from a peer in the networks of the enrolled one, and only that
one's own field. Whoever else connects is the client, whatever the request says.
"""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Iterable
from typing import Final

MOST_ADDRESSES: Final = 32
"""Addresses of a list that are looked at, from its end on."""

_IPv4OrIPv6 = ipaddress.IPv4Address | ipaddress.IPv6Address


class ClientKind(enum.StrEnum):
    """How a field tells the client's address."""

    SINGLE = "single"
    LIST = "list"


class ClientRule:
    """Whom to believe about the client's address, and what.

    Args:
        networks: The CDN's or proxy's, as in ``203.0.113.0/24``.
        header: Its field: ``CF-Connecting-IP``, ``X-Forwarded-For`` and the like.
        kind: ``single``: the field holds one address. ``list``: each hop appends the one it
            saw, and the last that is not in the networks is the client.

    Raises:
        ValueError: Something in ``networks`` is no network.
    """

    __slots__ = ("_by_length", "_field", "header", "kind", "networks")

    def __init__(self, networks: Iterable[str], header: str, kind: ClientKind) -> None:
        self.networks = tuple(networks)
        self.header = header
        self.kind = kind
        self._field = header.lower().encode("ascii")
        # By family and host bits: a look-up a length instead of a comparison a network.
        self._by_length: dict[tuple[int, int], set[int]] = {}
        for text in self.networks:
            network = ipaddress.ip_network(text)
            shift = network.max_prefixlen - network.prefixlen
            known = self._by_length.setdefault((network.version, shift), set())
            known.add(int(network.network_address) >> shift)

    def trusts(self, address: _IPv4OrIPv6) -> bool:
        """Whether an address is in the networks."""
        version, number = address.version, int(address)
        return any(
            version == of_version and number >> shift in known
            for (of_version, shift), known in self._by_length.items()
        )

    def told(self, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """Return what a trusted peer's fields say; ``None`` when that is no address."""
        values = [value for name, value in headers if name.lower() == self._field]
        if not values:
            return None
        # RFC 9110 §5.3: fields of one name are one list, in their order.
        entries = b",".join(values).decode("latin-1").rsplit(",", MOST_ADDRESSES)
        if self.kind is ClientKind.SINGLE:
            address = _address(entries[0]) if len(entries) == 1 else None
            return None if address is None else str(address)
        for entry in reversed(entries[-MOST_ADDRESSES:]):
            address = _address(entry)
            if address is None:
                return None
            if not self.trusts(address):
                return str(address)
        return None


def client_address(peer: str, headers: Iterable[tuple[bytes, bytes]], rule: ClientRule) -> str:
    """Return the client's address: what the rule's peers say it is, else the peer's own.

    Args:
        peer: Who connected.
        headers: Fields as they came.
        rule: Of the host that was asked.
    """
    address = _address(peer)
    if address is None or not rule.trusts(address):
        return peer
    return rule.told(headers) or peer


def _address(text: str) -> _IPv4OrIPv6 | None:
    """Read an address, which may have a port (RFC 7239 §6): ``192.0.2.1:80``, ``[::1]:80``."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # A socket that takes both families shows IPv4 as ::ffff:192.0.2.1 (RFC 4291 §2.5.5.2).
    return getattr(address, "ipv4_mapped", None) or address
