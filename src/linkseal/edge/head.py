"""What a request's head says: the few fields that matter, its host and its target. Pure."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

Fields = list[tuple[bytes, bytes]]

_HOST_FIELD, _AGENT_FIELD, _CONNECTION_FIELD, _LENGTH_FIELD, _ENCODING_FIELD = range(1, 6)
_FIELD_OF: Final = {
    b"host": _HOST_FIELD,
    b"user-agent": _AGENT_FIELD,
    b"connection": _CONNECTION_FIELD,
    b"content-length": _LENGTH_FIELD,
    b"transfer-encoding": _ENCODING_FIELD,
}
_FIELDS: Final[dict[bytes, int]] = {}
"""Field by spelling, as clients use them: one look-up a field instead of several comparisons."""
_MOST_SPELLINGS: Final = 1024
_LONGEST_SPELLING: Final = 64
# RFC 9112 §3.2 and RFC 3986 §3.2.2: what may stand in a Host field.
_HOST: Final = re.compile(
    rb"(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._~!$&'()*+,;=%-]*)(?::[0-9]*)?", re.ASCII
)


def scan(headers: Fields) -> tuple[bytes, int, bytes, bool, bool]:
    """Return the Host, how many there are, the User-Agent, and two facts.

    They are whether there is a Connection field, and whether a body is announced.
    """
    host = agent = b""
    hosts = 0
    has_connection = has_body = False
    for name, value in headers:
        field = _FIELDS.get(name)
        if field is None:
            field = _learn(name)
        if not field:
            continue
        if field == _HOST_FIELD:
            hosts += 1
            host = value
        elif field == _AGENT_FIELD:
            agent = value
        elif field == _CONNECTION_FIELD:
            has_connection = True
        elif field == _ENCODING_FIELD or value.strip() != b"0":
            has_body = True
    return host, hosts, agent, has_connection, has_body


def _learn(name: bytes) -> int:
    """Return which field a name is, 0 for those that do not matter, and remember the spelling."""
    field = _FIELD_OF.get(name.lower(), 0)
    if len(_FIELDS) < _MOST_SPELLINGS and len(name) < _LONGEST_SPELLING:
        _FIELDS[name] = field
    return field


def is_host(host: bytes) -> bool:
    """Whether a Host field holds what one may."""
    return _HOST.fullmatch(host.strip()) is not None


def host_name(host: bytes) -> str:
    """Return the name in a Host field: lower case, without port or last dot."""
    name = host.decode("latin-1").strip().lower()
    before, colon, port = name.rpartition(":")
    if colon and (not port or (port.isascii() and port.isdigit())):
        name = before
    return name.removesuffix(".")


def size_of(headers: Fields) -> int:
    """Return the bytes that fields take in a head."""
    return sum(len(name) + len(value) + 4 for name, value in headers)


def absolute(url: bytes) -> tuple[bytes, bytes] | None:
    """Split an absolute-form target into authority and path; ``None`` for any other form."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme not in {b"http", b"https"} or not parts.netloc:
        return None
    return parts.netloc, parts.path or b"/"
