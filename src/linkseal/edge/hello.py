"""Read the name out of a TLS hello that was only peeked at.

So that a name nobody serves is refused before OpenSSL does any work for it, and with the
alert it should get: asyncio's TLS transports close the connection without one. What
cannot be read here (cut, fragmented, odd) is left to OpenSSL to judge. Pure.

RFC 8446 §4.1.2 (ClientHello), RFC 6066 §3 (server_name).
"""

from __future__ import annotations

from typing import Final

UNRECOGNIZED_NAME: Final = b"\x15\x03\x03\x00\x02\x02\x70"
"""A fatal alert, unrecognized_name(112), as a record."""

_HANDSHAKE = 22
_CLIENT_HELLO = 1
_SERVER_NAME = 0
_HOST_NAME = 0
_FIXED = 5 + 4 + 2 + 32
"""Record header, handshake header, version, random."""


def server_name(hello: bytes) -> str | None:
    """Return the host name a hello asks for; ``None`` when it has none or is not readable.

    Args:
        hello: The first bytes a client sent: a TLS record and what follows.
    """
    try:
        if hello[0] != _HANDSHAKE or hello[5] != _CLIENT_HELLO:
            return None
        at = _FIXED
        at += 1 + hello[at]
        at += 2 + _number(hello, at)
        at += 1 + hello[at]
        end = at + 2 + _number(hello, at)
        at += 2
        while at < end:
            kind, length = _number(hello, at), _number(hello, at + 2)
            at += 4
            if kind == _SERVER_NAME:
                return _host_name(hello, at, length)
            at += length
    except IndexError:
        return None
    return None


def _host_name(hello: bytes, at: int, length: int) -> str | None:
    """Read the extension: a list of one entry, as clients send it."""
    size = _number(hello, at + 3)
    name = hello[at + 5 : at + 5 + size]
    if hello[at + 2] != _HOST_NAME or size + 5 != length or len(name) != size:
        return None
    return name.decode("ascii") if name.isascii() else None


def _number(data: bytes, at: int) -> int:
    return (data[at] << 8) | data[at + 1]
