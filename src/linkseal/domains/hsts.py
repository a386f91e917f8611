"""When browsers turn http into https because of a name above (RFC 6797, HSTS). Pure."""

from __future__ import annotations

import re
from typing import Final

_NAMES: Final = (
    "amazon android app audible azure bank bing boo channel chrome dad day dev eat esq fire "
    "fly foo fujitsu gle gmail google hangout hotmail imdb ing insurance kindle meet meme "
    "microsoft mov new nexus office page phd play prime prof rsvp search silk skype windows "
    "xbox xn--cckwcxetd xn--jlq480n2rg youtube zappos zip"
)
PRELOADED: Final = frozenset(_NAMES.split())
"""Top-level domains that are on browsers' own list with all that is below them.

Chromium's ``net/http/transport_security_state_static.json``, which the other browsers take
theirs from, as of 2025-01-01: entries of one label with ``include_subdomains``.
"""
_AGE: Final = re.compile(r'max-age\s*=\s*"?(\d+)"?', re.IGNORECASE)


def is_preloaded(host: str) -> bool:
    """Whether browsers are shipped knowing that a host's whole top-level domain is https."""
    return host.rpartition(".")[2] in PRELOADED


def parents(host: str, registrable: str) -> tuple[str, ...]:
    """Return the names above a host: its immediate parent first, the registrable domain last.

    Args:
        host: Lower-case A-labels.
        registrable: Its domain as registered, ``acme.example``; a host that is none below it
            has no parents.
    """
    found: list[str] = []
    name = host
    while registrable and name.endswith(f".{registrable}"):
        name = name.partition(".")[2]
        found.append(name)
    return tuple(found)


def binds_below(policy: str) -> bool:
    """Whether a Strict-Transport-Security field binds the names below its host, too.

    Args:
        policy: Its value; of several fields only the first counts (RFC 6797 §8.1).
    """
    directives = [each.strip() for each in policy.partition(",")[0].split(";")]
    ages = [found for each in directives if (found := _AGE.fullmatch(each))]
    # RFC 6797 §6.1.1: max-age is required, and 0 has browsers forget the host.
    lasts = len(ages) == 1 and ages[0][1].strip("0") != ""
    return lasts and "includesubdomains" in {each.lower() for each in directives}
