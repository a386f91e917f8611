"""``linkseal domain alerts``: what an operator is to be told of."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from linkseal.cli.context import store
from linkseal.cli.output import JSONOption, out, plain, print_json, print_json_line, print_table
from linkseal.domains.claim import domain_name
from linkseal.store import Alert, AlertKind

POLL_SECONDS = 0.5
AT_ONCE = 1000


def alerts(
    context: typer.Context,
    *,
    host: Annotated[str | None, typer.Option(help="Only this domain's.")] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with those to come, until Ctrl-C.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the latest.")] = 100,
    json: JSONOption = False,
) -> None:
    """Show alerts, the latest last: domains that broke and came back, certificates that end.

    With --follow and --json each is one object a line; seq rises from one to the next.

    Example: [bold]linkseal domain alerts --host links.acme.example[/bold]
    """
    name = None if host is None else domain_name(host)
    with store(context) as opened:
        if name is not None:
            opened.domains.get(name)
        found = opened.alerts.list(host=name, limit=limit)
        if not follow:
            _print(found, json=json)
            return
        after = _tell(found, 0, json=json)
        try:
            while True:
                # What comes to a database without any has the first number.
                new = opened.alerts.list(host=name, after=after, limit=AT_ONCE)
                after = _tell(new, after, json=json)
                if len(new) < AT_ONCE:
                    time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            return


def _print(found: Iterable[Alert], *, json: bool) -> None:
    if json:
        print_json([as_dict(each) for each in found])
        return
    print_table(
        ("at (UTC)", "severity", "domain", "what", "why"),
        (
            (
                f"{each.at:%Y-%m-%d %H:%M:%S}",
                each.severity.value,
                each.host,
                each.kind.value,
                plain(said(each)),
            )
            for each in found
        ),
        empty="No alerts.",
    )


def _tell(found: Iterable[Alert], after: int, *, json: bool) -> int:
    for each in found:
        after = each.seq
        if json:
            print_json_line(as_dict(each))
        else:
            line = f"{each.at:%Y-%m-%d %H:%M:%S} {each.severity} {each.host} {each.kind}"
            out.print(plain(f"{line}: {said(each)}"), markup=False, soft_wrap=True)
    return after


def said(alert: Alert) -> str:
    """Return what there is to say of an alert, in words."""
    detail = alert.detail
    if alert.kind is AlertKind.CERTIFICATE_ENDS:
        when = f"its certificate, which is not ours, ends {detail['ends_at']}"
        if detail["days"] == 0:
            when = f"its certificate, which is not ours, ended {detail['ends_at']}"
        return f"{when} (issued by {detail['issuer']})"
    if alert.kind in {AlertKind.WATCH_BLIND, AlertKind.WATCH_SEES}:
        return str(detail.get("why") or detail.get("was") or "")
    return "; ".join(detail.get("reasons", ()))


def as_dict(alert: Alert) -> dict[str, Any]:
    """Return an alert for programs."""
    return {
        "seq": alert.seq,
        "at": alert.at.isoformat(timespec="milliseconds"),
        "host": alert.host or None,
        "kind": alert.kind.value,
        "severity": alert.severity.value,
        "detail": dict(alert.detail),
    }
