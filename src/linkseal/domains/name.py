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


def certificate_name(text: str) -> str:
    """Return a host name, or ``*.`` and one, in its one form: lower-case A-labels, no last dot.

    Raises:
        CertificateError: ``certificate-name``.
    """
    name = text.strip().rstrip(".").lower()
    wildcard = name.startswith("*.")
    host = name.removeprefix("*.")
    try:
        if not host.isascii():
            host = idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError:
        host = ""
    if not HOST.fullmatch(host):
        raise CertificateError(
            f"{text!r} is no host name a certificate can be for",
            code="certificate-name",
            hint="as in links.acme.example, or *.ct.example.net",
        )
    return f"*.{host}" if wildcard else host
