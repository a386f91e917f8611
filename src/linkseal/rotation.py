"""Give a data directory another master key.

Every secret at rest is sealed again under it. The key file holds both keys while that
goes on, so that a crash at any point leaves nothing unreadable: the next try finishes.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Final

from linkseal import datadir
from linkseal.certificates import SEALED_FILES
from linkseal.certificates.held import PURPOSES
from linkseal.config import Config
from linkseal.errors import VaultError
from linkseal.store import Store
from linkseal.vault import (
    Vault,
    load_keyring,
    new_master_key,
    parse_master_keys,
    save_keyring,
    write_private,
)

_WHILE_ROTATED: Final = 2


def rotate_master_key(config: Config) -> int:
    """Make another master key and seal every secret under it; return how many there were.

    Raises:
        ServiceError: A service runs on the data directory.
        VaultError: The key is not in its file, or a secret cannot be opened or written; with
            no keyring to open, nothing is made.
            What was sealed so far opens all the same; try again.
        StoreError: The database cannot be used.
    """
    if config.master_key:
        raise VaultError(
            "the master key is in the environment, where it cannot be rotated",
            code="master-key-elsewhere",
            hint=f"write it to {config.master_key_file}, unset LINKSEAL_MASTER_KEY, rotate, "
            "and put the new one back where the old one was",
        )
    datadir.open_keyring(config)  # Where there is none, no lock is made, nor a key.
    with datadir.hold(config, wait=0.0), datadir.sealing(config, alone=True):
        file = config.master_key_file
        keys = file.read_text(encoding="ascii").split()
        if len(keys) < _WHILE_ROTATED:
            keys = [new_master_key(), *keys]
            write_private(file, "\n".join(keys).encode() + b"\n")
        vault = Vault(*parse_master_keys(" ".join(keys), str(file)))
        count = _reseal(config, vault)
        write_private(file, keys[0].encode() + b"\n")
        # What a try that was killed was just writing holds keys too.
        real = file.resolve()
        for unfinished in real.parent.glob(f".{real.name}.*"):
            unfinished.unlink(missing_ok=True)
    return count


def _reseal(config: Config, vault: Vault) -> int:
    keyring = load_keyring(config.keyring_file, vault)
    save_keyring(config.keyring_file, keyring, vault)
    count = len(keyring.keys)
    for name, purpose in SEALED_FILES.items():
        path = config.data_dir / "tls" / name
        if path.exists():
            write_private(path, vault.seal(vault.open(path.read_bytes(), purpose), purpose))
            count += 1
    probe_key = datadir.probe_key_file(config)
    if probe_key.exists():
        key = datadir.open_probe_key(config, vault)
        write_private(probe_key, vault.seal(key, datadir.PROBE_KEY))
        count += 1
    # The service writes these anew when it starts.
    config.snapshot_file.unlink(missing_ok=True)
    shutil.rmtree(config.edge_certificates_dir, ignore_errors=True)
    with Store.open(config.store_url) as store:
        return count + store.certificates.reseal(_again(vault))


def _again(vault: Vault) -> Callable[[str, bytes], bytes]:
    def again(table: str, blob: bytes) -> bytes:
        purpose = PURPOSES[table]
        return vault.seal(vault.open(blob, purpose), purpose)

    return again
