"""Branded domains as they come out of the store: plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from linkseal.domains.base import BrandedDomain, DomainState
from linkseal.domains.claim import Record, records
from linkseal.domains.lifecycle import Action, Route


@dataclass(frozen=True, slots=True)
class Domain:
    """A branded domain, as its latest claim has it.

    Attributes:
        host: The name, lower-case A-labels.
        customer_id: Whose it is, for ever.
        customer: That customer's name.
        state: Where it is in its life.
        since: Since when, aware UTC.
        reasons: Why it came there.
        target: What its CNAME leads to.
        ownership: The TXT value that proves whose it is.
        delegation: Where its ``_acme-challenge`` may lead.
        default: Whether it is the customer's default.
        from_domains: Domains of From addresses it matches, besides its own parent.
        dns_valid: Whether its DNS checks passed when they last changed anything.
        route: How SSL is or was to be had; ``None`` before the first request.
        cdn: The id of the profile it is enrolled with; empty for none.
        own_networks: Where that connects from, besides the networks a CDN publishes.
        https_only: Whether browsers turn its http links into https; of no claim, but of the name.
        failures: How often in a row the watch found it broken.
        failing_since: Since when; ``None`` when the last look was good.
        report: The latest report of the checks of this claim; ``None`` before the first, and
            where it was not asked for.
        report_at: When that was made.
        report_blocks: Whether SSL must not be enabled on it.
        claimed_at: When it was last claimed.
    """

    host: str
    customer_id: int
    customer: str
    state: DomainState
    since: datetime
    reasons: tuple[str, ...]
    target: str
    ownership: str
    delegation: str
    default: bool
    from_domains: tuple[str, ...]
    dns_valid: bool
    route: Route | None
    cdn: str
    own_networks: tuple[str, ...]
    https_only: bool
    failures: int
    failing_since: datetime | None
    report: Mapping[str, Any] | None
    report_at: datetime | None
    report_blocks: bool
    claimed_at: datetime

    @property
    def is_fronted(self) -> bool:
        """Whether recipients meet the customer's CDN or proxy, on the ports of the web."""
        return self.route in {Route.CDN, Route.PROXY}

    def branded(self) -> BrandedDomain:
        """Return what the choice of a base needs to know of it."""
        return BrandedDomain(
            self.host,
            self.state,
            self.from_domains,
            self.default,
            dns_valid=self.dns_valid,
            https_only=self.https_only,
        )

    def records(self) -> list[Record]:
        """Return the DNS records its customer publishes."""
        return records(
            self.host, target=self.target, ownership=self.ownership, delegation=self.delegation
        )


@dataclass(frozen=True, slots=True)
class Transition:
    """A step of a domain's life.

    Attributes:
        seq: Rises in the order they happened.
        host: The domain.
        at: When, aware UTC.
        action: What was done.
        before: The state it was in; ``None`` for the first claim.
        after: The state it came to.
        who: Who did it.
        reasons: Why.
    """

    seq: int
    host: str
    at: datetime
    action: Action
    before: DomainState | None
    after: DomainState
    who: str
    reasons: tuple[str, ...]
