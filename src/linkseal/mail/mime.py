"""Walk a message's MIME structure over its bytes, and name the parts that hold HTML.

Nothing is parsed into objects and written back: a part is a range of bytes, and every
byte outside the ranges that are changed stays what it was. Where the structure cannot
be followed with certainty the walk stops with the reason.

Standards: RFC 5322 §2.2 (headers), RFC 2045 §5–6, RFC 2046 §5.1 (multipart), RFC 1847.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.message import Message
from functools import lru_cache
from typing import Final

from linkseal.mail.record import PartRecord, Reason

MAX_DEPTH: Final = 24
MAX_PARTS: Final = 1000

_USUAL: Final = 100
"""Bytes of a content type that is worth remembering."""


_BLANK_LINE = re.compile(rb"\r?\n(?=\r?\n)")
_LINE_END = re.compile(rb"\r?\n")
_FIELD_NAME = re.compile(rb"[!-9;-~]+[ \t]*:")
_STRUCTURE = frozenset(
    {b"content-type", b"content-transfer-encoding", b"content-disposition", b"content-md5"}
)
_SEALED_BY_OTHERS = frozenset(
    {
        "multipart/signed",
        "multipart/encrypted",
        "application/pkcs7-mime",
        "application/x-pkcs7-mime",
    }
)
_LIKE_HTML = re.compile(r"text/html[\s(,]")
_CHARACTER = re.compile(r"\\.|.", re.DOTALL)
_SIGNATURES = frozenset({b"dkim-signature", b"arc-seal"})


class Untouchable(Exception):  # noqa: N818 - not an error: a decision
    """The message passes as it is.

    Args:
        reason: Why.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class HTMLPart:
    """A part that is an HTML text shown to the reader.

    Attributes:
        part: Where it stands, as ``1.2``.
        start: First byte of its body.
        end: One past the last byte of its body.
        charset: As declared, lower case; empty when it is not.
        encoding: Content-Transfer-Encoding, lower case; ``7bit`` when there is none.
    """

    part: str
    start: int
    end: int
    charset: str
    encoding: str


@dataclass(frozen=True, slots=True)
class _Type:
    """A content type: of its parameters those that matter for its kind."""

    kind: str
    charset: str = ""
    boundary: str = ""
    smime: str = ""


@dataclass(frozen=True, slots=True)
class _Head:
    body: int
    type: _Type
    encoding: str
    disposition: str
    digest: bool


class Walk:
    """The structure of one message.

    Attributes:
        html: Its HTML parts, in order.
        skipped: Parts passed over for a reason.

    Raises:
        Untouchable: The message must pass as it is.
    """

    def __init__(self, message: bytes) -> None:
        self._data = message
        self._count = 0
        self.html: list[HTMLPart] = []
        self.skipped: list[PartRecord] = []
        self._entity(0, len(message), "", 0)

    def _entity(self, start: int, end: int, path: str, depth: int) -> None:
        self._count += 1
        if self._count > MAX_PARTS:
            raise Untouchable(Reason.TOO_MANY_PARTS)
        if depth > MAX_DEPTH:
            raise Untouchable(Reason.NESTED_TOO_DEEP)
        head = self._head(start, end, top=depth == 0)
        if head is None:
            return
        kind = head.type.kind
        if kind in _SEALED_BY_OTHERS:
            self._sealed_by_others(head, path)
        elif kind.startswith("multipart/"):
            self._multipart(head, end, path, depth)
        elif kind == "text/html" and head.digest:
            # RFC 1864: a digest of the content, which would no longer be true.
            self.skipped.append(PartRecord(path or "1", Reason.DIGESTED))
        elif kind == "text/html" and not head.disposition.startswith("attachment"):
            self.html.append(
                HTMLPart(path or "1", head.body, end, head.type.charset, head.encoding)
            )
        elif _LIKE_HTML.match(kind) and not head.disposition.startswith("attachment"):
            self.skipped.append(PartRecord(path or "1", Reason.TYPE_UNCLEAR))

    def _sealed_by_others(self, head: _Head, path: str) -> None:
        """Leave signed and encrypted parts alone; at the top, the whole message."""
        # RFC 8551 §3.2.2: S/MIME says in a parameter which it is.
        signed = head.type.kind == "multipart/signed" or head.type.smime == "signed-data"
        reason = Reason.SIGNED if signed else Reason.ENCRYPTED
        if not path:
            raise Untouchable(reason)
        self.skipped.append(PartRecord(path, reason))

    def _multipart(self, head: _Head, end: int, path: str, depth: int) -> None:
        boundary = head.type.boundary
        if not boundary:
            raise Untouchable(Reason.NO_BOUNDARY)
        if head.encoding not in {"7bit", "8bit", "binary"}:
            # RFC 2045 §6.4 forbids any other here: what the parts are is anyone's guess.
            raise Untouchable(Reason.ENCODING_BROKEN)
        delimiter = re.compile(
            rb"^--" + re.escape(boundary.encode("utf-8", "surrogateescape")) + rb"(--)?[ \t]*\r?$",
            re.MULTILINE,
        )
        start = None
        number = 0
        for match in delimiter.finditer(self._data, head.body, end):
            if start is not None:
                number += 1
                inner = f"{path}.{number}" if path else str(number)
                self._entity(start, self._before_line_end(match.start(), start), inner, depth + 1)
            if match[1]:
                return
            start = min(match.end() + 1, end)
        raise Untouchable(Reason.UNTERMINATED)

    def _before_line_end(self, at: int, start: int) -> int:
        """Return where a part ends: the line end before a delimiter belongs to it (§5.1.1)."""
        if at > start and self._data[at - 1] == 0x0A:
            at -= 1
            if at > start and self._data[at - 1] == 0x0D:
                at -= 1
        return at

    def _head(self, start: int, end: int, *, top: bool) -> _Head | None:
        """Read an entity's header fields; ``None`` for one without a body."""
        data = self._data
        if start == end or _LINE_END.match(data, start, end):
            # A part without header fields is plain text; a message without any is not one.
            if top:
                raise Untouchable(Reason.NO_HEADERS)
            return None
        blank = _BLANK_LINE.search(data, start, end)
        stop = blank.end() if blank else end
        fields: dict[bytes, bytes] = {}
        name = b""
        for line in _LINE_END.split(data[start:stop]):
            if line[:1] in {b" ", b"\t"}:
                if name:
                    fields[name] += b" " + line.strip()
                continue
            match = _FIELD_NAME.match(line)
            if match is None:
                if line:
                    raise Untouchable(Reason.NO_HEADERS)
                continue
            field = match[0][:-1].strip().lower()
            if top and field in _SIGNATURES:
                raise Untouchable(Reason.DKIM_SIGNED)
            name = b""
            if field in _STRUCTURE:
                if field in fields:
                    raise Untouchable(Reason.AMBIGUOUS_HEADERS)
                name = field
                fields[name] = line[match.end() :].strip()
        if blank is None:
            return None
        following = _LINE_END.match(data, stop, end)
        return _Head(
            body=following.end() if following else stop,
            type=_content_type(fields.get(b"content-type", b"")),
            encoding=_word(fields.get(b"content-transfer-encoding", b"")) or "7bit",
            disposition=_word(fields.get(b"content-disposition", b"")),
            digest=b"content-md5" in fields,
        )


def _content_type(value: bytes) -> _Type:
    return _remembered_type(value) if len(value) <= _USUAL else _read_type(value)


def _read_type(value: bytes) -> _Type:
    """Read a content type with the standard library."""
    holder = Message()
    if value:
        holder["Content-Type"] = _without_comments(value.decode("ascii", "surrogateescape"))
    kind = holder.get_content_type()
    if kind == "text/html":
        return _Type(kind, charset=_parameter(holder, "charset"))
    if kind in _SEALED_BY_OTHERS:
        return _Type(kind, smime=_parameter(holder, "smime-type"))
    if kind.startswith("multipart/"):
        return _Type(kind, boundary=holder.get_boundary() or "")
    return _Type(kind)


# Nearly all mail says the same few things, and reading takes as long as a small page.
_remembered_type = lru_cache(maxsize=64)(_read_type)


def _parameter(holder: Message, name: str) -> str:
    value = holder.get_param(name, "")
    return value.strip().lower() if isinstance(value, str) else ""


def _word(value: bytes) -> str:
    return _without_comments(value.decode("latin-1")).partition(";")[0].strip().lower()


def _without_comments(value: str) -> str:
    """Return a field's value without its comments (RFC 5322 §3.2.2, RFC 2045 §5.1).

    One that is never closed is none: names of files are written so.
    """
    if "(" not in value:
        return value
    kept: list[str] = []
    opened: list[int] = []
    quoted = False
    for character in _CHARACTER.findall(value):
        kept.append(character)
        if character == '"' and not opened:
            quoted = not quoted
        elif character == "(" and not quoted:
            opened.append(len(kept) - 1)
        elif character == ")" and opened:
            del kept[opened.pop() :]
    return "".join(kept)
