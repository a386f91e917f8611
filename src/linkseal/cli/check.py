"""``linkseal domain check``: look at a branded domain from outside, and say what is found."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.progress import Progress as Bar

from linkseal import datadir
from linkseal.cli.branded import HostArgument
from linkseal.cli.context import config, store
from linkseal.cli.looking import Seen, tell
from linkseal.cli.output import JSONOption, err, write_file
from linkseal.config import Config
from linkseal.domains.app_links import serves
from linkseal.domains.checks import judge
from linkseal.domains.claim import domain_name
from linkseal.domains.lifecycle import Action
from linkseal.domains.observation import Observation, save_observation
from linkseal.first_keys import prepare
from linkseal.prober import (
    ProbeRequest,
    Progress,
    ask_after_canary,
    ask_canary,
    probe,
    trusted_roots,
)
from linkseal.store import Store, Transition
from linkseal.watch.canary import refuse, showing
from linkseal.watch.found import judge_names
from linkseal.watch.looking import conclude, make_request

_END_SECONDS: Final = 15.0
"""Until every worker shows the right certificate again: a second or two as a rule."""
_TAKEN_SECONDS: Final = 3.0
"""Until the edge has taken what was stored: its tick and the service's."""
_PARTS: Final = ("dns", "tls", "http")


def check(
    context: typer.Context,
    host: HostArgument,
    *,
    save: Annotated[
        Path | None, typer.Option(help="Write what was seen to this file, for `domain explain`.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what passed and what was skipped.")
    ] = False,
    canary: Annotated[
        bool,
        typer.Option(
            "--canary",
            help="Also see whether the CDN verifies our certificate: for a few seconds, a minute "
            "at most, it is shown a wrong one, and if it does verify, requests fail that long. "
            "Before SSL is first enabled only.",
        ),
    ] = False,
    json: JSONOption = False,
) -> None:
    """Look at a domain from outside and say what is right, what is wrong and how to mend it.

    Looking changes nothing there. The report is kept for the operator's approval, and DNS
    checks that pass take the domain a step on; none takes it back. Exit 1 when something blocks
    SSL.

    Example: [bold]linkseal domain check links.acme.example[/bold]
    """
    settings = config(context)
    name = domain_name(host)
    prepare(settings)
    with store(context) as opened:
        domain = opened.domains.get(name)
        if canary:
            refuse(settings, opened, domain)
        key = datadir.open_probe_key(settings, datadir.open_vault(settings))
        request = make_request(settings, opened, domain, key)
        _await_edge(opened, name)
        observation = _look(settings, request, quiet=json)
        if canary:
            with showing(settings, opened, domain) as seconds:
                found = asyncio.run(
                    ask_canary(request, settings.prober, observation, seconds=seconds)
                )
            found += asyncio.run(
                ask_after_canary(request, settings.prober, observation, seconds=_END_SECONDS)
            )
            exchanges = (*observation.exchanges, *found)
            observation = msgspec.structs.replace(observation, exchanges=exchanges)
        seen = Seen.of(observation, opened, domain)
        report = judge(observation, roots=trusted_roots(settings.prober), cdn=seen.cdn)
        names = judge_names(observation, seen.cdn)
        done = None
        try:
            now = datetime.now(UTC)
            done = conclude(settings, opened, domain, report, names, observation.at, now)
        finally:
            # What was found is worth telling though it could not be kept.
            tell(seen, report, done, at=observation.at, everything=everything, json=json)
    if save is not None:
        write_file(save, save_observation(observation))
    if report.blocking:
        raise typer.Exit(1)


def _await_edge(opened: Store, name: str) -> None:
    """Give the edge its time to take what it is told of a domain, if that was changed just now.

    A look before that would tell of the certificate that was shown, of whom was believed about
    clients' addresses and of the app files that were served until then.
    """
    files = opened.app_links.of(name)
    steps = opened.domains.history(name)
    changed = [each.stored_at for each in opened.certificates.of_name(name)]
    changed += [each.changed_at for each in files]
    changed += [each.at for each in steps if _reaches_edge(each, files=bool(files))]
    age = (datetime.now(UTC) - max(changed)).total_seconds()
    if 0 <= age < _TAKEN_SECONDS:
        time.sleep(_TAKEN_SECONDS - age)


def _reaches_edge(step: Transition, *, files: bool) -> bool:
    if step.action in {Action.CLAIM, Action.ENROL, Action.RELEASE} or step.before is None:
        return True
    return files and serves(step.before) is not serves(step.after)


def _look(settings: Config, request: ProbeRequest, *, quiet: bool) -> Observation:
    if quiet or not err.is_terminal:
        return asyncio.run(probe(request, settings.prober))
    with Bar(console=err, transient=True) as bar:
        tasks = {part: bar.add_task(part, total=None) for part in _PARTS}

        def told(progress: Progress) -> None:
            bar.update(tasks[progress.part], completed=progress.done, total=progress.of)

        return asyncio.run(probe(request, settings.prober, told))
