"""``linkseal config``: what is configured, and where each value comes from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import typer

from linkseal import datadir
from linkseal.cli.context import loaded
from linkseal.cli.output import JSONOption, out, print_json, print_table
from linkseal.config import Config, Loaded, Section
from linkseal.errors import ConfigError, VaultError

app = typer.Typer(help="Show and check the configuration.", no_args_is_help=True)


@app.command()
def show(context: typer.Context, *, json: JSONOption = False) -> None:
    """List every key, its value and where the value comes from.

    Example: [bold]LINKSEAL_EDGE__WORKERS=4 linkseal config show[/bold]
    """
    found = loaded(context)
    if json:
        print_json([asdict(key) for key in found.keys])
        return
    print_table(
        ("key", "value", "origin", "what it does"),
        ((key.name, key.value, key.origin, key.description) for key in found.keys),
        empty="no keys",
    )


@app.command()
def check(context: typer.Context, *, json: JSONOption = False) -> None:
    """Check the configuration and that the files it names can be read; exit 1 with the fix if not.

    Example: [bold]linkseal --config /etc/linkseal/linkseal.toml config check[/bold]
    """
    found = loaded(context)
    wrong = [f"{key}: {file}: {why}" for key, file, why in _unreadable(found.config)]
    if wrong:
        raise ConfigError(
            f"cannot be read: {'; '.join(wrong)}",
            code="config-file-unreadable",
            hint="mend the path, which is relative to the config file, or the file's permissions",
        )
    _check_master_key(found)
    where = str(found.file) if found.file else "no file, defaults and environment"
    if json:
        print_json({"valid": True, "file": where})
    else:
        out.print(f"configuration is valid ({where})", markup=False, soft_wrap=True)


def _check_master_key(found: Loaded) -> None:
    if not found.config.master_key:
        return
    try:
        datadir.open_vault(found.config)
    except VaultError as error:
        origin = next(key.origin for key in found.keys if key.name == "master_key")
        raise ConfigError(
            f"master_key in {origin}: {error.message}",
            hint="set LINKSEAL_MASTER_KEY to what stands in the file master.key that "
            "`linkseal init` made, or leave it out",
        ) from error


def _unreadable(table: Section | Config, above: str = "") -> Iterator[tuple[str, Path, str]]:
    """Yield each file that is named and cannot be read: its key, and why."""
    for name in type(table).model_fields:
        value, key = getattr(table, name), f"{above}{name}"
        if key == "data_dir":
            continue  # It is made when it is needed.
        for number, each in enumerate(value if isinstance(value, tuple) else (value,)):
            if isinstance(each, Section):
                place = f"{key}[{number}]" if isinstance(value, tuple) else key
                yield from _unreadable(each, f"{place}.")
            elif isinstance(each, Path):
                try:
                    with each.open("rb"):
                        pass
                except OSError as error:
                    yield key, each, error.strerror or "cannot be read"
