"""The installed command, running as it would in production, on free loopback ports."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from linkseal.testing.service import ServiceProcess

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
timeout = 5
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
