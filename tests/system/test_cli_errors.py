"""What the command says when something is wrong, to people and to programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.desk import HOST, Desk

SHELL = {name: value for name, value in os.environ.items() if not name.startswith("LINKSEAL_")}


def here(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder without a config file, as a user whose home it is."""
    return subprocess.run(
        [sys.executable, "-m", "linkseal", *words],
        cwd=folder,
        env=SHELL | {"HOME": str(folder)} | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def told(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.stdout == ""
    error = json.loads(done.stderr)
    assert set(error) == {"code", "message", "hint", "retryable"}
    assert error["hint"]
    return error


def test_an_error_is_one_object_for_programs(desk: Desk) -> None:
    done = desk.run("show", HOST, "--json")
    error = told(done)
    assert (done.returncode, error["code"]) == (1, "domain-missing")
    assert (error["message"], error["retryable"]) == (f"{HOST} is not claimed", False)
    desk.config_file.write_text("[edge]\nworkers = 'many'\n")
    assert told(desk.run("list", "--json"))["code"] == "config-invalid"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("list", "--nonsense"), "--nonsense"),
        (("list", "--state", "fine"), "fine"),
        (("request-ssl", HOST), "--route"),
        (("nonsense",), "nonsense"),
        (("records", HOST, "--zone"), "--zone"),
        (("add", HOST, "--customer", "acme", "--zone"), "--zone"),
    ],
)
def test_wrong_usage_is_one_object_too(desk: Desk, words: tuple[str, ...], said: str) -> None:
    done = desk.run(*words, "--json")
    error = told(done)
    assert (done.returncode, error["code"]) == (2, "usage")
    assert said in error["message"]
    assert "linkseal domain" in error["hint"]
    assert "--help" in error["hint"]


def test_the_number_of_a_system_error_is_not_told(desk: Desk) -> None:
    desk.said("add", HOST, "--customer", "acme")
    with desk.config_file.open("a") as config:
        config.write('[cdn]\nca_file = "gone.pem"\n')
    words = ("--config", str(desk.config_file), "cdn", "refresh", "fastly")
    for json_too in ((), ("--json",)):
        done = here(desk.config_file.parent, *words, *json_too)
        assert done.returncode == 1
        said = done.stderr
        assert ("No such file or directory" in said, "[Errno" in said) == (True, False), said


def test_what_programs_get_and_the_exit_code_are_as_before(desk: Desk) -> None:
    done = desk.run("list", "--json")
    assert (done.returncode, json.loads(done.stdout), done.stderr) == (0, [], "")
    assert desk.run("list", "--help", "--json").returncode == 0


def test_a_folder_without_a_config_file_is_no_empty_service(tmp_path: Path) -> None:
    done = here(tmp_path, "domain", "list")
    assert (done.returncode, done.stdout.startswith("No domains yet.")) == (0, True)
    data = tmp_path / ".local" / "state" / "linkseal"
    note = " ".join(done.stderr.split())
    assert note.startswith("note: no config file was found (linkseal.toml, or /etc/")
    assert f"with the data of {data}" in note
    add = ("domain", "add", HOST, "--customer", "acme")
    refused = here(tmp_path, *add)
    assert (refused.returncode, "no config file was found" in refused.stderr) == (1, True)
    # A program reads one object: it is part of that.
    assert "no config file was found" in told(here(tmp_path, *add, "--json"))["hint"]
    assert here(tmp_path, "domain", "list", "--json").stderr == ""
    # Who says where the data is has no file to miss.
    assert here(tmp_path, "domain", "list", LINKSEAL_DATA_DIR=str(data)).stderr == ""
    (tmp_path / "linkseal.toml").touch()
    assert here(tmp_path, "domain", "list").stderr == ""


@pytest.mark.parametrize("columns", [20, 40, 60, 80])
def test_no_width_breaks_a_name_or_a_value(desk: Desk, columns: int) -> None:
    found = desk.json("add", HOST, "--customer", "acme")
    folder = desk.config_file.parent
    for words in (("list",), ("show", HOST), ("records", HOST), ("history", HOST)):
        done = here(folder, "domain", *words, COLUMNS=str(columns))
        values = {
            "list": [HOST, "claimed"],
            "show": [HOST, found["target"]],
            "records": [record["value"] for record in found["records"]],
            "history": ["claim", "claimed"],
        }[words[0]]
        for value in values:
            assert value in done.stdout.split(), (words, done.stdout)


def test_the_help_lists_the_commands_in_the_order_of_the_way(desk: Desk) -> None:
    shown = [line.split()[1:2] for line in desk.said("--help").splitlines() if "│" in line]
    names = [words[0] for words in shown if words]
    way = ("add", "records", "guide", "check", "request-ssl", "queue", "approve", "release")
    places = [names.index(each) for each in way]
    assert places == sorted(places)
