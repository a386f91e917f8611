"""What a check is, what it says, and the register of them all. Pure.

A check reads one :class:`View` and finds :class:`Passed`, :class:`Problem` or
:class:`Skipped`. Its messages stand in the register, so the page of checks and what a
customer reads cannot differ. What was not observed is skipped, never passed.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Protocol

from cryptography import x509

from linkseal.domains.observation import Observation

ROUTES: Final = ("", "cdn", "proxy", "acme", "uploaded")
"""As an observation names them; the empty one is before a route is chosen."""
_SHOWN_CHARACTERS: Final = 300
_SHOWN_LINES: Final = 20


class Result(enum.StrEnum):
    """What a check found."""

    PASS = "pass"  # noqa: S105 - no password
    WARN = "warn"
    FAIL = "fail"
    SKIPPED = "skipped"


class Severity(enum.StrEnum):
    """What a problem does to a request for SSL."""

    BLOCKS = "blocks"
    WARNS = "warns"
    NOT_ASKED = "not asked"


class Provider(Protocol):
    """The CDN or proxy that was found in front of the domain."""

    @property
    def name(self) -> str:
        """As people know it."""

    @property
    def cname_suffixes(self) -> Sequence[str]:
        """Names under these are its own; a customer's own proxy has none."""

    @property
    def networks(self) -> Sequence[str]:
        """Where it connects from, as ``192.0.2.0/24``; empty when it does not publish them."""

    @property
    def client_header(self) -> str:
        """The field that tells the client's address; empty where none does."""


@dataclass(frozen=True, slots=True)
class View:
    """What the checks look at.

    Attributes:
        seen: The observation.
        roots: Those that browsers trust; without any, chains are not judged.
        cdn: The CDN in front, if one was found.
    """

    seen: Observation
    roots: tuple[x509.Certificate, ...] = ()
    cdn: Provider | None = None

    @property
    def cdn_name(self) -> str:
        """The CDN's name, within a sentence."""
        return self.cdn.name if self.cdn else "the CDN"

    @property
    def cdn_first(self) -> str:
        """The CDN's name, at the beginning of a sentence."""
        name = self.cdn.name if self.cdn else "the CDN or proxy"
        return name[:1].upper() + name[1:]


@dataclass(frozen=True, slots=True)
class Passed:
    """All is well: what was seen, and the lines that show it."""

    seen: str
    evidence: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Skipped:
    """Nothing to judge, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Something is wrong.

    Attributes:
        shape: Which of the check's messages says it.
        seen: What was found.
        expected: What should have been.
        values: For the message's fields.
        evidence: The lines that show it.
    """

    shape: str
    seen: str
    expected: str
    values: Mapping[str, object] = field(default_factory=dict)
    evidence: Sequence[str] = ()


Finding = Passed | Problem | Skipped


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one check says of one observation; every text is printable and bounded.

    ``shape`` is which of its messages; empty where it found no problem.
    """

    check: str
    result: Result
    seen: str
    expected: str
    message: str
    evidence: tuple[str, ...] = ()
    shape: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """A message, with ``{fields}``.

    Attributes:
        text: The template; ``{host}`` is always known.
        severity: What this shape does on every route; ``None`` for what the check says.
    """

    text: str
    severity: Severity | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One test of a branded domain.

    Attributes:
        id: As ``DNS-01``.
        title: A few words.
        severity: By route.
        every: How often the watch asks; ``None`` for once, before an order, or on demand.
        why: Why it matters, for the customer.
        messages: By shape.
        find: Judges.
    """

    id: str
    title: str
    severity: Mapping[str, Severity]
    every: timedelta | None
    why: str
    messages: Mapping[str, Message]
    find: Callable[[View], Finding]

    def judge(self, view: View) -> Verdict:
        """Return the verdict; a route this check is not asked on is skipped."""
        route = view.seen.route
        severity = self.severity.get(route, Severity.BLOCKS)
        if severity is Severity.NOT_ASKED:
            finding: Finding = Skipped(f"not asked on route {route or '(none yet)'}")
        else:
            finding = self.find(view)
        if isinstance(finding, Skipped):
            return Verdict(self.id, Result.SKIPPED, "", "", shown(finding.reason))
        evidence = tuple(shown(line) for line in finding.evidence[:_SHOWN_LINES])
        if isinstance(finding, Passed):
            seen = shown(finding.seen)
            return Verdict(self.id, Result.PASS, seen, "", f"{self.title}: {seen}", evidence)
        message = self.messages[finding.shape]
        blocks = (message.severity or severity) is Severity.BLOCKS
        values = {name: shown(str(value)) for name, value in finding.values.items()}
        return Verdict(
            self.id,
            Result.FAIL if blocks else Result.WARN,
            shown(finding.seen),
            shown(finding.expected),
            message.text.format(**{"host": shown(view.seen.host), **values}),
            evidence,
            finding.shape,
        )


REGISTER: Final[dict[str, Check]] = {}
"""Every check by its id, in the order of a report."""

BLOCKS: Final = dict.fromkeys(ROUTES, Severity.BLOCKS)
WARNS: Final = dict.fromkeys(ROUTES, Severity.WARNS)


def only_on(*routes: str, severity: Severity) -> dict[str, Severity]:
    """Return severities of a check that is asked on some routes only."""
    return {route: severity if route in routes else Severity.NOT_ASKED for route in ROUTES}


def check(
    id: str,  # noqa: A002 - it is what everybody calls it
    title: str,
    *,
    severity: Mapping[str, Severity],
    every: timedelta | None,
    why: str,
    messages: Mapping[str, str | tuple[Severity, str]],
) -> Callable[[Callable[[View], Finding]], Callable[[View], Finding]]:
    """Put a function into the register; a message with a severity of its own is a pair."""

    def register(find: Callable[[View], Finding]) -> Callable[[View], Finding]:
        texts = {
            shape: Message(text) if isinstance(text, str) else Message(text[1], text[0])
            for shape, text in messages.items()
        }
        REGISTER[id] = Check(id, title, severity, every, why, texts, find)
        return find

    return register


def shown(text: str) -> str:
    """Return what strangers wrote so that it cannot disturb a terminal or a page's layout."""
    line = "".join(char if char.isprintable() else "�" for char in text)
    return line if len(line) <= _SHOWN_CHARACTERS else f"{line[: _SHOWN_CHARACTERS - 1]}…"


REACHES_US: Final = "HTTP-02"
"""The check of the signed challenge: what comes for the domain arrives at our edge."""

_WORST_FIRST: Final = (Result.FAIL, Result.WARN, Result.SKIPPED, Result.PASS)


@dataclass(frozen=True, slots=True)
class Report:
    """All verdicts on one observation, in the order of the register.

    Attributes:
        verdicts: One a check that was asked.
        cdn: The name of the CDN or proxy that was found in front; empty for none.
        https_only: Whether browsers never ask for the host over http; ``None``: not seen.
    """

    verdicts: tuple[Verdict, ...]
    cdn: str = ""
    https_only: bool | None = None

    @property
    def blocking(self) -> tuple[Verdict, ...]:
        """Those for which SSL is not enabled."""
        return tuple(each for each in self.verdicts if each.result is Result.FAIL)

    @property
    def proves_ssl(self) -> bool:
        """Whether SSL may be enabled on it: nothing blocks, and our edge was seen to answer.

        Where nothing could be asked, as while the edge has no room for a probe, nothing fails.
        """
        answered = any(e.check == REACHES_US and e.result is Result.PASS for e in self.verdicts)
        return answered and not self.blocking

    def worst_first(self) -> tuple[Verdict, ...]:
        """Return fail, warn, skipped, pass; within each, the order of the register."""
        return tuple(sorted(self.verdicts, key=lambda each: _WORST_FIRST.index(each.result)))
