"""Looks at every live domain when it is due, and carries out what follows."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from cryptography import x509

from linkseal.config import Config
from linkseal.domains.watching import (
    Blame,
    Course,
    Outcome,
    Rules,
    Scope,
    is_broken,
    scope_of,
    take_up,
)
from linkseal.errors import DomainError, LinksealError
from linkseal.prober import probe
from linkseal.store import AlertKind, AlertSeverity, Domain, Look
from linkseal.watch import metrics
from linkseal.watch.foreign import Foreign, foreign_certificate
from linkseal.watch.found import UNPROVEN, Found, find, parts_of
from linkseal.watch.records import Records
from linkseal.watch.references import References
from linkseal.watch.sight import Eyes

FLUSH_SECONDS: Final = 15.0
REPORT_SECONDS: Final = 30.0
RELOAD_SECONDS: Final = 2.0
_LOOK_SECONDS: Final = 40.0

log = structlog.get_logger("watch")


@dataclass(slots=True)
class Watched:
    """A domain under watch.

    Attributes:
        domain: As last read, without its report.
        course: What the watch knows of it.
        turn: Which entry of the queue is its own; an older one is passed over.
        addresses: Where it was found to lead.
        foreign: The certificate recipients are shown, where it is not ours.
    """

    domain: Domain
    course: Course
    turn: int = 0
    addresses: tuple[str, ...] = ()
    foreign: Foreign | None = None


class Watcher:
    """The watch.

    Args:
        config: The service's.
        records: What it puts on record.
        key: The probe key.
        roots: Those that browsers trust.
        installation: What shifts its looks against another installation's.
    """

    def __init__(
        self,
        config: Config,
        records: Records,
        key: bytes,
        roots: Sequence[x509.Certificate],
        installation: str,
    ) -> None:
        watch = config.watch
        self._config = config
        self._records = records
        self._key = key
        self._roots = tuple(roots)
        self._installation = installation
        self._rules = Rules(watch.interval, watch.retry, watch.failures, watch.recoveries)
        self._eyes = Eyes(References(config, key), records)
        self._watched: dict[str, Watched] = {}
        self._queue: list[tuple[float, int, str]] = []
        self._turns = itertools.count(1)
        self._news = asyncio.Event()
        self._slots = asyncio.Semaphore(watch.parallel)
        # The clock of this process: steps of the machine's own must not hold looks back.
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        """Return the present, in Unix seconds that never go back."""
        return time.monotonic() + self._offset

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._again(RELOAD_SECONDS, self._reload))
            group.create_task(self._again(FLUSH_SECONDS, self._records.flush))
            group.create_task(self._again(REPORT_SECONDS, self._report))
            await self._schedule(group)

    async def _again(self, seconds: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            try:
                await work()
            except LinksealError as error:
                log.error("the watch waits", **error.as_dict())
            await asyncio.sleep(min(seconds, self._rules.interval))

    # Which domains, and when.

    async def _reload(self) -> None:
        """Take up what is new, and let go what is not to be watched any more."""
        found = await self._records.changed_domains()
        if found is None:
            return
        known, self._watched = self._watched, {}
        for domain in found:
            failing = domain.failing_since is not None
            scope = scope_of(domain.state, dns_valid=domain.dns_valid, failing=failing)
            if scope is None:
                continue
            before = known.get(domain.host)
            if before is not None and _same(before, domain, scope):
                before.domain = domain
                self._watched[domain.host] = before
                continue
            course = take_up(
                domain.host,
                self._installation,
                domain.state,
                scope=scope,
                failures=domain.failures,
                failing_since=domain.failing_since.timestamp() if domain.failing_since else None,
                now=self.now(),
                rules=self._rules,
            )
            self._watched[domain.host] = Watched(domain, course)
            self._queue_up(self._watched[domain.host])
        self._eyes.forget(known.keys() - self._watched.keys())

    def _queue_up(self, watched: Watched) -> None:
        watched.turn = next(self._turns)
        due = watched.course.due_at(self._rules)
        heapq.heappush(self._queue, (due, watched.turn, watched.domain.host))
        self._news.set()

    def _next(self) -> tuple[float, Watched] | None:
        """Return what is due first; entries that are of no use any more are dropped."""
        while self._queue:
            due, turn, host = self._queue[0]
            watched = self._watched.get(host)
            if watched is not None and watched.turn == turn:
                return due, watched
            heapq.heappop(self._queue)
        return None

    async def _schedule(self, group: asyncio.TaskGroup) -> None:
        gap = 1 / self._config.watch.per_second
        while True:
            self._news.clear()
            first = self._next()
            wait = first[0] - self.now() if first else None
            if first is None or (wait is not None and wait > 0):
                await self._sleep(wait)
                continue
            if not await self._eyes.opened():
                await asyncio.sleep(self._rules.retry)
                continue
            await self._slots.acquire()
            # Something else may have come first meanwhile, or this have gone.
            first = self._next()
            if first is None or first[0] > self.now():
                self._slots.release()
                continue
            heapq.heappop(self._queue)
            group.create_task(self._turn(first[1]))
            await asyncio.sleep(gap)

    async def _sleep(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return

    # One look.

    async def _turn(self, watched: Watched) -> None:
        try:
            await self._look(watched)
        except LinksealError as error:
            log.error("what was seen is not kept", host=watched.domain.host, **error.as_dict())
        except Exception:
            # One domain's look must not end the watch over all others.
            log.exception("a look broke off", host=watched.domain.host)
        finally:
            self._slots.release()
            self._queue_again(watched)

    def _queue_again(self, watched: Watched) -> None:
        if watched.course.due_at(self._rules) <= self.now():
            # The look broke off before it came to anything.
            watched.course = watched.course.unseen((), self.now())
        if self._watched.get(watched.domain.host) is watched:
            self._queue_up(watched)

    async def _look(self, watched: Watched) -> None:
        domain, course, began = watched.domain, watched.course, self.now()
        level = course.level_at(began, self._rules)
        known = bool(watched.addresses) and not course.level
        parts = parts_of(level, course.scope, known=known)
        request = await self._records.request(
            self._config,
            domain,
            self._key,
            parts=parts,
            addresses=watched.addresses if known else (),
        )
        seen = await probe(request, self._config.prober, seconds=_LOOK_SECONDS)
        found = find(
            seen,
            self._roots,
            level=level,
            scope=course.scope,
            parts=parts,
            enrolled=domain.cdn,
        )
        if self._watched.get(domain.host) is not watched:
            return  # It was changed meanwhile: what was seen is of what it was.
        watched.addresses = found.addresses
        if domain.is_fronted:
            watched.foreign = foreign_certificate(found.leaves, watched.foreign)
        await self._settle(watched, found, began)
        self._note(watched, found, level)
        await self._see_to_certificate(watched)
        if found.report is not None:
            await self._records.keep_report(watched.domain, found.report, datetime.now(UTC))

    async def _settle(self, watched: Watched, found: Found, began: float) -> None:
        """Take in what a look came to, and have links follow."""
        host, course, now = watched.domain.host, watched.course, datetime.now(UTC)
        if found.failed:
            since = began if course.failing_since is None else course.failing_since
            sight = await self._eyes.weigh(
                host,
                since,
                others=self._others(watched),
                whole_round=self.now() - since > self._rules.interval + self._rules.retry,
            )
            after, outcome = course.failed(
                found.failed, began=began, at=self.now(), rules=self._rules
            )
            breaks, blame = outcome is Outcome.BREAKS, sight.blame
            if not sight.reached or (breaks and blame is Blame.OURS):
                if sight.reached:
                    await self._eyes.all_fail()
                metrics.LOOKS.labels("unseen").inc()
                watched.course = course.unseen(found.failed, self.now())
                return
            if breaks and blame is Blame.UNDECIDED:
                outcome = Outcome.NOTHING
            metrics.LOOKS.labels("failed").inc()
            watched.course = after
            self._eyes.failed(host, broken=course.broken)
            if not course.broken:
                log.warning("a look failed", host=host, row=after.failures, why=found.problems)
                await self._records.count(host, passed=False, now=now)
        elif not found.proven:
            metrics.LOOKS.labels("unseen").inc()
            watched.course = course.unseen(UNPROVEN, self.now())
            return
        else:
            metrics.LOOKS.labels("good").inc()
            watched.course, outcome = course.passed(self.now(), self._rules)
            await self._eyes.good(host, began)
            if course.failures and not course.broken:
                await self._records.count(host, passed=True, now=now)
        if outcome is not Outcome.NOTHING:
            await self._follow(watched, found, now, broken=outcome is Outcome.BREAKS)

    def _others(self, watched: Watched) -> bool:
        """Whether any other domain whose links are https is looked at as often."""
        return any(
            each is not watched and each.course.scope is Scope.SSL and not each.course.broken
            for each in self._watched.values()
        )

    async def _follow(self, watched: Watched, found: Found, now: datetime, *, broken: bool) -> None:
        """Have the links of new mail leave a domain, or come back to it."""
        domain, course = watched.domain, watched.course
        try:
            after = await self._records.follow(
                domain, course.scope, broken=broken, reasons=found.problems, now=now
            )
        except DomainError as error:
            # Somebody else changed its state: that is what counts, and is read at once.
            log.info("a domain was changed meanwhile", host=domain.host, **error.as_dict())
            self._records.forget_mark()
            return
        watched.domain = after
        watched.course = course.settled(broken=is_broken(after.state))
        told = {"host": domain.host, "state": after.state.value}
        if broken:
            self._eyes.failed(domain.host, broken=True)
            log.error("links leave a domain", why=found.problems, **told)
        else:
            log.warning("links come back to a domain", **told)

    def _note(self, watched: Watched, found: Found, level: float) -> None:
        course = watched.course
        self._records.note(
            Look(
                host=watched.domain.host,
                at=_instant(course.looked_at),
                due_at=_instant(course.due_at(self._rules)),
                every=round(level),
                problems=found.problems,
                good=course.good,
                ends_at=watched.foreign.ends if watched.foreign else None,
            )
        )

    async def _see_to_certificate(self, watched: Watched) -> None:
        """Tell, once each, that the certificate of a CDN or proxy comes to its end."""
        foreign = watched.foreign
        days = foreign.to_tell(self.now()) if foreign else None
        if foreign is None or days is None:
            return
        host = watched.domain.host
        detail = {
            "days": days,
            "ends_at": foreign.ends.isoformat(timespec="seconds"),
            "issuer": foreign.issuer,
            "fingerprint": foreign.fingerprint,
        }
        severity = AlertSeverity.WARNING if days > 7 else AlertSeverity.CRITICAL
        new = await self._records.alert(
            host,
            AlertKind.CERTIFICATE_ENDS,
            severity,
            detail,
            datetime.now(UTC),
            once=foreign.key(host, days),
        )
        foreign.told = days
        if new:
            log.warning("a certificate that is not ours ends soon", host=host, **detail)

    # What is told of all of them.

    async def _report(self) -> None:
        first = self._next()
        behind = max(0.0, self.now() - first[0]) if first else 0.0
        metrics.BEHIND.set(round(behind, 1))
        if behind > self._rules.interval and not self._eyes.blind:
            log.warning(
                "the watch is behind",
                seconds=round(behind),
                domains=len(self._watched),
                hint="raise watch.interval, or watch.parallel and watch.per_second",
            )
        left = [
            each.foreign.days_left(self.now()) for each in self._watched.values() if each.foreign
        ]
        if left:
            metrics.FOREIGN_DAYS_LEFT.set(round(min(left), 2))
        for state, count in (await self._records.counts()).items():
            metrics.DOMAINS.labels(state.value).set(count)


def _same(watched: Watched, domain: Domain, scope: Scope) -> bool:
    """Whether what is known of a domain is still of what it is now."""
    before = watched.domain
    return (
        (before.target, before.route) == (domain.target, domain.route)
        and watched.course.scope is scope
        and watched.course.broken is is_broken(domain.state)
    )


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
