"""``linkseal domain guide|explain|enrol``: the way through a CDN, and what a look found."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from publicsuffixlist import PublicSuffixList
from rich.markup import escape

from linkseal.cli.apply import Confirmed, apply
from linkseal.cli.context import config, store
from linkseal.cli.output import JSONOption, out, plain, print_json
from linkseal.cli.upload import trusted_roots
from linkseal.domains.checks import CHECKS, Report, Result, Verdict, judge
from linkseal.domains.claim import domain_name
from linkseal.domains.fixes import fix
from linkseal.domains.guides import GUIDES, guide
from linkseal.domains.observation import Observation, load_observation
from linkseal.domains.profiles import (
    PROFILES,
    PUBLISHING,
    Detected,
    Profile,
    detect,
    own_networks,
)
from linkseal.edge.enrolled import client_rules
from linkseal.errors import DomainError

HostArgument = Annotated[str, typer.Argument(help="The branded domain, as links.acme.example.")]
_STYLES: Final = {
    Result.FAIL: "bold red",
    Result.WARN: "bold yellow",
    Result.PASS: "green",
    Result.SKIPPED: "dim",
}


def show_guide(
    context: typer.Context,
    host: HostArgument,
    *,
    cdn: Annotated[str, typer.Option("--cdn", help=f"One of {', '.join(GUIDES)}.")],
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    files: Annotated[
        Path | None, typer.Option(help="Write the configuration files into this folder.")
    ] = None,
    apply_it: Annotated[
        bool,
        typer.Option(
            "--apply", help="Set it up through the API, after showing what would be done."
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --apply: do not ask.")] = False,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="With --apply: also change a CNAME that leads elsewhere."),
    ] = False,
    token_file: Annotated[
        Path | None,
        typer.Option(help="With --apply: holds the API token; else $CLOUDFLARE_API_TOKEN."),
    ] = None,
    zone_id: Annotated[
        str, typer.Option(help="With --apply: which zone, if the token sees several of the name.")
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="With --apply: print JSON, ask nothing.")] = (
        False
    ),
) -> None:
    """Print the exact steps for this domain and this CDN or proxy, and its config files.

    With --apply (Cloudflare), do them with the customer's API token: first what would be done is
    shown, then asked for. Exit 3 when there is something to do and it was not confirmed.

    Example: [bold]linkseal domain guide links.acme.example --cdn cloudflare --apply[/bold]
    """
    if apply_it and (markdown or files is not None):
        raise typer.BadParameter("--apply goes with neither --markdown nor --files")
    if not apply_it and (yes or replace or token_file or zone_id or json):
        raise typer.BadParameter("--yes, --replace, --token-file, --zone-id, --json need --apply")
    settings = config(context)
    with store(context) as opened:
        domain = opened.domains.get(domain_name(host))
    zone = PublicSuffixList().privatesuffix(domain.host) or ""
    found = guide(
        domain.host,
        domain.target,
        domain.ownership,
        cdn,
        settings.base_domain,
        zone=zone,
    )
    if apply_it:
        if cdn != "cloudflare":
            raise DomainError(
                f"--apply cannot set up {cdn}",
                code="guide-apply-unsupported",
                hint="leave it out: the guide says the steps to do by hand, and --files writes "
                "its configuration files, if it has any",
            )
        apply(domain, found, Confirmed(yes, replace, token_file, zone_id, json))
        return
    if files is None:
        sys.stdout.write((found.markdown() if markdown else found.text()).rstrip() + "\n")
        return
    files.mkdir(parents=True, exist_ok=True)
    for file in found.files:
        (files / file.name).write_text(file.content, encoding="utf-8")
        out.print(str(files / file.name), markup=False, soft_wrap=True)


def enrol(
    context: typer.Context,
    host: HostArgument,
    cdn: Annotated[str, typer.Argument(help=f"One of {', '.join(PROFILES)}; or none.")],
    *,
    network: Annotated[
        list[str] | None,
        typer.Option(
            help="Where it connects from, as 203.0.113.7 or 2001:db8::/48; may be repeated. "
            "For a proxy, and for CDNs that publish no networks."
        ),
    ] = None,
) -> None:
    """Say which CDN or proxy stands in front: it alone is believed about clients' addresses.

    Networks it was enrolled with before are forgotten.

    Example: [bold]linkseal domain enrol links.acme.example cloudflare[/bold]

    Example: [bold]linkseal domain enrol links.acme.example proxy --network 203.0.113.7[/bold]
    """
    if cdn != "none" and cdn not in PROFILES:
        raise DomainError(
            f"there is no profile {cdn!r}",
            code="cdn-unknown",
            hint=f"one of {', '.join(PROFILES)}, or none",
        )
    profile = PROFILES.get(cdn)
    if network and not (profile and profile.client_header):
        raise DomainError(
            f"nobody's networks are believed: {profile.name if profile else 'none'} "
            "tells no client address",
            code="cdn-tells-no-client",
            hint="leave --network out; enrol it as proxy if it sends X-Forwarded-For",
        )
    name = domain_name(host)
    private = config(context).prober.allow_private_addresses
    own = own_networks(network or (), private=private)
    with store(context) as opened:
        opened.domains.set_cdn(name, profile.id if profile else "", own)
        domain, current = opened.domains.get(name), opened.cdn_ranges.networks()
    rule = client_rules([domain], current).get(name)
    if rule is not None:
        of = [f"{len(rule.networks) - len(own)} networks it publishes", *own]
        said = f"{rule.header} is believed from {', '.join(of[len(rule.networks) == len(own) :])}"
    else:
        said = f"{_unbelieved(profile)}whoever connects is the client"
    out.print(f"{name}: {said}", markup=False, soft_wrap=True)


def _unbelieved(profile: Profile | None) -> str:
    """Return why a profile is not believed, and what would change that."""
    if profile is None:
        return ""
    if not profile.client_header:
        return f"{profile.name} tells no client address: "
    if profile.appends_own_address:
        return f"{profile.name} adds its own address: give the load balancer's by --network; now "
    if profile.id in PUBLISHING:
        return f"its networks have to be fetched: linkseal cdn refresh {profile.id}; until then "
    return f"{profile.name} publishes no networks: give them by --network; until then "


def explain(
    file: Annotated[Path, typer.Argument(help="What `domain check --save` wrote; - reads input.")],
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what passed and what was skipped.")
    ] = False,
    root: Annotated[
        list[Path] | None, typer.Option(help="PEM root to trust as well; may be repeated.")
    ] = None,
    json: JSONOption = False,
) -> None:
    """Judge a saved look at a domain again; exit 1 when something blocks SSL.

    Example: [bold]linkseal domain explain look.json --all[/bold]
    """
    try:
        data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        observation = load_observation(data)
    except (OSError, ValueError) as error:
        raise DomainError(
            f"{file} holds no saved look at a domain: {error}",
            code="observation-unreadable",
            hint="give the file that `linkseal domain check --save` wrote",
        ) from error
    cdn = detect(observation).profile
    report = judge(observation, roots=trusted_roots(root or ()), cdn=cdn)
    tell(observation, report, everything=everything, json=json)
    if report.blocking:
        raise typer.Exit(1)


def tell(observation: Observation, report: Report, *, everything: bool, json: bool) -> None:
    """Print a report: what, seen, expected, why it matters, and the fix for this CDN."""
    found = detect(observation)
    if json:
        print_json(
            {
                "host": observation.host,
                "at": observation.at.isoformat(),
                "cdn": found.profile.id if found.profile else None,
                "blocking": [verdict.check for verdict in report.blocking],
                "verdicts": [_as_dict(verdict, found) for verdict in report.verdicts],
            }
        )
        return
    front = f"{found.profile.name} is in front" if found.profile else "no known CDN is in front"
    out.print(f"{observation.host}: {front}", markup=False, soft_wrap=True)
    for verdict in report.worst_first():
        if everything or verdict.result in {Result.FAIL, Result.WARN}:
            _print(verdict, found)
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


def _print(verdict: Verdict, found: Detected) -> None:
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
    lines += [("why", CHECKS[verdict.check].why), ("fix", _fix(verdict, found))]
    for label, text in lines:
        if text:
            out.print(f"  {label:<9} {plain(text)}", markup=False, soft_wrap=True)


def _fix(verdict: Verdict, found: Detected) -> str:
    return fix(verdict.check, found.profile.id if found.profile else None, verdict.shape)


def _as_dict(verdict: Verdict, found: Detected) -> dict[str, Any]:
    wrong = verdict.result in {Result.FAIL, Result.WARN}
    return {
        "check": verdict.check,
        "result": verdict.result.value,
        "message": verdict.message,
        "seen": verdict.seen,
        "expected": verdict.expected,
        "evidence": list(verdict.evidence),
        "why": CHECKS[verdict.check].why if wrong else "",
        "fix": _fix(verdict, found) if wrong else "",
    }
