"""Every config key: its name, default, value as text, and where that comes from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from linkseal.config.sections import Section
from linkseal.config.settings import ENV_PREFIX, Config


@dataclass(frozen=True, slots=True)
class KeyReport:
    """One config key, as ``linkseal config show`` lists it.

    Attributes:
        name: Dotted path, ``acme.dns.provider``.
        value: The value in force as text; secrets are masked.
        origin: ``default``, the file's path, or the environment variable's name.
        description: What it does.
    """

    name: str
    value: str
    origin: str
    description: str


def describe_keys() -> Iterator[tuple[str, FieldInfo, object]]:
    """Yield every key's dotted name, field and default, in file order.

    A table array is followed by the keys of its tables, ``acme.issuers[].directory``.
    A required key's default is ``None``.
    """
    yield from _keys(Config, None, "")


def _keys(
    model: type[BaseModel], section: Section | None, prefix: str
) -> Iterator[tuple[str, FieldInfo, object]]:
    # TOML: what follows a table's header is in that table, so a section's own keys come
    # before its table arrays and those before the sections in it.
    arrays: list[tuple[str, FieldInfo, object, type[Section]]] = []
    sections: list[tuple[str, Section]] = []
    for key, field in model.model_fields.items():
        name = f"{prefix}{key}"
        default = getattr(section, key) if section else field.get_default()
        item = _item_of(field)
        if isinstance(default, Section):
            sections.append((name, default))
        elif item:
            arrays.append((name, field, default, item))
        else:
            yield name, field, None if field.is_required() else default
    for name, field, default, item in arrays:
        yield name, field, default
        yield from _keys(item, None, f"{name}[].")
    for name, inner in sections:
        yield from _keys(type(inner), inner, f"{name}.")


def _item_of(field: FieldInfo) -> type[Section] | None:
    """Return what a table array holds; ``None`` for any other key."""
    item = next(iter(get_args(field.annotation)), None)
    return item if isinstance(item, type) and issubclass(item, Section) else None


def is_table_array(field: FieldInfo) -> bool:
    """Tell whether a key is written as ``[[tables]]``."""
    return _item_of(field) is not None


def is_secret(field: FieldInfo) -> bool:
    """Tell whether a key's value must not be shown."""
    extra = field.json_schema_extra
    return isinstance(extra, dict) and bool(extra.get("secret"))


def tables() -> set[str]:
    """Return the names of all tables: sections, ``acme.dns``, and arrays, ``acme.issuers[]``."""
    found = set()
    for name, _, _ in describe_keys():
        while name := name.rpartition(".")[0]:
            found.add(name)
    return found


def environment_name(key: str) -> str:
    """Return the variable that overrides a key; a table array's as a whole."""
    return ENV_PREFIX + key.partition("[")[0].upper().replace(".", "__")


def as_json(text: str) -> object:
    """Return what a list or table in the environment holds; ``None`` when it is not JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def report(
    config: Config, values: Mapping[str, Any], env: Mapping[str, str], file: Path | None
) -> Iterator[KeyReport]:
    """Yield every key with the value in force and its origin.

    Args:
        config: What is in force.
        values: What the file holds.
        env: The environment.
        file: The file; ``None`` without one.
    """
    for name, field, _ in describe_keys():
        if "[]" not in name:
            yield KeyReport(
                name=name,
                value=_as_text(field, reduce(getattr, name.split("."), config)),
                origin=origin(name, values, env, file) or "default",
                description=" ".join((field.description or "").split()),
            )


def origin(key: str, values: Mapping[str, Any], env: Mapping[str, str], file: Path | None) -> str:
    """Return what sets a key: an environment variable's name, the file's path, or nothing."""
    parts = key.partition("[")[0].split(".")
    for depth in range(len(parts), 0, -1):
        variable = environment_name(".".join(parts[:depth]))
        inner = parts[depth:]
        if variable in env and (not inner or _holds(as_json(env[variable]), inner)):
            return variable
    return str(file) if _holds(values, parts) else ""


def _holds(table: object, parts: list[str]) -> bool:
    for part in parts:
        if not isinstance(table, Mapping) or part not in table:
            return False
        table = table[part]
    return True


def _as_text(field: FieldInfo, value: object) -> str:
    if is_secret(field):
        return "(set)" if value else ""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ", ".join(_item_as_text(item) for item in value)
    return str(value)


def _item_as_text(item: object) -> str:
    """Return a table of a table array as its first key's value, the others in parentheses."""
    if not isinstance(item, Section):
        return str(item)
    fields = type(item).model_fields.items()
    (_, first), *others = ((key, _as_text(field, getattr(item, key))) for key, field in fields)
    more = ", ".join(f"{key} {text}" for key, text in others if text)
    return f"{first} ({more})" if more else first
