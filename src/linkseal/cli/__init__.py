"""The ``linkseal`` command: one module per noun, no decisions of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from linkseal import __version__
from linkseal.cli import (
    cdn,
    certificate,
    configuration,
    customer,
    demo,
    domain,
    event,
    mail,
    service,
    setup,
    token,
    vault,
)
from linkseal.cli.context import Settings
from linkseal.cli.output import out, print_error
from linkseal.errors import LinksealError

app = typer.Typer(
    name="linkseal",
    help="SSL-enabled click and open tracking of email.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command()(setup.init)
app.command()(service.up)
app.command()(demo.demo)
app.add_typer(cdn.app, name="cdn")
app.add_typer(certificate.app, name="certificate")
app.add_typer(configuration.app, name="config")
app.add_typer(customer.app, name="customer")
app.add_typer(domain.app, name="domain")
app.add_typer(event.app, name="event")
app.add_typer(mail.app, name="mail")
app.add_typer(token.app, name="token")
app.add_typer(vault.app, name="vault")


def _tell_version(wanted: bool) -> None:
    if wanted:
        out.print(f"linkseal {__version__}", markup=False)
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", help="Config file; default: linkseal.toml here, then /etc/linkseal."
        ),
    ] = None,
    *,
    version: Annotated[  # noqa: ARG001 - its callback does it
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="Say which it is."),
    ] = False,
) -> None:
    """Keep the options every command shares."""
    context.obj = Settings(config_file=config)


def main() -> None:
    """Run the command; exit 1 with ``error:`` and ``hint:`` on a :class:`LinksealError`.

    Called with ``--json``, it tells what went wrong as one JSON object on standard error, wrong
    usage too.
    """
    json = "--json" in sys.argv[1:]
    try:
        done = app(prog_name="linkseal", standalone_mode=not json)
    except LinksealError as error:
        print_error(error, json=json)
        sys.exit(1)
    except TyperException as error:  # Only where it is not told by typer itself.
        print_error(_usage(error), json=json)
        sys.exit(error.exit_code)
    except typer.Abort:
        print_error(LinksealError("broken off", code="aborted"), json=json)
        sys.exit(1)
    except BrokenPipeError:
        # The reader went away (`linkseal event list | head`): not an error worth a word.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    sys.exit(done or 0)


def _usage(error: TyperException) -> LinksealError:
    """Return wrong usage as an error of ours."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "linkseal"
    return LinksealError(
        error.format_message(), code="usage", hint=f"`{command} --help` says what it takes"
    )
