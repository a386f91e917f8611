"""The data directory: what lies in it, and how a new one is made.

========================  ====================================================
``master.key``            the master key, unless it is in the environment
``keyring.json``          the token keys, sealed under the master key
``probe.key.sealed``      what probes of branded domains are signed with, sealed likewise
``installation.id``       tells this installation from others on one database
``edge.snapshot``         what the edge reads, sealed under the master key
``edge.certificates/``    the certificates it names, each sealed under the master key
``tls/``                  the local CA and its certificate, when none is configured
``journal/``              hits between the edge and the collector
``linkseal.db``           the database, when no other is configured
``metrics/``              the running parts' metrics
``service.json``          where a running service listens; ``service.lock`` holds it
``sealing.lock``          held by who seals, and alone by who rotates the master key
========================  ====================================================
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import structlog

from linkseal.config import Config
from linkseal.errors import ServiceError, VaultError
from linkseal.seal import Keyring
from linkseal.seal.nonce import PROBE_KEY_BYTES
from linkseal.vault import (
    Vault,
    load_keyring,
    new_keyring,
    new_master_key,
    parse_master_keys,
    save_keyring,
    write_private,
)

PROBE_KEY = "probe-key"
"""What the probe key is sealed for."""

log = structlog.get_logger("service")


def prepare(config: Config) -> list[Path]:
    """Make what is missing of a data directory, and return what was made.

    A master key is made only where nothing was ever sealed under one: with a keyring
    or snapshot there and the key gone, making another would look like success and
    leave every link ever sent unreadable.

    Raises:
        VaultError: The directory cannot be written, or the master key is missing.
    """
    made: list[Path] = []
    directory = config.data_dir
    if not directory.is_dir():
        try:
            directory.mkdir(mode=0o700, parents=True)
        except OSError as error:
            raise VaultError(
                f"cannot make the data directory {directory}: {error.strerror}",
                code="vault-unwritable",
                hint="set data_dir to a directory this user can write",
            ) from error
        made.append(directory)
    config.metrics_dir.mkdir(mode=0o700, exist_ok=True)
    sealed = config.keyring_file.exists() or config.snapshot_file.exists()
    if not config.master_key and not config.master_key_file.exists() and not sealed:
        write_private(config.master_key_file, new_master_key().encode() + b"\n")
        made.append(config.master_key_file)
    vault = open_vault(config)
    if not config.keyring_file.exists():
        save_keyring(config.keyring_file, new_keyring(), vault)
        made.append(config.keyring_file)
    probe_key = probe_key_file(config)
    if not probe_key.exists():
        write_private(probe_key, vault.seal(secrets.token_bytes(PROBE_KEY_BYTES), PROBE_KEY))
        made.append(probe_key)
    return made


def open_vault(config: Config) -> Vault:
    """Return the vault of a data directory.

    Raises:
        VaultError: There is no master key, or it is not one.
    """
    if config.master_key:
        return Vault(*parse_master_keys(config.master_key, "LINKSEAL_MASTER_KEY"))
    file = config.master_key_file
    try:
        text = file.read_text(encoding="ascii")
    except FileNotFoundError as error:
        raise VaultError(
            f"there is no master key {file}",
            code="master-key-missing",
            hint="run `linkseal init` for a new data directory, or restore the file from a backup",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise VaultError(
            f"cannot read the master key {file}",
            code="master-key-invalid",
            hint="mend its permissions, or restore it from a backup",
        ) from error
    return Vault(*parse_master_keys(text, str(file)))


@contextlib.contextmanager
def hold(config: Config, wait: float) -> Iterator[None]:
    """Hold the data directory: two services on one would write the same journal slots.

    The lock is inherited by every part, so it is free only when the last process of a
    killed service has left too.

    Args:
        config: Whose.
        wait: Seconds to wait for another's processes to leave.

    Raises:
        ServiceError: A service runs on it.
    """
    file = config.data_dir / "service.lock"
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + wait
        waiting = False
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ServiceError(
                        f"a service runs on {file.parent} already",
                        code="already-running",
                        hint="stop it first, or give this one another data_dir",
                    ) from None
                if not waiting:
                    log.info("waiting for the last service's processes to leave")
                    waiting = True
                time.sleep(0.2)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def sealing(config: Config, *, alone: bool = False) -> Iterator[None]:
    """Keep the master key as it is from opening the vault until what it sealed is stored.

    Waits: those who seal for one who rotates the key, and that one for all of them.

    Args:
        config: Whose.
        alone: For the one who rotates it.
    """
    handle = os.open(config.data_dir / "sealing.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


def installation_id(config: Config) -> str:
    """Return what tells this installation from others on one database, 32 characters.

    Drawn at the first call, and kept: neither a host's name nor a path, which two containers
    may share and one may lose. Of several processes that call it first, one draws.

    Raises:
        VaultError: It cannot be written.
    """
    file = config.data_dir / "installation.id"
    if kept := _kept_id(file):
        return kept
    handle = os.open(config.data_dir, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if kept := _kept_id(file):
            return kept
        drawn = secrets.token_hex(16)
        write_private(file, drawn.encode() + b"\n")
        return drawn
    finally:
        os.close(handle)


def _kept_id(file: Path) -> str:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return file.read_text(encoding="ascii").strip()
    return ""


def probe_key_file(config: Config) -> Path:
    """Return where the probe key lies; if it is lost, another one does as well."""
    return config.data_dir / "probe.key.sealed"


def open_probe_key(config: Config, vault: Vault) -> bytes:
    """Return the probe key of a data directory.

    Raises:
        VaultError: It is missing, or the master key does not fit.
    """
    file = probe_key_file(config)
    try:
        blob = file.read_bytes()
    except OSError as error:
        raise VaultError(
            f"cannot read the probe key {file}: {error.strerror}",
            code="probe-key-unreadable",
            hint="run `linkseal init`: it makes another, and nothing is lost",
        ) from error
    return vault.open(blob, PROBE_KEY)


def open_keyring(config: Config) -> Keyring:
    """Return the token keyring of a data directory.

    Raises:
        VaultError: The master key or the keyring is missing or does not fit.
    """
    return load_keyring(config.keyring_file, open_vault(config))
