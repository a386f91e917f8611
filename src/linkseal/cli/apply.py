"""``linkseal domain guide --apply``: shows what would be done, asks, and does it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from linkseal.cli.output import out, plain, print_json, print_table
from linkseal.domains.guides import Guide
from linkseal.domains.guides.applying import Change, Doing, Found, Zone, notes, plan
from linkseal.domains.guides.cloudflare import BY_HAND
from linkseal.errors import DomainError
from linkseal.store import Domain

if TYPE_CHECKING:
    from linkseal.cdn.cloudflare import Account

NOT_DONE: Final = 3
"""Exit code: there is something to do, and it was not confirmed."""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What was said on the command line.

    Attributes:
        yes: Do it without asking.
        replace: Also change a record that leads elsewhere, or what a rule of ours is for.
        token_file: Holds the token; None takes it from the environment, or asks.
        zone_id: Which zone; empty to find it.
        json: Print JSON and ask nothing.
    """

    yes: bool
    replace: bool
    token_file: Path | None
    zone_id: str
    json: bool


def apply(domain: Domain, guide: Guide, said: Confirmed) -> None:
    """Set a domain, which is not released, up in the customer's zone at Cloudflare.

    Raises:
        DomainError: It cannot be looked at, or a part was not done.
        typer.Exit: ``NOT_DONE``.
    """
    # It takes a third of a second to import, which no other command should.
    from linkseal.cdn.cloudflare import Account  # noqa: PLC0415

    base_url = os.environ.get("CLOUDFLARE_BASE_URL", "")
    with Account(_token(said.token_file), base_url=base_url) as account:
        found = account.look(domain.host, said.zone_id)
        changes = plan(domain.host, domain.target, domain.ownership, found)
        telling = _Telling(domain, guide, found, changes, said)
        telling.plan()
        waiting = [each for each in changes if not _keeps(each)]
        if waiting:
            _confirm(waiting, said, telling)
            _do(account, found.zone, waiting, telling)
        telling.end()


def _keeps(change: Change) -> bool:
    return change.doing is Doing.KEEP


class _Telling:
    """Tells what is done: as text at once, as one JSON document at the end."""

    def __init__(
        self,
        domain: Domain,
        guide: Guide,
        found: Found,
        changes: Sequence[Change],
        said: Confirmed,
    ) -> None:
        self._domain, self._found, self._changes = domain, found, changes
        self._notes = notes(domain.host, found)
        self._by_hand = [step for step in guide.steps if step.title in BY_HAND]
        self._json = said.json
        self._done: list[Change] = []

    def plan(self) -> None:
        if self._json:
            return
        zone = self._found.zone
        out.print(f"Zone {zone.name} ({zone.id}) at Cloudflare:\n", markup=False)
        print_table(
            ("do", "what", "now", "to be"),
            (
                (each.doing.value, each.what, each.now, "" if _keeps(each) else each.then)
                for each in self._changes
            ),
            empty="",
        )
        for note in self._notes:
            out.print(f"\nNote: {plain(note)}", markup=False, soft_wrap=True)
        out.print()

    def done(self, change: Change) -> None:
        self._done.append(change)
        self._line("done", change)

    def stopped(self, change: Change, rest: Sequence[Change], *, known: bool) -> None:
        """Tell what was not done, before the error that says why."""
        self._line("not done" if known else "not known whether done", change)
        for each in rest:
            self._line("not done", each)
        if self._json:
            self._document(complete=False)

    def not_confirmed(self, hint: str = "") -> None:
        if self._json:
            self._document(complete=False)
            return
        out.print(f"Nothing was changed.{hint}", markup=False)

    def end(self) -> None:
        if self._json:
            self._document(complete=True)
            return
        if not self._done:
            so = ", but see the note above" if self._notes else ": it is set up as the guide says"
            out.print(f"Nothing to do{' here' if self._notes else ''}{so}.", markup=False)
        out.print("\nBy hand, as they are settings of the whole zone:", markup=False)
        for step in self._by_hand:
            for line in step.lines:
                out.print(f"- {line.replace('**', '')}", markup=False, soft_wrap=True)
        host = self._domain.host
        following = [f"linkseal domain check {host}"]
        if self._domain.cdn != "cloudflare":
            following.insert(0, f"linkseal domain enrol {host} cloudflare")
        out.print(f"\nNext: {', then '.join(following)}", markup=False, soft_wrap=True)

    def _line(self, how: str, change: Change) -> None:
        if not self._json:
            text = f"{how}: {change.doing.value} {change.what}"
            out.print(plain(text), markup=False, soft_wrap=True)

    def _document(self, *, complete: bool) -> None:
        document: dict[str, Any] = {
            "host": self._domain.host,
            "zone": {"id": self._found.zone.id, "name": self._found.zone.name},
            "complete": complete,
            "changes": [
                {
                    "do": each.doing.value,
                    "what": each.what,
                    "now": each.now,
                    "to_be": each.then,
                    "done": each in self._done,
                }
                for each in self._changes
            ],
            "notes": list(self._notes),
            "by_hand": [line.replace("**", "") for step in self._by_hand for line in step.lines],
        }
        print_json(document)


def _confirm(waiting: Sequence[Change], said: Confirmed, telling: _Telling) -> None:
    asks = sys.stdin.isatty() and not said.json
    elsewhere = [each for each in waiting if each.doing is Doing.REPLACE and not said.replace]
    if said.yes and elsewhere and not asks:
        telling.not_confirmed()
        if elsewhere[0].rule is not None:
            raise DomainError(
                f"{elsewhere[0].what} was given other requests: {elsewhere[0].now}",
                code="cloudflare-rule-changed",
                hint="make rules of your own there for other names, and add --replace, which "
                "gives this one back to the name alone",
            )
        raise DomainError(
            f"{elsewhere[0].what} leads elsewhere now: {elsewhere[0].now}",
            code="cloudflare-record-elsewhere",
            hint="if nothing needs it any more, add --replace; if something does, claim another "
            "name for links",
        )
    questions = [f"{plain(each.what)} is {plain(each.now)} now. Replace it?" for each in elsewhere]
    if not said.yes:
        questions.append(f"Do {'this' if len(waiting) == 1 else f'these {len(waiting)}'}?")
    if questions and not (asks and all(typer.confirm(each, err=True) for each in questions)):
        telling.not_confirmed("" if asks else " With --yes it is done without asking.")
        raise typer.Exit(NOT_DONE)


def _do(account: Account, zone: Zone, waiting: Sequence[Change], telling: _Telling) -> None:
    for number, change in enumerate(waiting):
        try:
            account.make(zone, change)
        except DomainError as error:
            known = error.code != "cloudflare-unreachable"
            telling.stopped(change, waiting[number + 1 :], known=known)
            raise
        telling.done(change)


def _token(file: Path | None) -> str:
    if file is not None:
        try:
            return file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeError) as error:
            raise DomainError(
                f"cannot read the token out of {file}: {getattr(error, 'strerror', 'no text')}",
                code="cloudflare-token-file",
                hint="mend the path or the permissions; it holds the token alone",
            ) from None
    token = os.environ.get("CLOUDFLARE_API_TOKEN", "").strip()
    if not token and sys.stdin.isatty():
        token = str(typer.prompt("Cloudflare API token", hide_input=True, err=True)).strip()
    if not token:
        raise DomainError(
            "no Cloudflare API token was given",
            code="cloudflare-token-missing",
            hint="set CLOUDFLARE_API_TOKEN, or give --token-file, or run this on a terminal; an "
            "argument would be seen by everybody on this machine",
        )
    return token
