"""The identity of one sent message: twelve bytes that also say when.

Four bytes of seconds since the Unix epoch, then eight random bytes. The token
carries the identity, so it carries the issue time at no extra length. Pure: the
caller hands in the time and the randomness.
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import Self

from linkseal.errors import LinksealError

MESSAGE_ID_BYTES = 12
RANDOM_BYTES = 8
_TEXT_LENGTH = 20
_MAX_SECONDS = 0xFFFF_FFFF


class MessageID(bytes):
    """Twelve bytes identifying one message; text form is 20 characters, base32hex.

    The text form sorts as the bytes do, so message lists sort by time.
    """

    __slots__ = ()

    def __new__(cls, value: bytes) -> Self:
        """Take the twelve bytes.

        Raises:
            LinksealError: ``message-id-invalid`` for any other length.
        """
        if len(value) != MESSAGE_ID_BYTES:
            raise _invalid(f"a message id has {MESSAGE_ID_BYTES} bytes, got {len(value)}")
        return super().__new__(cls, value)

    @classmethod
    def make(cls, at: datetime, entropy: bytes) -> MessageID:
        """Make an identity for a message sealed at ``at`` (aware) from 8 random bytes."""
        if len(entropy) != RANDOM_BYTES:
            raise _invalid(f"entropy must be {RANDOM_BYTES} bytes, got {len(entropy)}")
        seconds = int(at.timestamp())
        if not 0 <= seconds <= _MAX_SECONDS:
            raise _invalid(f"issue time out of range: {at.isoformat()}")
        return cls(seconds.to_bytes(4, "big") + entropy)

    @classmethod
    def parse(cls, text: str) -> MessageID:
        """Read the text form.

        Raises:
            LinksealError: ``message-id-invalid`` when it is not one.
        """
        if len(text) != _TEXT_LENGTH:
            raise _invalid(f"not a message id: {text!r}")
        try:
            value = cls(base64.b32hexdecode(text.upper() + "===="))
        except (binascii.Error, ValueError) as error:
            raise _invalid(f"not a message id: {text!r}") from error
        if str(value) != text.lower():
            raise _invalid(f"not a message id: {text!r}")
        return value

    @property
    def issued_at(self) -> datetime:
        """When the message was sealed, to the second, aware UTC."""
        return datetime.fromtimestamp(int.from_bytes(self[:4], "big"), UTC)

    def __str__(self) -> str:
        """Return the text form, 20 lower-case characters."""
        return base64.b32hexencode(self).rstrip(b"=").decode("ascii").lower()

    def __repr__(self) -> str:
        """Return the text form with the type."""
        return f"MessageID({str(self)!r})"


def _invalid(message: str) -> LinksealError:
    return LinksealError(
        message,
        code="message-id-invalid",
        hint="take it from `linkseal event list` or from the proxy's log",
    )
