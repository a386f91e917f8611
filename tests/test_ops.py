"""Health and metrics while parts come and go."""

from pathlib import Path
from typing import Any

import pytest

from linkseal.ops import ops_app


@pytest.mark.parametrize("path", ["/metrics", "/healthz"])
def test_a_part_that_is_just_making_its_file_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    (tmp_path / "counter_77.db").touch()
    said: list[str] = []

    def start(status: str, _fields: list[tuple[str, str]]) -> Any:
        said.append(status)

    answer = b"".join(ops_app(2)({"PATH_INFO": path, "REQUEST_METHOD": "GET"}, start))
    assert (said, answer) == (
        (["200 OK"], b"")
        if path == "/metrics"
        else (
            ["503 Service Unavailable"],
            b'{"status": "down", "edge_workers": 0, "journal_failing": 0, "hits_waiting": 0}\n',
        )
    )
