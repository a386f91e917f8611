"""Real hook programs."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from linkseal.certificates.dns_hook import ExecHook
from support.certificates import (
    BASE,
    refused,
)
from support.processes import is_running


def hook_at(folder: Path, script: str) -> Path:
    file = folder / "the hook"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


HOSTILE = ["plain", "-rf", "two words", "$(id) `id` ; | & > <", "'\"\\", "line\nbreak", "ü*?~", ""]


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("action", ["publish", "withdraw"])
def test_arguments_and_environment_arrive_unchanged(
    tmp_path: Path, action: str, value: str
) -> None:
    shown = tmp_path / "shown"
    script = (
        'printf "%s\\0" "$@" "$LINKSEAL_DNS_ACTION" "$LINKSEAL_DNS_NAME" "$LINKSEAL_DNS_VALUE" '
        f'> "{shown}"'
    )
    hook = ExecHook([str(hook_at(tmp_path, script)), "--zone", "a b"])
    getattr(hook, action)(BASE, value)
    told = [action, BASE, value]
    assert shown.read_text().split("\0")[:-1] == ["--zone", "a b", *told, *told]


def test_the_hook_gets_our_environment_without_our_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINKSEAL_MASTER_KEY", "secret")
    monkeypatch.setenv("PROVIDER_TOKEN", "for-the-hook")
    shown = tmp_path / "shown"
    ExecHook([str(hook_at(tmp_path, f'env > "{shown}"'))]).publish(BASE, "v")
    lines = shown.read_text().splitlines()
    assert "PROVIDER_TOKEN=for-the-hook" in lines
    assert sorted(line for line in lines if line.startswith("LINKSEAL_")) == [
        "LINKSEAL_DNS_ACTION=publish",
        f"LINKSEAL_DNS_NAME={BASE}",
        "LINKSEAL_DNS_VALUE=v",
    ]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo first >&2; echo 'no such zone' >&2; echo >&2; exit 3", "no such zone"),
        ("printf 'red \\033[31m\\377' >&2; exit 1", "red  [31m\ufffd"),
        ("yes x | head -c 100000 >&2; echo the end >&2; exit 1", "the end"),
        ("head -c 100000 /dev/zero | tr '\\0' y >&2; exit 1", "y" * 300),
        ("echo on stdout; exit 3", "it said nothing (exit code 3)"),
        ("kill -TERM $$", "it said nothing (exit code -15)"),
    ],
)
def test_a_failed_hook_is_told_by_its_last_line(tmp_path: Path, script: str, said: str) -> None:
    file = hook_at(tmp_path, script)
    error = refused(lambda: ExecHook([str(file)]).publish(BASE, "v"))
    assert (error.code, error.retryable) == ("dns-hook-failed", True)
    assert error.message == f"the DNS hook {file} could not publish {BASE}: {said}"


def test_a_hook_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    # The grandchild ignores SIGTERM, and keeps stderr open.
    script = (
        f"export PIDS='{pids}'\n"
        """sh -c 'trap "" TERM; echo $$ >> "$PIDS"; sleep 60; :' &\n"""
        'echo $$ >> "$PIDS"\nwait'
    )
    hook = ExecHook([str(hook_at(tmp_path, script))], timeout=4)
    began = time.monotonic()
    error = refused(lambda: hook.publish(BASE, "v"))
    assert time.monotonic() - began < 30
    assert (error.code, error.retryable) == ("dns-hook-timeout", True)
    assert "in 4 s, and was killed" in error.message
    started = [int(line) for line in pids.read_text().split()]
    assert len(set(started)) == 2
    deadline = time.monotonic() + 20
    while any(is_running(pid) for pid in started) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [pid for pid in started if is_running(pid)] == []


def test_a_hook_that_leaves_something_running_is_done_when_it_is(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    hook = ExecHook([str(hook_at(tmp_path, f"sleep 60 & echo $! > '{pids}'"))], timeout=30)
    began = time.monotonic()
    hook.publish(BASE, "v")
    assert time.monotonic() - began < 25
    left = int(pids.read_text())
    assert is_running(left)
    os.kill(left, 9)


@pytest.mark.parametrize("mode", [None, 0o644])
def test_a_hook_that_cannot_be_run_is_told_by_its_path(tmp_path: Path, mode: int | None) -> None:
    file = tmp_path / "hook"
    if mode is not None:
        file.write_text("#!/bin/sh\n")
        file.chmod(mode)
    error = refused(lambda: ExecHook([str(file)]).publish(BASE, "v"))
    assert (error.code, error.retryable) == ("dns-hook-unusable", False)
    assert str(file) in error.message
    assert "full path" in error.hint


def test_a_hook_without_a_program_is_told_at_once() -> None:
    assert refused(lambda: ExecHook([])).code == "dns-hook-unusable"
