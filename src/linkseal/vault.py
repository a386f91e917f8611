"""Secrets at rest: everything secret in the data directory is sealed under one master key.

AES-256-GCM with a random 96-bit nonce and a purpose as associated data, so a blob
written for one purpose cannot be passed off as another. Files are written to the side
and renamed, mode 0600.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import secrets
import tempfile
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from linkseal.errors import SealError, VaultError
from linkseal.seal import KEY_BYTES, Keyring

MASTER_KEY_BYTES = 32
_NONCE_BYTES = 12
_TAG_BYTES = 16
_SEALED_KEY_BYTES = _NONCE_BYTES + KEY_BYTES + _TAG_BYTES


class Vault:
    """Seals secrets under the master key, and opens them; also those of an older key.

    Args:
        master_key: 32 secret bytes.
        older: Keys that still open, while the master key is being rotated.
    """

    def __init__(self, master_key: bytes, *older: bytes) -> None:
        for key in (master_key, *older):
            if len(key) != MASTER_KEY_BYTES:
                raise VaultError(
                    f"the master key must have {MASTER_KEY_BYTES} bytes, it has {len(key)}",
                    code="master-key-invalid",
                    hint="use the file that `linkseal init` made",
                )
        self._cipher, *self._older = (AESGCM(key) for key in (master_key, *older))

    def seal(self, secret: bytes, purpose: str) -> bytes:
        """Return ``secret`` encrypted for ``purpose``."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret, purpose.encode())

    def open(self, blob: bytes, purpose: str) -> bytes:
        """Return the secret in ``blob``.

        Raises:
            VaultError: Another master key, another purpose, or a damaged blob.
        """
        for cipher in (self._cipher, *self._older):
            with contextlib.suppress(InvalidTag, ValueError):
                return cipher.decrypt(blob[:_NONCE_BYTES], blob[_NONCE_BYTES:], purpose.encode())
        raise VaultError(
            f"cannot open a secret kept for {purpose}",
            hint="the master key is not this data directory's, or the file is damaged",
        )


def new_master_key() -> str:
    """Return a fresh master key in its text form, base64."""
    return base64.b64encode(secrets.token_bytes(MASTER_KEY_BYTES)).decode("ascii")


def parse_master_keys(text: str, source: str) -> list[bytes]:
    """Read the text form of a master key; while it is rotated the older one follows it.

    Raises:
        VaultError: None, or not base64; the text itself is never in the message.
    """
    try:
        return [base64.b64decode(each, validate=True) for each in text.split() or [text]]
    except (binascii.Error, ValueError) as error:
        raise VaultError(
            f"the master key in {source} is not base64",
            code="master-key-invalid",
            hint="use the file that `linkseal init` made",
        ) from error


def write_private(path: Path, data: bytes, *, for_owner: bool = True) -> None:
    """Write a file atomically and durably, readable by its owner only.

    Args:
        path: Where.
        data: What.
        for_owner: It is of a data directory: see :func:`give_to_owner`, and a link, as to another
            volume, is followed. Else it stays this user's, and takes the place of a link.

    Raises:
        VaultError: It could not be written, or ``link-not-followed``: root was to follow a link in
            another user's directory; the old file is as it was.
    """
    try:
        if for_owner and path.is_symlink():
            path = _followed(path)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                if for_owner:
                    give_to_owner(file.fileno(), path.parent)
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
            raise
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise VaultError(
            f"cannot write {path}: {error.strerror}",
            code="vault-unwritable",
            hint="free disk space or mend the permissions",
            retryable=True,
        ) from error


def _followed(link: Path) -> Path:
    if os.geteuid() == 0 and link.parent.stat().st_uid != 0:
        raise VaultError(
            f"{link} is a link, and root follows none that another user may have made",
            code="link-not-followed",
            hint="run this as the user that runs linkseal",
        )
    return Path(os.path.realpath(link))


def give_to_owner(handle: int, directory: Path) -> None:
    """Give what root just made in a directory to whom the directory belongs.

    Without it the service, whose directory it is, could not read what root did for it. Only for
    what was made: what that user had put there could be a link to what is not his.

    Args:
        handle: It, open.
        directory: Where it was made.

    Raises:
        OSError: The system refuses.
    """
    if os.geteuid() != 0:
        return
    wanted, found = directory.stat(), os.fstat(handle)
    if (found.st_uid, found.st_gid) != (wanted.st_uid, wanted.st_gid):
        os.fchown(handle, wanted.st_uid, wanted.st_gid)


class _KeyringFile(msgspec.Struct):
    """The keyring at rest: key id to sealed key, base64."""

    active: int
    keys: dict[str, str]


def new_keyring() -> Keyring:
    """Return a keyring with one fresh key."""
    return Keyring({1: secrets.token_bytes(KEY_BYTES)}, 1)


def rotated_keyring(keyring: Keyring) -> Keyring:
    """Return the keyring with a fresh active key added."""
    return keyring.rotated(secrets.token_bytes(KEY_BYTES))


def save_keyring(path: Path, keyring: Keyring, vault: Vault) -> None:
    """Write a keyring, each key sealed.

    Raises:
        VaultError: It could not be written; the old file is as it was.
    """
    keys = {
        str(key_id): base64.b64encode(vault.seal(key, _purpose(key_id))).decode("ascii")
        for key_id, key in keyring.keys.items()
    }
    write_private(
        path, msgspec.json.format(msgspec.json.encode(_KeyringFile(keyring.active, keys)))
    )


def load_keyring(path: Path, vault: Vault) -> Keyring:
    """Read a keyring.

    Raises:
        VaultError: ``keyring-missing``, ``keyring-unreadable`` where it is there but not for us,
            ``keyring-damaged``, or ``keyring-other-master-key``.
    """
    try:
        stored = msgspec.json.decode(path.read_bytes(), type=_KeyringFile)
        return Keyring(_opened(path, stored, vault), stored.active)
    except FileNotFoundError as error:
        raise VaultError(
            f"there is no keyring {path}",
            code="keyring-missing",
            hint="restore the file from a backup: no link sent before opens without it; in a data "
            "directory that is new, `linkseal up` makes its first one",
        ) from error
    except OSError as error:
        raise VaultError(
            f"cannot read the keyring {path}: {error.strerror}",
            code="keyring-unreadable",
            hint="run this as the user that runs linkseal, or mend the file's permissions; one "
            "that cannot be read at all: restore it from a backup, for no sent link opens without",
        ) from error
    except (msgspec.MsgspecError, ValueError, SealError) as error:
        raise VaultError(
            f"the keyring {path} is damaged: {error}",
            code="keyring-damaged",
            hint="restore the file from a backup: without it no sent link opens",
        ) from error


def _opened(path: Path, stored: _KeyringFile, vault: Vault) -> dict[int, bytes]:
    """Return the keys of a keyring file.

    Raises:
        ValueError: It is damaged.
        VaultError: Not one of its keys opens: it is another master key's.
    """
    keys: dict[int, bytes] = {}
    failed: list[int] = []
    for name, text in stored.keys.items():
        key_id, blob = int(name), base64.b64decode(text, validate=True)
        if len(blob) != _SEALED_KEY_BYTES:
            raise ValueError(f"key {key_id} is cut or too long")
        try:
            keys[key_id] = vault.open(blob, _purpose(key_id))
        except VaultError:
            failed.append(key_id)
    if not failed:
        return keys
    if keys:
        raise ValueError(f"keys {', '.join(map(str, failed))} do not open, others do")
    raise VaultError(
        f"the master key does not open the keyring {path}",
        code="keyring-other-master-key",
        hint="use the master key it was sealed under, in master.key or LINKSEAL_MASTER_KEY, or "
        "restore both from one backup; keep this keyring: no sent link opens without it",
    )


def _purpose(key_id: int) -> str:
    return f"token-key:{key_id}"
