"""Tracking URLs: where a token stands in one.

``https://<host>/c/<token>`` is a click, ``/o/<token>`` an open. In the path, no
extension, no query: CDNs cache by extension and some drop queries. A click that a phone's
app may open itself is ``/uni/c/<token>``: the files an app is named in can claim ``/uni/*``
and nothing else.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from linkseal.errors import TokenError
from linkseal.seal.keyring import Keyring
from linkseal.seal.token import Kind, Sealed

PATH_OF_KIND = {Kind.CLICK: "/c/", Kind.OPEN: "/o/"}
KIND_OF_PATH = {path: kind for kind, path in PATH_OF_KIND.items()}
PATH_LENGTH = 3
UNIVERSAL = "/uni"
"""Before the path of a click that apps may open."""
_UNIVERSAL_CLICK = UNIVERSAL + PATH_OF_KIND[Kind.CLICK]


def sealed_url(base: str, keyring: Keyring, contents: Sealed, *, universal: bool = False) -> str:
    """Return the tracking URL for ``contents`` under ``base`` (scheme and authority).

    Args:
        base: Scheme and authority.
        keyring: Seals.
        contents: What the token carries.
        universal: Give it the path that apps may open; only a click has one.

    Raises:
        SealError: The destination cannot be sealed.
    """
    prefix = UNIVERSAL if universal else ""
    return f"{base}{prefix}{PATH_OF_KIND[contents.kind]}{keyring.seal(contents)}"


def open_path(keyring: Keyring, path: str) -> Sealed:
    """Open the token in a request path, ``/c/…``, ``/o/…`` or ``/uni/c/…``.

    Raises:
        TokenError: Not a path of ours, not a token of ours, or a click's token
            under an open's path.
    """
    kind = KIND_OF_PATH.get(path[:PATH_LENGTH])
    if kind is None:
        if not path.startswith(_UNIVERSAL_CLICK):
            raise TokenError
        return open_path(keyring, path.removeprefix(UNIVERSAL))
    sealed = keyring.open(path[PATH_LENGTH:])
    if sealed.kind is not kind:
        raise TokenError
    return sealed


def open_url(keyring: Keyring, url: str) -> Sealed:
    """Open a whole tracking URL, a path, or a bare token: what an operator pastes.

    Raises:
        TokenError: No token of this keyring is in it.
    """
    text = url.strip()
    if "/" not in text:
        return keyring.open(text)
    try:
        path = urlsplit(text).path
    except ValueError:
        raise TokenError from None
    return open_path(keyring, path)
