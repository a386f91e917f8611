"""``linkseal mail``: instrument a message by hand, or say what would be done to it."""

from __future__ import annotations

import secrets
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from linkseal.cli.context import config, keyring
from linkseal.cli.output import JSONOption, err, out, print_json, print_table
from linkseal.errors import LinksealError, VaultError
from linkseal.mail import Instrumented, Instrumenter, LinkRecord, MailOptions
from linkseal.seal import RANDOM_BYTES, Keyring, MessageID
from linkseal.vault import new_keyring

app = typer.Typer(help="Instrument a message, or explain one.", no_args_is_help=True)

CustomerOption = Annotated[int, typer.Option(min=0, help="The customer's number.")]
BaseOption = Annotated[
    str | None, typer.Option(help="Scheme and host of the links; default: the shared domain.")
]
ClicksOption = Annotated[bool, typer.Option("--clicks/--no-clicks", help="Seal links.")]
OpensOption = Annotated[bool, typer.Option("--opens/--no-opens", help="Add the open pixel.")]


@app.command()
def seal(
    context: typer.Context,
    *,
    customer: CustomerOption = 0,
    base: BaseOption = None,
    clicks: ClicksOption = True,
    opens: OpensOption = True,
) -> None:
    """Read a message on standard input, and write it instrumented on standard output.

    What cannot be changed safely comes out as it went in; a line on standard error says why.

    Example: [bold]linkseal mail seal < in.eml > out.eml[/bold]
    """
    message = sys.stdin.buffer.read()
    keys = keyring(context, make=True)
    done = _instrument(context, keys, message, customer, base, clicks=clicks, opens=opens)
    sys.stdout.buffer.write(done.message)
    sys.stdout.buffer.flush()
    err.print(_summary(done), markup=False)


@app.command()
def explain(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The message; - reads standard input.")],
    *,
    customer: CustomerOption = 0,
    base: BaseOption = None,
    json: JSONOption = False,
) -> None:
    """Say what would be done to a message: one row a link, and why not.

    Example: [bold]linkseal mail explain newsletter.eml[/bold]
    """
    try:
        message = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise LinksealError(
            f"cannot read {file}: {error.strerror}", code="mail-unreadable", hint="name a file"
        ) from error
    keys = _known_keys(context)
    done = _instrument(context, keys, message, customer, base, clicks=True, opens=True)
    if json:
        print_json(
            {
                "untouched": done.untouched,
                "pixel_part": done.pixel_part,
                "parts": [asdict(part) for part in done.parts],
                "links": [asdict(link) for link in done.links],
            }
        )
        return
    print_table(
        ("part", "link", "outcome", "url"),
        (
            (link.part, "" if link.number is None else link.number, _outcome(link), link.url)
            for link in done.links
        ),
        empty="No links in HTML parts.",
    )
    out.print(f"\n{_summary(done)}", markup=False, soft_wrap=True)


def _known_keys(context: typer.Context) -> Keyring:
    """Return the keyring, or where there is none one of the moment: no link is ours then."""
    try:
        return keyring(context)
    except VaultError as error:
        if error.code not in {"master-key-missing", "keyring-missing"}:
            raise
        return new_keyring()


def _instrument(
    context: typer.Context,
    keys: Keyring,
    message: bytes,
    customer: int,
    base: str | None,
    *,
    clicks: bool,
    opens: bool,
) -> Instrumented:
    found = config(context)
    options = MailOptions(
        track_clicks=clicks,
        track_opens=opens,
        pixel_tag=found.mail.pixel_tag,
        max_links=found.mail.max_links,
        max_html_bytes=found.mail.max_html_bytes,
    )
    message_id = MessageID.make(datetime.now(UTC), secrets.token_bytes(RANDOM_BYTES))
    return Instrumenter(keys, options).instrument(
        message, base=base or found.shared_base, customer=customer, message_id=message_id
    )


def _outcome(link: LinkRecord) -> str:
    return f"{link.outcome.value}, universal" if link.universal else link.outcome.value


def _summary(done: Instrumented) -> str:
    if done.untouched is not None:
        return f"untouched: {done.untouched.value} (docs/reference/links.md)"
    words = [f"{len(done.sealed)} of {len(done.links)} links sealed"]
    words.append(f"pixel in part {done.pixel_part}" if done.pixel_part else "no pixel")
    words += [f"part {part.part} untouched: {part.reason.value}" for part in done.parts]
    return "; ".join(words)
