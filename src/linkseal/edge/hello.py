"""Read the name out of a TLS hello that was only peeked at.

So that the certificate is chosen before OpenSSL begins, which is cheaper than its callback,
and a name nobody serves is refused before any work is done for it, with the alert it should
get: asyncio's TLS transports close the connection without one. What cannot be read here
(cut, in several records, odd) is left to OpenSSL to judge. Pure.

RFC 8446 §4.1.2 (ClientHello), RFC 6066 §3 (server_name).
"""

from __future__ import annotations

from typing import Final

UNRECOGNIZED_NAME: Final = b"\x15\x03\x03\x00\x02\x02\x70"
"""A fatal alert, unrecognized_name(112), as a record."""
INTERNAL_ERROR: Final = b"\x15\x03\x03\x00\x02\x02\x50"
"""A fatal alert, internal_error(80): the client may try again (RFC 8446 §6.2)."""

_HANDSHAKE = 22
_CLIENT_HELLO = 1
_SERVER_NAME = 0
_HOST_NAME = 0
_RECORD = 5
_FIXED = _RECORD + 4 + 2 + 32
"""Record header, handshake header, version, random."""


class UnreadableHelloError(ValueError):
    """The bytes are not one whole ClientHello in one record."""


def bytes_needed(hello: bytes) -> int:
    """Return how many bytes the first record has in all, as far as the first ones tell.

    Args:
        hello: The first bytes a client sent.
    """
    if len(hello) < _RECORD or hello[0] != _HANDSHAKE:
        return len(hello)
    return _RECORD + _number(hello, 3)


def server_name(hello: bytes) -> str | None:
    """Return the host name a hello asks for; ``None`` when it asks for none.

    Args:
        hello: The first bytes a client sent: a TLS record and what follows.

    Raises:
        UnreadableHelloError: It is not all there, or not a hello as clients send them.
    """
    try:
        record = _number(hello, 3)
        whole = hello[6] << 16 | _number(hello, 7)
        if hello[0] != _HANDSHAKE or hello[_RECORD] != _CLIENT_HELLO or whole + 4 > record:
            raise UnreadableHelloError
        last = _RECORD + 4 + whole
        at = _FIXED
        at += 1 + hello[at]
        at += 2 + _number(hello, at)
        at += 1 + hello[at]
        if at == last <= len(hello):
            return None
        end = at + 2 + _number(hello, at)
        at += 2
        if end != last or end > len(hello):
            raise UnreadableHelloError
        while at < end:
            kind, length = _number(hello, at), _number(hello, at + 2)
            at += 4
            if kind == _SERVER_NAME:
                return _host_name(hello[at : min(at + length, end)])
            at += length
    except IndexError:
        raise UnreadableHelloError from None
    return None


def _host_name(extension: bytes) -> str:
    """Read the extension: a list of one entry, as clients send it."""
    name = extension[5:]
    if (
        extension[2] != _HOST_NAME
        or _number(extension, 0) != len(name) + 3
        or _number(extension, 3) != len(name)
        or not name.isascii()
    ):
        raise UnreadableHelloError
    return name.decode("ascii")


def _number(data: bytes, at: int) -> int:
    return (data[at] << 8) | data[at + 1]
