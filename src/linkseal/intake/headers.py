"""What the proxy reads of a message's header, and never changes."""

from __future__ import annotations

import email.header
import email.utils
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.errors import MessageError

import idna

_MOST_BYTES = 256 * 1024
_MOST_ARGS = 100
# Longer values are cut: the standard library reads some hostile ones in quadratic time.
_LONGEST = {b"from": 2000, b"subject": 8000, b"x-smtpapi": 64_000}
_FOLD = re.compile(rb"\r\n(?=[ \t])")


@dataclass(frozen=True, slots=True)
class Headers:
    """A message's header, as far as it matters here.

    Attributes:
        from_domain: Domain of the From address, lower-case A-labels; empty when there is none.
        subject: Decoded (RFC 2047).
        categories: ``category`` of an ``X-SMTPAPI`` field.
        custom_args: ``unique_args`` of an ``X-SMTPAPI`` field.
    """

    from_domain: str = ""
    subject: str = ""
    categories: tuple[str, ...] = ()
    custom_args: Mapping[str, str] = field(default_factory=dict)


def read_headers(message: bytes) -> Headers:
    """Read a message's header; what cannot be read is empty, never an error."""
    end = message.find(b"\r\n\r\n", 0, _MOST_BYTES)
    found: dict[bytes, str] = {}
    for line in _FOLD.sub(b"", message[: end if end >= 0 else _MOST_BYTES]).split(b"\r\n"):
        name, colon, value = line.partition(b":")
        name = name.strip().lower()
        if colon and name in _LONGEST and name not in found:
            found[name] = value.strip()[: _LONGEST[name]].decode("utf-8", "replace")
    try:
        addresses = email.utils.getaddresses([found.get(b"from", "")])
    except RecursionError:
        addresses = []
    categories, custom_args = _smtpapi(found.get(b"x-smtpapi", ""))
    return Headers(
        domain_of(addresses[0][1]) if addresses else "",
        _decoded(found.get(b"subject", "")),
        categories,
        custom_args,
    )


def domain_of(address: str) -> str:
    """Return an address's domain as lower-case A-labels; empty when it has none."""
    domain = address.rpartition("@")[2] if "@" in address else ""
    try:
        return (domain if domain.isascii() else idna.encode(domain, uts46=True).decode()).lower()
    except idna.IDNAError:
        return ""


def _decoded(subject: str) -> str:
    try:
        text = str(email.header.make_header(email.header.decode_header(subject)))
    except (LookupError, ValueError, MessageError):
        text = subject
    return text.encode("utf-8", "replace").decode("utf-8")


def _smtpapi(text: str) -> tuple[tuple[str, ...], dict[str, str]]:
    try:
        value = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        value = {}
    if not isinstance(value, dict):
        return (), {}
    category = value.get("category", ())
    names = [category] if isinstance(category, str) else category
    categories = tuple(map(_text, names)) if isinstance(names, list) else ()
    args = value.get("unique_args", {})
    custom_args = (
        {_text(name): _text(each) for name, each in list(args.items())[:_MOST_ARGS]}
        if isinstance(args, dict)
        else {}
    )
    return categories[:_MOST_ARGS], custom_args


def _text(value: object) -> str:
    """Return text a database takes: JSON may spell surrogates."""
    return str(value).encode("utf-8", "replace").decode("utf-8")
