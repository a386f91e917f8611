"""JSON that others have to read as we do, and what stands where in it. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, NoReturn


class InvalidError(Exception):
    """A place, and what is wrong there."""


def parse(content: bytes, *, most: int) -> Any:
    """Return what JSON says, at most so many bytes of it.

    Raises:
        InvalidError: It is not such that every reader reads the same.
    """
    if len(content) > most:
        raise InvalidError(f"larger than the {most // 1024} KiB that phones take")
    if content.startswith(b"\xef\xbb\xbf"):
        # RFC 8259 §8.1: a parser may refuse it.
        raise InvalidError("begins with a byte order mark: save it as UTF-8 without one")
    try:
        return json.loads(
            content.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant
        )
    except UnicodeDecodeError as error:
        raise InvalidError(f"not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise InvalidError(
            f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from None
    except (ValueError, RecursionError) as error:
        raise InvalidError(f"not JSON that phones read: {error}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        # RFC 8259 §4: which of them counts differs from reader to reader.
        raise InvalidError(f'"{twice}" stands twice in one object')
    return found


def _no_constant(name: str) -> NoReturn:
    raise InvalidError(f"{name} is not JSON")


def fail(where: str, problem: str) -> NoReturn:
    """Say what is wrong and where."""
    raise InvalidError(f"{where}: {problem}")


def member(owner: Mapping[str, Any], name: str, where: str) -> Any:
    """Return a member that has to be there."""
    if name not in owner:
        fail(where, f'has no "{name}"')
    return owner[name]


def object_at(value: Any, where: str) -> dict[str, Any]:
    """Return what has to be an object."""
    if not isinstance(value, dict):
        fail(where, "must be an object, { … }")
    return value


def list_at(value: Any, where: str) -> list[Any]:
    """Return what has to be a list that is not empty."""
    if not isinstance(value, list) or not value:
        fail(where, "must be a list with something in it, [ … ]")
    return value


def text_at(value: Any, where: str) -> str:
    """Return what has to be a text that is not empty."""
    if not isinstance(value, str) or not value:
        fail(where, "must be a text in quotes")
    return value
