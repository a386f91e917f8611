"""Looks at every live domain when it is due, and carries out what follows."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from cryptography import x509

from linkseal.config import Config
from linkseal.domains.watching import (
    LEVELS,
    WHOLE,
    Blame,
    Course,
    Outcome,
    Rules,
    Scope,
    Sight,
    is_broken,
    level_of,
    scope_of,
    take_up,
)
from linkseal.errors import DomainError, LinksealError
from linkseal.prober import EVERYTHING, probe
from linkseal.store import AlertKind, AlertSeverity, Domain, Look
from linkseal.watch import metrics
from linkseal.watch.foreign import Foreign, foreign_certificate
from linkseal.watch.found import Found, fails_over_ipv6, find, parts_of, without_ipv6
from linkseal.watch.queue import Queue
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
        recorded: The failures in a row that are on record.
        addresses: Where it was found to lead.
        foreign: The certificate recipients are shown, where it is not ours.
    """

    domain: Domain
    course: Course
    recorded: int
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
        self._eyes = Eyes(References(config, key), records, self.now)
        self._watched: dict[str, Watched] = {}
        # The last looks of another life of this process; empty once they are taken up.
        self._before: Mapping[str, Look] | None = None
        self._queue = Queue()
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
            group.create_task(self._eyes.tell())
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
        if self._before is None:
            self._before = await self._records.looks()
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
            last = self._before.get(domain.host)
            course = take_up(
                domain.host,
                self._installation,
                domain.state,
                scope=scope,
                looked_at=last.at.timestamp() if last else None,
                now=self.now(),
                rules=self._rules,
            )
            self._watched[domain.host] = Watched(domain, course, domain.failures)
            self._queue_up(self._watched[domain.host])
        self._before = {}
        gone = known.keys() - self._watched.keys()
        self._eyes.forget(gone)
        self._queue.drop(gone)

    def _queue_up(self, watched: Watched) -> None:
        self._queue.put(watched.domain.host, watched.course.due_at(self._rules))

    async def _schedule(self, group: asyncio.TaskGroup) -> None:
        gap = 1 / self._config.watch.per_second
        while True:
            first = self._queue.first()
            wait = first[0] - self.now() if first else None
            if wait is None or wait > 0:
                await self._queue.changed(wait)
                continue
            if not await self._eyes.opened():
                log.error("the watch is blind still", why=self._eyes.why)
                await asyncio.sleep(self._rules.retry)
                continue
            await self._slots.acquire()
            # Something else may have come first meanwhile, or this have gone.
            host = self._queue.take(self.now())
            if host is None:
                self._slots.release()
                continue
            group.create_task(self._turn(self._watched[host]))
            await asyncio.sleep(gap)

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
            watched.course = watched.course.unseen(self.now(), level=0.0)
        if self._watched.get(watched.domain.host) is watched:
            self._queue_up(watched)

    async def _look(self, watched: Watched) -> None:
        domain, course, began = watched.domain, watched.course, self.now()
        level = course.level_at(began, self._rules)
        known = bool(watched.addresses) and not course.level
        parts = parts_of(level, course.scope, known=known)
        networks = await self._records.networks() if parts == EVERYTHING else {}
        request = await self._records.request(
            self._config,
            domain,
            self._key,
            parts=parts,
            addresses=watched.addresses if known else (),
        )
        seen = await probe(request, self._config.prober, seconds=_LOOK_SECONDS)
        if fails_over_ipv6(seen) and not await self._eyes.has_ipv6():
            seen = without_ipv6(seen)
        found = find(
            seen,
            self._roots,
            level=level,
            scope=course.scope,
            parts=parts,
            enrolled=domain.cdn,
            own=domain.own_networks,
            networks=networks,
        )
        sight = await self._weigh(watched, found, began) if found.failed else None
        if self._watched.get(domain.host) is not watched:
            return  # It was changed meanwhile: what was seen is of what it was.
        watched.addresses = found.addresses
        if domain.is_fronted:
            watched.foreign = foreign_certificate(found.leaves, watched.foreign)
        nothing = await self._settle(watched, found, sight, level=level, began=began)
        self._note(watched, (nothing, *found.problems) if nothing else found.problems, level)
        await self._see_to_certificate(watched)
        if found.report is not None:
            await self._records.keep_report(watched.domain, found.report, seen.at)

    async def _weigh(self, watched: Watched, found: Found, began: float) -> Sight:
        failing_since = watched.course.failing_since
        since = self.now() if failing_since is None else failing_since
        interval, first = self._rules.interval, self._queue.first()
        # Who is late had no turn yet.
        behind = first is not None and first[0] <= since + interval
        return await self._eyes.weigh(
            watched.domain.host,
            since,
            found,
            began=began,
            others=any(
                each is not watched and each.course.scope is Scope.SSL and not each.course.broken
                for each in self._watched.values()
            ),
            whole_round=not behind and self.now() - since > interval + self._rules.retry,
        )

    async def _settle(
        self, watched: Watched, found: Found, sight: Sight | None, *, level: float, began: float
    ) -> str:
        """Take in what a look came to, and have links follow; return why it says nothing."""
        host, course, rules = watched.domain.host, watched.course, self._rules
        if sight is not None:
            after, outcome = course.failed(found.failed, level=level, at=self.now(), rules=rules)
            if sight.reached and outcome is Outcome.BREAKS and sight.blame is Blame.OURS:
                self._eyes.all_fail()
            if not sight.reached or (outcome is Outcome.BREAKS and sight.blame is Blame.OURS):
                metrics.LOOKS.labels("unseen").inc()
                watched.course = course.unseen(self.now(), level=level_of(found.failed))
                why = self._eyes.why or "we saw nothing when it began, or see nothing over IPv6"
                return f"not counted: {why}"
            if sight.blame is Blame.UNDECIDED:
                outcome = Outcome.NOTHING
            metrics.LOOKS.labels("failed").inc()
            if not course.broken:
                log.warning("a look failed", host=host, row=after.failures, why=found.problems)
                if course.scope is Scope.SSL:
                    self._eyes.failed(host)
        elif found.unproven or not course.proves(found.passed, level):
            metrics.LOOKS.labels("unseen").inc()
            least = LEVELS[0] if found.unproven else WHOLE
            watched.course = course.unseen(self.now(), level=least)
            return f"it proves nothing: {found.unproven or 'what failed could not be judged'}"
        else:
            metrics.LOOKS.labels("good").inc()
            after, outcome = course.passed(level=level, at=self.now(), rules=rules)
            self._eyes.good(host, found.passed, began, well=course.scope is Scope.SSL)
        watched.course = after
        await self._count(watched)
        if outcome is not Outcome.NOTHING:
            await self._follow(watched, found, broken=outcome is Outcome.BREAKS)
        return ""

    async def _count(self, watched: Watched) -> None:
        """Keep the failures in a row, where those on record are others."""
        course = watched.course
        if not course.broken and course.failures != watched.recorded:
            since = None if course.failing_since is None else self._instant(course.failing_since)
            await self._records.count(watched.domain.host, course.failures, since)
            watched.recorded = course.failures

    async def _follow(self, watched: Watched, found: Found, *, broken: bool) -> None:
        """Have the links of new mail leave a domain, or come back to it."""
        domain, course, now = watched.domain, watched.course, datetime.now(UTC)
        try:
            after = await self._records.follow(
                domain, course.scope, broken=broken, reasons=found.problems, now=now
            )
        except DomainError as error:
            # Somebody else changed its state: that is what counts, and is read at once.
            log.info("a domain was changed meanwhile", host=domain.host, **error.as_dict())
            self._records.forget_mark()
            return
        watched.domain, watched.recorded = replace(after, report=None), after.failures
        watched.course = course.settled(broken=is_broken(after.state))
        told = {"host": domain.host, "state": after.state.value}
        if broken:
            self._eyes.left(domain.host, self.now())
            log.error("links leave a domain", why=found.problems, **told)
        else:
            log.warning("links come back to a domain", **told)

    def _note(self, watched: Watched, problems: tuple[str, ...], level: float) -> None:
        course = watched.course
        self._records.note(
            Look(
                host=watched.domain.host,
                at=self._instant(course.looked_at),
                due_at=self._instant(course.due_at(self._rules)),
                every=round(level),
                problems=problems,
                good=course.good,
                ends_at=watched.foreign.ends if watched.foreign else None,
            )
        )

    def _instant(self, seconds: float) -> datetime:
        """Return a time of ours as the machine's clock has it now."""
        return datetime.fromtimestamp(time.time() + seconds - self.now(), UTC)

    async def _see_to_certificate(self, watched: Watched) -> None:
        """Tell, once each, that the certificate of a CDN or proxy comes to its end."""
        foreign = watched.foreign
        days = foreign.to_tell(time.time()) if foreign else None
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
        kind, now, once = AlertKind.CERTIFICATE_ENDS, datetime.now(UTC), foreign.key(host, days)
        new = await self._records.run(
            lambda store: store.alerts.add(host, kind, severity, detail, now, once=once)
        )
        foreign.told = days
        if new:
            log.warning("a certificate that is not ours ends soon", host=host, **detail)

    # What is told of all of them.

    async def _report(self) -> None:
        first = self._queue.first()
        behind = max(0.0, self.now() - first[0]) if first else 0.0
        metrics.BEHIND.set(round(behind, 1))
        if behind > self._rules.interval and not self._eyes.blind:
            log.warning(
                "the watch is behind",
                seconds=round(behind),
                domains=len(self._watched),
                hint="raise watch.interval, or watch.parallel and watch.per_second",
            )
        left = (e.foreign.days_left(time.time()) for e in self._watched.values() if e.foreign)
        metrics.FOREIGN_DAYS_LEFT.set(round(min(left, default=math.inf), 2))
        for state, count in (await self._records.counts()).items():
            metrics.DOMAINS.labels(state.value).set(count)


def _same(watched: Watched, domain: Domain, scope: Scope) -> bool:
    """Whether what is known of a domain is still of what it is now."""
    before, course = watched.domain, watched.course
    return (
        (before.target, before.route) == (domain.target, domain.route)
        and course.scope is scope
        and course.broken is is_broken(domain.state)
        and not (course.broken and not course.good and _found_mended(before, domain))
    )


def _found_mended(before: Domain, domain: Domain) -> bool:
    """Whether somebody else looked meanwhile, and nothing blocked."""
    return domain.report_at not in {None, before.report_at} and not domain.report_blocks
