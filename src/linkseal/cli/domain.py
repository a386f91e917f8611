"""``linkseal domain``: customers' own names, from the claim to SSL and back."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from publicsuffixlist import PublicSuffixList
from typer.core import TyperGroup

from linkseal.cli.alerts import alerts
from linkseal.cli.app_links import app as app_links
from linkseal.cli.branded import (
    HostArgument,
    as_dict,
    print_records,
    record_dict,
    who,
)
from linkseal.cli.check import check
from linkseal.cli.client_ca import client_ca
from linkseal.cli.context import config, store
from linkseal.cli.enrol import enrol
from linkseal.cli.guide import show_guide
from linkseal.cli.looking import explain
from linkseal.cli.on_record import history, list_domains, queue, show
from linkseal.cli.output import JSONOption, out, print_json
from linkseal.domains.claim import (
    claim_host,
    domain_name,
    mail_domains,
    new_delegation,
    new_target,
    ownership_value,
)
from linkseal.domains.lifecycle import Action, Route, Step, meaning, refuse_released
from linkseal.watch.canary import refuse_approval

WAY = (
    "add",
    "records",
    "guide",
    "enrol",
    "client-ca",
    "check",
    "explain",
    "request-ssl",
    "queue",
    "approve",
    "reject",
    "disable-ssl",
    "app-links",
    "list",
    "show",
    "history",
    "alerts",
    "release",
)
"""The commands in the order in which a domain meets them, as the help shows them."""


class _Way(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        """Return the commands' names in the order of the way."""
        return sorted(super().list_commands(ctx), key=WAY.index)


app = typer.Typer(help="Branded domains: customers' own names.", no_args_is_help=True, cls=_Way)
app.command()(check)
app.command("guide")(show_guide)
app.command()(enrol)
app.command("client-ca")(client_ca)
app.command()(explain)
app.command()(alerts)
app.add_typer(app_links, name="app-links")
app.command("list")(list_domains)
app.command()(show)
app.command()(history)
app.command()(queue)

ZoneOption = Annotated[bool, typer.Option("--zone", help="Print the records as zone file lines.")]
ReasonOption = Annotated[list[str], typer.Option("--reason", help="Why; may be repeated.")]
NoteOption = Annotated[list[str] | None, typer.Option("--reason", help="Why; may be repeated.")]

_RANDOM_BYTES = 16


@app.command()
def add(
    context: typer.Context,
    host: HostArgument,
    *,
    customer: Annotated[str, typer.Option(help="Whose it is.")],
    default: Annotated[
        bool, typer.Option("--default", help="Use it for mail that no domain of theirs matches.")
    ] = False,
    from_domains: Annotated[
        list[str] | None,
        typer.Option(
            "--from-domain",
            help="Use it for mail from this domain too, besides its own; replaces all given "
            'before; may be repeated; "" leaves none.',
        ),
    ] = None,
    take_over: Annotated[
        str,
        typer.Option(
            help="Why it is taken from another customer, who holds it and never proved that it "
            "is theirs; the reason goes on record."
        ),
    ] = "",
    zone: ZoneOption = False,
    json: JSONOption = False,
) -> None:
    """Claim a name for a customer, and print the DNS records they publish.

    Claimed again by its customer, it keeps its records; released before, it gets new ones. What
    another customer holds is refused; with --take-over it is moved, if they never proved it.

    Example: [bold]linkseal domain add links.acme.example --customer acme[/bold]
    """
    _refuse_both(zone=zone, json=json)
    base = config(context).base_domain
    suffixes = PublicSuffixList()
    host = claim_host(host, base_domain=base, is_public_suffix=suffixes.is_public)
    with store(context) as opened:
        opened.domains.claim(
            host,
            customer_id=opened.customers.get(customer).id,
            target=new_target(secrets.token_bytes(_RANDOM_BYTES), base),
            ownership=ownership_value(secrets.token_bytes(_RANDOM_BYTES)),
            delegation=new_delegation(secrets.token_bytes(_RANDOM_BYTES), base),
            who=who(),
            now=_now(),
            default=default,
            from_domains=None
            if from_domains is None
            else mail_domains(from_domains, base_domain=base, is_public_suffix=suffixes.is_public),
            take_over=take_over,
        )
        found = opened.domains.get(host)
    if json:
        print_json(as_dict(found))
        return
    print_records(found.records(), zone=zone)
    if not zone:
        out.print(
            f"\n{host} {meaning(found.state)}. Publish these records where its DNS is kept.",
            markup=False,
            soft_wrap=True,
        )


@app.command()
def records(
    context: typer.Context,
    host: HostArgument,
    *,
    zone: ZoneOption = False,
    json: JSONOption = False,
) -> None:
    """Print the DNS records a domain's customer publishes.

    Example: [bold]linkseal domain records links.acme.example --zone[/bold]
    """
    _refuse_both(zone=zone, json=json)
    with store(context) as opened:
        found = opened.domains.get(domain_name(host))
    refuse_released(found.host, found.state)
    if json:
        print_json([record_dict(each) for each in found.records()])
        return
    print_records(found.records(), zone=zone)


@app.command("request-ssl")
def request_ssl(
    context: typer.Context,
    host: HostArgument,
    *,
    route: Annotated[
        Route,
        typer.Option(
            help="How it gets SSL: by their CDN, their proxy, a certificate of ours, or theirs."
        ),
    ],
    json: JSONOption = False,
) -> None:
    """Ask for https links on a domain whose DNS is valid, or by another route than was asked for.

    Have it checked again then: approval takes a report for that route.

    Example: [bold]linkseal domain request-ssl links.acme.example --route cdn[/bold]
    """
    _apply(context, host, Step(Action.REQUEST_SSL, who(), route=route), json=json)


@app.command()
def approve(
    context: typer.Context,
    host: HostArgument,
    *,
    reason: NoteOption = None,
    json: JSONOption = False,
) -> None:
    """Enable SSL on a domain that asks for it, and whose checks pass.

    Example: [bold]linkseal domain approve links.acme.example[/bold]
    """
    refuse_approval(config(context), domain_name(host))
    _apply(context, host, Step(Action.APPROVE, who(), tuple(reason or ())), json=json)


@app.command()
def reject(
    context: typer.Context, host: HostArgument, *, reason: ReasonOption, json: JSONOption = False
) -> None:
    """Turn a request for SSL down; the customer may ask again.

    Example: [bold]linkseal domain reject links.acme.example --reason "clicks are cached"[/bold]
    """
    _apply(context, host, Step(Action.REJECT, who(), tuple(reason)), json=json)


@app.command("disable-ssl")
def disable_ssl(
    context: typer.Context, host: HostArgument, *, reason: ReasonOption, json: JSONOption = False
) -> None:
    """Make no more https links on a domain, or withdraw the request; links sent keep working.

    Example: [bold]linkseal domain disable-ssl links.acme.example --reason "moves house"[/bold]
    """
    _apply(context, host, Step(Action.DISABLE_SSL, who(), tuple(reason)), json=json)


@app.command()
def release(
    context: typer.Context,
    host: HostArgument,
    *,
    reason: NoteOption = None,
    json: JSONOption = False,
) -> None:
    """Make no more links on a domain; it stays its customer's, and links sent keep working.

    Claiming it again takes a new target and a new proof.

    Example: [bold]linkseal domain release links.acme.example --reason "customer left"[/bold]
    """
    _apply(context, host, Step(Action.RELEASE, who(), tuple(reason or ())), json=json)


def _refuse_both(*, zone: bool, json: bool) -> None:
    if zone and json:
        raise typer.BadParameter("--zone and --json are two forms of the same: give one")


def _apply(context: typer.Context, host: str, step: Step, *, json: bool) -> None:
    with store(context) as opened:
        found = opened.domains.apply(domain_name(host), step, _now())
    if json:
        print_json(as_dict(found))
        return
    out.print(f"{found.host} {meaning(found.state)} ({found.state})", markup=False)


def _now() -> datetime:
    return datetime.now(UTC)
