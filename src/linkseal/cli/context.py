"""What every command starts from: the configuration, and objects made from it on demand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import typer

from linkseal import datadir
from linkseal.config import Config, Loaded, load
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


def keyring(context: typer.Context) -> Keyring:
    """Return the token keyring, making a new data directory its first one.

    Raises:
        VaultError: See :func:`linkseal.datadir.prepare`.
    """
    found = config(context)
    datadir.prepare(found)
    return datadir.open_keyring(found)


@contextmanager
def store(context: typer.Context) -> Iterator[Store]:
    """Open the database for one command."""
    found = config(context)
    datadir.prepare(found)
    with Store.open(found.store_url) as opened:
        yield opened
