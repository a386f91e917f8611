"""What the watch puts on record: in a thread of its own, and no more than has to be.

A look at a domain that is well changes nothing: what is shown of it is gathered and written
many at a time. A failure, and what follows from it, is written at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Final, TypeVar

import structlog

from linkseal.config import Config
from linkseal.domains.base import DomainState
from linkseal.domains.checks import Report
from linkseal.domains.lifecycle import Action, Step
from linkseal.domains.watching import Scope
from linkseal.errors import LinksealError
from linkseal.prober import Part, ProbeRequest
from linkseal.store import Domain, Look, Store
from linkseal.watch.looking import as_stored, keep_report, make_request

WHO: Final = "watch"
_AT_ONCE: Final = 1000
_T = TypeVar("_T")

log = structlog.get_logger("watch")


class Records:
    """The store, as the watch uses it.

    Args:
        store: Used by one thread at a time.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="records")
        self._looks: dict[str, Look] = {}
        self._mark: tuple[int, int, int] | None = None

    def close(self) -> None:
        """Begin nothing more; a database that is locked is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def run(self, work: Callable[[Store], _T]) -> _T:
        """Do something with the store, after what was begun before.

        Raises:
            LinksealError: As ``work``.
        """
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, self._store)

    async def request(
        self,
        config: Config,
        domain: Domain,
        key: bytes,
        *,
        parts: Part,
        addresses: tuple[str, ...],
    ) -> ProbeRequest:
        """Return what the prober is asked; see :func:`make_request`.

        Only a look at everything asks the database, and waits for it.

        Raises:
            StoreError: The database cannot be used.
        """

        def make(store: Store) -> ProbeRequest:
            return make_request(config, store, domain, key, parts=parts, addresses=addresses)

        return await self.run(make) if Part.REST in parts else make(self._store)

    async def changed_domains(self) -> list[Domain] | None:
        """Return what may have to be watched; ``None`` when nothing was changed since.

        Raises:
            StoreError: The database cannot be used.
        """

        def read(store: Store) -> tuple[tuple[int, int, int], list[Domain] | None]:
            mark = store.watching.mark()
            return mark, None if mark == self._mark else store.watching.domains()

        self._mark, found = await self.run(read)
        return found

    def forget_mark(self) -> None:
        """Read all domains the next time, whatever was changed."""
        self._mark = None

    async def counts(self) -> Mapping[DomainState, int]:
        """Return how many domains are in each state.

        Raises:
            StoreError: The database cannot be used.
        """
        return await self.run(lambda store: store.watching.counts())

    async def count(self, host: str, failures: int, since: datetime | None) -> None:
        """Keep how often in a row a domain failed, and since when.

        Raises:
            StoreError: The database cannot be used.
        """
        await self.run(lambda store: store.domains.count(host, failures, since))

    async def looks(self) -> Mapping[str, Look]:
        """Return the last look at every domain.

        Raises:
            StoreError: The database cannot be used.
        """
        return await self.run(lambda store: store.watching.looks())

    async def networks(self) -> Mapping[str, tuple[str, ...]]:
        """Return the networks that CDNs publish, by the profile's id.

        Raises:
            StoreError: The database cannot be used.
        """
        return await self.run(lambda store: store.cdn_ranges.networks())

    async def follow(
        self, domain: Domain, scope: Scope, *, broken: bool, reasons: tuple[str, ...], now: datetime
    ) -> Domain:
        """Have links leave a domain, or come back to it; return the domain after that.

        Raises:
            StoreError: The database cannot be used.
            DomainError: It is another by now.
        """

        def apply(store: Store) -> Domain:
            if scope is Scope.SSL:
                step = Step(Action.DEGRADE if broken else Action.RECOVER, WHO, reasons)
                return store.domains.apply(domain.host, step, now, seen=domain)
            return store.domains.apply_dns(
                domain.host,
                target=domain.target,
                passed=not broken,
                who=WHO,
                now=now,
                reasons=reasons,
            )

        return await self.run(apply)

    async def keep_report(self, domain: Domain, report: Report, at: datetime) -> None:
        """Keep the report of a whole look, if it says anything else than the one kept.

        Raises:
            StoreError: The database cannot be used.
        """

        def keep(store: Store) -> None:
            kept = store.domains.get(domain.host).report
            if kept is None or _results(kept) != _results(as_stored(report)):
                keep_report(store, domain, report, at)

        await self.run(keep)

    def note(self, look: Look) -> None:
        """Note a look, to be written with others."""
        self._looks[look.host] = look

    async def flush(self) -> None:
        """Write the looks that were noted, many at a time."""
        noted, self._looks = list(self._looks.values()), {}
        for first in range(0, len(noted), _AT_ONCE):
            some = noted[first : first + _AT_ONCE]
            try:
                await self.run(lambda store, some=some: store.watching.keep(some))  # type: ignore[misc]
            except LinksealError as error:
                # They only tell what was seen; the next ones say it better.
                log.error("looks not kept", **error.as_dict())
                return


def _results(report: Mapping[str, Any]) -> dict[str, str]:
    return {each["check"]: each["result"] for each in report.get("verdicts", ())}
