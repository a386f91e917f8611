"""What every command starts from: the configuration, and objects made from it on demand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import typer

from linkseal.config import Config, Loaded, load


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
