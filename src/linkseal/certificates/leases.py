"""Names that a worker has to itself for a while, so that no two order for the same one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from linkseal.store import Store

LEASE: Final = timedelta(seconds=60)
"""How long a name stays its worker's after the worker was last heard of."""


class LostError(Exception):
    """Another worker has the name by now."""


class Leases:
    """A worker's; for several threads.

    Attributes:
        owner: What leases are taken as.

    Args:
        store: Where names are.
        owner: The same after a restart, so that a worker which was killed goes on at once;
            another's for every worker that runs beside it.
    """

    def __init__(self, store: Store, owner: str) -> None:
        self._names = store.certificates
        self.owner = owner

    def take(self, name: str) -> bool:
        """Take a name, or go on having it; return whether that worked."""
        now = datetime.now(UTC)
        return self._names.lease(name, self.owner, now, now + LEASE)

    def keep(self, name: str) -> None:
        """Go on having a name; one that was taken from us, as by an import, stays taken."""
        now = datetime.now(UTC)
        self._names.settle(name, self.owner, now, "", {}, leased_until=now + LEASE)

    def release(self, name: str) -> None:
        """Let others have a name."""
        now = datetime.now(UTC)
        self._names.lease(name, self.owner, now, now)

    def settle(self, name: str, what: str, detail: Mapping[str, str], **values: object) -> None:
        """Change fields of a name we have, and put it on record.

        Args:
            name: Taken before.
            what: For the history; empty for nothing.
            detail: Goes with it.
            values: Fields of the name, by name.

        Raises:
            LostError: It is another's by now; nothing was changed.
        """
        if not self._names.settle(name, self.owner, datetime.now(UTC), what, detail, **values):
            raise LostError(name)
