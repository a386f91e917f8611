"""A data directory that is another user's, cannot be written, or is not there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from linkseal import datadir
from linkseal.config import Config
from linkseal.journal.segment import SegmentWriter
from linkseal.testing.service import ServiceProcess, linkseal
from linkseal.vault import new_master_key, write_private

NOBODY = 65534
LINK = "https://go.ct.localhost/c/AQABAAAA"
COMMANDS = (("up",), ("customer", "list"), ("event", "list"), ("token", "rotate"))
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="takes root, to be another user")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every user may enter and nobody but root may write."""
    folder = Path(tempfile.mkdtemp(prefix="linkseal-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def run(
    data: Path, *words: str, user: int | None = None, before: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if "LINKSEAL" not in name}
    return subprocess.run(
        [*before, sys.executable, "-m", "linkseal", *words],
        env=environment | {"LINKSEAL_DATA_DIR": str(data), "HOME": str(data.parent)},
        cwd=data.parent,
        user=user,
        capture_output=True,
        text=True,
        timeout=60,
    )


def told(done: subprocess.CompletedProcess[str], code: str) -> None:
    assert done.returncode == 1, done
    assert f"({code})" in done.stderr
    assert "hint: " in done.stderr
    assert "Traceback" not in done.stderr


@as_root
@pytest.mark.parametrize("mode", [0o700, 0o755])
def test_another_users_directory_is_told_of(place: Path, mode: int) -> None:
    config = Config(data_dir=place / "data")
    datadir.prepare(config)
    config.data_dir.chmod(mode)
    for words in COMMANDS:
        done = run(config.data_dir, *words, user=NOBODY)
        told(done, "master-key-unreadable" if words[0] == "token" else "vault-unwritable")
    told(run(config.data_dir, "token", "open", LINK, user=NOBODY), "master-key-unreadable")


@as_root
def test_files_that_root_left_in_the_directory_are_told_of(place: Path) -> None:
    config = Config(data_dir=place / "data")
    datadir.prepare(config)
    os.chown(config.data_dir, NOBODY, NOBODY)
    done = run(config.data_dir, "customer", "list", user=NOBODY)
    told(done, "vault-unwritable")
    assert "chown" in done.stderr
    for path in config.data_dir.iterdir():
        os.chown(path, NOBODY, NOBODY)
    assert run(config.data_dir, "customer", "list", user=NOBODY).returncode == 0


@as_root
def test_what_root_makes_in_the_directory_is_its_owners(place: Path) -> None:
    """Else the service, which is not root's, can read its own keys no more."""
    data = place / "data"
    data.mkdir(mode=0o700)
    os.chown(data, NOBODY, NOBODY)
    for words in (
        ("mail", "seal"),
        ("customer", "add", "acme"),
        ("token", "rotate"),
        ("vault", "rotate"),
    ):
        done = run(data, *words)
        assert done.returncode == 0, done
        owners = {path.name: (path.stat().st_uid, path.stat().st_gid) for path in data.iterdir()}
        assert set(owners.values()) == {(NOBODY, NOBODY)}, (words, owners)
    assert {"master.key", "keyring.json", "linkseal.db", "sealing.lock"} <= owners.keys()
    for words in (("customer", "list"), ("token", "rotate"), ("vault", "rotate")):
        done = run(data, *words, user=NOBODY)
        assert done.returncode == 0, done


@as_root
def test_a_service_that_root_ran_and_killed_leaves_all_to_the_owner(folder: Path) -> None:
    data = folder / "data"
    data.mkdir(mode=0o700)
    os.chown(data, NOBODY, NOBODY)
    with ServiceProcess(folder) as service:
        service.kill_everything()
    SegmentWriter(data / "journal", 0).close()
    # The metrics of a run are removed by the next one; what was only being made has no name yet.
    left = {
        path
        for path in data.rglob("*")
        if path.parent.name != "metrics" and not path.name.startswith(".")
    }
    assert {path.parent.name for path in left} >= {"journal", "tls", "edge.certificates"}
    assert {path for path in left if path.stat().st_uid != NOBODY} == set()


@as_root
def test_what_the_owner_put_there_is_not_given_to_him(place: Path) -> None:
    """A link of his, to what is root's."""
    data, roots = place / "data", place / "roots"
    (roots / "metrics").mkdir(parents=True)
    config = Config(data_dir=data)
    datadir.prepare(config)
    config.metrics_dir.rmdir()
    for name in ("metrics", "sealing.lock", "service.lock", "linkseal.db"):
        if name != "metrics":
            (roots / name).touch()
        (data / name).symlink_to(roots / name)
    for path in (data, *data.iterdir()):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    for words in (("customer", "list"), ("token", "rotate"), ("vault", "rotate")):
        done = run(data, *words)
        assert done.returncode == 0, done
    assert {path.stat().st_uid for path in roots.iterdir()} == {0}
    config.keyring_file.rename(roots / "keyring.json")
    config.keyring_file.symlink_to(roots / "keyring.json")
    told(run(data, "token", "rotate"), "link-not-followed")


@as_root
def test_what_an_operator_exports_as_root_stays_roots(place: Path) -> None:
    os.chown(place, NOBODY, NOBODY)
    write_private(place / "links.key", b"private", for_owner=False)
    assert (place / "links.key").stat().st_uid == 0
    write_private(place / "links.key", b"private")
    assert (place / "links.key").stat().st_uid == NOBODY


@as_root
def test_a_directory_that_its_owner_may_not_write_is_told_of(place: Path) -> None:
    config = Config(data_dir=place / "data")
    datadir.prepare(config)
    for path in (config.data_dir, *config.data_dir.iterdir()):
        os.chown(path, NOBODY, NOBODY)
    config.data_dir.chmod(0o500)
    for words in COMMANDS:
        told(run(config.data_dir, *words, user=NOBODY), "vault-unwritable")
    told(run(place / "new", "up", user=NOBODY), "vault-unwritable")


@as_root
def test_a_read_only_file_system_is_told_of(place: Path) -> None:
    config = Config(data_dir=place / "data")
    datadir.prepare(config)
    data = config.data_dir
    mount = f"mount --bind {data} {data} && mount -o remount,bind,ro {data}"
    before = ("unshare", "--mount", "sh", "-c", f'{mount} || exit 77; exec "$@"', "sh")
    for words in COMMANDS:
        done = run(config.data_dir, *words, before=before)
        if done.returncode == 77 or "unshare" in done.stderr:
            pytest.skip("this machine lets nobody mount")
        told(done, "vault-unwritable")
    # What only reads does.
    told(run(config.data_dir, "token", "open", LINK, before=before), "token-invalid")


def test_what_only_reads_makes_no_keys(tmp_path: Path) -> None:
    data = tmp_path / "data"
    message = tmp_path / "message.eml"
    message.write_text("Subject: x\nContent-Type: text/html\n\n<a href='https://a.example'>a</a>\n")
    told(run(data, "token", "open", LINK), "master-key-missing")
    told(run(data, "token", "rotate"), "master-key-missing")
    assert not data.exists()
    explained = run(data, "mail", "explain", str(message), "--json")
    assert [link["outcome"] for link in json.loads(explained.stdout)["links"]] == ["sealed"]
    assert not data.exists()
    for words in (("event", "list"), ("customer", "list")):
        assert run(data, *words).returncode == 0
    assert {each.name for each in data.iterdir()} <= {"linkseal.db", "metrics"}


def test_a_folder_without_a_config_file_is_not_taken_for_another_keyring(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if "LINKSEAL" not in name}

    def here(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "linkseal", *words],
            env=environment | {"HOME": str(tmp_path)},
            cwd=tmp_path,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
        )

    data = tmp_path / ".local" / "state" / "linkseal"
    done = here("token", "open", LINK)
    told(done, "master-key-missing")
    assert "note: no config file was found" in " ".join(done.stderr.split())
    error = json.loads(here("token", "open", LINK, "--json").stderr)
    assert (error["code"], str(data) in error["hint"]) == ("master-key-missing", True)
    assert not data.exists()
    sealed = here("mail", "seal", stdin="Subject: x\n\nx\n")
    assert sealed.returncode == 0
    assert "no config file was found" in " ".join(sealed.stderr.split())
    told(here("token", "open", LINK), "token-invalid")


@pytest.mark.parametrize("noun", ["vault", "token"])
def test_where_there_are_no_keys_nothing_is_rotated_or_made(tmp_path: Path, noun: str) -> None:
    """As in the wrong folder: no config file here, and no data where the defaults have it."""
    environment = {name: value for name, value in os.environ.items() if "LINKSEAL" not in name}

    def rotate(**more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "linkseal", noun, "rotate"],
            env=environment | {"HOME": str(tmp_path)} | more,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )

    done = rotate()
    told(done, "master-key-missing")
    said = " ".join(done.stderr.split())
    assert "nothing is rotated: there is no master key" in said
    assert "no config file was found" in said
    assert str(tmp_path / ".local/state/linkseal/master.key") in said
    assert list(tmp_path.iterdir()) == []
    data = tmp_path / "data"
    told(rotate(LINKSEAL_DATA_DIR=str(data)), "master-key-missing")
    data.mkdir()
    told(rotate(LINKSEAL_DATA_DIR=str(data)), "master-key-missing")
    assert list(data.iterdir()) == []
    (data / "master.key").write_text(new_master_key())
    done = rotate(LINKSEAL_DATA_DIR=str(data))
    told(done, "keyring-missing")
    assert "nothing is rotated: there is no keyring" in " ".join(done.stderr.split())
    assert [each.name for each in data.iterdir()] == ["master.key"]


def test_a_lost_keyring_stops_the_service_with_the_fix(folder: Path) -> None:
    config = ("--config", str(folder / "linkseal.toml"))
    datadir.prepare(Config(data_dir=folder / "data"))
    (folder / "data" / "keyring.json").unlink()
    done = linkseal(*config, "up")
    told(done, "keyring-missing")
    assert "backup" in done.stderr
