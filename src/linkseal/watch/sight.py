"""Whether the watch can see at all: what fails for a fault of ours is no domain's fault."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

import structlog

from linkseal.domains.watching import Sight
from linkseal.store import AlertKind, AlertSeverity
from linkseal.watch import metrics
from linkseal.watch.records import Records
from linkseal.watch.references import References

log = structlog.get_logger("watch")


class Eyes:
    """What is known of the watch's own sight.

    Args:
        references: Asked after a look that failed.
        records: Alerts go there.
    """

    def __init__(self, references: References, records: Records) -> None:
        self._references = references
        self._records = records
        self._good: dict[str, float] = {}
        self._failing: set[str] = set()
        self._blind = ""
        self._unreached = False

    @property
    def blind(self) -> bool:
        """Whether no domain is blamed now."""
        return bool(self._blind)

    async def weigh(self, host: str, since: float, *, others: bool, whole_round: bool) -> Sight:
        """Return what a failed look of a domain has to be weighed against.

        Args:
            host: The domain.
            since: When it began to fail.
            others: Whether any other domain is looked at as often.
            whole_round: Whether each of them had its turn since.
        """
        reached = await self._references.reached()
        if not reached:
            await self._close(f"{self._references.names} cannot be reached either")
            self._unreached = True
        return Sight(
            reached=reached,
            certain=self._references.certain,
            others=others,
            others_good=any(at >= since for other, at in self._good.items() if other != host),
            others_failing=len(self._failing - {host}),
            whole_round=whole_round,
        )

    async def all_fail(self) -> None:
        """Note that every domain fails at once."""
        await self._close("every domain fails at once, and no reference outside is known")

    def failed(self, host: str, *, broken: bool) -> None:
        """Note a failed look at a domain; one whose links have left it says nothing new."""
        if broken:
            self._failing.discard(host)
        else:
            self._failing.add(host)

    async def good(self, host: str, at: float) -> None:
        """Note a good look at a domain: whoever sees one can see."""
        self._failing.discard(host)
        self._good.pop(host, None)
        self._good[host] = at
        # The latest two are enough to know whether another one was good.
        while len(self._good) > 2:
            del self._good[next(iter(self._good))]
        await self._open()

    def forget(self, hosts: Collection[str]) -> None:
        """Let domains go that are not watched any more."""
        self._failing.difference_update(hosts)

    async def opened(self) -> bool:
        """Return whether looking is of any use now; what is not reached is asked again."""
        if not self._unreached:
            return True
        if not await self._references.reached():
            log.error("the watch is blind still", why=self._blind)
            return False
        await self._open()
        return True

    async def _close(self, why: str) -> None:
        if self._blind:
            return
        self._blind = why
        metrics.BLIND.set(1)
        log.error(
            "the watch is blind: no domain is blamed",
            why=why,
            hint="see that this machine reaches the internet and its resolvers; name addresses "
            "outside in watch.references, if the shared domain cannot be reached from here",
        )
        await self._tell(AlertKind.WATCH_BLIND, AlertSeverity.CRITICAL, {"why": why})

    async def _open(self) -> None:
        self._unreached = False
        if not self._blind:
            return
        why, self._blind = self._blind, ""
        metrics.BLIND.set(0)
        log.warning("the watch sees again", was=why)
        await self._tell(AlertKind.WATCH_SEES, AlertSeverity.INFO, {"was": why})

    async def _tell(self, kind: AlertKind, severity: AlertSeverity, detail: dict[str, str]) -> None:
        await self._records.alert("", kind, severity, detail, datetime.now(UTC))
