"""What a CA's problem document means for the operator, and whose turn it is.

Types are RFC 8555 §6.7's and RFC 9773's, without their ``urn:ietf:params:acme:error:``. Pure.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Final

PREFIX: Final = "urn:ietf:params:acme:error:"


class Whose(enum.StrEnum):
    """Who has to do something before another try can work."""

    NAME = "name"
    """The name's DNS, or what stands in front of it: another CA would say the same."""
    ISSUER = "issuer"
    """The CA: another one may issue."""
    OURS = "ours"
    """This installation: its account, its configuration, its clock."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why there is no certificate.

    Attributes:
        type: As ``dns`` or ``rateLimited``.
        detail: In the CA's own words.
        whose: Who has to do something.
        advice: What.
        issuer: Which CA said it; empty when none was asked.
    """

    type: str
    detail: str
    whose: Whose
    advice: str
    issuer: str = ""


_TIMEOUT = re.compile(r"timeout|timed out", re.IGNORECASE)
_REFUSED = re.compile(r"refused|no route|unreachable", re.IGNORECASE)
_ADDRESS = re.compile(r"[0-9a-f]*:[0-9a-f:.]*[0-9a-f]", re.IGNORECASE)
_NXDOMAIN = re.compile(r"NXDOMAIN|no valid A records|no such host", re.IGNORECASE)

_ADVICE: Final[dict[str, tuple[Whose, str]]] = {
    "caa": (
        Whose.NAME,
        (
            "a CAA record forbids this CA: add one that allows it at the name, or have its owner "
            "remove the one that does not"
        ),
    ),
    "caaUnreadable": (
        Whose.NAME,
        (
            "DNS does not say whether a CAA record forbids it: check that the servers of the name "
            "and of its parents answer questions for CAA, and DNSSEC if the zone is signed"
        ),
    ),
    "dns": (
        Whose.NAME,
        "the name does not resolve for the CA: check its records, and DNSSEC if the zone is signed",
    ),
    "connection": (
        Whose.NAME,
        (
            "the CA reached nobody on port 80: check that the name leads here and that no firewall "
            "keeps port 80 from the whole world"
        ),
    ),
    "unauthorized": (
        Whose.NAME,
        (
            "somebody else answered for the name: it must lead to this service (or the TXT record "
            "must be the one asked for), with no other server and no old record beside it"
        ),
    ),
    "incorrectResponse": (
        Whose.NAME,
        (
            "what answered for the name changed the challenge's text: let a CDN or proxy pass "
            "/.well-known/acme-challenge/ as it is"
        ),
    ),
    "tls": (
        Whose.NAME,
        (
            "the CA followed a redirect to https and found TLS broken there: let "
            "/.well-known/acme-challenge/ through on http, without a redirect"
        ),
    ),
    "rejectedIdentifier": (
        Whose.ISSUER,
        "this CA does not issue for this name: another one may",
    ),
    "unsupportedIdentifier": (
        Whose.ISSUER,
        "this CA does not issue for names of this kind: another one may",
    ),
    "rateLimited": (
        Whose.ISSUER,
        "the CA's limit is used up: it is tried again when the CA says; another CA goes first",
    ),
    "serverInternal": (Whose.ISSUER, "the CA has a fault: it is tried again"),
    "badNonce": (Whose.ISSUER, "the CA refuses its own nonces: it is tried again"),
    "orderNotReady": (Whose.ISSUER, "the CA is behind: it is tried again"),
    "orderInvalid": (Whose.ISSUER, "the CA gave the order up: it is ordered anew"),
    "alreadyReplaced": (Whose.OURS, "it was renewed before: it is ordered anew"),
    "alreadyRevoked": (Whose.OURS, "it is revoked already: nothing is left to do"),
    "badCSR": (Whose.OURS, "the CA refuses the key or the name: try another acme.key_types"),
    "badPublicKey": (
        Whose.OURS,
        "the CA refuses the account's key: the account is made anew",
    ),
    "invalidContact": (Whose.OURS, "the CA refuses acme.email: give one that can get mail"),
    "unsupportedContact": (Whose.OURS, "the CA refuses acme.email: give one that can get mail"),
    "externalAccountRequired": (
        Whose.OURS,
        "this CA wants an account of its own: set eab_kid and eab_hmac_key of the issuer",
    ),
    "accountDoesNotExist": (Whose.OURS, "the CA does not know the account: it is made anew"),
    "userActionRequired": (Whose.OURS, "the CA wants its new terms accepted: see the detail"),
    "unreachable": (Whose.ISSUER, "the CA does not answer: it is tried again; check the way out"),
    "malformed": (Whose.OURS, "the CA did not understand the request: see the detail"),
}
_UNKNOWN = (Whose.ISSUER, "see the CA's words; it is tried again")


def understand(kind: str, detail: str, issuer: str = "") -> Problem:
    """Return what a problem document says, with advice.

    Args:
        kind: Its type, with or without the ACME prefix.
        detail: Its detail, or what else is known.
        issuer: Which CA said it.
    """
    kind = kind.removeprefix(PREFIX)
    whose, advice = _ADVICE.get(kind, _UNKNOWN)
    if kind == "connection" and _names_ipv6(detail):
        advice = (
            "the CA tried the name's IPv6 address and reached nobody: it takes IPv6 first, so "
            "remove the AAAA record or make port 80 answer there"
        )
    elif kind == "connection" and _TIMEOUT.search(detail):
        advice += "; a silent timeout is most often a firewall"
    elif kind == "connection" and _REFUSED.search(detail):
        advice += "; a refusal means that nothing listens there"
    elif kind == "dns" and _NXDOMAIN.search(detail):
        advice = "the name has no address yet: publish its CNAME or A record, and wait for its TTL"
    return Problem(kind, detail, whose, advice, issuer)


def _names_ipv6(detail: str) -> bool:
    for word in _ADDRESS.findall(detail):
        try:
            IPv6Address(word)
        except ValueError:
            continue
        return True
    return False
