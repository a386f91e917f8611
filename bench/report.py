"""Print benchmark rows as a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def print_rows(title: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Print rows ``{name, unit, ours, peer, ratio, goal, note}`` under a title."""
    print(f"\n{title}\n")
    print(f"{'':<26}{'ours':>12}{'peer':>12}  {'unit':<22}{'ratio':>7}{'goal':>7}  note")
    for row in rows:
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
        goal = "" if row["goal"] is None else f"{row['goal']:.2f}"
        peer = "" if row["peer"] is None else f"{row['peer']:,.1f}"
        print(
            f"{row['name']:<26}{row['ours']:>12,.1f}{peer:>12}  {row['unit']:<22}"
            f"{ratio:>7}{goal:>7}  {row['note']}"
        )
