"""Secrets at rest: they open under their key and purpose only, and survive a failed write."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from linkseal import datadir
from linkseal.config import Config
from linkseal.errors import ServiceError, VaultError
from linkseal.vault import (
    Vault,
    load_keyring,
    new_keyring,
    new_master_key,
    parse_master_keys,
    rotated_keyring,
    save_keyring,
    write_private,
)

VAULT = Vault(b"m" * 32)


def test_a_secret_opens_under_its_key_and_purpose_only() -> None:
    blob = VAULT.seal(b"secret", "token-key:1")
    assert VAULT.open(blob, "token-key:1") == b"secret"
    for vault, data, purpose in (
        (Vault(b"n" * 32), blob, "token-key:1"),
        (VAULT, blob, "token-key:2"),
        (VAULT, blob[:-1], "token-key:1"),
        (VAULT, b"", "token-key:1"),
        (VAULT, blob[:-1] + bytes([blob[-1] ^ 1]), "token-key:1"),
    ):
        with pytest.raises(VaultError):
            vault.open(data, purpose)


def test_a_keyring_comes_back_and_lies_sealed(tmp_path: Path) -> None:
    keyring = rotated_keyring(new_keyring())
    file = tmp_path / "keyring.json"
    save_keyring(file, keyring, VAULT)
    again = load_keyring(file, VAULT)
    assert (again.keys, again.active) == (keyring.keys, 2)
    assert file.stat().st_mode & 0o777 == 0o600
    for key in keyring.keys.values():
        assert base64.b64encode(key) not in file.read_bytes()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"{", "keyring-damaged"),
        (b"", "keyring-damaged"),
        (b'{"active": 1, "keys": {"x": ""}}', "keyring-damaged"),
        (b'{"active": 1, "keys": {"1": "AAAA"}}', "keyring-damaged"),
        (b'{"active": 1, "keys": {"1": "not base64!"}}', "keyring-damaged"),
        (b'{"active": 1, "keys": {}}', "keyring-damaged"),
        (None, "keyring-missing"),
    ],
)
def test_a_keyring_that_cannot_be_read_says_why(
    tmp_path: Path, content: bytes | None, code: str
) -> None:
    file = tmp_path / "keyring.json"
    if content is not None:
        file.write_bytes(content)
    keyring_refused(file, code)


def keyring_refused(file: Path, code: str, vault: Vault = VAULT) -> None:
    """See that a keyring is refused, and that nobody is led to make another in its place."""
    with pytest.raises(VaultError) as refusal:
        load_keyring(file, vault)
    assert refusal.value.code == code
    assert str(file) in refusal.value.message
    assert "restore" in refusal.value.hint
    assert "init" not in refusal.value.hint


def test_a_keyring_whose_active_key_is_gone_is_damaged(tmp_path: Path) -> None:
    file = tmp_path / "keyring.json"
    save_keyring(file, new_keyring(), VAULT)
    file.write_bytes(file.read_bytes().replace(b'"active": 1', b'"active": 2'))
    keyring_refused(file, "keyring-damaged")


def test_a_keyring_of_another_master_key_is_told_as_such(tmp_path: Path) -> None:
    file = tmp_path / "keyring.json"
    save_keyring(file, new_keyring(), VAULT)
    keyring_refused(file, "keyring-other-master-key", Vault(b"n" * 32))


def test_a_keyring_in_part_of_another_master_key_is_damaged(tmp_path: Path) -> None:
    file = tmp_path / "keyring.json"
    keyring = rotated_keyring(new_keyring())
    save_keyring(file, keyring, VAULT)
    stored = json.loads(file.read_bytes())
    first = stored["keys"]["1"]
    stored["keys"]["1"] = first[:-8] + ("AAAAAAA=" if first[-8:] != "AAAAAAA=" else "BAAAAAA=")
    file.write_text(json.dumps(stored))
    keyring_refused(file, "keyring-damaged")


def test_a_keyring_that_may_not_be_read_is_not_told_as_missing(tmp_path: Path) -> None:
    (tmp_path / "keyring.json").mkdir()
    keyring_refused(tmp_path / "keyring.json", "keyring-unreadable")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    keyring_refused(loop, "keyring-unreadable")


def test_a_link_to_a_keyring_that_is_not_there_now_is_not_written_over(tmp_path: Path) -> None:
    """As where the volume with the keys is not mounted."""
    config = Config(data_dir=tmp_path / "data")
    config.data_dir.mkdir()
    for file in (config.master_key_file, config.keyring_file):
        file.symlink_to(tmp_path / "volume" / file.name)
        with pytest.raises(VaultError) as refusal:
            datadir.prepare(config.model_copy(update={"master_key": ""}))
        assert refusal.value.code == "master-key-missing"
        assert file.is_symlink()
    with pytest.raises(VaultError) as refusal:
        datadir.prepare(config.model_copy(update={"master_key": new_master_key()}))
    assert refusal.value.code == "keyring-missing"
    assert config.keyring_file.is_symlink()


def test_nothing_is_sealed_under_a_master_key_that_does_not_open_the_keyring(
    tmp_path: Path,
) -> None:
    config = Config(data_dir=tmp_path)
    datadir.prepare(config)
    datadir.probe_key_file(config).unlink()
    with pytest.raises(VaultError) as refusal:
        datadir.prepare(config.model_copy(update={"master_key": new_master_key()}))
    assert refusal.value.code == "keyring-other-master-key"
    assert not datadir.probe_key_file(config).exists()


def test_a_probe_key_is_told_as_lost_only_where_it_is(tmp_path: Path) -> None:
    config = Config(data_dir=tmp_path)
    with pytest.raises(VaultError) as refusal:
        datadir.open_probe_key(config, VAULT)
    assert refusal.value.code == "probe-key-missing"
    datadir.probe_key_file(config).mkdir()
    with pytest.raises(VaultError) as refusal:
        datadir.open_probe_key(config, VAULT)
    assert refusal.value.code == "probe-key-unreadable"
    assert "permissions" in refusal.value.hint


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    write_private(file, b"old")
    with pytest.raises(VaultError) as refusal:
        write_private(tmp_path / "missing" / "secret", b"new")
    assert refusal.value.retryable
    assert file.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret"]


def test_a_master_key_has_a_text_form_that_no_error_shows() -> None:
    text = new_master_key()
    assert [len(key) for key in parse_master_keys(text + "\n", "here")] == [32]
    with pytest.raises(VaultError) as refusal:
        parse_master_keys("not base64 at all!", "master.key")
    assert "not base64 at all" not in str(refusal.value)
    with pytest.raises(VaultError):
        Vault(b"short")


def test_a_new_data_directory_gets_keys_once(tmp_path: Path) -> None:
    config = Config(data_dir=tmp_path / "data")
    made = datadir.prepare(config)
    assert [path.name for path in made] == [
        "data",
        "master.key",
        "keyring.json",
        "probe.key.sealed",
    ]
    keyring = datadir.open_keyring(config)
    assert datadir.prepare(config) == []
    assert datadir.open_keyring(config).keys == keyring.keys


def test_a_lost_master_key_is_an_error_not_a_new_key(tmp_path: Path) -> None:
    config = Config(data_dir=tmp_path)
    datadir.prepare(config)
    config.master_key_file.unlink()
    with pytest.raises(VaultError) as refusal:
        datadir.prepare(config)
    assert refusal.value.code == "master-key-missing"
    assert not config.master_key_file.exists()


def test_a_master_key_may_come_from_the_environment(tmp_path: Path) -> None:
    config = Config(data_dir=tmp_path, master_key=new_master_key())
    assert [path.name for path in datadir.prepare(config)] == ["keyring.json", "probe.key.sealed"]
    assert datadir.open_keyring(config).active == 1


@pytest.mark.parametrize("served", ["probe.key.sealed", "edge.snapshot"])
def test_a_lost_keyring_is_an_error_not_a_new_keyring(tmp_path: Path, served: str) -> None:
    config = Config(data_dir=tmp_path)
    datadir.prepare(config)
    config.snapshot_file.write_bytes(b"what the edge reads")
    for file in {"probe.key.sealed", "edge.snapshot"} - {served}:
        (tmp_path / file).unlink()
    config.keyring_file.unlink()
    with pytest.raises(VaultError) as refusal:
        datadir.prepare(config)
    assert refusal.value.code == "keyring-missing"
    assert "backup" in refusal.value.hint
    assert not config.keyring_file.exists()
    config.master_key_file.unlink()
    with pytest.raises(VaultError) as refusal:
        datadir.prepare(config)
    assert refusal.value.code == "master-key-missing"
    assert not config.master_key_file.exists()


def test_a_directory_is_made_without_keys_for_what_needs_none(tmp_path: Path) -> None:
    config = Config(data_dir=tmp_path / "a" / "data")
    assert datadir.make_directory(config) == [config.data_dir]
    assert [each.name for each in config.data_dir.iterdir()] == ["metrics"]
    assert datadir.make_directory(config) == []


def test_a_file_in_the_place_of_the_directory_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    for place in (tmp_path / "data", tmp_path / "data" / "inner"):
        with pytest.raises(VaultError) as refusal:
            datadir.prepare(Config(data_dir=place))
        assert refusal.value.code == "vault-unwritable"


HOLDER = """
import os, signal, sys
from pathlib import Path
from linkseal import datadir
from linkseal.config import Config
with datadir.hold(Config(data_dir=Path(sys.argv[1])), wait=0):
    if not os.fork():
        sys.stdin.read()
        os._exit(0)
    print("held", flush=True)
    signal.pause()
"""


def test_a_supervisor_that_lives_is_told_at_once_and_its_orphans_are_waited_for(
    tmp_path: Path,
) -> None:
    config = Config(data_dir=tmp_path)
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as supervisor:
        assert supervisor.stdin
        assert supervisor.stdout
        assert supervisor.stdout.readline() == b"held\n"
        began = time.monotonic()
        with pytest.raises(ServiceError) as refusal, datadir.hold(config, wait=60):
            pass
        assert refusal.value.code == "already-running"
        assert datadir.SUPERVISOR_WAIT <= time.monotonic() - began < 30
        supervisor.kill()
        supervisor.wait()
        with pytest.raises(ServiceError), datadir.hold(config, wait=0):
            pass
        orphan_leaves = threading.Timer(1, supervisor.stdin.close)
        orphan_leaves.start()
        with datadir.hold(config, wait=60):
            assert supervisor.stdin.closed
        orphan_leaves.join()
