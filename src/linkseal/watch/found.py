"""What a look of the watch asks, and what it comes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from cryptography import x509

from linkseal.domains.checks import Provider, Report, Result, judge
from linkseal.domains.checks.model import REACHES_US
from linkseal.domains.observation import Observation
from linkseal.domains.profiles import PROFILES, detect, with_networks
from linkseal.domains.watching import DEEPEST, LEVELS, WHOLE, Scope, checks_of, levels_of
from linkseal.prober import EVERYTHING, Part

RESOLVES: Final = "DNS-01"
"""The check that a resolver's answer passes."""
PROVES: Final = "DNS-04"
"""The check that says whose a name is."""
_NONE: Final[Mapping[str, Sequence[str]]] = {}


@dataclass(frozen=True, slots=True)
class Found:
    """What a look came to.

    Attributes:
        failed: The checks that failed; nothing after a good look.
        problems: What they say, a sentence each.
        passed: The checks that passed.
        unproven: Why it could not be seen that requests reach us; empty where it was. A look
            that neither proves the domain nor finds a fault says nothing.
        over_ipv6: Whether the domain has IPv6 addresses only.
        of_names: Whether what failed is what DNS says.
        addresses: Where the domain leads, as far as it could be reached.
        leaves: The different leaf certificates that were shown, DER; before SSL is enabled they
            concern nobody.
        report: Of all checks, where everything was looked at.
    """

    failed: tuple[str, ...]
    problems: tuple[str, ...]
    passed: frozenset[str]
    unproven: str
    over_ipv6: bool
    addresses: tuple[str, ...]
    leaves: tuple[bytes, ...]
    report: Report | None

    @property
    def of_names(self) -> bool:
        """Whether a check of names failed."""
        return any(each.startswith("DNS-") for each in self.failed)


def parts_of(level: float, scope: Scope, *, known: bool) -> Part:
    """Return what the prober has to look at for the checks of a level.

    Args:
        level: Of the look.
        scope: What the watch sees to.
        known: Whether it is known where the domain leads, so that DNS is not asked when no
            check of the level does.
    """
    if scope is Scope.DNS:
        # Whether an address that nobody knows is a proxy of theirs, a signed answer tells.
        return Part.ADDRESSES if level < DEEPEST else Part.NAMES | Part.PORTS | Part.ECHO
    if level >= DEEPEST:
        return EVERYTHING
    if level >= LEVELS[2]:
        return Part.ADDRESSES | Part.ECHO | Part.REPEATS
    if level > levels_of(scope)[0]:
        return Part.ADDRESSES | Part.ECHO | Part.REDIRECT
    return Part.ECHO if known else Part.ADDRESSES | Part.ECHO


def fails_over_ipv6(observation: Observation) -> bool:
    """Whether an IPv6 address takes no connection, and an IPv4 one does."""
    taken = [each for each in observation.reached if ":" not in each.address and not each.error]
    return bool(taken) and any(":" in e.address and e.error for e in observation.reached)


def without_ipv6(observation: Observation) -> Observation:
    """Return what was seen over IPv4: what IPv6 is like cannot be told from here."""

    def kept(found: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(each for each in found if ":" not in each.address)

    return msgspec.structs.replace(
        observation,
        egress=tuple(each for each in observation.egress if ":" not in each),
        reached=kept(observation.reached),
        handshakes=kept(observation.handshakes),
        exchanges=kept(observation.exchanges),
    )


def judge_names(observation: Observation, cdn: Provider | None) -> Report:
    """Judge what DNS says as far as it holds on every route, so that links can be made.

    What one route asks besides, it asks for SSL: that is no fault of links that are http.
    """
    plain = msgspec.structs.replace(observation, route="", acme_delegation="")
    return judge(plain, cdn=cdn, only=checks_of(WHOLE, Scope.DNS))


def are_valid(names: Report) -> bool:
    """Whether nothing of :func:`judge_names` fails, and whose the name is was seen."""
    proven = any(e.check == PROVES and e.result is Result.PASS for e in names.verdicts)
    return proven and not names.blocking


def find(
    observation: Observation,
    roots: Sequence[x509.Certificate],
    *,
    level: float,
    scope: Scope,
    parts: Part,
    enrolled: str = "",
    own: Sequence[str] = (),
    networks: Mapping[str, Sequence[str]] = _NONE,
) -> Found:
    """Judge a look.

    Args:
        observation: What was seen.
        roots: Those that browsers trust.
        level: Of the look.
        scope: What the watch sees to.
        parts: What was looked at.
        enrolled: The id of the profile the domain is enrolled with; empty for none.
        own: Where that connects from, besides the networks a CDN publishes.
        networks: Those that CDNs publish, by the profile's id, where they are known better.
    """
    asked = checks_of(level, scope)
    if Part.ADDRESSES in parts:
        # Where a name leads nowhere any more, nothing else can be asked.
        asked |= {RESOLVES}
    whole = parts == EVERYTHING
    cdn: Provider | None = PROFILES.get(enrolled)
    if Part.NAMES in parts:
        cdn = with_networks(
            detect(observation).profile, enrolled=enrolled, current=networks, own=own
        )
    if scope is Scope.DNS:
        names = judge_names(observation, cdn)
        report = Report(tuple(each for each in names.verdicts if each.check in asked))
    else:
        report = judge(observation, roots=roots, cdn=cdn, only=None if whole else asked)
    challenge = next((each for each in report.verdicts if each.check == REACHES_US), None)
    unproven = ""
    if scope is Scope.SSL and challenge is not None and challenge.result is Result.SKIPPED:
        unproven = f"{REACHES_US}: {challenge.message}"
    if unproven and not whole:
        # A challenge or a circle of redirects is in the way: a check of another level says so.
        asked = checks_of(WHOLE, scope)
        report = judge(observation, roots=roots, cdn=cdn, only=asked)
    failing = [each for each in report.blocking if each.check in asked]
    secure = [each for each in observation.reached if each.port == 443]
    shaken = observation.handshakes if scope is Scope.SSL else ()
    return Found(
        failed=tuple(each.check for each in failing),
        problems=tuple(f"{each.check}: {each.message}" for each in failing),
        passed=frozenset(e.check for e in report.verdicts if e.result is Result.PASS),
        unproven=unproven,
        over_ipv6=bool(secure) and all(":" in each.address for each in secure),
        addresses=tuple(dict.fromkeys(each.address for each in secure if not each.error)),
        leaves=tuple(dict.fromkeys(each.chain[0] for each in shaken if each.chain)),
        report=report if whole else None,
    )
