"""The demo shows what it says, and leaves when it has."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from linkseal.demo.routes import possible
from linkseal.testing.service import linkseal


def test_unattended_it_takes_a_domain_a_route_from_claim_to_click() -> None:
    routes, broken, left_out = possible()
    done = linkseal("demo", "--once", timeout=600)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    for route in routes:
        said = re.findall(rf"^  {route.name} +(.*)$", done.stdout, re.MULTILINE)
        beginnings = (
            f"{route.host} claimed",
            "records published: ",
            "DNS valid",
            f"SSL requested, route {route.name}",
            "checks for that route: ",
            "approved: ssl_enabled",
            f"next message's link: https://{route.host}",
            "clicked over verified TLS: 302 ",
            "recorded: click from 127.0.0.9",
        )
        for begins in beginnings:
            assert any(line.startswith(begins) for line in said), (begins, said)
    assert broken is None or f"│ fail {broken.mistake} " in done.stdout
    for each in left_out:
        assert f"  left out: {each}" in done.stdout


def test_what_does_not_start_is_told_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "haproxy"
    program.write_text("#!/bin/sh\necho no room here >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    done = linkseal("demo", "--once", timeout=600)
    assert done.returncode == 1
    assert done.stderr.startswith("error: haproxy did not start: no room here")
