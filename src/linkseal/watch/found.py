"""What a look of the watch asks, and what it comes to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography import x509

from linkseal.domains.checks import Report, Result, judge
from linkseal.domains.observation import Observation
from linkseal.domains.profiles import PROFILES, detect
from linkseal.domains.watching import DEEPEST, LEVELS, Scope, checks_of, levels_of
from linkseal.prober import EVERYTHING, Part

_REACHES_US: Final = "HTTP-02"
_RESOLVES: Final = "DNS-01"
UNPROVEN: Final = (_REACHES_US,)
"""What is to be asked again after a look that proved nothing."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a look came to.

    Attributes:
        failed: The checks that failed; nothing after a good look.
        problems: What they say, a sentence each.
        proven: Whether all that was asked could be judged: a look that neither proves the
            domain nor finds a fault says nothing.
        addresses: Where the domain leads, as far as it could be reached.
        chains: The different leaf certificates that were shown, DER.
        report: Of all checks, where everything was looked at.
    """

    failed: tuple[str, ...]
    problems: tuple[str, ...]
    proven: bool
    addresses: tuple[str, ...]
    leaves: tuple[bytes, ...]
    report: Report | None


def parts_of(level: float, scope: Scope, *, known: bool) -> Part:
    """Return what the prober has to look at for the checks of a level.

    Args:
        level: Of the look.
        scope: What the watch sees to.
        known: Whether it is known where the domain leads, so that DNS is not asked when no
            check of the level does.
    """
    if scope is Scope.DNS:
        return Part.ADDRESSES if level < DEEPEST else Part.NAMES | Part.PORTS
    if level >= DEEPEST:
        return EVERYTHING
    if level >= LEVELS[2]:
        return Part.ADDRESSES | Part.ECHO | Part.REPEATS
    if level > levels_of(scope)[0]:
        return Part.ADDRESSES | Part.ECHO | Part.REDIRECT
    return Part.ECHO if known else Part.ADDRESSES | Part.ECHO


def find(
    observation: Observation,
    roots: Sequence[x509.Certificate],
    *,
    level: float,
    scope: Scope,
    parts: Part,
    enrolled: str,
) -> Found:
    """Judge a look.

    Args:
        observation: What was seen.
        roots: Those that browsers trust.
        level: Of the look.
        scope: What the watch sees to.
        parts: What was looked at.
        enrolled: The id of the profile the domain is enrolled with; empty for none.
    """
    asked = checks_of(level, scope)
    if Part.ADDRESSES in parts:
        # Where a name leads nowhere any more, nothing else can be asked.
        asked |= {_RESOLVES}
    whole = parts == EVERYTHING
    cdn = detect(observation).profile if whole else PROFILES.get(enrolled)
    report = judge(observation, roots=roots, cdn=cdn, only=None if whole else asked)
    results = {each.check: each.result for each in report.verdicts}
    proven = scope is Scope.DNS or results[_REACHES_US] is not Result.SKIPPED
    if not proven and not whole:
        # A challenge or a circle of redirects is in the way: a check of another level says so.
        asked = checks_of(LEVELS[-1], scope)
        report = judge(observation, roots=roots, cdn=cdn, only=asked)
    failing = [each for each in report.blocking if each.check in asked]
    return Found(
        failed=tuple(each.check for each in failing),
        problems=tuple(f"{each.check}: {each.message}" for each in failing),
        proven=proven,
        addresses=tuple(
            dict.fromkeys(
                each.address for each in observation.reached if each.port == 443 and not each.error
            )
        ),
        leaves=tuple(dict.fromkeys(each.chain[0] for each in observation.handshakes if each.chain)),
        report=report if whole else None,
    )
