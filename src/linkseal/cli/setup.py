"""``linkseal init``: write a commented config file and make the data directory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel

from linkseal.cli.output import out
from linkseal.config import Address, Config, describe_keys, load
from linkseal.config.keys import is_table_array
from linkseal.errors import ConfigError
from linkseal.first_keys import prepare

FILE_NAME = "linkseal.toml"


def init(
    directory: Annotated[Path, typer.Argument(help="Where linkseal.toml goes.")] = Path(),
    *,
    base_domain: Annotated[
        str, typer.Option(help="The domain shared and target names stand under.")
    ] = "ct.localhost",
) -> None:
    """Write a commented linkseal.toml, and make the data directory, master key and keyring.

    Nothing that is there is overwritten.

    Example: [bold]linkseal init /etc/linkseal --base-domain ct.example.net[/bold]
    """
    file = directory / FILE_NAME
    if file.exists():
        raise ConfigError(
            f"{file} is there already",
            code="config-exists",
            hint="edit it, or move it away first",
        )
    try:
        directory.mkdir(parents=True, exist_ok=True)
        file.write_text(config_text(base_domain), encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"cannot write {file}: {error.strerror}", hint="name a directory you can write"
        ) from error
    try:
        found = load(file).config
    except ConfigError:
        file.unlink()
        raise
    for path in (file, *prepare(found)):
        out.print(f"made {path}", markup=False, soft_wrap=True)
    out.print(
        f"\nBack up {found.master_key_file} and {found.keyring_file} together, apart from the rest:"
        "\nwithout them no link ever sent opens. Next: linkseal up",
        markup=False,
        soft_wrap=True,
    )


def config_text(base_domain: str) -> str:
    """Return a config file with every key, explained; all but two are commented out."""
    return "\n".join(_config_lines(base_domain)) + "\n"


def _config_lines(base_domain: str) -> Iterator[str]:
    yield "# Linkseal. Every key with its default; uncomment what you change."
    yield "# Environment variables win: LINKSEAL_EDGE__WORKERS=4 sets workers in [edge]."
    table = ""
    for name, field, default in describe_keys():
        above, _, key = name.rpartition(".")
        if above != table:
            table = above
            yield from _header(table)
        yield f"\n# {' '.join((field.description or '').split())}"
        if name == "base_domain":
            yield f"{key} = {json.dumps(base_domain)}"
        elif name == "data_dir":
            yield f'{key} = "linkseal-data"'
        elif not is_table_array(field):
            yield f"# {key} = {_toml(field.examples[0] if field.examples else default)}"


def _header(table: str) -> Iterator[str]:
    """Yield a table's header; one of a table array is a comment, for its keys are no defaults."""
    if table.endswith("[]"):
        yield f"# [[{table.removesuffix('[]')}]]"
        return
    model: type[BaseModel] = Config
    for part in table.split("."):
        field = model.model_fields[part]
        model = type(field.get_default())
    yield f"\n# {field.description}\n[{table}]"


def _toml(value: object) -> str:
    """Return a default as TOML; keys without one show an empty string."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, Address | Path | str):
        return json.dumps(str(value))
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(item) for item in value)}]"
    return '""'
