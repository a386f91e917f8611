"""``linkseal domain guide``: the way through a CDN or proxy, step by step."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from publicsuffixlist import PublicSuffixList

from linkseal.cli.apply import Confirmed, apply
from linkseal.cli.branded import HostArgument
from linkseal.cli.context import config, store
from linkseal.cli.output import out, write_file
from linkseal.domains.claim import domain_name
from linkseal.domains.guides import GUIDES, guide
from linkseal.domains.lifecycle import refuse_released
from linkseal.errors import DomainError


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
        typer.Option(
            "--replace",
            help="With --apply: also change a CNAME that leads elsewhere, and a rule of ours "
            "that was given other requests.",
        ),
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
    settings, cdn = config(context), cdn.strip().lower()
    with store(context) as opened:
        domain = opened.domains.get(domain_name(host))
    refuse_released(domain.host, domain.state)
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
    for file in found.files:
        write_file(files / file.name, file.content.encode("utf-8"))
        out.print(str(files / file.name), markup=False, soft_wrap=True)
