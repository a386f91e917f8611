"""Which base a message's links get: one pure decision, with its reason.

The whole of it is the table in ``docs/reference/bases.md``, tested row by row. Chosen
by: the branded domain that matches the From address, then the customer's default
domain, then the shared tracking domain. Plain http on a branded domain exists only
until SSL is enabled there, and never comes back by itself: only where somebody disabled
SSL, or released the name and claimed it anew.
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


_BY_SSL = 2
"""What SSL was enabled for serves so well, or better: see :meth:`BrandedDomain.serving`."""
_DNS_DONE = frozenset({DomainState.DNS_VALID, DomainState.SSL_REQUESTED})


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

    def matched(self, from_domain: str) -> str:
        """Return the longest name by which mail from ``from_domain`` is this domain's.

        It is the domain's own parent or one of ``from_domains``; empty if none is at or
        above ``from_domain``.
        """
        parent = self.host.partition(".")[2]
        names = (name for name in (parent, *self.from_domains) if name)
        return max(
            (name for name in names if f".{from_domain}".endswith(f".{name}")), key=len, default=""
        )

    def serving(self) -> int:
        """Return how well links are served here: 3 over https, 0 not at all.

        What was https and is broken comes before what is http: there links are on the shared
        domain meanwhile, and must not become http by a name claimed besides.
        """
        match self.state:
            case DomainState.SSL_ENABLED:
                return 3
            case DomainState.SSL_DEGRADED:
                return _BY_SSL
        return int(self.resolves())

    def resolves(self) -> bool:
        """Whether its DNS checks pass, as far as links without SSL are concerned."""
        return self.state in _DNS_DONE or (self.state is DomainState.REJECTED and self.dns_valid)


@dataclass(frozen=True, slots=True)
class Base:
    """The decision: scheme, host and the sentence that says why."""

    scheme: str
    host: str
    why: str


def stricter(*policies: SSLPolicy) -> SSLPolicy:
    """Return ``required`` if any of the policies is: the operator's, the customer's."""
    return SSLPolicy.REQUIRED if SSLPolicy.REQUIRED in policies else SSLPolicy.ALLOWED


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
    if not domain.resolves():
        return shared(f"{host} is claimed, but its DNS is not valid yet")
    if sending_ip is SendingIP.SHARED:
        return shared(f"the customer sends from a shared address and SSL on {host} is not enabled")
    if ssl is SSLPolicy.REQUIRED:
        return shared(f"SSL is required, and on {host} it is not enabled yet")
    if domain.https_only:
        return shared(f"browsers open {host} by https only, and SSL on it is not enabled yet")
    return Base("http", host, f"DNS of {host} is valid, SSL is not enabled yet")


def _pick(domains: Sequence[BrandedDomain], from_domain: str) -> BrandedDomain | None:
    """Return the closest match for the From domain, else the default; never a released one.

    A name whose SSL was enabled comes before closer ones whose SSL never was, so that a name
    claimed besides never takes mail off one that works.
    """
    living = [domain for domain in domains if domain.state is not DomainState.RELEASED]
    found = [domain for domain in living if domain.matched(from_domain)]
    found = found or [domain for domain in living if domain.default]

    def order(domain: BrandedDomain) -> tuple[bool, int, int, bool, str]:
        serving = domain.serving()
        closeness = len(domain.matched(from_domain))
        # The host comes last: a decision must not hang on the order of rows.
        return (serving < _BY_SSL, -closeness, -serving, not domain.default, domain.host)

    return min(found, key=order, default=None)
