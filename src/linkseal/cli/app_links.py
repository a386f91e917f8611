"""``linkseal domain app-links``: which phones' apps open links of a branded domain."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from linkseal.cli.branded import HostArgument, at
from linkseal.cli.context import store
from linkseal.cli.output import JSONOption, err, out, print_json, print_table
from linkseal.domains.app_links import (
    LARGEST,
    AppFile,
    AppFileKind,
    android_file,
    apple_file,
    read_app_file,
    serves,
)
from linkseal.domains.base import DomainState
from linkseal.domains.claim import domain_name
from linkseal.domains.lifecycle import meaning, refuse_released
from linkseal.errors import DomainError
from linkseal.store import Domain, Store

app = typer.Typer(
    help="Say which apps open links of a branded domain.\n\n"
    "Example: [bold]linkseal domain app-links show links.acme.example[/bold]",
    no_args_is_help=True,
)


@app.command("set")
def set_files(
    context: typer.Context,
    host: HostArgument,
    *,
    apple: Annotated[
        Path | None, typer.Option(help="The file apple-app-site-association, served as it is.")
    ] = None,
    android: Annotated[
        Path | None, typer.Option(help="The file assetlinks.json, served as it is.")
    ] = None,
    apple_apps: Annotated[
        list[str] | None,
        typer.Option("--apple-app", help="TEAMID.bundle: make the file; may be repeated."),
    ] = None,
    android_apps: Annotated[
        list[str] | None,
        typer.Option(
            "--android-app",
            help="package=SHA256:FINGERPRINT of its signing certificate: make the file; "
            "may be repeated.",
        ),
    ] = None,
    json: JSONOption = False,
) -> None:
    """Serve the files that name a customer's apps, from now on; the other phones' file stays.

    Files that are made claim the links marked universal="true", and no others.

    Example: [bold]linkseal domain app-links set links.acme.example --apple aasa.json[/bold]
    """
    files: list[AppFile] = []
    for kind, path, apps, make in (
        (AppFileKind.APPLE, apple, apple_apps, apple_file),
        (AppFileKind.ANDROID, android, android_apps, android_file),
    ):
        if path and apps:
            raise DomainError(
                f"--{kind} and --{kind}-app both say what {kind.file_name} is",
                code="app-links-options",
                hint="give the file, or have it made, not both",
            )
        if path or apps:
            content = _read(path) if path else make(apps or [])
            files.append(read_app_file(kind, content))
    if not files:
        raise DomainError(
            "there is no file to serve",
            code="app-links-options",
            hint="give --apple, --android, --apple-app or --android-app; "
            "`linkseal domain app-links remove` takes files away",
        )
    with store(context) as opened:
        domain = opened.domains.get(domain_name(host))
        refuse_released(domain.host, domain.state)
        opened.app_links.put(domain.host, files, datetime.now(UTC))
        _tell(opened, domain, json=json)


@app.command()
def show(context: typer.Context, host: HostArgument, *, json: JSONOption = False) -> None:
    """Show which files are served on a domain, and which apps they name.

    Example: [bold]linkseal domain app-links show links.acme.example[/bold]
    """
    with store(context) as opened:
        _tell(opened, opened.domains.get(domain_name(host)), json=json)


@app.command()
def remove(
    context: typer.Context,
    host: HostArgument,
    *,
    apple: Annotated[bool, typer.Option("--apple", help="Only Apple's.")] = False,
    android: Annotated[bool, typer.Option("--android", help="Only Android's.")] = False,
    json: JSONOption = False,
) -> None:
    """Serve a domain's files no more: browsers then open its links, and clicks count as ever.

    Example: [bold]linkseal domain app-links remove links.acme.example[/bold]
    """
    chosen = {AppFileKind.APPLE: apple, AppFileKind.ANDROID: android}
    kinds = [kind for kind in AppFileKind if chosen[kind] or not any(chosen.values())]
    with store(context) as opened:
        domain = opened.domains.get(domain_name(host))
        opened.app_links.remove(domain.host, kinds)
        _tell(opened, domain, json=json)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST + 1)
    except OSError as error:
        raise DomainError(
            f"cannot read {path}: {error.strerror}", code="app-links-unreadable", hint="name a file"
        ) from error


def _tell(opened: Store, domain: Domain, *, json: bool) -> None:
    found = [
        (read_app_file(each.kind, each.content), each.changed_at)
        for each in opened.app_links.of(domain.host)
    ]
    served = serves(domain.state)
    if json:
        files = [_as_dict(domain, file, changed_at) for file, changed_at in found]
        print_json({"host": domain.host, "served": served, "files": files})
        return
    print_table(
        ("file", "apps", "bytes", "since (UTC)"),
        (
            (file.kind.file_name, ", ".join(file.apps), len(file.content), at(changed_at))
            for file, changed_at in found
        ),
        empty="None: browsers open its links. Give one: linkseal domain app-links set --help",
    )
    if found and not served:
        when = "any more" if domain.state is DomainState.RELEASED else "yet"
        out.print(
            f"\nNot served {when}: {domain.host} {meaning(domain.state)}.",
            markup=False,
            soft_wrap=True,
        )
    for file, _ in found:
        for warning in file.warnings:
            err.print(f"warning: {warning}", markup=False)


def _as_dict(domain: Domain, file: AppFile, changed_at: datetime) -> dict[str, Any]:
    return {
        "file": file.kind.file_name,
        "url": f"https://{domain.host}/.well-known/{file.kind.file_name}",
        "apps": list(file.apps),
        "warnings": list(file.warnings),
        "changed_at": changed_at.isoformat(),
        "content": file.content.decode("utf-8"),
    }
