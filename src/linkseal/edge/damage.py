"""Links that were damaged on their way, by what relays, scanners and mail clients do to URLs. Pure.

A token is authenticated: it opens whole, or not at all. So what others put into its path may be
taken out again without a guess at where it leads.
"""

from __future__ import annotations

import re
import string
from typing import Final

from linkseal.errors import TokenError
from linkseal.seal import Keyring, Sealed, open_path

_CHARACTERS: Final = string.ascii_letters + string.digits + "-_"
_BREAKS: Final = "\r\n\t "
_ESCAPE: Final = re.compile("%([0-9A-Fa-f]{2})")
_MEANT: Final = {
    **{f"{ord(char):02x}": char for char in _CHARACTERS},
    **{f"{ord(char):02x}": "" for char in _BREAKS},
}
"""By the digits of an escape: what a path of ours may hold, and nothing for a line break."""
_LINK: Final = re.compile(r"/(?:uni/)?[co]/[0-9A-Za-z_-]+")


def open_damaged(keyring: Keyring, path: str) -> Sealed | None:
    """Open the token in a request path that does not open as it is; ``None``: there is none.

    Undone are escapes of characters that need none (RFC 3986 §6.2.2.2: it is the same URL), what
    is left of a soft line break (RFC 2045 §6.7: browsers drop the line end, and keep its ``=``),
    and whatever follows that no token holds: punctuation, or a parameter without a query.

    Args:
        keyring: Opens.
        path: Without its query.
    """
    match = _LINK.match(_ESCAPE.sub(_unescaped, path).replace("=", ""))
    if match is None or match[0] == path:
        return None
    try:
        return open_path(keyring, match[0])
    except TokenError:
        return None


def _unescaped(escape: re.Match[str]) -> str:
    return _MEANT.get(escape[1].lower(), escape[0])
