"""How the command line speaks: tables, JSON, errors; colour only on a terminal."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from linkseal.errors import LinksealError

JSONOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

_ERRNO: Final = re.compile(r"\[Errno -?\d+\] ")
_ANY: Final = 100_000
"""Columns: more than any table needs, to measure how many it does."""

out = Console(soft_wrap=False, highlight=False)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(value: object) -> None:
    """Print one JSON document, indented, on standard output."""
    sys.stdout.write(_json(value))


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n"


def print_json_line(value: object) -> None:
    """Print one JSON value on a line of its own, at once: for streams."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str) -> None:
    """Print a table; untrusted text cannot colour or control the terminal.

    Args:
        columns: Column headings.
        rows: Cell values, turned to text here.
        empty: The sentence for no rows: what that means and what to do.
    """
    cells = [tuple(plain(cell) for cell in row) for row in rows]
    if not cells:
        out.print(escape(empty), soft_wrap=True)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in cells:
        table.add_row(*map(escape, row))
    if out.measure(table, options=out.options.update(width=_ANY)).minimum <= out.width:
        out.print(table)
        return
    # Side by side its words would be broken, and a name or value be copied in pieces.
    for number, row in enumerate(cells):
        if number and len(columns) > 2:
            out.print()
        lines = [row] if len(columns) == 2 else zip(columns, row, strict=True)
        for label, text in lines:
            if text:
                out.print(f"[bold]{escape(label)}[/] {escape(text)}", soft_wrap=True)


def plain(value: object) -> str:
    """Return a value as text with every control character made visible."""
    text = "" if value is None else str(value)
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)


def print_error(error: LinksealError, *, json: bool = False) -> None:
    """Tell an error and what to do about it on standard error; for programs, as one object."""
    # As Python words what the system says; the number is nobody's.
    message = _ERRNO.sub("", error.message)
    if json:
        sys.stderr.write(_json(error.as_dict() | {"message": message}))
        return
    err.print(f"[bold red]error:[/] {escape(plain(message))} [dim]({error.code})[/]")
    if error.hint:
        err.print(f"[bold]hint:[/] {escape(plain(error.hint))}")


def warn(text: str) -> None:
    """Print a warning on standard error."""
    err.print(f"[bold yellow]warning:[/] {escape(plain(text))}")


def note(text: str) -> None:
    """Print what is good to know, and no fault, on standard error."""
    err.print(f"[bold]note:[/] {escape(plain(text))}")


def write_file(file: Path, content: bytes) -> None:
    """Write a file that was asked for, and the folder it is to be in.

    Raises:
        LinksealError: ``output-unwritable``.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    except OSError as error:
        raise LinksealError(
            f"cannot write {file}: {error.strerror}",
            code="output-unwritable",
            hint="name a file, in a folder, that this user can write",
        ) from error
