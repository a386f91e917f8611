"""The watch over live domains: when each is looked at, how deeply, and what follows. Pure.

A look of a level asks all checks that the table has for its interval, or for a shorter one.
Regular looks stand on a grid of the clock, shifted for each domain by a part of the interval
of its own: looks are spread evenly, and a restart neither bunches nor skips them. What fails
is looked at again soon, as deeply as it takes to see that fault, and counts as broken when it
failed several times in a row.

Instants are Unix seconds, handed in.
"""

from __future__ import annotations

import enum
import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from linkseal.domains.base import DomainState
from linkseal.domains.checks import CHECKS

LEVELS: Final = tuple(
    sorted({check.every.total_seconds() for check in CHECKS.values() if check.every})
)
"""The intervals of the table, in seconds: a look's level is one of them."""
DEEPEST: Final = 3600.0
"""The least level whose looks take in everything the prober can see."""
_PHASE_BYTES: Final = 4
_BROKEN_EVERY: Final = 0.25
"""What is known to be broken is looked at after this part of the interval of its checks."""
_ENOUGH: Final = 3
"""So many other domains have to fail before the fault is looked for on our side."""


class Scope(enum.StrEnum):
    """What of a domain the watch sees to."""

    SSL = "ssl"
    DNS = "dns"


@dataclass(frozen=True, slots=True)
class Rules:
    """How the watch is set.

    Attributes:
        interval: Seconds that stand for the table's minute; the other intervals in proportion.
        retry: Seconds after which a failed look is made again.
        failures: Failed looks in a row after which a domain counts as broken.
        recoveries: Good looks in a row after which it is whole again.
    """

    interval: float
    retry: float
    failures: int
    recoveries: int

    def seconds(self, level: float) -> float:
        """Return the interval of a level, as it is set."""
        return level / 60.0 * self.interval


class Outcome(enum.Enum):
    """What follows from a look."""

    NOTHING = "nothing"
    BREAKS = "breaks"
    RECOVERS = "recovers"


def scope_of(state: DomainState, *, dns_valid: bool, failing: bool) -> Scope | None:
    """Return what the watch sees to of a domain; ``None``: nothing.

    Args:
        state: Where it is in its life.
        dns_valid: Whether its DNS was valid: then a rejected one has links of its own too.
        failing: Whether the watch found it broken: then it took a claimed one back to that.
    """
    if state in {DomainState.SSL_ENABLED, DomainState.SSL_DEGRADED}:
        return Scope.SSL
    if state in {DomainState.DNS_VALID, DomainState.SSL_REQUESTED}:
        return Scope.DNS
    if state is DomainState.REJECTED and dns_valid:
        return Scope.DNS
    return Scope.DNS if state is DomainState.CLAIMED and failing else None


def is_broken(state: DomainState) -> bool:
    """Whether the links of new mail have left a domain that is watched."""
    return state in {DomainState.SSL_DEGRADED, DomainState.CLAIMED}


@cache
def checks_of(level: float, scope: Scope) -> frozenset[str]:
    """Return the checks that a look of a level asks."""
    return frozenset(
        name
        for name, check in CHECKS.items()
        if check.every is not None
        and check.every.total_seconds() <= level
        and (scope is Scope.SSL or name.startswith("DNS-"))
    )


@cache
def levels_of(scope: Scope) -> tuple[float, ...]:
    """Return the levels at which there is something to ask that no shorter one asks."""
    every = {CHECKS[name].every for name in checks_of(LEVELS[-1], scope)}
    return tuple(sorted(each.total_seconds() for each in every if each))


def level_of(checks: Iterable[str]) -> float:
    """Return the least level whose looks ask all of these checks; 0 for none."""
    every = (CHECKS[name].every for name in checks)
    return max((each.total_seconds() for each in every if each), default=0.0)


def phases_of(host: str, installation: str) -> tuple[float, ...]:
    """Return by which part of each interval, from 0 to 1, a domain's looks are shifted.

    One for each of :data:`LEVELS`, and they have nothing to do with one another: else all whose
    deep look comes due in one minute would make it in one second of that minute.
    """
    digest = hashlib.sha256(f"{installation} {host}".encode()).digest()
    places = range(0, _PHASE_BYTES * len(LEVELS), _PHASE_BYTES)
    parts = (int.from_bytes(digest[each : each + _PHASE_BYTES], "big") for each in places)
    return tuple(part / 256**_PHASE_BYTES for part in parts)


def next_regular(after: float, phase: float, every: float) -> float:
    """Return the first instant of a grid that is later than another instant."""
    found = (math.floor(after / every - phase) + 1 + phase) * every
    # Where the two are closer than a float can tell apart.
    return found if found > after else found + every


@dataclass(frozen=True, slots=True)
class Course:
    """What the watch knows of one domain.

    Attributes:
        scope: What it sees to.
        broken: Whether the links of new mail have left it.
        phases: See :func:`phases_of`.
        looked_at: When a look last ended, or when the watch took it up.
        failures: Failed looks in a row.
        failing_since: When the first of them began.
        good: Good looks in a row of a broken one.
        level: Only looks as deep tell whether what failed is mended; 0 where nothing failed.
    """

    scope: Scope
    broken: bool
    phases: tuple[float, ...]
    looked_at: float
    failures: int = 0
    failing_since: float | None = None
    good: int = 0
    level: float = 0.0

    def due_at(self, rules: Rules) -> float:
        """Return when it is looked at next."""
        if not self.level:
            return self._next(levels_of(self.scope)[0], rules)
        if self.broken and not self.good:
            pause = max(rules.interval, rules.seconds(self.level) * _BROKEN_EVERY)
            return self.looked_at + max(pause, rules.retry)
        return self.looked_at + rules.retry

    def level_at(self, now: float, rules: Rules) -> float:
        """Return how deep a look has to be that begins now."""
        due = [level for level in levels_of(self.scope) if self._next(level, rules) <= now]
        return max(self.level, *due, levels_of(self.scope)[0])

    def _next(self, level: float, rules: Rules) -> float:
        phase = self.phases[LEVELS.index(level)]
        return next_regular(self.looked_at, phase, rules.seconds(level))

    def passed(self, at: float, rules: Rules) -> tuple[Course, Outcome]:
        """Return the course after a good look that ended ``at``, and what follows."""
        if not self.broken:
            whole = replace(self, looked_at=at, failures=0, failing_since=None, good=0, level=0.0)
            return whole, Outcome.NOTHING
        after = replace(self, looked_at=at, failures=0, good=self.good + 1)
        return after, Outcome.RECOVERS if after.good >= rules.recoveries else Outcome.NOTHING

    def failed(
        self, checks: Iterable[str], *, began: float, at: float, rules: Rules
    ) -> tuple[Course, Outcome]:
        """Return the course after a failed look, and what follows.

        Args:
            checks: Those that failed.
            began: When the look began.
            at: When it ended.
            rules: How the watch is set.
        """
        after = replace(
            self,
            looked_at=at,
            failures=self.failures + 1,
            failing_since=began if self.failing_since is None else self.failing_since,
            good=0,
            level=level_of(checks),
        )
        breaks = not self.broken and after.failures >= rules.failures
        return after, Outcome.BREAKS if breaks else Outcome.NOTHING

    def unseen(self, checks: Iterable[str], at: float) -> Course:
        """Return the course after a look that failed for a fault of ours: it counts for nothing."""
        return replace(self, looked_at=at, level=max(self.level, level_of(checks)))

    def settled(self, *, broken: bool) -> Course:
        """Return the course after the domain's state was changed to follow."""
        if broken:
            return replace(self, broken=True, good=0)
        return replace(self, broken=False, failures=0, failing_since=None, good=0, level=0.0)


def take_up(
    host: str,
    installation: str,
    state: DomainState,
    *,
    scope: Scope,
    failures: int,
    failing_since: float | None,
    now: float,
    rules: Rules,
) -> Course:
    """Return the course of a domain the watch has not seen in this life of its process.

    Of one that failed it is not known any more what did: it is looked at soon, and whole.
    """
    broken = is_broken(state)
    troubled = broken or failures > 0
    return Course(
        scope=scope,
        broken=broken,
        phases=phases_of(host, installation),
        looked_at=now - rules.seconds(DEEPEST) if troubled else now,
        failures=failures if broken else min(failures, rules.failures - 1),
        failing_since=failing_since,
        level=DEEPEST if troubled else 0.0,
    )


class Blame(enum.Enum):
    """Whose fault a failed look is taken to be."""

    DOMAIN = "domain"
    UNDECIDED = "undecided"
    OURS = "ours"


@dataclass(frozen=True, slots=True)
class Sight:
    """What a failed look has to be weighed against.

    Attributes:
        reached: Whether what must always be reached was, after the look failed.
        certain: Whether that lies outside, as the operator says, and so settles it.
        others: Whether any other domain is looked at as often.
        others_good: Whether any other was found good since this one began to fail.
        others_failing: How many others fail now.
        whole_round: Whether each of them had its turn since.
    """

    reached: bool
    certain: bool
    others: bool
    others_good: bool
    others_failing: int
    whole_round: bool

    @property
    def blame(self) -> Blame:
        """Whether links may leave the domain for it.

        Where every domain fails at once and nothing outside is known to be reached, the
        fault is taken to be ours; so the others are waited for, unless one of them is well.
        """
        if not self.reached:
            return Blame.OURS
        if self.certain or self.others_good or not self.others:
            return Blame.DOMAIN
        if not self.whole_round:
            return Blame.UNDECIDED
        return Blame.DOMAIN if self.others_failing < _ENOUGH else Blame.OURS


WARN_DAYS: Final = (30, 14, 7, 1)


def ending(ends_at: float, life: float, now: float) -> int | None:
    """Return under how many days a foreign certificate's end has come: 30, 14, 7, 1, or 0.

    ``None``: it is not yet to be told. More than a third of a life is never told: then no
    renewal is late.

    Args:
        ends_at: When it ends.
        life: Seconds from its beginning to its end.
        now: The present.
    """
    if ends_at <= now:
        return 0
    return next(
        (
            days
            for days in reversed(WARN_DAYS)
            if ends_at - now <= days * 86_400 and (days == 1 or days * 86_400 <= life / 3)
        ),
        None,
    )
