"""The installed command, running as it would in production, on free loopback ports."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from linkseal.testing.acme_directory import AcmeDirectory
from linkseal.testing.knot import Knot
from linkseal.testing.service import ServiceProcess
from support.desk import Desk
from support.lab import ZONE, Lab

CONFIG = """\
data_dir = "data"
[edge]
http = "127.0.0.1:0"
https = "127.0.0.1:0"
ops = "127.0.0.1:0"
workers = 2
[smtp]
listen = "127.0.0.1:0"
next_hop = "{next_hop}"
timeout = 20
[log]
format = "json"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a config file whose next hop answers nobody."""
    (tmp_path / "linkseal.toml").write_text(CONFIG.format(next_hop="127.0.0.1:9"))
    return tmp_path


@pytest.fixture
def service(folder: Path) -> Iterator[ServiceProcess]:
    """A running service."""
    with ServiceProcess(folder) as running:
        yield running


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A service that is not started yet, with real DNS and an ACME directory."""
    with AcmeDirectory() as ca, Knot(tmp_path / "knot", {"example": ZONE}) as knot:
        found = Lab(tmp_path, ca, knot)
        try:
            yield found
        finally:
            found.service.stop()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A folder with a config file and two customers, where nothing runs."""
    return Desk(tmp_path)
