"""The ``linkseal`` command: one module per noun, no decisions of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException
from typer.main import get_command, get_group

from linkseal import __version__
from linkseal.cli.context import Settings
from linkseal.cli.output import out, print_error
from linkseal.errors import LinksealError

MODULES: Final = {
    "init": "setup",
    "up": "service",
    "demo": "demo",
    "cdn": "cdn",
    "certificate": "certificate",
    "config": "configuration",
    "customer": "customer",
    "domain": "domain",
    "event": "event",
    "mail": "mail",
    "token": "token",
    "vault": "vault",
}
"""Which module of ours has a command, or the ``app`` of a noun's commands."""


class _Commands(TyperGroup):
    """Imports a command's module when it is asked for.

    All of them take twice as long to import as the most one command needs.
    """

    def list_commands(self, _context: object) -> list[str]:
        return list(MODULES)

    def get_command(self, _context: object, name: str) -> Any:
        if name in MODULES and name not in self.commands:
            module = import_module(f"linkseal.cli.{MODULES[name]}")
            noun = getattr(module, "app", None)
            command = get_group(noun) if noun else _verb(getattr(module, name))
            command.name = name
            self.commands[name] = command
        return self.commands.get(name)

    def resolve_command(self, context: Any, args: list[str]) -> Any:
        if args[0] not in MODULES:
            # So that what is meant can be suggested.
            for name in MODULES:
                self.get_command(context, name)
        return super().resolve_command(context, args)


def _verb(function: Callable[..., None]) -> Any:
    alone = typer.Typer(add_completion=False, rich_markup_mode="rich")
    alone.command()(function)
    return get_command(alone)


app = typer.Typer(
    name="linkseal",
    cls=_Commands,
    help="SSL-enabled click and open tracking of email.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


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
