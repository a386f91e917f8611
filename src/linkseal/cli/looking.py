"""``linkseal domain explain``, and how a report is told: what a look found, and the fix."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.markup import escape

from linkseal.cli.context import config, find_store
from linkseal.cli.output import JSONOption, out, plain, print_json
from linkseal.cli.upload import trusted_roots
from linkseal.domains.base import DomainState
from linkseal.domains.checks import CHECKS, Report, Result, Verdict, judge
from linkseal.domains.fixes import fix
from linkseal.domains.lifecycle import coming, meaning
from linkseal.domains.observation import Observation, load_observation
from linkseal.domains.profiles import PROFILES, Profile, detect, with_networks, worded_for
from linkseal.errors import DomainError, StoreError
from linkseal.store import Domain, Store
from linkseal.watch.looking import Concluded

WRONG: Final = frozenset({Result.FAIL, Result.WARN})
"""What is to be mended, or may have to be."""

_STYLES: Final = {
    Result.FAIL: "bold red",
    Result.WARN: "bold yellow",
    Result.PASS: "green",
    Result.SKIPPED: "dim",
}


def explain(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="What `domain check --save` wrote; - reads input.")],
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what passed and what was skipped.")
    ] = False,
    root: Annotated[
        list[Path] | None,
        typer.Option(
            help="PEM root to trust as well, besides prober.extra_roots; may be repeated."
        ),
    ] = None,
    json: JSONOption = False,
) -> None:
    """Judge a saved look at a domain again; exit 1 when something blocks SSL.

    It is judged as `domain check` does: with the roots of the configuration, and with what the
    domain is enrolled with now, where it is one of this machine.

    Example: [bold]linkseal domain explain look.json --all[/bold]
    """
    try:
        data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        observation = load_observation(data)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise DomainError(
            f"{file} holds no saved look at a domain: {why}",
            code="observation-unreadable",
            hint="give the file that `linkseal domain check --save` wrote",
        ) from error
    roots = trusted_roots([*config(context).prober.extra_roots, *(root or ())])
    with find_store(context) as opened:
        seen = Seen.of(observation, opened, _claimed(opened, observation.host))
    report = judge(observation, roots=roots, cdn=seen.cdn)
    tell(seen, report, None, at=observation.at, everything=everything, json=json)
    if report.blocking:
        raise typer.Exit(1)


def _claimed(opened: Store | None, host: str) -> Domain | None:
    try:
        return opened.domains.get(host) if opened else None
    except StoreError as error:
        if error.code == "domain-missing":
            return None
        raise


@dataclass(frozen=True, slots=True)
class Seen:
    """Of whom a report is, and what stood in front.

    Attributes:
        host: The domain.
        target: Its target.
        route: It was looked at for; empty before one is chosen.
        cdn: What was found in front, with the networks that hold for the domain.
        enrolled: What the domain is enrolled with; ``None`` for nothing, or not known.
        state: Of the domain; ``None``: it is none of this machine.
    """

    host: str
    target: str
    route: str
    cdn: Profile | None
    enrolled: Profile | None = None
    state: DomainState | None = None

    @classmethod
    def of(cls, observation: Observation, store: Store | None, domain: Domain | None) -> Seen:
        """Return of whom a look is, with what the database knows of the domain."""
        found = detect(observation).profile
        if store is None or domain is None:
            return cls(observation.host, observation.target, observation.route, found)
        cdn = with_networks(
            found,
            enrolled=domain.cdn,
            current=store.cdn_ranges.networks(),
            own=domain.own_networks,
        )
        enrolled = PROFILES.get(domain.cdn)
        return cls(domain.host, domain.target, observation.route, cdn, enrolled, domain.state)

    @classmethod
    def stored(cls, domain: Domain, report: Report) -> Seen:
        """Return of whom a report is that is on record."""
        cdn = next((each for each in PROFILES.values() if each.name == report.cdn), None)
        route = domain.route.value if domain.route else ""
        enrolled = PROFILES.get(domain.cdn)
        return cls(domain.host, domain.target, route, cdn, enrolled, domain.state)

    @property
    def in_front(self) -> str:
        """What stands in front, in words, and what should."""
        said = [f"{self.cdn.name} is in front"] if self.cdn else []
        if self.enrolled and (self.cdn is None or self.cdn.id != self.enrolled.id):
            said.append(f"enrolled with {self.enrolled.name}, which was not seen")
        return "; ".join(said) or "no known CDN is in front"

    def fix(self, verdict: Verdict) -> str:
        """Return what is to be done about a verdict, where that stands in front."""
        enrolled = self.enrolled.id if self.enrolled else ""
        front = worded_for(self.cdn, enrolled=enrolled, route=self.route)
        front_id = front.id if front else None
        return fix(verdict.check, front_id, verdict.shape, host=self.host, target=self.target)


def tell(
    seen: Seen,
    report: Report,
    done: Concluded | None,
    *,
    at: datetime,
    everything: bool,
    json: bool,
) -> None:
    """Tell what a look found, and what followed from it.

    Args:
        seen: Of whom it is.
        report: What it found.
        done: What followed; ``None``: nothing was to, or that could not be kept.
        at: When it began.
        everything: Also what passed and what was skipped.
        json: For programs.
    """
    if json:
        about = {
            "host": seen.host,
            "at": at.isoformat(),
            "state": done.domain.state if done else seen.state,
        }
        kept = {"kept": done.kept} if done else {}
        print_json(about | kept | report_dict(seen, report))
        return
    out.print(f"{seen.host}: {seen.in_front}", markup=False, soft_wrap=True)
    if seen.state is DomainState.RELEASED:
        out.print(
            f"{seen.host} {meaning(seen.state)}: no links are made on it, and nothing "
            "follows from this look. Claim it again with `linkseal domain add`.",
            markup=False,
            soft_wrap=True,
        )
    print_report(seen, report, everything=everything)
    out.print(f"\n{counts(report)}", markup=False)
    if done is not None and (said := _followed(seen, done)):
        out.print(f"\n{said}", markup=False, soft_wrap=True)


def _followed(seen: Seen, done: Concluded) -> str:
    after = done.domain
    if not done.kept:
        return (
            "Nothing follows from this look: a newer one is on record, or the domain was changed "
            f"meanwhile. {after.host} {meaning(after.state)} ({after.state})."
        )
    if after.state is seen.state:
        return ""
    following = coming(after.host, after.state)
    said = f"{after.host} is {after.state} now: it {meaning(after.state)}."
    return f"{said} Next: {following}" if following else said


def counts(report: Report) -> str:
    """Return how many checks say what."""
    return ", ".join(
        f"{sum(each.result is result for each in report.verdicts)} {word}"
        for result, word in (
            (Result.FAIL, "block"),
            (Result.WARN, "warn"),
            (Result.PASS, "pass"),
            (Result.SKIPPED, "could not be judged"),
        )
    )


def print_report(seen: Seen, report: Report, *, everything: bool) -> None:
    """Print a report: what, seen, expected, why it matters, and the fix for this CDN."""
    for verdict in report.worst_first():
        if everything or verdict.result in WRONG:
            _print(verdict, seen)


def report_dict(seen: Seen, report: Report) -> dict[str, Any]:
    """Return the same for programs."""
    return {
        "cdn": seen.cdn.id if seen.cdn else None,
        "enrolled": seen.enrolled.id if seen.enrolled else None,
        "blocking": [verdict.check for verdict in report.blocking],
        "verdicts": [_as_dict(verdict, seen) for verdict in report.verdicts],
    }


def _print(verdict: Verdict, seen: Seen) -> None:
    style = _STYLES[verdict.result]
    out.print(
        f"\n[{style}]{verdict.result.value}[/] [bold]{verdict.check}[/] "
        f"{escape(plain(verdict.message))}",
        soft_wrap=True,
    )
    if verdict.result not in WRONG:
        return
    lines = [("seen", verdict.seen), ("expected", verdict.expected)]
    lines += [("", line) for line in verdict.evidence[:5]]
    lines += [("why", CHECKS[verdict.check].why), ("fix", seen.fix(verdict))]
    for label, text in lines:
        if text:
            out.print(f"  {label:<9} {plain(text)}", markup=False, soft_wrap=True)


def _as_dict(verdict: Verdict, seen: Seen) -> dict[str, Any]:
    wrong = verdict.result in WRONG
    return {
        "check": verdict.check,
        "result": verdict.result.value,
        "message": verdict.message,
        "seen": verdict.seen,
        "expected": verdict.expected,
        "evidence": list(verdict.evidence),
        "why": CHECKS[verdict.check].why if wrong else "",
        "fix": seen.fix(verdict) if wrong else "",
    }
