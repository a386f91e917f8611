"""``linkseal event``: what recipients did."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Generator, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Annotated, Any, cast

import typer

from linkseal.cli.context import store
from linkseal.cli.output import JSONOption, out, plain, print_json, print_json_line, print_table
from linkseal.errors import LinksealError
from linkseal.seal import MessageID
from linkseal.store import Event, EventFilter, Store

app = typer.Typer(help="Events: opens and clicks.", no_args_is_help=True)

POLL_SECONDS = 0.3
AT_ONCE = 1000
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

CustomerOption = Annotated[str | None, typer.Option(help="Only this customer's.")]
MessageOption = Annotated[str | None, typer.Option(help="Only this message's, by its id.")]


@app.command("list")
def list_events(
    context: typer.Context,
    *,
    customer: CustomerOption = None,
    message: MessageOption = None,
    since: Annotated[
        str | None, typer.Option(help="Only since then: 30m, 2h, 7d, or 2026-11-24T08:00.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the latest.")] = 1000,
    json: JSONOption = False,
) -> None:
    """List events, the latest last.

    Example: [bold]linkseal event list --customer acme --since 2h[/bold]
    """
    with store(context) as opened:
        wanted = _filter(opened, customer, message, since, limit=limit)
        found = list(opened.events.list(wanted))
    if json:
        print_json([_as_dict(event) for event in found])
        return
    print_table(
        ("at (UTC)", "event", "customer", "recipient", "link", "destination", "from", "message"),
        (
            (
                f"{event.at:%Y-%m-%d %H:%M:%S}",
                event.kind,
                event.customer,
                event.recipient,
                event.link if event.kind == "click" else "",
                event.destination,
                event.address,
                event.message,
            )
            for event in found
        ),
        empty="No events yet. They appear here within a second of an open or a click.",
    )


@app.command()
def tail(
    context: typer.Context,
    *,
    customer: CustomerOption = None,
    message: MessageOption = None,
    json: JSONOption = False,
) -> None:
    """Print events as they come, until Ctrl-C; with --json one object a line.

    Example: [bold]linkseal event tail --customer acme[/bold]
    """
    with store(context) as opened:
        wanted = _filter(opened, customer, message, None)
        last = list(opened.events.list(EventFilter(limit=1)))
        after = last[-1].seq if last else 0
        try:
            while True:
                # Read, and the reading ended, before any is printed: a pager that waits must
                # not hold a transaction. What the store yields from is a generator.
                new = opened.events.list(replace(wanted, after=after))
                with contextlib.closing(cast("Generator[Event]", new)):
                    found = list(islice(new, AT_ONCE))
                after = _print(found, after, json=json)
                if len(found) < AT_ONCE:
                    time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            return


def _print(events: Iterable[Event], after: int, *, json: bool) -> int:
    for event in events:
        after = event.seq
        if json:
            print_json_line(_as_dict(event))
        else:
            what = f"{event.link} {event.destination}" if event.kind == "click" else ""
            line = f"{event.at:%H:%M:%S} {event.kind:<5} {event.customer} {event.recipient} {what}"
            out.print(plain(line), markup=False, soft_wrap=True)
    return after


def _filter(
    opened: Store,
    customer: str | None,
    message: str | None,
    since: str | None,
    limit: int | None = None,
) -> EventFilter:
    """Check what was asked for, so that a typing mistake is told and not an empty list."""
    if customer is not None:
        opened.customers.get(customer)
    if message is not None:
        message = str(MessageID.parse(message))
    return EventFilter(
        customer=customer,
        message=message,
        since=parse_since(since, datetime.now(UTC)) if since else None,
        limit=limit,
    )


def parse_since(text: str, now: datetime) -> datetime:
    """Read ``30m``, ``2h``, ``7d`` (before ``now``) or an ISO 8601 instant, UTC when it says none.

    Raises:
        LinksealError: ``since-invalid``.
    """
    match = re.fullmatch(r"(\d{1,6})([smhd])", text)
    try:
        if match:
            return now - timedelta(**{_UNITS[match[2]]: int(match[1])})
        at = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise LinksealError(
            f"{text!r} is no point in time",
            code="since-invalid",
            hint="write 30m, 2h, 7d, or an instant as in 2026-11-24T08:00",
        ) from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _as_dict(event: Event) -> dict[str, Any]:
    return {
        "id": event.id,
        "event": event.kind,
        "at": event.at.isoformat(timespec="milliseconds"),
        "customer": event.customer,
        "message": event.message,
        "recipient": event.recipient,
        "subject": event.subject,
        "link": event.link if event.kind == "click" else None,
        "destination": event.destination,
        "host": event.host,
        "secure": event.secure,
        "method": event.method,
        "address": event.address,
        "user_agent": event.user_agent,
    }
