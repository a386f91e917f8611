"""The installed command, as a person types it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from linkseal import __version__, datadir
from linkseal.config import Config
from linkseal.testing.service import linkseal


def test_init_writes_a_file_and_keys_and_overwrites_nothing(tmp_path: Path) -> None:
    done = linkseal("init", str(tmp_path / "etc"), "--base-domain", "ct.example.net")
    assert done.returncode == 0, done.stderr
    config = tmp_path / "etc" / "linkseal.toml"
    assert 'base_domain = "ct.example.net"' in config.read_text()
    data = tmp_path / "etc" / "linkseal-data"
    assert (data / "master.key").stat().st_mode & 0o777 == 0o600
    assert (data / "keyring.json").exists()
    again = linkseal("init", str(tmp_path / "etc"))
    assert again.returncode == 1
    assert "config-exists" in again.stderr
    assert linkseal("--config", str(config), "config", "check").returncode == 0


def test_init_refuses_a_wrong_base_domain_and_leaves_nothing(tmp_path: Path) -> None:
    done = linkseal("init", str(tmp_path), "--base-domain", "Not A Domain")
    assert done.returncode == 1
    assert "base_domain" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_config_show_is_a_table_or_json(folder: Path) -> None:
    done = linkseal("--config", str(folder / "linkseal.toml"), "config", "show", "--json")
    keys = {key["name"]: key for key in json.loads(done.stdout)}
    assert keys["smtp.next_hop"]["value"] == "127.0.0.1:9"
    assert keys["smtp.next_hop"]["origin"].endswith("linkseal.toml")
    assert keys["edge.idle_timeout"]["origin"] == "default"
    table = linkseal("--config", str(folder / "linkseal.toml"), "config", "show").stdout
    assert "smtp.next_hop" in table
    assert "\x1b[" not in table


def test_a_config_error_names_the_key_and_the_fix(folder: Path) -> None:
    (folder / "linkseal.toml").write_text("[edge]\nworkers = 'many'\n")
    done = linkseal("--config", str(folder / "linkseal.toml"), "config", "check")
    assert done.returncode == 1
    assert "edge.workers" in done.stderr
    assert "LINKSEAL_EDGE__WORKERS" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_foreign_token_is_refused_in_words(folder: Path) -> None:
    datadir.prepare(Config(data_dir=folder / "data"))
    url = "https://go.ct.localhost/c/AQABAAAA"
    done = linkseal("--config", str(folder / "linkseal.toml"), "token", "open", url)
    assert done.returncode == 1
    assert "not a valid token" in done.stderr


def test_what_a_customer_was_added_with_can_be_set_later(folder: Path) -> None:
    words = ("--config", str(folder / "linkseal.toml"), "customer")

    def run(*more: str) -> dict[str, Any]:
        done = linkseal(*words, *more, "--json")
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    added = run("add", "globex", "--from-domain", "globex.example")
    changed = run("set", "globex", "--ssl", "required", "--sending-ip", "dedicated")
    assert changed == {**added, "ssl": "required", "sending_ip": "dedicated"}
    assert run("show", "globex") == changed
    moved = run("set", "globex", "--from-domain", "b.example", "--from-domain", "a.example")
    assert moved == {**changed, "from_domains": ["a.example", "b.example"]}
    assert run("set", "globex", "--from-domain", "")["from_domains"] == []
    login = run("set", "globex", "--smtp-user", "mailer", "--generate-password")
    assert (login["smtp_users"], len(login["smtp_password"]) >= 12) == (["mailer"], True)
    assert "smtp_password" not in run("show", "globex")
    for code, *wrong in (
        ("customer-missing", "nobody", "--ssl", "required"),
        ("customer-unchanged", "globex"),
        ("smtp-user-incomplete", "globex", "--generate-password"),
    ):
        done = linkseal(*words, "set", *wrong, "--json")
        assert (done.returncode, code in done.stderr) == (1, True)
    table = linkseal(*words, "set", "globex", "--ssl", "allowed")
    assert (table.returncode, "allowed" in table.stdout) == (0, True)


def test_the_version_is_told() -> None:
    done = linkseal("--version")
    assert (done.returncode, done.stdout) == (0, f"linkseal {__version__}\n")


@pytest.mark.parametrize(
    "command",
    [
        (),
        ("init",),
        ("up",),
        ("demo",),
        ("config", "show"),
        ("config", "check"),
        ("token", "open"),
        ("token", "rotate"),
        ("customer", "add"),
        ("customer", "set"),
        ("customer", "list"),
        ("customer", "show"),
        ("event", "list"),
        ("event", "tail"),
        ("mail", "seal"),
        ("mail", "explain"),
    ],
)
def test_every_command_helps(command: tuple[str, ...]) -> None:
    done = linkseal(*command, "--help")
    assert done.returncode == 0
    assert "Usage" in done.stdout
