"""What the proxy reads of a message's header, and never changes."""

from __future__ import annotations

import email.parser
import email.policy
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

_parser = email.parser.BytesHeaderParser(policy=email.policy.default)
_MOST_BYTES = 256 * 1024
_MOST_ARGS = 100


@dataclass(frozen=True, slots=True)
class Headers:
    """A message's header, as far as it matters here.

    Attributes:
        from_domain: Domain of the From address, lower case; empty when there is none.
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
    head = message[: end + 2 if end >= 0 else _MOST_BYTES]
    try:
        parsed = _parser.parsebytes(head)
        sender = parsed["From"]
        addresses = getattr(sender, "addresses", ())
        domain = addresses[0].domain.lower() if addresses else ""
        subject = str(parsed["Subject"] or "")
        api = str(parsed["X-SMTPAPI"] or "")
    except Exception:  # noqa: BLE001 - the standard parser fails in many ways on hostile input
        return Headers()
    categories, custom_args = _smtpapi(api)
    return Headers(domain, _printable(subject), categories, custom_args)


def _smtpapi(text: str) -> tuple[tuple[str, ...], dict[str, str]]:
    try:
        value = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        value = {}
    if not isinstance(value, dict):
        return (), {}
    category = value.get("category", ())
    names = [category] if isinstance(category, str) else category
    categories = tuple(str(name) for name in names) if isinstance(names, list) else ()
    args = value.get("unique_args", {})
    custom_args = (
        {str(name): str(each) for name, each in list(args.items())[:_MOST_ARGS]}
        if isinstance(args, dict)
        else {}
    )
    return categories[:_MOST_ARGS], custom_args


def _printable(text: str) -> str:
    """Return text a database takes: no surrogates of undecodable bytes."""
    return text.encode("utf-8", "replace").decode("utf-8")
