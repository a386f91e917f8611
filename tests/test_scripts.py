"""Scripts that stand before everything else."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

BOOTSTRAP = Path(__file__).parent.parent / "scripts" / "bootstrap-venv"

OLD_PYTHON = """#!/bin/sh
# Python 3.10: imports what it is asked for, and is then told to leave with `version < 3.11`.
exit 1
"""


@pytest.mark.parametrize("kind", ["missing", "not a program", "old"])
def test_a_python_that_was_chosen_and_cannot_be_used_is_told(tmp_path: Path, kind: str) -> None:
    python = tmp_path / "python"
    if kind != "missing":
        python.write_text(OLD_PYTHON)
    if kind == "old":
        python.chmod(0o755)
    done = subprocess.run(
        [BOOTSTRAP],
        cwd=tmp_path,
        env={**os.environ, "PYTHON": str(python)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == (
        f"PYTHON={python} cannot be run or is older than Python 3.11; unset it, or name another\n"
    )
    assert not (tmp_path / ".venv").exists()
