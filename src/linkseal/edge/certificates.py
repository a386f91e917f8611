"""Certificates at rest for the edge: one sealed file each, named in the snapshot.

So the snapshot stays small however many names there are, and a worker reads a certificate
when a client first asks for its name.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Collection
from pathlib import Path
from typing import Final

import msgspec

from linkseal.errors import VaultError
from linkseal.vault import Vault, write_private

SWEEP_AFTER: Final = 600.0
"""Seconds a file nothing names any more is kept: workers may still serve by an older snapshot."""


class _File(msgspec.Struct, array_like=True):
    chain: bytes
    key: bytes


class CertificateFiles:
    """The files in a directory, which is made when missing.

    Args:
        directory: Where they are.
        vault: Seals them.
    """

    def __init__(self, directory: Path, vault: Vault) -> None:
        self._directory = directory
        self._vault = vault

    def has(self, chain: bytes) -> str | None:
        """Return a certificate's id if it is there, without looking into the file.

        Args:
            chain: PEM, leaf first.
        """
        found = _id(chain)
        return found if (self._directory / found).exists() else None

    def put(self, chain: bytes, key: bytes) -> str:
        """Write a certificate unless it is there; return its id.

        Args:
            chain: PEM, leaf first.
            key: PEM, not encrypted.

        Raises:
            VaultError: It could not be written.
        """
        found = _id(chain)
        path = self._directory / found
        if not path.exists():
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            sealed = self._vault.seal(msgspec.msgpack.encode(_File(chain, key)), _purpose(found))
            write_private(path, sealed)
        return found

    def load(self, found: str) -> bytes:
        """Return a certificate and its key as one PEM text.

        Raises:
            VaultError: It is missing, damaged, or sealed under another key.
            OSError: It cannot be read now; it may be later.
        """
        path = self._directory / found
        try:
            sealed = path.read_bytes()
        except FileNotFoundError as error:
            raise VaultError(
                f"cannot read the certificate {path}: {error.strerror}",
                code="certificate-file-unreadable",
                hint="send the service SIGHUP: it writes the edge's files anew",
            ) from error
        file = msgspec.msgpack.decode(self._vault.open(sealed, _purpose(found)), type=_File)
        return file.chain + b"\n" + file.key

    def sweep(self, used: Collection[str], before: Collection[str]) -> None:
        """Delete what nothing names, and has not for a while; see :func:`sweep`."""
        sweep(self._directory, used, before)


def sweep(directory: Path, used: Collection[str], before: Collection[str]) -> None:
    """Delete files of a directory that nothing names, and has not for a while.

    Call it when the snapshot that names ``used`` is in place. A file's time is when
    it was written, then when a snapshot first named it no more.

    Args:
        directory: Where they are; it may be missing.
        used: What the snapshot names.
        before: What the one before it named.
    """
    old = time.time() - SWEEP_AFTER
    with contextlib.suppress(FileNotFoundError):
        for path in directory.iterdir():
            if path.name in used:
                continue
            if path.name in before:
                os.utime(path)
            elif path.stat().st_mtime < old:
                path.unlink(missing_ok=True)


def _id(chain: bytes) -> str:
    return hashlib.sha256(chain).hexdigest()


def _purpose(found: str) -> str:
    return f"edge-certificate:{found}"
