"""The commands of branded domains, on a machine where no service runs."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from linkseal.store import Store
from linkseal.testing.service import linkseal

HOST = "links.acme.example"
CONFIG = 'base_domain = "ct.example.net"\ndata_dir = "data"\n'


class Desk:
    """A folder with a config file and two customers, where nothing runs."""

    def __init__(self, directory: Path) -> None:
        self.config_file = directory / "linkseal.toml"
        self.config_file.write_text(CONFIG)
        (directory / "data").mkdir()
        self.url = f"sqlite:///{directory}/data/linkseal.db"
        with Store.open(self.url) as store:
            for name in ("acme", "rival"):
                store.customers.add(name)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return linkseal("--config", str(self.config_file), "domain", *words)

    def said(self, *words: str) -> str:
        done = self.run(*words)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout

    def json(self, *words: str) -> Any:
        return json.loads(self.said(*words, "--json"))

    def refused(self, code: str, *words: str) -> str:
        """Return what a refused command says on standard error."""
        done = self.run(*words)
        assert (done.returncode, done.stdout) == (1, "")
        assert f"({code})" in " ".join(done.stderr.split()), done.stderr
        assert "hint: " in done.stderr
        assert "Traceback" not in done.stderr
        return " ".join(done.stderr.split())

    def checked(self, *, blocks: bool = False) -> None:
        """Put in the store what a run of the checks does."""
        with Store.open(self.url) as store:
            found, now = store.domains.get(HOST), datetime.now(UTC)
            store.domains.apply_dns(HOST, target=found.target, passed=True, who="test", now=now)
            assert store.domains.save_report(
                HOST, {"a": 1}, target=found.target, route=found.route, blocks=blocks, now=now
            )
