"""Take a part's text out of its encoding and charset, and put a changed one back.

Every step is proven reversible before it is used: what does not come back the same
is left alone.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from dataclasses import dataclass
from typing import Final

from linkseal.mail.record import Reason
from linkseal.mail.weight import size_of

MAX_LINE: Final = 998
"""Longest line of a message, in octets, without its end (RFC 5321 §4.5.3.1.6)."""

_PLAIN = frozenset({"7bit", "8bit", "binary"})
_BASE64_LINE = 76
_PADDINGS = (b" \r\n", b"\t\r\n", b" \n", b"\t\n")
_NO_ESCAPE = re.compile(rb"=(?![0-9A-Fa-f]{2}|\r?\n)")
_ESCAPED_LINE_END = re.compile(rb"=0[ADad]")
_SOFT_BREAK = re.compile(rb"=\r?\n")
_CHARSET_NAMES = """
    ascii utf-8 utf-8-sig utf-16 utf-16-le utf-16-be utf-32 utf-32-le utf-32-be koi8-r
    koi8-u mac-roman tis-620 gb2312 gbk gb18030 big5 big5hkscs euc_jp euc_kr shift_jis
    iso2022_jp iso2022_jp_1 iso2022_jp_2 iso2022_kr cp932 cp949 cp437 cp850 cp866 cp874
    cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258 iso8859-1 iso8859-2
    iso8859-3 iso8859-4 iso8859-5 iso8859-6 iso8859-7 iso8859-8 iso8859-9 iso8859-10
    iso8859-11 iso8859-13 iso8859-14 iso8859-15 iso8859-16
"""
_CHARSETS = frozenset(_CHARSET_NAMES.split())
"""Codecs of mail. Python has others that are slow on hostile input, or no charsets at all;
in UTF-7 ASCII characters need not mean themselves, so a splice could change others."""


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
        size: Of the text, decoded: see :func:`linkseal.mail.weight.size_of`.
    """

    text: str
    charset: str
    encoding: str
    raw: bytes
    line_end: str
    size: int

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
            return self._to_quoted_printable(data)
        # A text whose lines are too long already is its sender's and the next hop's affair.
        if self.encoding != "binary" and has_long_line(data) and not has_long_line(self.raw):
            raise Unreadable(Reason.LINE_TOO_LONG)
        return data

    def _to_quoted_printable(self, data: bytes) -> bytes:
        # Where line ends were escaped they are data, not lines (RFC 2045 §6.7 rule 4).
        is_text = not _ESCAPED_LINE_END.search(self.raw)
        encoded = binascii.b2a_qp(data, istext=is_text)
        encoded = _SOFT_BREAK.sub(b"=" + self.line_end.encode(), encoded)
        if binascii.a2b_qp(encoded) != data:
            raise Unreadable(Reason.ENCODING_BROKEN)
        return encoded


def read_content(raw: bytes, charset: str, encoding: str, line_end: str, limit: int) -> Content:
    """Decode a part's body.

    Args:
        raw: The body as it stands in the message.
        charset: As declared; empty means not declared.
        encoding: Content-Transfer-Encoding, lower case.
        line_end: The message's own.
        limit: Largest size it may have, decoded.

    Raises:
        Unreadable: It is too large, cannot be decoded, or would not come back the same.
    """
    data = _decoded(raw, encoding)
    size = size_of(data)
    if size > limit:
        raise Unreadable(Reason.HTML_TOO_LARGE)
    # Not declared means us-ascii (RFC 2046 §4.1.2), which is UTF-8 too.
    name = charset or "utf-8"
    try:
        known = codecs.lookup(name).name in _CHARSETS
    except (LookupError, ValueError):
        known = False
    if not known:
        raise Unreadable(Reason.CHARSET_UNKNOWN)
    try:
        text = data.decode(name)
    except UnicodeError:
        raise Unreadable(Reason.CHARSET_BROKEN) from None
    try:
        if text.encode(name) != data:
            raise Unreadable(Reason.CHARSET_NOT_REVERSIBLE)
    except UnicodeError:
        raise Unreadable(Reason.CHARSET_NOT_REVERSIBLE) from None
    if "\x00" in text:
        # Browsers drop or replace it, each in its own places: where a tag ends is not certain.
        raise Unreadable(Reason.NUL)
    return Content(text, name, encoding, raw, line_end, size)


def has_long_line(data: bytes) -> bool:
    """Whether a line is longer than :data:`MAX_LINE`, without its end.

    Looks from each line start for the last line end that is near enough, so it touches
    one place in a thousand.
    """
    start = 0
    while len(data) - start > MAX_LINE:
        end = data.rfind(b"\n", start, start + MAX_LINE + 2)
        if end == start + MAX_LINE + 1 and data[end - 1] != 0x0D:
            # One too far for a line that begins here, unless another ends before.
            end = data.rfind(b"\n", start, end)
        if end < 0:
            return True
        start = end + 1
    return False


def _decoded(raw: bytes, encoding: str) -> bytes:
    if encoding in _PLAIN:
        return raw
    if encoding == "quoted-printable":
        # White space before a line end was added on the way (RFC 2045 §6.7 rule 3).
        if any(padding in raw for padding in _PADDINGS):
            raw = b"".join(map(_without_padding, raw.splitlines(keepends=True)))
        if _NO_ESCAPE.search(raw):
            raise Unreadable(Reason.ENCODING_BROKEN)
        return binascii.a2b_qp(raw)
    if encoding == "base64":
        try:
            return binascii.a2b_base64(b"".join(raw.split()), strict_mode=True)
        except binascii.Error:
            raise Unreadable(Reason.ENCODING_BROKEN) from None
    raise Unreadable(Reason.ENCODING_UNKNOWN)


def _without_padding(line: bytes) -> bytes:
    text = line.rstrip(b"\r\n")
    return text.rstrip(b" \t") + line[len(text) :]


def _to_base64(data: bytes, like: bytes, end: bytes) -> bytes:
    """Return base64 with the line length of the text it replaces."""
    first, several, _ = like.partition(b"\n")
    length = len(first.strip())
    width = length if several and 0 < length <= _BASE64_LINE and length % 4 == 0 else _BASE64_LINE
    text = base64.b64encode(data)
    lines = end.join(text[at : at + width] for at in range(0, len(text), width))
    trailing = like[len(like.rstrip()) :]
    return lines + trailing
