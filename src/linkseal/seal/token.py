"""The token in a sealed link: everything the redirect needs, encrypted and authenticated.

Layout, version 1 (bytes; base64url without padding in the URL, RFC 4648 §5)::

    version 1 | key id 2 | AES-256-SIV of the contents: tag 16, ciphertext n
    contents: flags 1 | customer LEB128 | message id 12 | link LEB128 | destination

``flags``: bits 0-1 the kind (1 click, 2 open), bit 7 set when the destination is
raw deflate (RFC 1951) with the version's preset dictionary; the other bits are zero.
The first three bytes are associated data.

AES-SIV (RFC 5297) needs no nonce: sealing is deterministic, a token is twelve bytes
shorter than with AES-GCM, and no number of links exhausts a key's nonces. Pure.
"""

from __future__ import annotations

import binascii
import enum
import zlib
from base64 import urlsafe_b64encode
from datetime import datetime

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from linkseal.errors import SealError, TokenError
from linkseal.seal.dictionary import URL_PARTS_V1
from linkseal.seal.message_id import MESSAGE_ID_BYTES, MessageID

VERSION = 1
TAG_BYTES = 16
MAX_DESTINATION = 4096
"""Longest destination in bytes; its sealed URL stays below the 8,192 that CloudFront takes."""
MAX_TOKEN = 5700
"""Longest token text ever made: the edge refuses more before it decodes anything."""

_HEADER_BYTES = 3
_DEFLATED = 0x80
_KIND_MASK = 0x03
_KNOWN_FLAGS = _DEFLATED | _KIND_MASK
_MAX_NUMBER = 1 << 63
_SHORTEST = 4 * (_HEADER_BYTES + TAG_BYTES) // 3 + 1
_BASE64_TO_STANDARD = bytes.maketrans(b"-_+/", b"+/!!")
# The last character of a text of that length (modulo 4) may spell unused bits: one spelling only.
_LAST: tuple[frozenset[int], ...] = (
    frozenset(range(256)),
    frozenset(),
    frozenset(b"AQgw"),
    frozenset(b"AEIMQUYcgkosw048"),
)
_PADS = (b"", b"", b"==", b"=")


class Kind(enum.IntEnum):
    """What a sealed link is for."""

    CLICK = 1
    OPEN = 2


class Sealed(msgspec.Struct, frozen=True, gc=False):
    """What a token carries.

    Attributes:
        kind: Click or open.
        customer: The customer's number, as in the store.
        message: Which message; carries the issue time.
        link: The link's number in its message, from 0 in document order.
        destination: Where a click leads: an absolute ``http``/``https`` URL in visible
            ASCII. Empty for an open.
    """

    kind: Kind
    customer: int
    message: MessageID
    link: int
    destination: str

    @property
    def issued_at(self) -> datetime:
        """When the link was sealed, aware UTC, to the second."""
        return self.message.issued_at


def check_destination(destination: str) -> None:
    """Refuse a destination that must not be redirected to.

    Raises:
        SealError: Not ``http``/``https``, longer than :data:`MAX_DESTINATION`, or with
            anything but visible ASCII (which a ``Location`` header cannot carry safely).
    """
    if destination[:8].lower() != "https://" and destination[:7].lower() != "http://":
        raise SealError("only http and https links can be sealed", code="seal-scheme")
    if len(destination) > MAX_DESTINATION:
        raise SealError(
            f"the link has {len(destination)} bytes, at most {MAX_DESTINATION} can be sealed",
            hint="shorten the link",
            code="seal-too-long",
        )
    if not destination.isascii() or not destination.isprintable() or " " in destination:
        raise SealError(
            "the link holds characters that a URL cannot",
            hint="percent-encode it (RFC 3986 §2.1)",
            code="seal-characters",
        )


def pack(sealed: Sealed) -> bytes:
    """Return the plain contents of a token, compressed where that is shorter.

    Raises:
        SealError: See :func:`check_destination`; also for numbers out of range.
    """
    if not (0 <= sealed.customer < _MAX_NUMBER and 0 <= sealed.link < _MAX_NUMBER):
        raise SealError("customer and link numbers must be 0 or more", code="seal-number")
    flags = int(sealed.kind)
    destination = b""
    if sealed.kind is Kind.CLICK:
        check_destination(sealed.destination)
        destination = sealed.destination.encode("ascii")
        shorter = _deflate(destination)
        if len(shorter) < len(destination):
            destination = shorter
            flags |= _DEFLATED
    elif sealed.destination:
        raise SealError("an open has no destination", code="seal-open")
    return b"".join(
        (
            bytes((flags,)),
            _number(sealed.customer),
            sealed.message,
            _number(sealed.link),
            destination,
        )
    )


def unpack(contents: bytes) -> Sealed:
    """Read the plain contents of a token.

    Raises:
        TokenError: The contents are not what :func:`pack` makes.
    """
    try:
        flags = contents[0]
        kind = _KINDS[flags & _KIND_MASK]
        # Numbers below 128 are one byte, and most are: they need no call.
        customer, at = contents[1], 2
        if customer > 0x7F:
            customer, at = _read_number(contents, 1)
        end = at + MESSAGE_ID_BYTES
        # That there is a byte at `end` proves the twelve before it: no need to count them again.
        link = contents[end]
        message = bytes.__new__(MessageID, contents[at:end])
        at = end + 1
        if link > 0x7F:
            link, at = _read_number(contents, end)
    except (IndexError, KeyError, ValueError):
        raise TokenError from None
    if flags & ~_KNOWN_FLAGS:
        raise TokenError
    destination = contents[at:]
    if flags & _DEFLATED:
        destination = _inflate(destination)
    try:
        return Sealed(kind, customer, message, link, destination.decode("ascii"))
    except UnicodeDecodeError:
        raise TokenError from None


def encrypt(key_id: int, cipher: AESSIV, contents: bytes) -> str:
    """Return the token text for packed contents under one key."""
    header = bytes((VERSION, key_id >> 8, key_id & 0xFF))
    raw = header + cipher.encrypt(contents, [header])
    return urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def decode(token: str | bytes) -> tuple[int, bytes, bytes]:
    """Split a token text into its key id, header and ciphertext, without opening it.

    Raises:
        TokenError: Not base64url in its one canonical form, or another version.
    """
    try:
        text = token.encode("ascii") if isinstance(token, str) else token
        length = len(text)
        rest = length & 3
        if not _SHORTEST <= length <= MAX_TOKEN or text[-1] not in _LAST[rest]:
            raise TokenError
        padded = text.translate(_BASE64_TO_STANDARD) + _PADS[rest]
        raw = binascii.a2b_base64(padded, strict_mode=True)
    except (UnicodeEncodeError, binascii.Error):
        raise TokenError from None
    if raw[0] != VERSION:
        raise TokenError
    return (raw[1] << 8) | raw[2], raw[:_HEADER_BYTES], raw[_HEADER_BYTES:]


def decrypt(cipher: AESSIV, header: bytes, ciphertext: bytes) -> bytes:
    """Authenticate and open a decoded token.

    Raises:
        TokenError: It was not made under this key, or was changed since.
    """
    try:
        return cipher.decrypt(ciphertext, [header])
    except InvalidTag:
        raise TokenError from None


_KINDS = {int(kind): kind for kind in Kind}


def _number(value: int) -> bytes:
    """Encode a number as LEB128."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_number(data: bytes, at: int) -> tuple[int, int]:
    value = data[at]
    at += 1
    if value < 0x80:
        return value, at
    value &= 0x7F
    shift = 7
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("number too long")


def _deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15, 8, zlib.Z_DEFAULT_STRATEGY, URL_PARTS_V1)
    return packer.compress(data) + packer.flush()


def _inflate(data: bytes) -> bytes:
    opener = zlib.decompressobj(-15, URL_PARTS_V1)
    try:
        out = opener.decompress(data, MAX_DESTINATION + 1)
    except zlib.error:
        raise TokenError from None
    if not opener.eof or opener.unused_data or len(out) > MAX_DESTINATION:
        raise TokenError
    return out
