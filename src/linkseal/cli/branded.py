"""How a branded domain is shown: as tables, and as JSON."""

from __future__ import annotations

import getpass
import os
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import typer

from linkseal.cli.output import out, print_table
from linkseal.domains.claim import Record
from linkseal.domains.client_ca import ClientAuthority
from linkseal.domains.lifecycle import advice, meaning
from linkseal.store import Alert, Domain, Look, Transition

HostArgument = Annotated[str, typer.Argument(help="The branded domain, as links.acme.example.")]


def who() -> str:
    """Return who is at the keyboard: ``$LINKSEAL_USER``, else the login name."""
    named = os.environ.get("LINKSEAL_USER", "").strip()
    if named:
        return named
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # A user id that has no name, as in a container.
        return f"uid {os.getuid()}"


def as_dict(found: Domain) -> dict[str, Any]:
    """Return a domain for programs, without its report."""
    return {
        "host": found.host,
        "customer": found.customer,
        "state": found.state.value,
        "meaning": meaning(found.state),
        "since": found.since.isoformat(),
        "reasons": list(found.reasons),
        "possible": advice(found.state),
        "default": found.default,
        "from_domains": list(found.from_domains),
        "route": found.route.value if found.route else None,
        "cdn": found.cdn or None,
        "own_networks": list(found.own_networks),
        "dns_valid": found.dns_valid,
        "https_only": found.https_only,
        "target": found.target,
        "ownership": found.ownership,
        "records": [record_dict(each) for each in found.records()],
        "failures": found.failures,
        "failing_since": found.failing_since.isoformat() if found.failing_since else None,
        "report_at": found.report_at.isoformat() if found.report_at else None,
        "report_blocks": found.report_blocks,
        "claimed_at": found.claimed_at.isoformat(),
    }


def authority_dict(found: ClientAuthority | None) -> dict[str, Any] | None:
    """Return a domain's client CA for programs; ``None`` where nobody is asked."""
    if found is None:
        return None
    return {"subject": found.title, "expires_at": found.expires_at.isoformat(), "sha256": found.id}


def step_dict(step: Transition) -> dict[str, Any]:
    """Return a step of a domain's life for programs."""
    return {
        "at": step.at.isoformat(),
        "action": step.action.value,
        "before": step.before.value if step.before else None,
        "after": step.after.value,
        "who": step.who,
        "reasons": list(step.reasons),
    }


def fields(found: Domain, authority: ClientAuthority | None) -> list[tuple[str, object]]:
    """Return everything there is to say of a domain now, each with its label.

    Args:
        found: The domain.
        authority: Its client CA; ``None`` where nobody is asked.
    """
    rows: list[tuple[str, object]] = [
        ("domain", found.host),
        ("customer", found.customer),
        ("state", found.state.value),
        ("meaning", f"{found.host} {meaning(found.state)}"),
        ("since", f"{at(found.since)} UTC"),
        ("why", "; ".join(found.reasons)),
        ("possible now", "; ".join(advice(found.state))),
        ("target", found.target),
        ("default", "yes" if found.default else "no"),
    ]
    if found.from_domains:
        rows.append(("from domains", ", ".join(found.from_domains)))
    if found.route:
        rows.append(("route", found.route.value))
    if found.cdn:
        rows.append(("cdn", found.cdn))
    if found.own_networks:
        rows.append(("own networks", ", ".join(found.own_networks)))
    if authority:
        until = f"until {at(authority.expires_at)} UTC"
        rows.append(("client CA", f"{authority.title}, {until}; see check ORG-06"))
    if found.https_only:
        rows.append(("http links", "none: browsers turn them into https, see check HTTP-01"))
    rows.append(("checks", checks(found)))
    if found.failing_since:
        rows.append(("failing", f"{found.failures} in a row, since {at(found.failing_since)} UTC"))
    return rows


def look_fields(look: Look | None, blind: Alert | None) -> list[tuple[str, object]]:
    """Return what the watch last saw of a domain, each with its label.

    Args:
        look: The last one; ``None`` before the first.
        blind: What told that the watch sees nothing now; ``None`` while it does.
    """
    if look is None:
        return []
    rows: list[tuple[str, object]] = [
        ("last look", f"{look.at:%Y-%m-%d %H:%M:%S} UTC, {'; '.join(look.problems) or 'good'}"),
        ("next look", f"{look.due_at:%Y-%m-%d %H:%M:%S} UTC")
        if blind is None
        else ("watch", f"blind since {at(blind.at)} UTC: {blind.detail['why']}"),
    ]
    if look.good:
        rows.append(("good again", f"{look.good} in a row"))
    if look.ends_at is not None:
        rows.append(("certificate ends", f"{at(look.ends_at)} UTC; it is not ours"))
    return rows


def look_dict(look: Look | None, blind: Alert | None) -> dict[str, Any] | None:
    """Return the same for programs; ``None`` before the first look."""
    if look is None:
        return None
    return {
        "at": look.at.isoformat(),
        "due_at": look.due_at.isoformat(),
        "checks_every": look.every,
        "good": not look.problems,
        "problems": list(look.problems),
        "good_in_row": look.good,
        "certificate_ends_at": look.ends_at.isoformat() if look.ends_at else None,
        "blind_since": blind.at.isoformat() if blind else None,
    }


def checks(found: Domain) -> str:
    """Return what a domain's latest report comes to."""
    if found.report_at is None:
        return "not made yet"
    said = "SSL is not proven" if found.report_blocks else "SSL is proven"
    return f"{said}, {at(found.report_at)} UTC"


def print_records(found: Sequence[Record], *, zone: bool) -> None:
    """Print DNS records: as zone file lines, or as tables."""
    if zone:
        for record in found:
            # To be pasted: never folded.
            print(record.bind())
        return
    for number, record in enumerate(found):
        if number:
            out.print()
        # One under the other, so that names and values are whole in a narrow terminal too.
        print_table(
            ("type", record.type if record.needed else f"{record.type}, optional"),
            (("name", record.name), ("value", record.value), ("why", record.why)),
            empty="",
        )


def record_dict(record: Record) -> dict[str, Any]:
    """Return a DNS record for programs."""
    return {
        "type": record.type,
        "name": record.name,
        "value": record.value,
        "why": record.why,
        "needed": record.needed,
    }


def print_history(steps: Sequence[Transition]) -> None:
    """Print steps of a domain's life as a table."""
    print_table(
        ("at (UTC)", "who", "what", "state", "why"),
        (
            (
                f"{each.at:%Y-%m-%d %H:%M:%S}",
                each.who,
                each.action.value,
                each.after.value,
                "; ".join(each.reasons),
            )
            for each in steps
        ),
        empty="Nothing yet.",
    )


def at(instant: datetime) -> str:
    """Return an instant as tables show it."""
    return f"{instant:%Y-%m-%d %H:%M}"
