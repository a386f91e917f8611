"""``linkseal cdn``: the CDNs that are known, and the networks they connect from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from linkseal.cdn.ranges import Refreshed, refresh, sources
from linkseal.cli.context import config, store
from linkseal.cli.output import JSONOption, out, print_error, print_json, print_table
from linkseal.domains.profiles import PROFILES, PUBLISHING, Profile
from linkseal.errors import DomainError
from linkseal.store import FetchedRanges

app = typer.Typer(
    help="CDNs: where they connect from, and what they tell of a client.", no_args_is_help=True
)


@app.command("list")
def list_cdns(context: typer.Context, *, json: JSONOption = False) -> None:
    """List the profiles a domain can be enrolled with.

    Example: [bold]linkseal cdn list[/bold]
    """
    with store(context) as opened:
        fetched = opened.cdn_ranges.all()
    found = [_as_dict(each, fetched.get(each.id)) for each in PROFILES.values()]
    if json:
        print_json(found)
        return
    print_table(
        ("profile", "name", "networks", "as of", "source", "client's address"),
        (
            (
                each["id"],
                each["name"],
                len(each["networks"]),
                (each["as_of"] or "")[:10],
                each["source"] or "",
                _field(each),
            )
            for each in found
        ),
        empty="",
    )


@app.command()
def show(
    context: typer.Context,
    cdn: Annotated[str, typer.Argument(help=f"One of {', '.join(PROFILES)}.")],
    *,
    json: JSONOption = False,
) -> None:
    """Show a profile: how it tells a client's address, and from which networks it is believed.

    Example: [bold]linkseal cdn show cloudflare[/bold]
    """
    cdn = cdn.strip().lower()
    profile = PROFILES.get(cdn)
    if profile is None:
        raise DomainError(
            f"there is no profile {cdn!r}",
            code="cdn-unknown",
            hint=f"one of {', '.join(PROFILES)}",
        )
    with store(context) as opened:
        fetched = opened.cdn_ranges.all().get(cdn)
    found = _as_dict(profile, fetched)
    places = sources(config(context), cdn) if cdn in PUBLISHING else (profile.snapshot.source,)
    found["published"] = list(places)
    if json:
        print_json(found)
        return
    print_table(
        ("field", "value"),
        (
            ("profile", found["id"]),
            ("name", found["name"]),
            ("client's address", _field(found) or "is not told"),
            ("published", "; ".join(places)),
            ("source", found["source"] or _missing(cdn)),
            ("as of", found["as_of"] or ""),
            ("note", found["note"]),
        ),
        empty="",
    )
    out.print()
    for network in found["networks"]:
        out.print(network, markup=False)


@app.command("refresh")
def refresh_cdns(
    context: typer.Context,
    cdns: Annotated[
        list[str] | None,
        typer.Argument(help=f"Of {', '.join(PUBLISHING)}; none given: all of them."),
    ] = None,
    *,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Take them although they are far fewer, or far more, than before."
        ),
    ] = False,
    json: JSONOption = False,
) -> None:
    """Fetch the networks that CDNs publish; exit 1 when any cannot be had.

    The last good ones stay where they cannot. A running service does this daily for the CDNs
    that domains are enrolled with.

    Example: [bold]linkseal cdn refresh cloudflare bunny[/bold]
    """
    chosen = [each.strip().lower() for each in cdns or ()]
    with store(context) as opened:
        done = refresh(config(context), opened, chosen, now=datetime.now(UTC), force=force)
    if json:
        print_json([_result(each) for each in done])
    else:
        print_table(
            ("profile", "result", "networks", "new", "gone"),
            (
                (each.cdn, _said(each), len(each.networks), each.added or "", each.removed or "")
                for each in done
            ),
            empty="",
        )
        for each in done:
            if each.error is not None:
                print_error(each.error)
    if any(each.error for each in done):
        raise typer.Exit(1)


def _as_dict(profile: Profile, fetched: FetchedRanges | None) -> dict[str, Any]:
    shipped = profile.snapshot.of
    source = "fetched" if fetched else "shipped" if shipped else None
    return {
        "id": profile.id,
        "name": profile.name,
        "networks": list(fetched.networks if fetched else profile.networks),
        "as_of": fetched.at.isoformat() if fetched else shipped.isoformat() if shipped else None,
        "source": source,
        "client_header": profile.client_header or None,
        "client_kind": profile.client_kind or None,
        "note": profile.snapshot.note,
    }


def _missing(cdn: str) -> str:
    wanted = f"cdn refresh {cdn}" if cdn in PUBLISHING else f"domain enrol … {cdn} --network"
    return f"none yet: linkseal {wanted}"


def _field(found: dict[str, Any]) -> str:
    header = found["client_header"] or ""
    return f"last of {header}" if found["client_kind"] == "list" else header


def _said(done: Refreshed) -> str:
    if done.error is not None:
        return "failed"
    return "changed" if done.added or done.removed else "unchanged"


def _result(done: Refreshed) -> dict[str, Any]:
    return {
        "cdn": done.cdn,
        "result": _said(done),
        "networks": len(done.networks),
        "added": done.added,
        "removed": done.removed,
        "error": done.error.as_dict() if done.error else None,
    }
