"""When to renew, when to try again, when to wait for a CA's limits, and what state that is.

Pure: instants are aware datetimes that the caller gives, chance is a number the caller draws.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

YOUNGEST: Final = timedelta(hours=1)
"""A certificate younger than this is not renewed, whatever its CA says."""
SHORT_LIVED: Final = timedelta(days=10)
WARN_DAYS: Final = (30, 14, 7, 1)
"""Days before the end at which a certificate that nobody renews is warned of."""
ASK_WINDOW_EVERY: Final = timedelta(hours=6)
"""How often a CA is asked for its renewal window; RFC 9773 §4.3.2 wants it at least daily."""

_MINUTES: Final = (1, 2, 5, 10, 10, 20, 30, 60, 120, 240)
_LONGEST: Final = timedelta(hours=6)
_JITTER: Final = 0.2
_LATE: Final = 0.1
"""Part of a life that a renewal may be late by before it is told, whatever keeps it."""


class State(enum.StrEnum):
    """How a name stands with its certificate."""

    PENDING = "pending"
    VALID = "valid"
    EXPIRING = "expiring"
    EXPIRED = "expired"
    FAILED = "failed"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Life:
    """A certificate's validity."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        """How long it is."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Window:
    """When a CA wants a certificate renewed (RFC 9773 §4.2)."""

    start: datetime
    end: datetime


def state(
    life: Life | None, now: datetime, *, failing: bool, revoked: bool, renewed: bool
) -> State:
    """Return the state of a name.

    Args:
        life: Of the certificate in use; ``None`` without one.
        now: Aware.
        failing: Whether the last try to get one failed.
        revoked: Whether the one in use was revoked.
        renewed: Whether it is renewed by itself; uploaded ones are not.
    """
    if life is None:
        return State.FAILED if failing else State.PENDING
    if revoked:
        return State.REVOKED
    if life.end <= now:
        return State.EXPIRED
    if renewed:
        return State.EXPIRING if now >= backstop(life) + life.length * _LATE else State.VALID
    return State.EXPIRING if life.end - now <= timedelta(days=WARN_DAYS[0]) else State.VALID


def backstop(life: Life) -> datetime:
    """Return when a certificate is renewed if the CA says nothing.

    At one third of its life left; at half for those that live less than ten days.
    """
    left = life.length / (2 if life.length < SHORT_LIVED else 3)
    return life.end - left


def renew_at(life: Life, window: Window | None, chance: float) -> datetime:
    """Return when to renew: a random instant in the CA's window, else the backstop.

    RFC 9773 §4.2: uniformly random in the window, at once when that is past, but not before
    the certificate is an hour old: a CA that errs must not make us renew without end. A
    window that begins after the certificate ends, or is inverted, is not believed.

    Args:
        life: The certificate's.
        window: As the CA said; ``None`` if it says nothing.
        chance: From 0 to 1, drawn once for this window.
    """
    if window is None or window.end < window.start or window.start >= life.end:
        return backstop(life)
    end = min(window.end, life.end)
    youngest = life.start + min(YOUNGEST, life.length / 2)
    return max(window.start + (end - window.start) * chance, youngest)


def try_again_after(failures: int, chance: float) -> timedelta:
    """Return how long to wait after so many failures in a row: 1 minute, growing to 6 hours.

    Args:
        failures: From 1.
        chance: From 0 to 1; spreads the tries of many names by a fifth.
    """
    known = timedelta(minutes=_MINUTES[failures - 1]) if failures <= len(_MINUTES) else _LONGEST
    return min(known, _LONGEST) * (1 - _JITTER * chance)


class Counted(enum.StrEnum):
    """What a CA's limit counts."""

    ORDERS = "orders"
    DOMAIN = "certificates of the registered domain"
    NAME = "certificates of the name"
    FAILURES = "failed validations of the name"


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``most`` in any ``span``."""

    counted: Counted
    most: int
    span: timedelta


# Let's Encrypt's published limits, each a little lower: others may share the account.
LIMITS: Final = (
    Limit(Counted.ORDERS, 270, timedelta(hours=3)),
    Limit(Counted.DOMAIN, 45, timedelta(days=7)),
    Limit(Counted.NAME, 4, timedelta(days=7)),
    Limit(Counted.FAILURES, 4, timedelta(hours=1)),
)
LONGEST_SPAN: Final = max(limit.span for limit in LIMITS)


class Spending(enum.StrEnum):
    """What counts against a CA's limits."""

    ORDER = "order"
    CERTIFICATE = "certificate"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Spent:
    """One thing that counts.

    Attributes:
        at: When.
        name: The certificate's name.
        domain: Its registered domain.
        what: An order, a certificate that came of one, or a failed validation.
    """

    at: datetime
    name: str
    domain: str
    what: Spending


@dataclass(frozen=True, slots=True)
class Wait:
    """Until when a limit allows no more, and which."""

    until: datetime
    limit: Limit

    def __str__(self) -> str:
        """Say it to an operator."""
        hours = self.limit.span.total_seconds() / 3600
        span = f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} days"
        return (
            f"waiting until {self.until:%Y-%m-%d %H:%M} UTC: the CA allows few "
            f"{self.limit.counted.value} ({self.limit.most} in {span} are used up)"
        )


def must_wait(
    name: str, domain: str, spent: Iterable[Spent], now: datetime, limits: Sequence[Limit] = LIMITS
) -> Wait | None:
    """Return the wait a CA's limits ask for before another order for ``name``.

    Args:
        name: The certificate's name.
        domain: Its registered domain.
        spent: What was ordered of that CA lately, in any order.
        now: Aware.
        limits: That CA's.
    """
    spent = sorted(spent, key=lambda each: each.at)
    waits = []
    for limit in limits:
        counted = [
            each.at
            for each in spent
            if each.at > now - limit.span and _counts(each, limit.counted, name, domain)
        ]
        if len(counted) >= limit.most:
            waits.append(Wait(counted[-limit.most] + limit.span, limit))
    return max(waits, key=lambda wait: wait.until, default=None)


def _counts(spent: Spent, counted: Counted, name: str, domain: str) -> bool:
    if counted is Counted.ORDERS:
        return spent.what is Spending.ORDER
    if counted is Counted.DOMAIN:
        return spent.what is Spending.CERTIFICATE and spent.domain == domain
    wanted = Spending.FAILURE if counted is Counted.FAILURES else Spending.CERTIFICATE
    return spent.what is wanted and spent.name == name


def warning(end: datetime, now: datetime) -> int | None:
    """Return under which of 30, 14, 7 and 1 days a certificate's life has fallen.

    ``None`` above 30 days; 0 when it is over.
    """
    if end <= now:
        return 0
    return next((days for days in reversed(WARN_DAYS) if end - now <= timedelta(days=days)), None)
