"""Judge a link: may it be sealed, and to exactly which destination does it lead.

What an ``href`` says is turned into the URL a browser would go to (WHATWG URL), and
never into another: nothing is sorted, folded or decoded. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache
from urllib.parse import quote, urlsplit

import idna

from linkseal.errors import SealError, TokenError
from linkseal.mail.record import LinkOutcome
from linkseal.seal import UNIVERSAL, Keyring, check_destination, open_path

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_HTTP = re.compile(r"https?://", re.IGNORECASE)
_LONGEST_HOST = 253
_REMOVED = str.maketrans("", "", "\t\n\r")
_AROUND = "".join(map(chr, range(0x21)))
_KEPT = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
_PLACEHOLDER = re.compile(
    r"\{\{|\}\}|\{%|\*\||\|\*|<%|%%|\[\[|\$\{|%(?:recipient|unsubscribe|tag)[._a-z]*%"
)


def judge(href: str, keyring: Keyring, own_hosts: Collection[str]) -> tuple[LinkOutcome, str]:
    """Return what to do with an ``href``, and the destination (as given unless sealed).

    Args:
        href: The attribute's value, character references resolved.
        keyring: Its tokens are not sealed a second time.
        own_hosts: Host names that serve our links, on whatever port.
    """
    # WHATWG URL §4.4: controls and spaces around, tabs and line ends anywhere do not count.
    url = href.strip(_AROUND).translate(_REMOVED)
    # Whoever fills these in later could not do so in a sealed link.
    if _PLACEHOLDER.search(url):
        return LinkOutcome.PLACEHOLDER, href
    if not _HTTP.match(url):
        return (LinkOutcome.SCHEME if _SCHEME.match(url) else LinkOutcome.RELATIVE), href
    try:
        if not url.isascii() or " " in url:
            url = _encoded(url)
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except (ValueError, UnicodeError):
        return LinkOutcome.UNPARSABLE, href
    if not host:
        return LinkOutcome.UNPARSABLE, href
    if host in own_hosts or is_sealed(url, keyring):
        return LinkOutcome.ALREADY_OURS, href
    try:
        check_destination(url)
    except SealError as error:
        too_long = error.code == "seal-too-long"
        return (LinkOutcome.TOO_LONG if too_long else LinkOutcome.UNPARSABLE), href
    return LinkOutcome.SEALED, url


def is_sealed(url: str, keyring: Keyring) -> bool:
    """Whether a URL has a token of the keyring's in its path, on whatever host."""
    try:
        path = urlsplit(url).path
        if path.startswith(("/c/", "/o/", UNIVERSAL)):
            open_path(keyring, path)
            return True
    except (TokenError, ValueError):
        pass
    return False


@lru_cache(1024)
def _a_labels(host: str) -> str:
    # A newsletter names the same few hosts again and again.
    return idna.encode(host, uts46=True).decode("ascii")


def _encoded(url: str) -> str:
    """Return a URL in ASCII: UTF-8 percent-encoded, the host by UTS #46 (RFC 3987 §3.1)."""
    parts = urlsplit(url)
    before, at, authority = parts.netloc.rpartition("@")
    host, colon, port = authority.partition(":")
    if not host.isascii():
        if len(host) > _LONGEST_HOST:
            raise ValueError("no host is that long")
        host = _a_labels(host)
    netloc = quote(before, safe=_KEPT) + at + host + colon + port
    start = url.index("//") + 2
    rest = url[start + len(parts.netloc) :]
    return url[:start] + netloc + quote(rest, safe=_KEPT)
