"""SIGKILL of an edge worker, of the collector and of everything, under load."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_every_answered_redirect_has_exactly_one_event() -> None:
    """The script users can run says so, for each victim."""
    done = subprocess.run(
        [sys.executable, "-m", "scripts.kill_nine", "--seconds", "3", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counts = {each["victim"]: each for each in json.loads(done.stdout)}
    assert set(counts) == {"edge-0", "collector", "everything"}
    for each in counts.values():
        assert each["kills"] >= 1
        assert each["answered"] > 50
        assert (each["lost"], each["doubled"]) == (0, 0)
