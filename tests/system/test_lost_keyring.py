"""A data directory restored without its keyring gets no other by itself: links would be dead."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from linkseal import datadir, first_keys
from linkseal.config import Config, StoreConfig
from linkseal.errors import VaultError
from linkseal.store import Message, Store
from linkseal.testing.service import linkseal
from linkseal.vault import new_master_key

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def sent(config: Config, *, message: bool = True) -> None:
    """Record a customer, and a message with a link."""
    with Store.open(config.store_url) as store:
        customer = store.customers.add("acme")
        if message:
            store.messages.add(
                Message("m1", customer.id, "a@b.example", "x", NOW, "https://go", "why", {1: "u"})
            )


def restored(directory: Path, *, message: bool = True) -> Config:
    """What a restore of the database and the master key brings back."""
    (directory / "linkseal.toml").write_text('data_dir = "data"\n')
    config = Config(data_dir=directory / "data")
    datadir.prepare(config)
    sent(config, message=message)
    config.keyring_file.unlink()
    datadir.probe_key_file(config).unlink()
    return config


def refused(config: Config, code: str = "keyring-missing") -> VaultError:
    before = sorted(config.data_dir.iterdir())
    with pytest.raises(VaultError) as refusal:
        first_keys.prepare(config)
    assert refusal.value.code == code
    assert "restore" in refusal.value.hint
    assert sorted(config.data_dir.iterdir()) == before
    return refusal.value


@pytest.mark.parametrize(
    "words", [("up",), ("mail", "seal"), ("domain", "check", "links.acme.example")]
)
def test_every_command_that_makes_keys_refuses(tmp_path: Path, words: tuple[str, ...]) -> None:
    config = restored(tmp_path)
    done = linkseal("--config", str(tmp_path / "linkseal.toml"), *words, stdin=b"Subject: x\n\nx")
    assert done.returncode == 1
    said = " ".join(done.stderr.split())
    assert "(keyring-missing)" in said
    assert "restore the file from the backup" in said
    assert "`linkseal token rotate --give-up-links`" in said
    assert not config.keyring_file.exists()


def test_a_customer_beside_a_master_key_is_enough(tmp_path: Path) -> None:
    refused(restored(tmp_path, message=False))


def test_both_keys_lost_are_told_by_the_master_key(tmp_path: Path) -> None:
    config = restored(tmp_path)
    config.master_key_file.unlink()
    refused(config, "master-key-missing")


def test_a_database_elsewhere_counts_also_for_a_key_of_the_environment(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/elsewhere.db"
    (tmp_path / "data").mkdir()
    config = Config(
        data_dir=tmp_path / "data", master_key=new_master_key(), store=StoreConfig(url=url)
    )
    sent(config)
    refused(config)


@pytest.mark.parametrize("key", ["", new_master_key()], ids=["its own key", "key handed in"])
def test_customers_added_before_the_first_start_are_no_sign(tmp_path: Path, key: str) -> None:
    config = Config(data_dir=tmp_path, master_key=key)
    sent(config, message=False)
    assert config.keyring_file in first_keys.prepare(config)
    assert first_keys.prepare(config) == []


def test_a_new_directory_gets_keys_and_no_database(tmp_path: Path) -> None:
    config = Config(data_dir=tmp_path / "data")
    assert config.keyring_file in first_keys.prepare(config)
    assert not (config.data_dir / "linkseal.db").exists()


def test_links_are_given_up_only_by_a_command_of_its_own(tmp_path: Path) -> None:
    config = restored(tmp_path)
    words = ("--config", str(tmp_path / "linkseal.toml"), "token", "rotate")
    assert "(keyring-missing)" in linkseal(*words).stderr
    done = linkseal(*words, "--give-up-links")
    assert (done.returncode, done.stderr) == (0, "")
    assert "no link sent before opens" in done.stdout
    assert datadir.open_keyring(config).active == 1
    assert [path.name for path in first_keys.prepare(config)] == ["probe.key.sealed"]


@pytest.mark.parametrize("state", ["good", "damaged", "another's"])
def test_a_keyring_that_is_there_is_never_written_over(tmp_path: Path, state: str) -> None:
    config = restored(tmp_path)
    first_keys.replace_lost_keyring(config)
    if state == "damaged":
        config.keyring_file.write_text("{")
    elif state == "another's":
        config.master_key_file.write_text(new_master_key())
    before = config.keyring_file.read_bytes()
    words = ("--config", str(tmp_path / "linkseal.toml"), "token", "rotate", "--give-up-links")
    done = linkseal(*words)
    assert done.returncode == 1
    assert "(keyring-there)" in done.stderr
    assert config.keyring_file.read_bytes() == before


def test_where_there_is_no_master_key_nothing_is_given_up(tmp_path: Path) -> None:
    (tmp_path / "linkseal.toml").write_text('data_dir = "data"\n')
    words = ("--config", str(tmp_path / "linkseal.toml"), "token", "rotate", "--give-up-links")
    done = linkseal(*words)
    assert (done.returncode, "(master-key-missing)" in done.stderr) == (1, True)
    assert [each.name for each in tmp_path.iterdir()] == ["linkseal.toml"]


def test_the_json_of_what_needs_keys_is_one_object(tmp_path: Path) -> None:
    restored(tmp_path)
    config = ("--config", str(tmp_path / "linkseal.toml"))
    done = linkseal(*config, "domain", "check", "links.acme.example", "--json")
    assert json.loads(done.stderr)["code"] == "keyring-missing"
