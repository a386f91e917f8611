"""Host names as certificates and DNS have them. Pure.

RFC 1035 §2.3.4 (lengths), RFC 5891 (IDNA), RFC 6125 §6.4.3 (wildcards).
"""

from __future__ import annotations

import re
from typing import Final

import idna

from linkseal.errors import CertificateError

_LABEL: Final = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
HOST: Final = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})+")
"""A host name of two labels or more, as lower-case A-labels; to be matched whole."""

_LONGEST: Final = 1000
"""Characters that are looked at: more than any name has, in whatever script it is typed."""
_SHOWN: Final = 60


def certificate_name(text: str) -> str:
    """Return a host name, or ``*.`` and one, in its one form: lower-case A-labels, no last dot.

    Raises:
        CertificateError: ``certificate-name``.
    """
    name = text.strip().removesuffix(".").lower()
    wildcard = name.startswith("*.")
    host = name.removeprefix("*.")
    try:
        if len(host) > _LONGEST:
            host = ""
        if not host.isascii():
            host = idna.encode(host, uts46=True).decode("ascii")
        for label in host.split("."):
            if label.startswith("xn--"):
                _refuse_other_form(label)
    except idna.IDNAError:
        host = ""
    if not HOST.fullmatch(host):
        raise CertificateError(
            f"{shown(text)} is no host name a certificate can be for",
            code="certificate-name",
            hint="as in links.acme.example, or *.ct.example.net",
        )
    return f"*.{host}" if wildcard else host


def shown(text: str) -> str:
    """Return what was typed for a name, quoted for a message; the rest of a long one is cut."""
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def _refuse_other_form(label: str) -> None:
    """Raise unless a label is the A-label of what it decodes to (RFC 5890 §2.3.2.1)."""
    if idna.alabel(idna.ulabel(label)).decode("ascii") != label:
        raise idna.IDNAError(f"{label} is another form of an A-label")
