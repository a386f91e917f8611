"""What is told of a configuration that is wrong: the key, where it stands, and the fix."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import SettingsError

from linkseal.config.keys import as_json, describe_keys, environment_name, is_secret, origin, tables
from linkseal.config.settings import ENV_PREFIX
from linkseal.errors import ConfigError

_IN_OUR_WORDS = {
    "missing": "is not set",
    "tuple_type": "is not a list",
    "model_type": "is not a table",
    "model_attributes_type": "is not a table",
}


_OTHERS = frozenset({"LINKSEAL_CONFIG", "LINKSEAL_USER"})
"""Variables of ours that are no config keys: which file, and who an operator is."""


def refuse_unknown_environment(env: Mapping[str, str]) -> None:
    """Refuse variables that look like overrides but name no key.

    Raises:
        ConfigError: ``config-unknown-key``.
    """
    known = {environment_name(key) for key in [*_names(), *tables()]} | _OTHERS
    unknown = sorted(name for name in env if name.startswith(ENV_PREFIX) and name not in known)
    if not unknown:
        return
    hint = "`linkseal config show` lists every key; sections are joined by two underscores"
    arrays = {environment_name(table) for table in tables() if table.endswith("[]")}
    whole = next((name for name in arrays if unknown[0].startswith(f"{name}__")), "")
    close = get_close_matches(unknown[0], known, 1, cutoff=0.8)
    if whole:
        hint = f"set all its tables at once, as a JSON list in {whole}"
    elif close:
        hint = f"did you mean {close[0]}? {hint}"
    raise ConfigError(
        f"the environment variable {unknown[0]} names no config key",
        code="config-unknown-key",
        hint=hint,
    )


def explain_unreadable(error: SettingsError, env: Mapping[str, str]) -> ConfigError:
    """Return what to tell of a list or table in the environment that is not JSON."""
    lists = {name for name, _, default in describe_keys() if isinstance(default, tuple)}
    variables = sorted({environment_name(key) for key in lists | tables()} & env.keys())
    wrong = next(
        (name for name in variables if not isinstance(as_json(env[name]), list | dict)), ""
    )
    return ConfigError(
        f"the environment variable {wrong} is neither a list nor a table"
        if wrong
        else f"an environment override is not readable: {error}",
        hint="lists and tables in the environment are written as JSON",
    )


def explain(
    error: ValidationError, values: Mapping[str, Any], env: Mapping[str, str], file: Path | None
) -> ConfigError:
    """Return what to tell of the first key that is wrong.

    Args:
        error: The refusal.
        values: What the file holds.
        env: The environment.
        file: The file; ``None`` without one.
    """
    first = error.errors()[0]
    key = _key(first["loc"])
    found = origin(key, values, env, file)
    where = f" in {found}" if found else ""
    if first["type"] == "extra_forbidden":
        return ConfigError(
            f"{key}{where} is not a config key",
            code="config-unknown-key",
            hint=_instead(key),
        )
    if first["type"] in _IN_OUR_WORDS:
        return ConfigError(f"{key}{where} {_IN_OUR_WORDS[first['type']]}", hint=_shape(key))
    message = first["msg"].removeprefix("Value error, ")
    # A validator of ours (value_error) tells the value where that helps.
    got = "" if first["type"] == "value_error" else _got(key, first["input"])
    return ConfigError(
        f"{key}{where}: {message[0].lower()}{message[1:]}{got}",
        code="config-invalid",
        hint=f"correct {_place(key)} in the file, or {_variable(key)} in the environment",
    )


def _names() -> list[str]:
    return [name for name, _, _ in describe_keys()]


def _key(location: tuple[int | str, ...]) -> str:
    """Return where a value stands as people write it: ``acme.issuers[0].directory``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return text.removeprefix(".")


def _any_index(key: str) -> str:
    return re.sub(r"\[\d+\]", "[]", key)


def _shape(key: str) -> str:
    """Return how to write a key that has the wrong shape, or is not written at all."""
    name = _any_index(key).removesuffix("[]")
    if f"{name}[]" in tables():
        return f"write each as [[{name}]] in the file, or {environment_name(name)} as a JSON list"
    return f"set {_place(key)} in the file, or {_variable(key)} in the environment"


def _place(key: str) -> str:
    return f"[{key}]" if key in tables() else key


def _variable(key: str) -> str:
    """Return what to set in the environment: a section's keys one by one, a list as a whole."""
    variable = environment_name(key)
    if key in tables():
        return f"{variable}__…"
    return f"{variable} (a JSON list)" if "[" in key else variable


def _instead(key: str) -> str:
    """Return what to write instead of a key that there is not."""
    name = _any_index(key)
    table = name.rpartition(".")[0]
    close = get_close_matches(name, [*_names(), *tables()], 1, cutoff=0.7)
    question = f"did you mean {_as_written(close[0])}? " if close else ""
    if not table.endswith("[]"):
        return f"{question}`linkseal config show` lists every key"
    keys = ", ".join(
        each.rpartition(".")[2] for each in _names() if each.rpartition(".")[0] == table
    )
    return f"{question}[[{table.removesuffix('[]')}]] takes {keys}"


def _as_written(name: str) -> str:
    table, array, key = name.partition("[]")
    if not array:
        return name
    return f"{key.removeprefix('.')} in [[{table}]]" if key else f"[[{table}]]"


def _got(key: str, value: object) -> str:
    """Return the value that was refused, of keys that are no secrets; never a whole table."""
    name = _any_index(key).removesuffix("[]")
    field = next((field for each, field, _ in describe_keys() if each == name), None)
    if field is None or isinstance(value, Mapping | list | tuple):
        return ""
    return ", got a secret value" if is_secret(field) else f", got {value!r}"
