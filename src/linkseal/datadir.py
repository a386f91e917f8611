"""The data directory: what lies in it, and how a new one is made.

========================  ====================================================
``master.key``            the master key, unless it is in the environment
``keyring.json``          the token keys, sealed under the master key
``probe.key.sealed``      what probes of branded domains are signed with, sealed likewise
``installation.id``       tells this installation from others on one database
``edge.snapshot``         what the edge reads, sealed under the master key
``edge.certificates/``    the certificates it names, each sealed under the master key
``edge.app-files/``       the files for apps it names
``tls/``                  the local CA and its certificate, when none is configured
``journal/``              hits between the edge and the collector
``linkseal.db``           the database, when no other is configured
``metrics/``              the running parts' metrics
``service.json``          where a running service listens; ``service.lock`` holds it
``sealing.lock``          held by who seals, and alone by who rotates keys
========================  ====================================================
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import structlog

from linkseal.config import Config
from linkseal.errors import ServiceError, VaultError
from linkseal.seal import Keyring
from linkseal.seal.nonce import PROBE_KEY_BYTES
from linkseal.vault import (
    Vault,
    give_to_owner,
    load_keyring,
    new_keyring,
    new_master_key,
    parse_master_keys,
    save_keyring,
    write_private,
)

PROBE_KEY = "probe-key"
"""What the probe key is sealed for."""

SUPERVISOR_WAIT: Final = 2.0
"""Seconds to wait for a supervisor that lives: it may be about to leave."""

_AT_ONCE: Final = fcntl.LOCK_EX | fcntl.LOCK_NB
_NEW: Final = os.O_CREAT | os.O_EXCL | os.O_CLOEXEC

log = structlog.get_logger("service")


def prepare(config: Config) -> list[Path]:
    """Make what is missing of a data directory, and return what was made.

    A master key and a keyring are made only where nothing was ever sealed: with either
    gone, making another would look like success and leave every link ever sent unreadable.

    Raises:
        VaultError: The directory is not this user's to write, or the master key or the
            keyring is missing, cannot be read, or does not fit the other.
    """
    made = make_directory(config)
    vault_was_used = any(
        _is_there(each)
        for each in (
            probe_key_file(config),
            config.snapshot_file,
            config.data_dir / "tls" / "ca.key.sealed",
        )
    )
    keyring_is_there = has_keyring(config)
    if (
        not config.master_key
        and not _is_taken(config.master_key_file)
        and not vault_was_used
        and not keyring_is_there
    ):
        write_private(config.master_key_file, new_master_key().encode() + b"\n")
        made.append(config.master_key_file)
    vault = open_vault(config)
    if keyring_is_there:
        # What is sealed under a master key that is not this directory's would be lost.
        load_keyring(config.keyring_file, vault)
    else:
        if vault_was_used:
            raise VaultError(
                f"the keyring {config.keyring_file} is gone, and links were sealed with it",
                code="keyring-missing",
                hint="restore the file from the backup: no sent link opens without it; "
                "if it is lost for good, `linkseal token rotate --give-up-links` makes a new one, "
                "and those links lead nowhere for ever",
            )
        save_keyring(config.keyring_file, new_keyring(), vault)
        made.append(config.keyring_file)
    probe_key = probe_key_file(config)
    if not _is_taken(probe_key):
        write_private(probe_key, vault.seal(secrets.token_bytes(PROBE_KEY_BYTES), PROBE_KEY))
        made.append(probe_key)
    return made


def make_directory(config: Config) -> list[Path]:
    """Make a data directory that is missing, without any keys; return what was made.

    Raises:
        VaultError: ``vault-unwritable``: it cannot be made, or is not this user's to write.
    """
    directory = config.data_dir
    made = [] if _is_there(directory) else [directory]
    with _writing(directory):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in (directory, *directory.iterdir()):
            _require_access(path, os.R_OK | (os.W_OK | os.X_OK if path == directory else 0))
        _make_own(config.metrics_dir)
        if os.geteuid() == 0 and directory.stat().st_uid != 0:
            # Who makes what in them takes them as they are.
            for name in ("tls", "journal", "edge.certificates", "edge.app-files"):
                _make_own(directory / name)
            # An empty file is an empty database, and SQLite gives its others to whose it is.
            with contextlib.suppress(FileExistsError):
                if not config.store.url:
                    database = os.open(directory / "linkseal.db", os.O_WRONLY | _NEW, 0o644)
                    _given(database, directory)
    # The running parts map its files into memory: what cannot be written stops them at once.
    _require_access(config.metrics_dir, os.R_OK | os.W_OK | os.X_OK)
    return made


def _make_own(path: Path) -> None:
    if not path.is_dir():
        path.mkdir(mode=0o700, exist_ok=True)
        _given(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), path.parent)


def _require_access(path: Path, mode: int) -> None:
    # What a running service has just renamed or removed is none to complain of.
    if not os.access(path, mode) and _is_there(path):
        raise _unwritable(path, "it is not this user's, or is mounted read-only")


def _is_there(path: Path) -> bool:
    """Whether there is such a file; one that cannot be told for want of permission is an error."""
    with _writing(path):
        return path.exists()


def _is_taken(path: Path) -> bool:
    """Whether there is such a file, or a link to where there is none now, as on another volume."""
    with _writing(path):
        return path.is_symlink() or path.exists()


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _unwritable(path, error.strerror or "the system refuses") from error


def _unwritable(path: Path, why: str) -> VaultError:
    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        user = f"user {os.geteuid()}"
    return VaultError(
        f"{path} cannot be used by {user}: {why}",
        code="vault-unwritable",
        hint="run this as the user that runs linkseal, chown -R the data directory to that user, "
        "or set data_dir to a directory this user can write",
    )


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
            hint="restore the file from a backup, or name the right data directory; in one that is "
            "new, `linkseal up` makes its first one",
        ) from error
    except OSError as error:
        raise VaultError(
            f"cannot read the master key {file}: {error.strerror}",
            code="master-key-unreadable",
            hint="run this as the user that runs linkseal, or mend the file's permissions",
        ) from error
    except UnicodeDecodeError as error:
        raise VaultError(
            f"{file} holds no master key",
            code="master-key-invalid",
            hint="restore the file from a backup",
        ) from error
    return Vault(*parse_master_keys(text, str(file)))


@contextlib.contextmanager
def hold(config: Config, wait: float) -> Iterator[None]:
    """Hold the data directory: two services on one would write the same journal slots.

    Two locks on one file: the supervisor's own (a record lock, which no child inherits), and
    one that every part inherits, so it is free only when the last process of a killed
    service has left too. While a supervisor has the first nothing will change soon; once
    it is gone its parts leave by themselves, which is worth waiting for.

    Args:
        config: Whose.
        wait: Seconds to wait for another's processes to leave.

    Raises:
        ServiceError: A service runs on it.
        VaultError: The directory is not this user's to write.
    """
    file = config.data_dir / "service.lock"
    handle = _open_lock(file)
    try:
        _lock(lambda: fcntl.lockf(handle, _AT_ONCE), file, min(wait, SUPERVISOR_WAIT))
        _lock(lambda: fcntl.flock(handle, _AT_ONCE), file, wait)
        yield
    finally:
        os.close(handle)


def _lock(take: Callable[[], None], file: Path, wait: float) -> None:
    deadline = time.monotonic() + wait
    waiting = False
    while True:
        try:
            take()
            return
        except (BlockingIOError, PermissionError) as error:  # EAGAIN or EACCES: fcntl(2).
            if time.monotonic() >= deadline:
                raise ServiceError(
                    f"a service runs on {file.parent} already",
                    code="already-running",
                    hint="stop it first, or give this one another data_dir",
                ) from error
            if not waiting:
                log.info("waiting for the last service's processes to leave", seconds=wait)
                waiting = True
            time.sleep(0.2)


def _open_lock(file: Path) -> int:
    with _writing(file):
        with contextlib.suppress(FileExistsError):
            _given(os.open(file, os.O_RDWR | _NEW, 0o600), file.parent)
        return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _given(handle: int, directory: Path) -> None:
    """Give what was just made to the directory's owner, and close it."""
    try:
        give_to_owner(handle, directory)
    finally:
        os.close(handle)


@contextlib.contextmanager
def sealing(config: Config, *, alone: bool = False) -> Iterator[None]:
    """Keep the master key as it is from opening the vault until what it sealed is stored.

    Waits: those who seal for one who rotates that or a token key, and that one for all of them.

    Args:
        config: Whose.
        alone: For the one who rotates.

    Raises:
        VaultError: The directory is not this user's to write.
    """
    handle = _open_lock(config.data_dir / "sealing.lock")
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
        VaultError: ``probe-key-missing``, ``probe-key-unreadable``, or the master key does not fit.
    """
    file = probe_key_file(config)
    try:
        blob = file.read_bytes()
    except FileNotFoundError as error:
        raise VaultError(
            f"there is no probe key {file}",
            code="probe-key-missing",
            hint="start linkseal anew: `linkseal up` makes another, and nothing is lost",
        ) from error
    except OSError as error:
        raise VaultError(
            f"cannot read the probe key {file}: {error.strerror}",
            code="probe-key-unreadable",
            hint="run this as the user that runs linkseal, or mend the file's permissions",
        ) from error
    return vault.open(blob, PROBE_KEY)


def has_keyring(config: Config) -> bool:
    """Whether there is a keyring, in whatever state.

    Raises:
        VaultError: ``vault-unwritable``: that cannot be told.
    """
    return _is_taken(config.keyring_file)


def open_keyring(config: Config) -> Keyring:
    """Return the token keyring of a data directory.

    Raises:
        VaultError: As of :func:`open_vault` and :func:`linkseal.vault.load_keyring`.
    """
    return load_keyring(config.keyring_file, open_vault(config))
