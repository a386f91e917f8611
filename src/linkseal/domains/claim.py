"""Claiming a branded domain: which names may be, and what the customer publishes. Pure.

That a name leads to us proves nothing of who asks: a stranger may claim it as well. So each
claim has a random target of its own, and a random TXT value that its owner has to publish.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from linkseal.domains.name import certificate_name, shown
from linkseal.errors import CertificateError, DomainError

CHALLENGE_LABEL: Final = "_ct-challenge"
ACME_LABEL: Final = "_acme-challenge"
MIN_ENTROPY: Final = 10
"""Bytes: 16 characters of base32."""
RECORD_TTL: Final = 3600

_LONGEST_NAME = 253
# As URL parsers see it, a name whose last label is a number is an address.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclass(frozen=True, slots=True)
class Record:
    """A DNS record to publish.

    Attributes:
        type: ``CNAME`` or ``TXT``.
        name: Whole, without a last dot.
        value: A name without a last dot, or text.
        why: What it is for, a sentence.
        needed: Whether the domain cannot be set up without it.
    """

    type: str
    name: str
    value: str
    why: str
    needed: bool = True

    def bind(self) -> str:
        """Return it as a line of a zone file (RFC 1035 §5.1)."""
        if self.type == "TXT":
            text = self.value.replace("\\", "\\\\").replace('"', '\\"')
            value = f'"{text}"'
        else:
            value = f"{self.value}."
        return f"{self.name}. {RECORD_TTL} IN {self.type} {value}"


def claim_host(text: str, *, base_domain: str, is_public_suffix: Callable[[str], bool]) -> str:
    """Return a name to claim in its one form: lower-case A-labels, no last dot.

    Args:
        text: As it was typed.
        base_domain: Ours.
        is_public_suffix: Whether anybody can register names under a name.

    Raises:
        DomainError: ``domain-name``, ``domain-wildcard``, ``domain-address``, ``domain-own``,
            ``domain-public-suffix`` or ``domain-apex``.
    """
    if text.strip().startswith("*"):
        raise DomainError(
            f"{shown(text)} is a wildcard: a branded domain is one name",
            code="domain-wildcard",
            hint="claim the one name that links are to have, as in links.acme.example",
        )
    host = "" if _is_address(text.strip().strip("[]")) else domain_name(text)
    if not host or _NUMBER.fullmatch(host.rpartition(".")[2]):
        raise DomainError(
            f"{shown(text)} is an address, not a name",
            code="domain-address",
            hint="claim a name of yours, as in links.acme.example, and publish its records",
        )
    if f".{host}".endswith(f".{base_domain}") or base_domain.endswith(f".{host}"):
        raise DomainError(
            f"{host} is one of the tracking service's own names",
            code="domain-own",
            hint="claim a name under the domain your mail is from, as in links.acme.example",
        )
    if is_public_suffix(host):
        raise DomainError(
            f"{host} is a public suffix: names under it are of many owners",
            code="domain-public-suffix",
            hint=f"claim a name under a domain of yours, as in links.acme.{host}",
        )
    if is_public_suffix(host.partition(".")[2]):
        # RFC 1034 §3.6.2: no other data stands beside a CNAME, and an apex has SOA and NS.
        raise DomainError(
            f"{host} is a registered domain itself: no CNAME can stand there",
            code="domain-apex",
            hint=f"claim a name under it, as in links.{host}",
        )
    return host


def domain_name(text: str) -> str:
    """Return a domain name in its one form: lower-case A-labels, no last dot.

    Raises:
        DomainError: ``domain-name``.
    """
    try:
        name = certificate_name(text)
    except CertificateError:
        raise _no_name(text) from None
    # The longest name under it that is ever asked for must be one too.
    if name.startswith("*.") or len(f"{ACME_LABEL}.{name}") > _LONGEST_NAME:
        raise _no_name(text)
    return name


def mail_domains(
    given: Sequence[str], *, base_domain: str, is_public_suffix: Callable[[str], bool]
) -> list[str]:
    """Return domains of From addresses to match, each in its one form; empty ones are left out.

    Args:
        given: As they were typed.
        base_domain: Ours.
        is_public_suffix: Whether anybody can register names under a name.

    Raises:
        DomainError: ``domain-name``, ``from-domain-own`` or ``from-domain-public-suffix``.
    """
    names = [domain_name(text) for text in given if text.strip()]
    for name in names:
        if f".{name}".endswith(f".{base_domain}"):
            raise DomainError(
                f"{name} is one of the tracking service's own names: no mail is from there",
                code="from-domain-own",
                hint="give what stands after the @ of the customer's From addresses",
            )
        if is_public_suffix(name):
            raise DomainError(
                f"{name} is a public suffix: mail from under it is of many owners",
                code="from-domain-public-suffix",
                hint=f"give a domain of the customer's, as in acme.{name}",
            )
    return names


def new_target(entropy: bytes, base_domain: str) -> str:
    """Return a claim's target: one label, so that ``*.<base_domain>`` covers it.

    Args:
        entropy: Random, at least ``MIN_ENTROPY`` bytes, of no other claim.
        base_domain: Ours.
    """
    return f"t-{_random(entropy)}.{base_domain}"


def new_delegation(entropy: bytes, base_domain: str) -> str:
    """Return where a claim's ``_acme-challenge`` may lead; arguments as of the target."""
    return f"{_random(entropy)}.acme.{base_domain}"


def ownership_value(entropy: bytes) -> str:
    """Return the TXT value that proves whose a claimed name is."""
    return f"ct-verify={_random(entropy)}"


def records(host: str, *, target: str, ownership: str, delegation: str = "") -> list[Record]:
    """Return what a customer publishes for a claim.

    Args:
        host: The branded domain.
        target: Its target.
        ownership: Its TXT value.
        delegation: Where ``_acme-challenge`` may lead; empty leaves that record out.
    """
    found = [
        Record("CNAME", host, target, "leads recipients here; behind a CDN it is the CDN's origin"),
        Record(
            "TXT",
            f"{CHALLENGE_LABEL}.{host}",
            ownership,
            "proves that the name is yours; keep it, it is looked at again",
        ),
    ]
    if delegation:
        found.append(
            Record(
                "CNAME",
                f"{ACME_LABEL}.{host}",
                delegation,
                "lets us get and renew the certificate even while a CDN is in front",
                needed=False,
            )
        )
    return found


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _no_name(text: str) -> DomainError:
    return DomainError(
        f"{shown(text)} is not a domain name", code="domain-name", hint=_name_hint(text.lower())
    )


def _name_hint(text: str) -> str:
    if any(char in text for char in ":/?#"):
        return "give the name alone, without https:// and path, as in links.acme.example"
    if "_" in text:
        # RFC 952, RFC 1123 §2.1: it may stand in names of records, not of hosts.
        return "no host has _ in its name: take a hyphen, as in links-x.acme.example"
    if len(text) > _LONGEST_NAME - len(f"{ACME_LABEL}."):
        return f"names have at most {_LONGEST_NAME} characters, with {ACME_LABEL} before them"
    if "xn--" in text:
        return "a label with xn-- is none that IDNA makes: give the name in its own script"
    return "two labels or more of letters, digits and hyphens, as in links.acme.example"


def _random(entropy: bytes) -> str:
    if len(entropy) < MIN_ENTROPY:
        raise ValueError(f"at least {MIN_ENTROPY} random bytes")
    return base64.b32encode(entropy).decode("ascii").rstrip("=").lower()
