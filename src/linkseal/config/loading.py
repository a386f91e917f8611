"""Finding and reading the config file, and telling what is wrong with it."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_settings import SettingsError

from linkseal.config.keys import KeyReport, report
from linkseal.config.listening import refuse_clashes
from linkseal.config.refusals import explain, explain_unreadable, refuse_unknown_environment
from linkseal.config.sections import Section
from linkseal.config.settings import Config
from linkseal.errors import ConfigError

SEARCH = (Path("linkseal.toml"), Path("/etc/linkseal/linkseal.toml"))

Table = TypeVar("Table", Config, Section)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration and where it came from."""

    config: Config
    file: Path | None
    keys: tuple[KeyReport, ...]


def load(path: Path | None = None, environment: Mapping[str, str] | None = None) -> Loaded:
    """Read the configuration.

    Args:
        path: The file to read; ``None`` searches (see the package's docstring).
        environment: Only names the config file here (``LINKSEAL_CONFIG``) and tells
            origins; overrides are read from the process environment.

    Raises:
        ConfigError: A file that is not there, not TOML, or a key that is unknown or
            wrong; the message names the key, the hint the fix.
    """
    env = os.environ if environment is None else environment
    file = _find(path, env)
    values = _read(file) if file else {}
    refuse_unknown_environment(env)
    try:
        config = Config(**values)
    except ValidationError as error:
        raise explain(error, values, env, file) from error
    except SettingsError as error:
        raise explain_unreadable(error, env) from error
    config = _anchored(config, file.parent if file else Path.cwd())
    _check_pairs(config)
    refuse_clashes(config)
    return Loaded(config, file, tuple(report(config, values, env, file)))


def _find(path: Path | None, env: Mapping[str, str]) -> Path | None:
    named = path or (Path(env["LINKSEAL_CONFIG"]) if env.get("LINKSEAL_CONFIG") else None)
    if named is not None:
        if not named.is_file():
            raise ConfigError(
                f"there is no config file {named}",
                code="config-missing",
                hint="make one with `linkseal init`, or name another with --config",
            )
        return named.resolve()
    try:
        return next((found.resolve() for found in SEARCH if found.is_file()), None)
    except OSError as error:
        raise ConfigError(
            f"cannot look for a config file: {error.strerror}: {error.filename}",
            hint="mend its folder's permissions, or name the file with --config",
        ) from error


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"cannot read {file}: {error.strerror}", hint="mend its permissions"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{file} is not TOML: {error}", code="config-syntax", hint="mend that line"
        ) from error


def _anchored(table: Table, directory: Path) -> Table:
    """Return a table with every path in it absolute, relative ones below ``directory``."""

    def anchor(value: object) -> object:
        if isinstance(value, Path):
            return (directory / value.expanduser()).resolve()
        if isinstance(value, Section):
            return _anchored(value, directory)
        if isinstance(value, tuple):
            return tuple(anchor(item) for item in value)
        return value

    held = ((key, getattr(table, key)) for key in type(table).model_fields)
    return table.model_copy(update={key: anchor(value) for key, value in held})


def _check_pairs(config: Config) -> None:
    for section, certificate, key in (
        ("tls", config.tls.certificate, config.tls.key),
        ("smtp", config.smtp.certificate, config.smtp.key),
    ):
        if (certificate is None) != (key is None):
            missing = "key" if key is None else "certificate"
            raise ConfigError(
                f"{section}.{missing} is missing beside its other half",
                hint=f"set both {section}.certificate and {section}.key, or neither",
            )
