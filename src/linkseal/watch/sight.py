"""Whether the watch can see at all: what fails for a fault of ours is no domain's fault."""

from __future__ import annotations

import asyncio
import enum
import itertools
import math
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Final

import structlog

from linkseal.domains.watching import ENOUGH, Sight
from linkseal.errors import LinksealError
from linkseal.store import AlertKind, AlertSeverity, Store
from linkseal.watch import metrics
from linkseal.watch.found import RESOLVES, Found
from linkseal.watch.records import Records
from linkseal.watch.references import References

_RETELL_SECONDS: Final = 2.0

log = structlog.get_logger("watch")


class Lost(enum.Enum):
    """What of our sight can be lost, each for itself, and is found again by what lost it."""

    NETWORK = "network"
    NAMES = "names"
    EVERY_DOMAIN = "every domain"


class Latest:
    """When good was last seen of anybody, and of anybody else."""

    def __init__(self) -> None:
        self._at: dict[str, float] = {}

    def note(self, host: str, at: float) -> None:
        """Note a domain that is good."""
        self._at.pop(host, None)
        self._at[host] = at
        # The latest two are enough to know whether another one was.
        while len(self._at) > 2:
            del self._at[next(iter(self._at))]

    def of_another(self, host: str, since: float) -> bool:
        """Whether another domain was good since."""
        return any(at >= since for other, at in self._at.items() if other != host)


class Eyes:
    """What is known of the watch's own sight.

    Args:
        references: Asked after a look that failed.
        records: Alerts go there.
        now: The watch's clock.
    """

    def __init__(self, references: References, records: Records, now: Callable[[], float]) -> None:
        self._references = references
        self._records = records
        self._now = now
        self._regained_at = -math.inf
        self._well = Latest()
        self._resolved = Latest()
        # Until when each counts as failing: from when its links left it, it says nothing new.
        self._failing: dict[str, float] = {}
        self._lost: dict[Lost, str] = {}
        # Known by a look only: whoever has just started does not know it.
        self._sees = False
        self._turned = asyncio.Event()
        self._turned.set()

    @property
    def blind(self) -> bool:
        """Whether no domain is blamed now, or not for everything."""
        return bool(self._lost)

    @property
    def why(self) -> str:
        """Why it is blind; empty while it sees."""
        return "; ".join(self._lost.values())

    async def has_ipv6(self) -> bool:
        """Whether anything is reached over IPv6."""
        return (await self._references.reach()).over_ipv6

    async def weigh(
        self,
        host: str,
        since: float,
        found: Found,
        *,
        began: float,
        others: bool,
        whole_round: bool,
    ) -> Sight:
        """Return what a failed look of a domain has to be weighed against.

        Args:
            host: The domain.
            since: When it began to fail.
            found: What the look came to.
            began: When the look began: before sight was regained, it saw as little as we did.
            others: Whether any other domain is looked at as often.
            whole_round: Whether each of them had its turn since.
        """
        reach = await self._references.reach()
        if not reach.connects:
            self._lose(Lost.NETWORK, f"{self._references.names} cannot be reached either")
        resolves = reach.resolves or self._resolved.of_another(host, since)
        if reach.resolves:
            self._regain(Lost.NAMES)
        elif not resolves and found.of_names and reach.connects:
            name = self._references.shared_host
            self._lose(Lost.NAMES, f"resolvers give no address for {name} either")
        failing = (
            other for other, left in self._failing.items() if other != host and left >= since
        )
        return Sight(
            reached=began >= self._regained_at
            and reach.connects
            and (resolves or not found.of_names)
            and (reach.over_ipv6 or not found.over_ipv6),
            certain=self._references.certain,
            others=others,
            others_good=self._well.of_another(host, since),
            others_failing=sum(1 for _ in itertools.islice(failing, ENOUGH)),
            whole_round=whole_round,
        )

    def all_fail(self) -> None:
        """Note that every domain fails at once."""
        why = "every domain fails at once, and no reference outside is known"
        self._lose(Lost.EVERY_DOMAIN, why)

    def failed(self, host: str) -> None:
        """Note a failed look at a domain that links have not left."""
        self._failing[host] = math.inf

    def left(self, host: str, at: float) -> None:
        """Note that links have left a domain that failed."""
        if host in self._failing:
            self._failing[host] = at

    def good(self, host: str, passed: Collection[str], at: float, *, well: bool) -> None:
        """Note a look in which nothing failed.

        Args:
            host: The domain.
            passed: The checks that passed.
            at: When the look began.
            well: Whether it shows that requests reach us: whoever sees one such can see.
        """
        if RESOLVES in passed:
            self._resolved.note(host, at)
            self._regain(Lost.NAMES)
        if well:
            self._failing.pop(host, None)
            self._well.note(host, at)
            self._regain(Lost.EVERY_DOMAIN)
        if not self._sees and not self._lost:
            self._sees = True
            self._turned.set()

    def forget(self, hosts: Collection[str]) -> None:
        """Let domains go that are not watched any more."""
        for host in hosts:
            self._failing.pop(host, None)

    async def opened(self) -> bool:
        """Return whether looking is of any use now; what is not reached is asked again."""
        if Lost.NETWORK not in self._lost:
            return True
        if not (await self._references.reach()).connects:
            return False
        self._regain(Lost.NETWORK)
        return True

    def _lose(self, what: Lost, why: str) -> None:
        if what in self._lost:
            return
        self._lost[what] = why
        self._sees = False
        self._turned.set()
        log.error(
            "the watch is blind: no domain is blamed",
            why=why,
            hint="see that this machine reaches the internet and its resolvers; name addresses "
            "outside in watch.references, if the shared domain cannot be reached from here",
        )

    def _regain(self, what: Lost) -> None:
        if what in self._lost:
            log.warning("the watch sees again", was=self._lost.pop(what))
            self._regained_at = self._now()
            self._sees = not self._lost
            self._turned.set()

    async def tell(self) -> None:
        """Keep alerts of blindness, and that it is over, until cancelled.

        What is on record counts: so a watch that starts anew says neither twice, and what
        could not be kept is told later.
        """
        while True:
            await self._turned.wait()
            self._turned.clear()
            metrics.BLIND.set(bool(self._lost))
            try:
                await self._settle()
            except LinksealError as error:
                log.error("blindness not told yet", **error.as_dict())
                self._turned.set()
                await asyncio.sleep(_RETELL_SECONDS)

    async def _settle(self) -> None:
        why, sees, now = self.why, self._sees, datetime.now(UTC)

        def settle(store: Store) -> None:
            told = store.alerts.blindness()
            if why and told is None:
                kind, severity, said = AlertKind.WATCH_BLIND, AlertSeverity.CRITICAL, why
            elif sees and told is not None:
                kind, severity = AlertKind.WATCH_SEES, AlertSeverity.INFO
                said = f"it sees again; was: {told.detail['why']}"
            else:
                return
            store.alerts.add("", kind, severity, {"why": said}, now)

        await self._records.run(settle)
