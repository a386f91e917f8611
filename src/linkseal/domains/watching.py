"""The watch over live domains: when each is looked at, how deeply, and what follows. Pure.

A look of a level asks all checks that the table has for its interval, or for a shorter one.
Regular looks stand on a grid of the clock, shifted for each domain by a part of the interval
of its own: looks are spread evenly, and a restart does not bunch them. What is due once a day
or more seldom comes with a look at everything, so what fell due while nobody looked is made
up for by the next of these.

What fails is looked at again soon, as deeply as it takes to see that fault, and counts as
broken when it failed several times in a row. It is mended when looks as deep find nothing
wrong and all that failed passes. A start begins each row of failures anew.

Instants are Unix seconds, handed in.
"""

from __future__ import annotations

import enum
import hashlib
import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from linkseal.domains.base import DomainState
from linkseal.domains.checks import CHECKS, Check, Severity

LEVELS: Final = tuple(
    sorted({check.every.total_seconds() for check in CHECKS.values() if check.every})
)
"""The intervals of the table, in seconds: a look's level is one of them."""
DEEPEST: Final = 3600.0
"""The least level whose looks take in everything the prober can see."""
_PHASE_BYTES: Final = 4
WHOLE: Final = LEVELS[-1]
"""The level whose looks ask every check there is."""
_LIGHT: Final = 300.0
"""The last level that costs a few requests only."""
_DEEP_PAUSE: Final = 5
"""Intervals between two looks at a broken domain that cost more."""
ENOUGH: Final = 3
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

    def pause(self, level: float) -> float:
        """Return the seconds between two looks of a level at what is broken, or not seen."""
        return max(self.retry, self.interval * (1 if level <= _LIGHT else _DEEP_PAUSE))


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
    """Return the checks that a look of a level asks.

    Of a domain without SSL those of names, and none that is asked for one route's sake only.
    """
    return frozenset(
        name
        for name, check in CHECKS.items()
        if check.every is not None
        and check.every.total_seconds() <= level
        and (scope is Scope.SSL or (name.startswith("DNS-") and _on_any_route(check)))
    )


def _on_any_route(check: Check) -> bool:
    return check.severity[""] is not Severity.NOT_ASKED


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
        whole_at: When everything was last looked at, as far as is known.
        failures: Failed looks in a row.
        failing_since: When the first of them ended: what is good later was not seen before the
            fault began.
        good: Good looks in a row of a broken one.
        level: Only looks as deep tell whether what failed is mended; 0 where nothing failed.
        missed: What failed, and has to pass again.
    """

    scope: Scope
    broken: bool
    phases: tuple[float, ...]
    looked_at: float
    whole_at: float
    failures: int = 0
    failing_since: float | None = None
    good: int = 0
    level: float = 0.0
    missed: frozenset[str] = frozenset()

    def due_at(self, rules: Rules) -> float:
        """Return when it is looked at next."""
        if not self.level:
            return self._next(levels_of(self.scope)[0], self.looked_at, rules)
        row_to_end = self.good or (self.failures and not self.broken)
        return self.looked_at + (rules.retry if row_to_end else rules.pause(self.level))

    def level_at(self, now: float, rules: Rules) -> float:
        """Return how deep a look has to be that begins now."""

        def due(levels: Iterable[float], since: float) -> float:
            found = (each for each in levels if self._next(each, since, rules) <= now)
            return max(found, default=0.0)

        levels = levels_of(self.scope)
        usual = [each for each in levels if each <= DEEPEST]
        level = max(self.level, levels[0], due(usual, self.looked_at))
        return level if level < DEEPEST else max(level, due(levels, self.whole_at))

    def _next(self, level: float, since: float, rules: Rules) -> float:
        return next_regular(since, self.phases[LEVELS.index(level)], rules.seconds(level))

    def proves(self, passed: Collection[str], level: float) -> bool:
        """Whether a look that found nothing wrong says that what failed is mended.

        What was skipped is not. But a look at everything in which nothing fails is what SSL is
        approved on: then the check does not apply any more.

        Args:
            passed: The checks that passed.
            level: Of the look.
        """
        return level >= WHOLE or self.missed.issubset(passed)

    def passed(self, *, level: float, at: float, rules: Rules) -> tuple[Course, Outcome]:
        """Return the course after a good look of a level that ended ``at``, and what follows."""
        after = self._looked(level, at)
        if not self.broken:
            return after.settled(broken=False), Outcome.NOTHING
        after = replace(after, failures=0, good=self.good + 1)
        return after, Outcome.RECOVERS if after.good >= rules.recoveries else Outcome.NOTHING

    def failed(
        self, checks: Collection[str], *, level: float, at: float, rules: Rules
    ) -> tuple[Course, Outcome]:
        """Return the course after a failed look, and what follows.

        Args:
            checks: Those that failed.
            level: Of the look.
            at: When the look ended.
            rules: How the watch is set.
        """
        after = replace(
            self._looked(level, at),
            failures=self.failures + 1,
            failing_since=at if self.failing_since is None else self.failing_since,
            good=0,
            # A lighter fault that is in the way does not mend the deeper one.
            level=max(self.level, level_of(checks)),
            missed=self.missed.union(checks),
        )
        breaks = not self.broken and after.failures >= rules.failures
        return after, Outcome.BREAKS if breaks else Outcome.NOTHING

    def unseen(self, at: float, *, level: float) -> Course:
        """Return the course after a look that says nothing: it counts for nothing.

        Args:
            at: When it ended.
            level: How deep the next one has to be at least.
        """
        return replace(self, looked_at=at, level=max(self.level, level))

    def _looked(self, level: float, at: float) -> Course:
        return replace(self, looked_at=at, whole_at=at if level >= DEEPEST else self.whole_at)

    def settled(self, *, broken: bool) -> Course:
        """Return the course after the domain's state was changed to follow."""
        if not broken:
            return replace(
                self,
                broken=False,
                failures=0,
                failing_since=None,
                good=0,
                level=0.0,
                missed=frozenset(),
            )
        # A name without SSL may be somebody else's by now: all that made it valid is asked.
        level = WHOLE if self.scope is Scope.DNS else self.level
        return replace(self, broken=True, good=0, level=level)


def take_up(
    host: str,
    installation: str,
    state: DomainState,
    *,
    scope: Scope,
    looked_at: float | None,
    now: float,
    rules: Rules,
) -> Course:
    """Return the course of a domain the watch has not seen in this life of its process.

    Of a broken one it is not known any more what failed: everything is looked at. A row of
    failures that was not complete is forgotten: nobody knows what passed meanwhile.

    Args:
        host: The domain.
        installation: See :func:`phases_of`.
        state: Of the domain.
        scope: What the watch sees to.
        looked_at: When its last look on record ended; ``None`` where it is to be looked at
            anew.
        now: The present.
        rules: How the watch is set.
    """
    broken = is_broken(state)
    level = WHOLE if broken else 0.0
    last = -math.inf if looked_at is None else min(looked_at, now)
    return Course(
        scope=scope,
        broken=broken,
        phases=phases_of(host, installation),
        looked_at=max(last, now - rules.pause(level)) if broken else now,
        # The last look at everything was at most its interval before the last of all.
        whole_at=now if looked_at is None else last - rules.seconds(DEEPEST),
        level=level,
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
        reached: Whether what must always be reached was, after the look failed, in the way
            that it failed: by name, over IPv6; and since the look began, if it was not before.
        certain: Whether that lies outside, as the operator says, and so settles it.
        others: Whether any other domain is looked at as often.
        others_good: Whether any other was found good since this one began to fail.
        others_failing: How many others fail now, or broke since then.
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
        return Blame.DOMAIN if self.others_failing < ENOUGH else Blame.OURS


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
