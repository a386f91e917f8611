"""Tracking URLs: where a token stands in one.

``https://<host>/c/<token>`` is a click, ``/o/<token>`` an open. In the path, no
extension, no query: CDNs cache by extension and some drop queries.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from linkseal.errors import TokenError
from linkseal.seal.keyring import Keyring
from linkseal.seal.token import Kind, Sealed

PATH_OF_KIND = {Kind.CLICK: "/c/", Kind.OPEN: "/o/"}
KIND_OF_PATH = {path: kind for kind, path in PATH_OF_KIND.items()}
PATH_LENGTH = 3


def sealed_url(base: str, keyring: Keyring, contents: Sealed) -> str:
    """Return the tracking URL for ``contents`` under ``base`` (scheme and authority).

    Raises:
        SealError: The destination cannot be sealed.
    """
    return f"{base}{PATH_OF_KIND[contents.kind]}{keyring.seal(contents)}"


def open_path(keyring: Keyring, path: str) -> Sealed:
    """Open the token in a request path, ``/c/…`` or ``/o/…``.

    Raises:
        TokenError: Not a path of ours, not a token of ours, or a click's token
            under an open's path.
    """
    kind = KIND_OF_PATH.get(path[:PATH_LENGTH])
    if kind is None:
        raise TokenError
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
