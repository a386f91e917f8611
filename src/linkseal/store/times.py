"""Instants in the database are Unix milliseconds: the same in every database, and sortable."""

from __future__ import annotations

from datetime import UTC, datetime


def to_ms(at: datetime) -> int:
    """Return an aware instant as Unix milliseconds."""
    return round(at.timestamp() * 1000)


def from_ms(value: int) -> datetime:
    """Return Unix milliseconds as an aware UTC instant."""
    return datetime.fromtimestamp(value / 1000, UTC)
