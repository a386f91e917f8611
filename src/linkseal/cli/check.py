"""``linkseal domain check``: look at a branded domain from outside, and say what is found."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.progress import Progress as Bar

from linkseal import datadir
from linkseal.certificates.held import standing
from linkseal.cli.context import config, store
from linkseal.cli.looking import HostArgument, tell
from linkseal.cli.output import JSONOption, err
from linkseal.config import Config
from linkseal.domains.base import DomainState
from linkseal.domains.checks import Report, judge
from linkseal.domains.checks import Result as CheckResult
from linkseal.domains.claim import domain_name
from linkseal.domains.lifecycle import Action, Step
from linkseal.domains.observation import Observation, save_observation
from linkseal.domains.profiles import detect
from linkseal.prober import KeySigner, ProbeRequest, Progress, probe, trusted_roots
from linkseal.store import Domain, Store

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
    json: JSONOption = False,
) -> None:
    """Look at a domain from outside and say what is right, what is wrong and how to mend it.

    Looking changes nothing there. The report is kept for the operator's approval, and DNS
    checks that pass take the domain a step on. Exit 1 when something blocks SSL.

    Example: [bold]linkseal domain check links.acme.example[/bold]
    """
    settings = config(context)
    name = domain_name(host)
    datadir.prepare(settings)
    with store(context) as opened:
        domain = opened.domains.get(name)
        observation = _look(settings, _request(settings, opened, domain), quiet=json)
        if save is not None:
            save.write_bytes(save_observation(observation))
        report = judge(
            observation, roots=trusted_roots(settings.prober), cdn=detect(observation).profile
        )
        _keep(settings, opened, domain, report)
    tell(observation, report, everything=everything, json=json)
    if report.blocking:
        raise typer.Exit(1)


def _request(settings: Config, opened: Store, domain: Domain) -> ProbeRequest:
    key = datadir.open_probe_key(settings, datadir.open_vault(settings))
    names = {each.name: each for each in opened.certificates.names()}
    held = names.get(domain.host)
    state = problem = waiting = ""
    if held is not None:
        stands = standing(held, opened.certificates.of_name(held.name), datetime.now(UTC))
        state, waiting = stands.state.value, held.waiting
        problem = (held.problem or {}).get("detail", "")
    return ProbeRequest(
        host=domain.host,
        target=domain.target,
        ownership=domain.ownership,
        base_domain=settings.base_domain,
        route=domain.route.value if domain.route else "",
        signer=KeySigner(domain.host, key),
        app_files=opened.app_links.served_on(domain),
        certificate_state=state,
        certificate_problem=problem,
        waiting=waiting,
    )


def _look(settings: Config, request: ProbeRequest, *, quiet: bool) -> Observation:
    if quiet or not err.is_terminal:
        return asyncio.run(probe(request, settings.prober))
    with Bar(console=err, transient=True) as bar:
        tasks = {part: bar.add_task(part, total=None) for part in _PARTS}

        def told(progress: Progress) -> None:
            bar.update(tasks[progress.part], completed=progress.done, total=progress.of)

        return asyncio.run(probe(request, settings.prober, told))


def _keep(settings: Config, opened: Store, domain: Domain, report: Report) -> None:
    """Keep the report, and take the steps that follow from it."""
    now = datetime.now(UTC)
    failed = [
        verdict.message
        for verdict in report.verdicts
        if verdict.check.startswith("DNS-") and verdict.result is CheckResult.FAIL
    ]
    opened.domains.save_report(
        domain.host,
        {"verdicts": msgspec.to_builtins(report.verdicts, enc_hook=_text)},
        target=domain.target,
        route=domain.route,
        blocks=bool(report.blocking),
        now=now,
    )
    after = opened.domains.apply_dns(
        domain.host,
        target=domain.target,
        passed=not failed,
        who="check",
        now=now,
        reasons=failed,
    )
    if settings.auto_approve and after.state is DomainState.SSL_REQUESTED and not report.blocking:
        opened.domains.apply(domain.host, Step(Action.APPROVE, "auto-approve"), now)


_text: Callable[[Any], Any] = str
