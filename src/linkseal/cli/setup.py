"""``linkseal init``: write a commented config file and make the data directory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from linkseal import datadir
from linkseal.cli.output import out
from linkseal.config import Address, Config, Section, describe_keys, load
from linkseal.errors import ConfigError

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
    for path in (file, *datadir.prepare(found)):
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
    section = ""
    for name, field, default in describe_keys():
        table, _, key = name.rpartition(".")
        if table != section:
            section = table
            yield f"\n# {Config.model_fields[table].description}\n[{table}]"
        text = " ".join((field.description or "").split())
        if isinstance(default, tuple):
            yield f"\n# {text}"
            yield '# [[smtp.listeners]]\n# listen = "127.0.0.1:8026"\n# customer = "acme"'
            continue
        yield f"\n# {text}"
        if name == "base_domain":
            yield f"{key} = {json.dumps(base_domain)}"
        elif name == "data_dir":
            yield f'{key} = "linkseal-data"'
        else:
            yield f"# {key} = {_toml(default)}"


def _toml(value: object) -> str:
    """Return a default as TOML; keys without one show an empty string."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, Address | Path | str):
        return json.dumps(str(value))
    if isinstance(value, Section):
        raise TypeError(value)
    return '""'
