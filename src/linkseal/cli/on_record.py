"""``linkseal domain list|show|history|queue``: what is on record of branded domains."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from linkseal.cli.branded import (
    HostArgument,
    as_dict,
    at,
    authority_dict,
    fields,
    look_dict,
    look_fields,
    print_history,
    step_dict,
)
from linkseal.cli.context import config, store
from linkseal.cli.looking import WRONG, Seen, counts, print_report, report_dict
from linkseal.cli.output import JSONOption, out, plain, print_json, print_table
from linkseal.config import Config
from linkseal.domains.base import Base, DomainState
from linkseal.domains.checks import Report
from linkseal.domains.claim import domain_name
from linkseal.intake.base import base_of_mail
from linkseal.store import Domain, Store
from linkseal.watch.looking import from_stored


def list_domains(
    context: typer.Context,
    *,
    customer: Annotated[str | None, typer.Option(help="Only this customer's.")] = None,
    state: Annotated[DomainState | None, typer.Option(help="Only those in this state.")] = None,
    json: JSONOption = False,
) -> None:
    """List branded domains, released ones included.

    Example: [bold]linkseal domain list --customer acme[/bold]
    """
    with store(context) as opened:
        found = (
            opened.domains.all(reports=False)
            if customer is None
            else opened.domains.of_customer(opened.customers.get(customer).id, reports=False)
        )
    found = [each for each in found if state is None or each.state is state]
    if json:
        print_json([as_dict(each) for each in found])
        return
    narrowed = customer is not None or state is not None
    print_table(
        ("domain", "customer", "state", "since (UTC)", "route", "default"),
        (
            (
                each.host,
                each.customer,
                each.state.value,
                at(each.since),
                each.route or "",
                "yes" if each.default else "",
            )
            for each in found
        ),
        empty="No such domain."
        if narrowed
        else "No domains yet. Claim one: linkseal domain add links.acme.example --customer acme",
    )


def show(context: typer.Context, host: HostArgument, *, json: JSONOption = False) -> None:
    """Show a domain: where it is, what new mail gets, what was found of it, how it came there.

    Example: [bold]linkseal domain show links.acme.example[/bold]
    """
    with store(context) as opened:
        found = opened.domains.get(domain_name(host))
        authority = opened.client_authorities.of(found.host)
        steps = opened.domains.history(found.host)
        look = opened.watching.looks(found.host).get(found.host)
        blind = opened.alerts.blindness()
        base = _base(config(context), opened, found)
    if json:
        more: dict[str, Any] = {
            "base": {"scheme": base.scheme, "host": base.host, "why": base.why},
            "client_ca": authority_dict(authority),
            "watch": look_dict(look, blind),
            "history": [step_dict(each) for each in steps],
        }
        print_json(_with_report(found) | more)
        return
    new_mail = ("new mail", f"{base.scheme}://{base.host}: {base.why}")
    rows = [*fields(found, authority), new_mail, *look_fields(look, blind)]
    print_table(("field", "value"), rows, empty="")
    report = _report(found)
    if report is not None and found.report_at is not None:
        seen = Seen.stored(found, report)
        said = f"Checked {at(found.report_at)} UTC, {seen.in_front}: {counts(report)}"
        out.print(f"\n{said}", markup=False, soft_wrap=True)
        print_report(seen, report, everything=True)
    out.print()
    print_history(steps[-20:])


def history(context: typer.Context, host: HostArgument, *, json: JSONOption = False) -> None:
    """Show every step of a domain's life: when, who and why.

    Example: [bold]linkseal domain history links.acme.example[/bold]
    """
    with store(context) as opened:
        steps = opened.domains.history(opened.domains.get(domain_name(host)).host)
    if json:
        print_json([step_dict(each) for each in steps])
        return
    print_history(steps)


def queue(context: typer.Context, *, json: JSONOption = False) -> None:
    """Show which domains wait for approval, the longest first, and what blocks and warns.

    Example: [bold]linkseal domain queue[/bold]
    """
    with store(context) as opened:
        waiting = opened.domains.queue()
    if json:
        print_json([_with_report(each) for each in waiting])
        return
    reports = [_report(each) for each in waiting]
    print_table(
        ("domain", "customer", "route", "asked (UTC)", "checks"),
        (
            (each.host, each.customer, each.route, at(each.since), _counted(report))
            for each, report in zip(waiting, reports, strict=True)
        ),
        empty="Nothing waits for approval.",
    )
    for domain, report in zip(waiting, reports, strict=True):
        _print_wrong(domain, report)


def _counted(report: Report | None) -> str:
    if report is None:
        return "not made yet"
    blocks = len(report.blocking)
    wrong = sum(each.result in WRONG for each in report.verdicts)
    return f"{blocks} block, {wrong - blocks} warn"


def _print_wrong(domain: Domain, report: Report | None) -> None:
    """Print what blocks a domain that waits, and what warns, a line each."""
    if report is None or domain.report_at is None:
        return
    out.print(f"\n{domain.host}, checked {at(domain.report_at)} UTC", markup=False)
    for each in report.worst_first():
        if each.result in WRONG:
            text = f"  {each.result} {each.check} {plain(each.message)}"
            out.print(text, markup=False, soft_wrap=True)


def _report(domain: Domain) -> Report | None:
    return None if domain.report is None else from_stored(domain.report)


def _with_report(domain: Domain) -> dict[str, Any]:
    report = _report(domain)
    told = None if report is None else report_dict(Seen.stored(domain, report), report)
    return as_dict(domain) | {"report": told}


def _base(config: Config, opened: Store, domain: Domain) -> Base:
    """Return what new mail gets that a domain's customer sends from the name above it."""
    customer = opened.customers.get(domain.customer)
    domains = opened.domains.of_customer(customer.id, reports=False)
    return base_of_mail(config, customer, domains, domain.host.partition(".")[2])
