"""Give a data directory its first keys, unless its database tells that it had others.

Keys made in place of lost ones would look like success, and no link sent before would open.
"""

from __future__ import annotations

from pathlib import Path

from linkseal import datadir
from linkseal.config import Config
from linkseal.errors import VaultError
from linkseal.store import Store
from linkseal.vault import new_keyring, save_keyring


def prepare(config: Config) -> list[Path]:
    """Make what is missing of a data directory, and return what was made.

    Raises:
        VaultError: As of :func:`linkseal.datadir.prepare`; also ``keyring-missing`` or
            ``master-key-missing`` where the database was used with others. Nothing is made.
        StoreError: The database cannot be used.
    """
    if not datadir.has_keyring(config) and _was_used(config):
        datadir.open_vault(config)  # Without it the keyring alone would not do.
        raise VaultError(
            f"there is no keyring {config.keyring_file}, and the database was used with one",
            code="keyring-missing",
            hint="restore the file from the backup: no link sent before opens without it; if it "
            "is lost for good, `linkseal token rotate --give-up-links` makes a new one, and those "
            "links lead nowhere for ever",
        )
    return datadir.prepare(config)


def replace_lost_keyring(config: Config) -> None:
    """Make a keyring in place of one that is lost for good: links sealed by that are dead.

    Raises:
        VaultError: ``keyring-there``, whatever its state: nothing is ever written over it; or the
            master key cannot be used, or nothing be written.
    """
    with datadir.sealing(config, alone=True):
        if datadir.has_keyring(config):
            raise VaultError(
                f"the keyring {config.keyring_file} is there: no links are given up",
                code="keyring-there",
                hint="`linkseal token rotate` adds a key to it; if it is damaged or another master "
                "key's, restore it from a backup, and only if there is none move it away",
            )
        save_keyring(config.keyring_file, new_keyring(), datadir.open_vault(config))


def _was_used(config: Config) -> bool:
    own = config.data_dir / "linkseal.db"
    if not config.store.url and not own.exists():
        return False
    with Store.open(config.store_url, migrate=False) as store:
        # Customers may be added before there are keys; not where there is a master key.
        return store.traces.of_keys(customers_too=config.master_key_file.exists())
