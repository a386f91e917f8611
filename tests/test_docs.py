"""The docs tell what the program does: nothing undocumented, no page missing, no link dead."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import linkseal
from linkseal.mail import LinkOutcome, Reason

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.mark.parametrize("script", ["reference", "checks", "guides"])
def test_the_generated_pages_are_those_the_code_makes(script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"scripts.{script}", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("value", [*LinkOutcome, *Reason], ids=str)
def test_every_outcome_and_reason_is_explained(value: str) -> None:
    assert f"`{value}`" in (ROOT / "docs" / "reference" / "links.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_link_between_pages_is_dead(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_the_library_offers_what_it_says() -> None:
    for name in linkseal.__all__:
        assert getattr(linkseal, name) is not None
