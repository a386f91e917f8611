"""The command itself: what it imports, and what it says of a command there is not."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from linkseal.cli import MODULES, app
from linkseal.testing.service import linkseal

IMPORTED = """
import json, sys
from linkseal.cli import app
app(sys.argv[1:], standalone_mode=False)
print(json.dumps(sorted(sys.modules)))
"""


def imported(directory: Path, *words: str) -> set[str]:
    """Return what modules a command has imported when it is done."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, *words],
        cwd=directory,
        capture_output=True,
        text=True,
        check=True,
    )
    modules: list[str] = json.loads(done.stdout.splitlines()[-1])
    return set(modules)


def test_a_command_imports_what_it_needs_and_no_more(tmp_path: Path) -> None:
    assert linkseal("init", str(tmp_path)).returncode == 0
    # The first makes the database, and for that it needs alembic.
    assert "alembic" in imported(tmp_path, "customer", "list")
    modules = imported(tmp_path, "customer", "list")
    assert "linkseal.cli.customer" in modules
    assert not modules & {"alembic", "acme", "httpx", "dns", "aiosmtpd", "linkseal.cli.domain"}


def test_help_lists_every_command() -> None:
    told = linkseal("--help").stdout
    assert [name for name in MODULES if f" {name} " not in told] == []


@pytest.mark.parametrize("name", MODULES)
def test_every_command_has_help_of_its_own(name: str) -> None:
    done = CliRunner().invoke(app, [name, "--help"], prog_name="linkseal")
    assert done.exit_code == 0
    assert f"Usage: linkseal {name} " in done.stdout


def test_a_mistyped_command_is_answered_with_the_one_meant() -> None:
    done = linkseal("custmer", "list")
    assert done.returncode == 2
    assert "Did you mean 'customer'?" in done.stderr
