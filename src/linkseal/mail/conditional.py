"""Links inside conditional comments, which only Outlook for Windows shows. Pure.

They are no elements: what stands in a comment is read by nobody's standard. They stay as
they are, and are told.
"""

from __future__ import annotations

import html
import re
from typing import Final

_OPENING: Final = "<!--["
_HREF: Final = re.compile(
    r"""(?<=[\s"'])href\s*=\s*(?:"\s*(https?:[^"]*)"|'\s*(https?:[^']*)'|(https?:[^\s>]*))""",
    re.IGNORECASE,
)


def conditional_links(text: str) -> list[str]:
    """Return the ``http`` and ``https`` links inside of ``<!--[if …]> … <![endif]-->``.

    Args:
        text: Of a page.
    """
    found: list[str] = []
    start = text.find(_OPENING)
    while start >= 0:
        end = text.find("-->", start)
        if end < 0:
            break
        inside = text[start + len(_OPENING) : end]
        # Looked for by hand first: an expression that ignores case is slow to find its start.
        lower = inside.lower()
        if len(lower) != len(inside):  # A letter of Turkish becomes two.
            lower = inside
        at = lower.find("href") if lower[:2] in {"if", "IF"} else -1
        while at >= 0:
            match = _HREF.match(inside, at)
            if match:
                found.append(html.unescape(match[match.lastindex or 0]).strip())
            at = lower.find("href", match.end() if match else at + 1)
        start = text.find(_OPENING, end)
    return found
