"""Generated pages: written, or with ``--check`` only compared with what the code makes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path


def publish(pages: Mapping[Path, str]) -> int:
    """Write pages; with ``--check`` on the command line return 1 when one differs."""
    if "--check" not in sys.argv[1:]:
        for file, text in pages.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return 0
    stale = [
        str(file.relative_to(Path.cwd()))
        for file, text in pages.items()
        if not file.exists() or file.read_text(encoding="utf-8") != text
    ]
    if stale:
        sys.stderr.write(f"{', '.join(stale)}: not what the code makes: run make docs\n")
    return 1 if stale else 0
