"""A new master key: everything opens under it and nothing under the old, whatever is killed."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from linkseal import datadir
from linkseal.certificates import SEALED_FILES, LocalCA
from linkseal.certificates.held import (
    ACCOUNT_KEY,
    PURPOSES,
    Flight,
    open_flight,
    open_key,
    seal_flight,
)
from linkseal.config import Config
from linkseal.errors import LinksealError, ServiceError, VaultError
from linkseal.rotation import rotate_master_key
from linkseal.seal import Kind, MessageID, Sealed, open_url, sealed_url
from linkseal.store import CertificateRoute, Challenge, NameKind, NewCertificate, Store
from linkseal.testing.service import linkseal
from linkseal.vault import Vault, new_master_key, parse_master_keys, write_private

CA = "https://ca.example/directory"
FLIGHT = Flight(CA, f"{CA}/order/1", "p256", b"order key", b"csr")
NOW = datetime(2026, 11, 24, tzinfo=UTC)
CLICK = Sealed(
    Kind.CLICK, 1, MessageID.make(NOW, b"\x01" * 8), 0, "https://acme.example/spring?a=1"
)
KILLS = 6


class Kept:
    """A data directory with a secret of every kind, and what each of them is."""

    def __init__(self, directory: Path, names: int = 2) -> None:
        (directory / "linkseal.toml").write_text('data_dir = "data"\n')
        self.config_file = directory / "linkseal.toml"
        self.config = Config(data_dir=directory / "data")
        datadir.prepare(self.config)
        vault = datadir.open_vault(self.config)
        self.probe_key = datadir.open_probe_key(self.config, vault)
        self.url = sealed_url("https://go.ct.localhost", datadir.open_keyring(self.config), CLICK)
        self.ca(vault).certificate("go.ct.localhost", NOW)
        self.root = self.ca(vault).file.read_bytes()
        self.keys = {f"n{number}.acme.example": f"key {number}" for number in range(names)}
        with Store.open(self.config.store_url) as store:
            store.acme.put_account(CA, "account/1", vault.seal(b"account key", ACCOUNT_KEY))
            for name, key in self.keys.items():
                store.certificates.add_name(
                    name,
                    kind=NameKind.BRANDED,
                    route=CertificateRoute.ACME,
                    challenge=Challenge.HTTP_01,
                    now=NOW,
                )
                sealed = vault.seal(key.encode(), PURPOSES["certificates"])
                ends = NOW + timedelta(days=90)
                new = NewCertificate("p256", "chain", sealed, name, CA, False, NOW, ends)
                flight = seal_flight(vault, FLIGHT)
                store.certificates.put(name, [new], NOW, "issued", sealed_order=flight)

    def ca(self, vault: Vault) -> LocalCA:
        return LocalCA(self.config.data_dir / "tls", vault, self.config.base_domain)

    def master_keys(self) -> list[str]:
        return self.config.master_key_file.read_text().split()

    def vault_of(self, *keys: str) -> Vault:
        return Vault(*parse_master_keys(" ".join(keys), "the test"))

    def check(self) -> None:
        """Open everything, as a service that starts now would."""
        vault = datadir.open_vault(self.config)
        assert open_url(datadir.open_keyring(self.config), self.url).destination == (
            CLICK.destination
        )
        for name, purpose in SEALED_FILES.items():
            blob = (self.config.data_dir / "tls" / name).read_bytes()
            assert vault.open(blob, purpose).startswith(b"-----BEGIN PRIVATE KEY-----")
        assert datadir.open_probe_key(self.config, vault) == self.probe_key
        with Store.open(self.config.store_url) as store:
            account = store.acme.account(CA)
            assert account is not None
            assert vault.open(account[1], ACCOUNT_KEY) == b"account key"
            found = {one.name: open_key(vault, one).decode() for one in store.certificates.in_use()}
            assert found == self.keys
            for held in store.certificates.names():
                assert held.sealed_order is not None
                assert open_flight(vault, held.sealed_order) == FLIGHT

    def blobs(self) -> Iterator[tuple[bytes, str]]:
        """Every secret that is sealed, and what for."""
        for name, purpose in SEALED_FILES.items():
            yield (self.config.data_dir / "tls" / name).read_bytes(), purpose
        yield datadir.probe_key_file(self.config).read_bytes(), datadir.PROBE_KEY
        with Store.open(self.config.store_url) as store:
            account = store.acme.account(CA)
            assert account is not None
            yield account[1], ACCOUNT_KEY
            for one in store.certificates.in_use():
                yield one.sealed_key, PURPOSES["certificates"]
            for held in store.certificates.names():
                assert held.sealed_order is not None
                yield held.sealed_order, PURPOSES["certificate_names"]

    def opened_by(self, key: str) -> int:
        """How many secrets a key opens."""
        vault = self.vault_of(key)
        count = 0
        for blob, purpose in self.blobs():
            with contextlib.suppress(VaultError):
                vault.open(blob, purpose)
                count += 1
        with contextlib.suppress(VaultError):
            datadir.open_keyring(self.config.model_copy(update={"master_key": key}))
            count += 1
        return count


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def test_everything_opens_under_the_new_key_and_nothing_under_the_old(kept: Kept) -> None:
    (old,) = kept.master_keys()
    kept.check()
    everything = 2 + len(SEALED_FILES) + 1 + 2 * len(kept.keys)
    assert kept.opened_by(old) == everything
    blobs = [blob for blob, _ in kept.blobs()]
    assert rotate_master_key(kept.config) == everything
    (new,) = kept.master_keys()
    assert new != old
    kept.check()
    assert (kept.opened_by(old), kept.opened_by(new)) == (0, everything)
    assert kept.config.master_key_file.stat().st_mode & 0o777 == 0o600
    on_disk = [file.read_bytes() for file in kept.config.data_dir.rglob("*") if file.is_file()]
    assert not [blob for blob in blobs if any(blob in data for data in on_disk)]
    assert not [data for data in on_disk if old.encode() in data]


def test_the_local_ca_still_signs(kept: Kept) -> None:
    rotate_master_key(kept.config)
    ca = kept.ca(datadir.open_vault(kept.config))
    again = ca.certificate("shared.ct.localhost", NOW)
    assert again.covers("shared.ct.localhost")
    assert ca.file.read_bytes() == kept.root


def test_the_command_counts_and_a_link_of_before_opens(kept: Kept) -> None:
    config = ("--config", str(kept.config_file))
    done = linkseal(*config, "vault", "rotate")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("9 secrets are sealed under a new master key; back up ")
    assert done.stdout.rstrip().endswith("data/master.key")
    opened = linkseal(*config, "token", "open", kept.url)
    assert opened.returncode == 0, opened.stderr
    assert CLICK.destination in opened.stdout.replace("\n", "")
    kept.check()


def test_what_the_service_writes_anew_is_gone(kept: Kept) -> None:
    kept.config.snapshot_file.write_bytes(b"sealed under the old key")
    kept.config.edge_certificates_dir.mkdir()
    (kept.config.edge_certificates_dir / "0a").write_bytes(b"so is this")
    rotate_master_key(kept.config)
    assert not kept.config.snapshot_file.exists()
    assert not kept.config.edge_certificates_dir.exists()


def test_a_directory_that_has_its_keyring_only_is_rotated(tmp_path: Path) -> None:
    config = Config(data_dir=tmp_path)
    datadir.prepare(config)
    keyring = datadir.open_keyring(config)
    datadir.probe_key_file(config).unlink()
    assert rotate_master_key(config) == 1
    assert datadir.open_keyring(config).keys == keyring.keys


def test_keys_on_another_volume_are_rotated_there(kept: Kept, tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    links = [kept.config.master_key_file, kept.config.keyring_file]
    links.append(datadir.probe_key_file(kept.config))
    for link in links:
        link.rename(volume / link.name)
        link.symlink_to(volume / link.name)
    before = [link.read_bytes() for link in links]
    (volume / ".master.key.left").touch()
    rotate_master_key(kept.config)
    assert [link.readlink().parent for link in links] == [volume] * 3
    assert not {*before} & {link.read_bytes() for link in links}
    assert {path.name for path in volume.iterdir()} == {link.name for link in links}
    assert open_url(datadir.open_keyring(kept.config), kept.url) == CLICK


def test_token_keys_of_rotations_at_once_are_all_kept(kept: Kept) -> None:
    """Links may have been sealed with any of them."""
    rotate = [sys.executable, "-m", "linkseal", "--config", str(kept.config_file)]
    rotations = [subprocess.Popen([*rotate, "token", "rotate"]) for _ in range(4)]
    assert [each.wait(60) for each in rotations] == [0] * 4
    assert len(datadir.open_keyring(kept.config).keys) == 5


def test_a_running_service_is_not_pulled_from_under(kept: Kept) -> None:
    before = kept.config.master_key_file.read_bytes()
    with datadir.hold(kept.config, wait=0), pytest.raises(ServiceError) as refusal:
        rotate_master_key(kept.config)
    assert refusal.value.code == "already-running"
    assert kept.config.master_key_file.read_bytes() == before
    kept.check()


def test_who_seals_and_who_rotates_wait_for_each_other(kept: Kept) -> None:
    """Else a secret could be sealed under a key that is gone when it is stored."""
    command = [str(Path(sys.executable).parent / "linkseal"), "--config", str(kept.config_file)]
    before = kept.config.master_key_file.read_bytes()
    with datadir.sealing(kept.config), datadir.sealing(kept.config):
        rotating = subprocess.Popen([*command, "vault", "rotate"], stdout=subprocess.DEVNULL)
        with pytest.raises(subprocess.TimeoutExpired):
            rotating.wait(3)
        assert kept.config.master_key_file.read_bytes() == before
    assert rotating.wait(60) == 0
    with datadir.sealing(kept.config, alone=True):
        keyring = kept.config.keyring_file.read_bytes()
        sealing = subprocess.Popen([*command, "token", "rotate"], stdout=subprocess.DEVNULL)
        with pytest.raises(subprocess.TimeoutExpired):
            sealing.wait(3)
        assert kept.config.keyring_file.read_bytes() == keyring
    assert sealing.wait(60) == 0
    kept.check()


def test_a_key_of_the_environment_is_refused_with_the_way_to_do_it(kept: Kept) -> None:
    (key,) = kept.master_keys()
    config = kept.config.model_copy(update={"master_key": key})
    with pytest.raises(VaultError) as refusal:
        rotate_master_key(config)
    assert refusal.value.code == "master-key-elsewhere"
    assert str(kept.config.master_key_file) in refusal.value.hint
    assert key not in str(refusal.value) + refusal.value.hint
    assert kept.master_keys() == [key]
    kept.check()


def test_a_secret_of_another_key_stops_it_and_hides_nothing(kept: Kept) -> None:
    """Nothing is given up for one that cannot be opened: both keys stay."""
    file = kept.config.data_dir / "tls" / "ca.key.sealed"
    sealed = file.read_bytes()
    foreign = kept.vault_of(new_master_key()).seal(b"key", SEALED_FILES["ca.key.sealed"])
    write_private(file, foreign)
    (old,) = kept.master_keys()
    with pytest.raises(VaultError) as refusal:
        rotate_master_key(kept.config)
    assert refusal.value.code == "vault-unreadable"
    new, older = kept.master_keys()
    assert older == old
    write_private(file, sealed)
    kept.check()
    rotate_master_key(kept.config)
    assert kept.master_keys() == [new]
    kept.check()


def test_a_try_that_broke_off_is_finished_with_the_same_key(kept: Kept) -> None:
    """As if killed right after the file with both keys was written."""
    (old,) = kept.master_keys()
    new = new_master_key()
    write_private(kept.config.master_key_file, f"{new}\n{old}\n".encode())
    unfinished = kept.config.data_dir / ".master.key.x1y2z3"
    unfinished.write_text(f"{new}\n{old}\n")
    kept.check()
    rotate_master_key(kept.config)
    assert kept.master_keys() == [new]
    assert kept.opened_by(old) == 0
    assert not unfinished.exists()
    kept.check()


def test_killed_at_any_point_everything_opens_and_the_next_try_finishes(tmp_path: Path) -> None:
    """SIGKILL of the installed command, somewhere between its first write and its last."""
    kept = Kept(tmp_path, names=150)
    draw = random.Random(20261124)
    command = [str(Path(sys.executable).parent / "linkseal"), "--config", str(kept.config_file)]
    interrupted = 0
    (first,) = kept.master_keys()

    def written() -> tuple[int, int]:
        files = (kept.config.master_key_file, kept.config.keyring_file)
        return files[0].stat().st_ino, files[1].stat().st_ino

    for _ in range(KILLS):
        before = written()
        with subprocess.Popen([*command, "vault", "rotate"], stdout=subprocess.DEVNULL) as running:
            while running.poll() is None and written() == before:
                time.sleep(0.0005)
            time.sleep(draw.uniform(0, 0.03))
            running.kill()
        kept.check()
        interrupted += len(kept.master_keys()) == 2
    print(f"{interrupted} of {KILLS} kills came between the first write and the last")
    assert interrupted, "no kill came between the first write and the last"
    rotate_master_key(kept.config)
    assert len(kept.master_keys()) == 1
    assert kept.opened_by(first) == 0
    kept.check()


def test_the_command_tells_its_refusals(kept: Kept) -> None:
    config = ("--config", str(kept.config_file))
    with datadir.hold(kept.config, wait=0):
        done = linkseal(*config, "vault", "rotate")
    assert (done.returncode, done.stdout) == (1, "")
    assert "already-running" in done.stderr
    assert "hint: stop it first" in done.stderr
    elsewhere = subprocess.run(
        [str(Path(sys.executable).parent / "linkseal"), *config, "vault", "rotate"],
        env={"PATH": "/usr/bin", "LINKSEAL_MASTER_KEY": kept.master_keys()[0]},
        capture_output=True,
        text=True,
    )
    assert elsewhere.returncode == 1
    assert "(master-key-elsewhere)" in elsewhere.stderr
    assert "hint: write it to" in elsewhere.stderr
    assert kept.master_keys()[0] not in elsewhere.stderr
    kept.config.master_key_file.write_text("")
    done = linkseal(*config, "vault", "rotate")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "master-key-invalid" in done.stderr


def test_every_error_of_it_is_one_of_ours(kept: Kept) -> None:
    """A keyring that is gone is told as such, and no other key is made without it."""
    keyring = kept.config.keyring_file.read_bytes()
    keys = kept.master_keys()
    kept.config.keyring_file.unlink()
    with pytest.raises(LinksealError) as refusal:
        rotate_master_key(kept.config)
    assert refusal.value.code == "keyring-missing"
    assert kept.master_keys() == keys
    write_private(kept.config.keyring_file, keyring)
    kept.check()
    rotate_master_key(kept.config)
    kept.check()
