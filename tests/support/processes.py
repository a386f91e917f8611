"""Processes that a test looks at and did not start itself."""

from __future__ import annotations

from pathlib import Path


def is_running(pid: int) -> bool:
    """Whether it runs; an orphan that nobody reaps yet does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
