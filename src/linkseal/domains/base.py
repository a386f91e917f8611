"""Which base a message's links get: one pure decision, with its reason.

The whole of it is the table in ``docs/reference/bases.md``, tested row by row. Chosen
by: the branded domain that matches the From address, then the customer's default
domain, then the shared tracking domain. Plain http on a branded domain exists only
until SSL is enabled there, and never comes back by itself.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass


class DomainState(enum.StrEnum):
    """Where a branded domain is in its life."""

    CLAIMED = "claimed"
    DNS_VALID = "dns_valid"
    SSL_REQUESTED = "ssl_requested"
    SSL_ENABLED = "ssl_enabled"
    SSL_DEGRADED = "ssl_degraded"
    REJECTED = "rejected"
    RELEASED = "released"


class SSLPolicy(enum.StrEnum):
    """Whether links may ever be plain http."""

    ALLOWED = "allowed"
    REQUIRED = "required"


class DegradedPolicy(enum.StrEnum):
    """What links do while the watch says a domain's SSL is broken."""

    SHARED = "shared"
    KEEP = "keep"


class SendingIP(enum.StrEnum):
    """Whether the customer shares its sending addresses with others."""

    SHARED = "shared"
    DEDICATED = "dedicated"


@dataclass(frozen=True, slots=True)
class BrandedDomain:
    """What the decision needs to know of a branded domain.

    Attributes:
        host: The branded name, ``links.customer.com``, lower case A-labels.
        state: Where it is in its life. ``rejected`` means its SSL request was refused.
        from_domains: Domains of From addresses it matches, besides its own parent.
        default: Whether it is the customer's default.
        dns_valid: Whether its DNS checks pass; only asked in state ``rejected``.
        https_only: Whether browsers turn http links of it into https, because of a name above.
    """

    host: str
    state: DomainState
    from_domains: tuple[str, ...] = ()
    default: bool = False
    dns_valid: bool = False
    https_only: bool = False

    def matches(self, from_domain: str) -> bool:
        """Whether mail from an address under ``from_domain`` is this domain's."""
        parent = self.host.partition(".")[2]
        return any(
            from_domain == name or from_domain.endswith(f".{name}")
            for name in (parent, *self.from_domains)
            if name
        )


@dataclass(frozen=True, slots=True)
class Base:
    """The decision: scheme, host and the sentence that says why."""

    scheme: str
    host: str
    why: str


_DNS_DONE = frozenset({DomainState.DNS_VALID, DomainState.SSL_REQUESTED})


def choose_base(
    *,
    shared_host: str,
    from_domain: str,
    sending_ip: SendingIP,
    domains: Sequence[BrandedDomain],
    ssl: SSLPolicy = SSLPolicy.ALLOWED,
    degraded: DegradedPolicy = DegradedPolicy.SHARED,
) -> Base:
    """Decide which base the links of one message get.

    Args:
        shared_host: The shared tracking domain, always https.
        from_domain: Domain of the message's From address, lower case; empty if none.
        sending_ip: Whether the customer sends from a shared address.
        domains: The customer's branded domains; released ones are never chosen.
        ssl: ``required`` when the customer or the operator wants no plain http at all.
        degraded: What to do while the watch says a domain's SSL is broken.
    """

    def shared(why: str) -> Base:
        return Base("https", shared_host, why)

    domain = _pick(domains, from_domain)
    if domain is None:
        if sending_ip is SendingIP.SHARED:
            return shared("the customer sends from a shared address and has no branded domain")
        return shared("no branded domain matches the From address, and none is the default")
    host = domain.host
    if domain.state is DomainState.SSL_ENABLED:
        return Base("https", host, f"SSL is enabled and healthy on {host}")
    if domain.state is DomainState.SSL_DEGRADED:
        if degraded is DegradedPolicy.KEEP:
            return Base("https", host, f"SSL on {host} is broken, and the policy is to keep it")
        return shared(f"SSL on {host} is broken; links use the shared domain until it is mended")
    if domain.state not in _DNS_DONE and not (
        domain.state is DomainState.REJECTED and domain.dns_valid
    ):
        return shared(f"{host} is claimed, but its DNS is not valid yet")
    if sending_ip is SendingIP.SHARED:
        return shared(f"the customer sends from a shared address and SSL on {host} is not enabled")
    if ssl is SSLPolicy.REQUIRED:
        return shared(f"SSL is required, and on {host} it is not enabled yet")
    if domain.https_only:
        return shared(f"browsers open {host} by https only, and SSL on it is not enabled yet")
    return Base("http", host, f"DNS of {host} is valid, SSL is not enabled yet")


def _pick(domains: Sequence[BrandedDomain], from_domain: str) -> BrandedDomain | None:
    """Return the closest match for the From domain, else the default; never a released one."""
    living = [domain for domain in domains if domain.state is not DomainState.RELEASED]
    matching = [domain for domain in living if from_domain and domain.matches(from_domain)]
    if matching:
        # The longest parent is the closest: links.eu.acme.example before links.acme.example.
        return max(matching, key=lambda domain: (domain.host.count("."), domain.host))
    return next((domain for domain in living if domain.default), None)
