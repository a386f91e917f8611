"""``linkseal domain explain``, and how a report is told: what a look found, and the fix."""

from __future__ import annotations

import sys
from dataclasses import dataclass
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
from linkseal.domains.lifecycle import meaning
from linkseal.domains.observation import Observation, load_observation
from linkseal.domains.profiles import PROFILES, Profile, detect, with_networks, worded_for
from linkseal.errors import DomainError, StoreError
from linkseal.store import Domain, Store

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
    tell(seen, report, everything=everything, json=json)
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
    """A look, and what is known of the domain besides.

    Attributes:
        observation: The look.
        cdn: What was found in front, with the networks that hold for the domain.
        enrolled: What the domain is enrolled with; ``None`` for nothing, or not known.
        state: Of the domain; ``None``: it is none of this machine.
    """

    observation: Observation
    cdn: Profile | None
    enrolled: Profile | None = None
    state: DomainState | None = None

    @classmethod
    def of(cls, observation: Observation, store: Store | None, domain: Domain | None) -> Seen:
        """Return a look with what the database knows of the domain."""
        found = detect(observation).profile
        if store is None or domain is None:
            return cls(observation, found)
        cdn = with_networks(
            found,
            enrolled=domain.cdn,
            current=store.cdn_ranges.networks(),
            own=domain.own_networks,
        )
        return cls(observation, cdn, PROFILES.get(domain.cdn), domain.state)

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
        front = worded_for(self.cdn, enrolled=enrolled, route=self.observation.route)
        return fix(verdict.check, front.id if front else None, verdict.shape)


def tell(seen: Seen, report: Report, *, everything: bool, json: bool) -> None:
    """Print a report: what, seen, expected, why it matters, and the fix for this CDN."""
    observation = seen.observation
    if json:
        print_json(
            {
                "host": observation.host,
                "at": observation.at.isoformat(),
                "state": seen.state,
                "cdn": seen.cdn.id if seen.cdn else None,
                "enrolled": seen.enrolled.id if seen.enrolled else None,
                "blocking": [verdict.check for verdict in report.blocking],
                "verdicts": [_as_dict(verdict, seen) for verdict in report.verdicts],
            }
        )
        return
    out.print(f"{observation.host}: {seen.in_front}", markup=False, soft_wrap=True)
    if seen.state is DomainState.RELEASED:
        out.print(
            f"{observation.host} {meaning(seen.state)}: no links are made on it, and nothing "
            "follows from this look. Claim it again with `linkseal domain add`.",
            markup=False,
            soft_wrap=True,
        )
    for verdict in report.worst_first():
        if everything or verdict.result in {Result.FAIL, Result.WARN}:
            _print(verdict, seen)
    counts = [
        f"{sum(each.result is result for each in report.verdicts)} {word}"
        for result, word in (
            (Result.FAIL, "block"),
            (Result.WARN, "warn"),
            (Result.PASS, "pass"),
            (Result.SKIPPED, "could not be judged"),
        )
    ]
    out.print("\n" + ", ".join(counts), markup=False)


def _print(verdict: Verdict, seen: Seen) -> None:
    style = _STYLES[verdict.result]
    out.print(
        f"\n[{style}]{verdict.result.value}[/] [bold]{verdict.check}[/] "
        f"{escape(plain(verdict.message))}",
        soft_wrap=True,
    )
    if verdict.result not in {Result.FAIL, Result.WARN}:
        return
    lines = [("seen", verdict.seen), ("expected", verdict.expected)]
    lines += [("", line) for line in verdict.evidence[:5]]
    lines += [("why", CHECKS[verdict.check].why), ("fix", seen.fix(verdict))]
    for label, text in lines:
        if text:
            out.print(f"  {label:<9} {plain(text)}", markup=False, soft_wrap=True)


def _as_dict(verdict: Verdict, seen: Seen) -> dict[str, Any]:
    wrong = verdict.result in {Result.FAIL, Result.WARN}
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
