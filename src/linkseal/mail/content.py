"""Take a part's text out of its encoding and charset, and put a changed one back.

Every step is proven reversible before it is used: what does not come back the same
is left alone.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Final

from linkseal.mail.record import Reason

MAX_LINE: Final = 998
"""Longest line of a message, in octets, without its end (RFC 5321 §4.5.3.1.6)."""

_PLAIN = frozenset({"7bit", "8bit", "binary"})
_BASE64_TEXT = re.compile(rb"[A-Za-z0-9+/=\s]*")
_BASE64_LINE = 76


class Unreadable(Exception):  # noqa: N818 - not an error: a decision
    """The part passes as it is.

    Args:
        reason: Why.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Content:
    """A part's text and how to write it back.

    Attributes:
        text: Decoded, line ends as they are.
        charset: The codec's name.
        encoding: Content-Transfer-Encoding.
        raw: The part's body as it stands in the message.
        line_end: The message's own, for a text that has none yet.
    """

    text: str
    charset: str
    encoding: str
    raw: bytes
    line_end: str

    def encode(self, text: str) -> bytes:
        """Return another text as this part's body.

        Raises:
            Unreadable: It cannot be written so that it reads back the same, or a line
                would be longer than a mail server must take.
        """
        if "\n" not in self.text and "\r" not in self.text:
            text = text.replace("\n", self.line_end)
        try:
            data = text.encode(self.charset)
        except UnicodeEncodeError:
            raise Unreadable(Reason.CHARSET_NOT_REVERSIBLE) from None
        if self.encoding == "base64":
            return _to_base64(data, self.raw, self.line_end.encode())
        if self.encoding == "quoted-printable":
            encoded = binascii.b2a_qp(data, istext=True)
            if b"\n" not in data:
                encoded = encoded.replace(b"\n", self.line_end.encode())
            if binascii.a2b_qp(encoded) != data:
                raise Unreadable(Reason.ENCODING_BROKEN)
            return encoded
        if self.encoding != "binary" and longest_line(data) > max(MAX_LINE, longest_line(self.raw)):
            raise Unreadable(Reason.LINE_TOO_LONG)
        return data


def read_content(raw: bytes, charset: str, encoding: str, line_end: str) -> Content:
    """Decode a part's body.

    Args:
        raw: The body as it stands in the message.
        charset: As declared; empty means not declared.
        encoding: Content-Transfer-Encoding, lower case.
        line_end: The message's own.

    Raises:
        Unreadable: It cannot be decoded, or would not come back the same.
    """
    data = _decoded(raw, encoding)
    # Not declared means us-ascii (RFC 2046 §4.1.2), which is UTF-8 too.
    name = charset or "utf-8"
    if name.replace("_", "-") in {"utf-7", "unicode-1-1-utf-7"}:
        # Its ASCII characters need not mean themselves: a splice could change others.
        raise Unreadable(Reason.CHARSET_NOT_REVERSIBLE)
    try:
        text = data.decode(name)
    except LookupError:
        raise Unreadable(Reason.CHARSET_UNKNOWN) from None
    except (UnicodeError, ValueError):
        raise Unreadable(Reason.CHARSET_BROKEN) from None
    try:
        if text.encode(name) != data:
            raise Unreadable(Reason.CHARSET_NOT_REVERSIBLE)
    except UnicodeError:
        raise Unreadable(Reason.CHARSET_NOT_REVERSIBLE) from None
    if "\x00" in text:
        # Browsers drop or replace it, each in its own places: where a tag ends is not certain.
        raise Unreadable(Reason.NUL)
    return Content(text, name, encoding, raw, line_end)


def longest_line(data: bytes) -> int:
    """Return the length of the longest line, without its end."""
    return max(map(len, data.splitlines()), default=0)


def _decoded(raw: bytes, encoding: str) -> bytes:
    if encoding in _PLAIN:
        return raw
    if encoding == "quoted-printable":
        return binascii.a2b_qp(raw)
    if encoding == "base64":
        if not _BASE64_TEXT.fullmatch(raw):
            raise Unreadable(Reason.ENCODING_BROKEN)
        try:
            return base64.b64decode(raw)
        except binascii.Error:
            raise Unreadable(Reason.ENCODING_BROKEN) from None
    raise Unreadable(Reason.ENCODING_UNKNOWN)


def _to_base64(data: bytes, like: bytes, end: bytes) -> bytes:
    """Return base64 with the line length of the text it replaces."""
    first, several, _ = like.partition(b"\n")
    length = len(first.strip())
    width = length if several and 0 < length <= _BASE64_LINE and length % 4 == 0 else _BASE64_LINE
    text = base64.b64encode(data)
    lines = end.join(text[at : at + width] for at in range(0, len(text), width))
    trailing = like[len(like.rstrip()) :]
    return lines + trailing
