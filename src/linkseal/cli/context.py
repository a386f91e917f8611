"""What every command starts from: the configuration, and objects made from it on demand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import typer

from linkseal import datadir
from linkseal.cli.output import note
from linkseal.config import SEARCH, Config, Loaded, load
from linkseal.errors import LinksealError, VaultError
from linkseal.first_keys import prepare
from linkseal.seal import Keyring
from linkseal.store import Store


@dataclass(frozen=True, slots=True)
class Settings:
    """The root command's options, for its subcommands."""

    config_file: Path | None


def loaded(context: typer.Context) -> Loaded:
    """Read the configuration named on the command line.

    Raises:
        ConfigError: It is wrong; see :func:`linkseal.config.load`.
    """
    settings = context.find_object(Settings)
    return load(settings.config_file if settings else None)


def config(context: typer.Context) -> Config:
    """Return the configuration in force."""
    return loaded(context).config


def keyring(context: typer.Context, *, make: bool = False) -> Keyring:
    """Return the token keyring; say whose it is where nobody named one.

    Args:
        context: The command's.
        make: Give a new data directory its first one, for what seals.

    Raises:
        VaultError: See :func:`linkseal.datadir.open_keyring` and
            :func:`linkseal.first_keys.prepare`.
    """
    where = loaded(context)
    with _told(where, json=bool(context.params.get("json"))):
        if make:
            prepare(where.config)
        return datadir.open_keyring(where.config)


def with_keys(context: typer.Context) -> Config:
    """Return the configuration whose keys are to be rotated, once they were seen to open.

    Raises:
        VaultError: There are none, or they do not open; where that is, is told. Nothing is made.
    """
    try:
        keyring(context)
    except VaultError as error:
        raise VaultError(
            f"nothing is rotated: {error.message}", code=error.code, hint=error.hint
        ) from error
    return config(context)


@contextmanager
def store(context: typer.Context) -> Iterator[Store]:
    """Open the database for one command; say which it is where nobody named one."""
    where = loaded(context)
    with _told(where, json=bool(context.params.get("json"))):
        # Without keys, which what only reads must not make.
        datadir.make_directory(where.config)
        with Store.open(where.config.store_url) as opened:
            yield opened


@contextmanager
def find_store(context: typer.Context) -> Iterator[Store | None]:
    """Open the database if there is one: for what is done without one as well."""
    found = config(context)
    if not found.store.url and not found.data_dir.exists():
        yield None
        return
    with store(context) as opened:
        yield opened


@contextmanager
def _told(where: Loaded, *, json: bool) -> Iterator[None]:
    """Say that no config file was found, so that a wrong folder is not taken for an empty service.

    For programs it is part of the hint of what then fails: what they read is one object.
    """
    chosen = any(
        key.name in {"data_dir", "store.url"} and key.origin != "default" for key in where.keys
    )
    if where.file is not None or chosen:
        yield
        return
    said = (
        f"no config file was found ({', or '.join(map(str, SEARCH))}): defaults are used, with the "
        f"data of {where.config.data_dir}; name one with --config"
    )
    if not json:
        note(said)
    try:
        yield
    except LinksealError as error:
        if json:
            error.hint = f"{error.hint}; {said}" if error.hint else said
        raise
