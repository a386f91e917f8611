"""How large a page is for its reader, and how many elements it may become, before it is parsed.

Nearly every tag becomes one element. But formatting that is left open is opened again in
each paragraph that follows (WHATWG HTML §13.2.4.3), so a few kilobytes may become
gigabytes. Pure.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

MAX_NODES: Final = 2_000_000
"""Most elements and texts, some 100 to 150 bytes each."""

_MOST_OPEN: Final = 512
"""How deep the parser nests."""

_ALIKE: Final = 3
"""Most that are opened again of elements that are alike (the "Noah's Ark clause")."""

_NEVER_TOO_HEAVY: Final = 20_000
"""Characters in which that many cannot be: 512 tags to open, then four for each paragraph."""

# All of WHATWG HTML §13.2.4.3 but `a`: of these one is open at a time. With the rest of the
# tag only if it is written so plainly that equal text is an equal element.
_FORMATTING: Final = re.compile(
    r"<(?:b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)(?=[\s/>])"
    r"((?:\s+[a-z-]+\s*=\s*(?:\"[^\"<>]*\"|'[^'<>]*'))*\s*>)?",
    re.IGNORECASE,
)

_DATA: Final = re.compile(rb"<[A-Za-z][^<>]*?data:([^\"'<>]{200,})")
_DATA_SHARE: Final = 8
"""Markup takes up to a hundred times its bytes in memory; images within it ten, and at most
eighteen: where a character is beyond U+FFFF, all have four bytes."""

_BETWEEN: Final = b" \t\n\f\r/"
_ATTRIBUTE: Final = 2
"""Where it is no image, an attribute may begin behind each of these, of 400 bytes in memory."""


def size_of(html: bytes) -> int:
    """Return bytes of HTML, where those of a ``data:`` URI in a tag count an eighth.

    Each slash, space and line end in one counts two more.
    """
    size = len(html)
    if b"data:" not in html:
        return size
    for match in _DATA.finditer(html):
        inline = match[1].replace(b"\r\n", b"\n")
        attributes = len(inline) - len(inline.translate(None, _BETWEEN))
        counted = len(match[1]) // _DATA_SHARE + _ATTRIBUTE * attributes
        size -= max(0, len(match[1]) - counted)
    return size


def is_too_heavy(text: str) -> bool:
    """Whether a page may become more than :data:`MAX_NODES`; never false if it would."""
    if len(text) < _NEVER_TOO_HEAVY:
        return False
    tags = text.count("<")
    if tags * (2 + _MOST_OPEN) <= MAX_NODES:
        return False
    alike: Counter[str] = Counter()
    opened = 0
    for match in _FORMATTING.finditer(text):
        if match[1] is None:
            opened += 1
        else:
            alike[match[0]] += 1
    opened += sum(min(number, _ALIKE) for number in alike.values())
    return tags * (2 + min(opened, _MOST_OPEN)) > MAX_NODES
