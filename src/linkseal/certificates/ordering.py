"""Get a name its certificate: look, order, show, download, store; or say why not.

One :class:`Ordering` serves a process's threads. It never touches what is in use until the
next certificate is there, and what it does is on record at every step, so that whoever
comes after a crash goes on with the same order and the same key.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from acme import messages
from msgspec.structs import replace
from publicsuffixlist import PublicSuffixList

from linkseal.certificates import metrics
from linkseal.certificates.accounts import Accounts
from linkseal.certificates.advice import Problem, Whose
from linkseal.certificates.authority import (
    Authority,
    OrderError,
    new_csr,
    new_key,
)
from linkseal.certificates.dns01 import (
    DNSProvider,
)
from linkseal.certificates.held import (
    Flight,
    Made,
    open_flight,
    seal_flight,
    standing,
    to_store,
)
from linkseal.certificates.received import check_received
from linkseal.certificates.schedule import (
    ASK_WINDOW_EVERY,
    LONGEST_SPAN,
    Life,
    Spending,
    Spent,
    Wait,
    Window,
    must_wait,
    renew_at,
    try_again_after,
)
from linkseal.certificates.showing import Showing
from linkseal.config import ACMEConfig
from linkseal.errors import CertificateError
from linkseal.store import CertificateName, Store, StoredCertificate
from linkseal.vault import Vault

LEASE: Final = timedelta(seconds=60)
"""How long a name stays its worker's after the worker was last heard of."""
_CHALLENGE_LIFE: Final = timedelta(hours=1)
_SPENDING: Final = {
    "ordered": Spending.ORDER,
    "issued": Spending.CERTIFICATE,
    "failed": Spending.FAILURE,
    "refused": Spending.FAILURE,
}
"""What entries of the history count as."""
_NO_PREDECESSOR: Final = frozenset({"alreadyReplaced", "unauthorized", "malformed"})
"""Problems of an order with ``replaces`` (RFC 9773 §5) that another without it may not have."""
_ACCOUNT_LOST: Final = frozenset({"accountDoesNotExist", "badPublicKey"})
_PASSING: Final = frozenset({"unreachable", "orderNotReady", "serverInternal", "badNonce"})
"""Problems after which an order may still come to something."""

log = structlog.get_logger("certificates")


class _Waiting(Exception):  # noqa: N818 - not an error
    def __init__(self, wait: Wait) -> None:
        super().__init__(str(wait))
        self.wait = wait


class _Lost(Exception):  # noqa: N818 - not an error
    """Another worker has the name by now."""


class Ordering:
    """Gets certificates.

    Attributes:
        owner: What leases are taken as.
        accounts: The CAs.
        showing: How they are shown challenges.

    Args:
        config: The CAs and how they are shown challenges.
        store: Where names and certificates are; shared by threads.
        vault: Seals keys.
        provider: Writes DNS-01 challenges; ``None`` without one.
        owner: What leases are taken as. The same after a restart, so that a worker which
            was killed goes on at once; another's for every worker that runs beside it.
    """

    def __init__(
        self,
        config: ACMEConfig,
        store: Store,
        vault: Vault,
        provider: DNSProvider | None,
        owner: str,
    ) -> None:
        self._config = config
        self._store = store
        self._vault = vault
        self._suffixes = PublicSuffixList()
        self.accounts = Accounts(config, store, vault)
        self.showing = Showing(config, store, provider)
        self.owner = owner

    def lease(self, name: str) -> bool:
        """Take a name, or go on having it; return whether that worked."""
        now = _now()
        return self._store.certificates.lease(name, self.owner, now, now + LEASE)

    def keep(self, name: str) -> None:
        """Go on having a name; one that was taken from us, as by an import, stays taken."""
        until = int((_now() + LEASE).timestamp() * 1000)
        self._store.certificates.settle(name, self.owner, _now(), "", {}, leased_until_ms=until)

    def release(self, name: str) -> None:
        """Let others have a name."""
        now = _now()
        self._store.certificates.lease(name, self.owner, now, now)

    def postpone(self, name: str) -> None:
        """Try again in a minute what broke off for reasons of ours."""
        later = _now() + try_again_after(1, 0)
        self._store.certificates.settle(name, self.owner, _now(), "", {}, due_at=later)

    def work(self, name: CertificateName) -> None:
        """Do what is due for a name this worker has leased. Never raises for a failed order.

        Raises:
            LinksealError: The database or the vault cannot be used.
        """
        held = self._store.certificates.of_name(name.name)
        stands = standing(name, held, _now())
        asked_for = bool(name.renewal and name.renewal.get("now"))
        try:
            if stands.in_use and not name.sealed_order and not asked_for:
                due = self._look(name, stands.in_use)
                if due is not None:
                    self._settle(name, "", {}, due_at=due)
                    return
            issuer, made = self._order(name, stands.in_use)
            self._put(name, issuer, made)
        except _Waiting as waiting:
            log.info("order waits", name=name.name, waiting=str(waiting.wait))
            self._settle(name, "", {}, waiting=str(waiting.wait), due_at=waiting.wait.until)
        except _Lost:
            log.warning("another worker has the name", name=name.name)
        except OrderError as error:
            self._failed(name, error)
        except CertificateError as error:
            problem = Problem(error.code, error.message, Whose.OURS, error.hint)
            self._failed(name, OrderError(problem))

    # When.

    def _look(
        self, name: CertificateName, in_use: tuple[StoredCertificate, ...]
    ) -> datetime | None:
        """Ask the CA when to renew; return when to look again, ``None`` if it is time."""
        now = _now()
        first = min(in_use, key=lambda each: each.ends_at)
        renewal = dict(name.renewal or {})
        asked_at = _instant(renewal.get("asked_at"))
        if asked_at is None or now - asked_at >= ASK_WINDOW_EVERY:
            renewal = {
                "asked_at": now.isoformat(),
                # Drawn once a window: a new draw at each look would come early too often.
                "chance": renewal.get("chance") or repr(random.random()),  # noqa: S311
                **self._window(first),
            }
            self._settle(name, "", {}, renewal=renewal)
        start, end = _instant(renewal.get("start")), _instant(renewal.get("end"))
        window = Window(start, end) if start and end else None
        life = Life(first.starts_at, first.ends_at)
        instant = renew_at(life, window, float(renewal.get("chance", "0.5")))
        return min(instant, now + ASK_WINDOW_EVERY) if instant > now else None

    def _window(self, certificate: StoredCertificate) -> dict[str, str]:
        issuer = self.accounts.issuer(certificate.issuer)
        if issuer is None:
            return {}
        try:
            authority = self.accounts.open(issuer)
            if not authority.knows_windows:
                return {}
            window, page = authority.window(certificate.chain.encode())
        except OrderError as error:
            # The plain rule holds then.
            log.warning("renewal window unknown", name=certificate.name, error=error.message)
            return {}
        said = {"start": window.start.isoformat(), "end": window.end.isoformat()}
        return said | ({"explanation": page} if page else {})

    # Order.

    def _order(
        self, name: CertificateName, in_use: tuple[StoredCertificate, ...]
    ) -> tuple[str, tuple[Made, ...]]:
        if name.sealed_order is not None:
            resumed = self._resume(name, open_flight(self._vault, name.sealed_order), in_use)
            if resumed is not None:
                return resumed
        waits: list[Wait] = []
        refusals: list[OrderError] = []
        spent = self._spent()
        for issuer in self._config.issuers:
            try:
                authority = self.accounts.open(issuer)
                renews = authority.knows_windows and any(
                    each.issuer == issuer.directory for each in in_use
                )
                wait = self._wait(name, spent.get(issuer.directory, []))
                # Renewals that a CA asked for are free of its limits.
                if wait is not None and not renews:
                    waits.append(wait)
                    continue
                self.showing.preflight(name, authority, self.accounts.url(issuer))
                return issuer.directory, self._issue(name, authority, (), in_use)
            except OrderError as error:
                metrics.ORDERS.labels(issuer.directory, "failed").inc()
                if error.problem.type in _ACCOUNT_LOST:
                    self.accounts.forget(issuer)
                # What is wrong with a name is so for every CA, but CAA may allow the next.
                if error.problem.whose is Whose.NAME and error.problem.type != "caa":
                    raise
                refusals.append(error)
        for refusal in refusals[:-1]:
            log.warning("a CA failed", name=name.name, error=refusal.message)
            self._store.certificates.note(name.name, _now(), "refused", _detail(refusal.problem))
        if refusals:
            raise refusals[-1]
        raise _Waiting(min(waits, key=lambda wait: wait.until))

    def _resume(
        self, name: CertificateName, flight: Flight, in_use: tuple[StoredCertificate, ...]
    ) -> tuple[str, tuple[Made, ...]] | None:
        """Go on with an order of before; ``None`` if nothing can come of it any more."""
        issuer = self.accounts.issuer(flight.issuer)
        if issuer is None or not flight.url:
            return None
        try:
            authority = self.accounts.open(issuer)
            order = authority.resume(flight.url, flight.csr)
            log.info("order resumed", name=name.name, order=flight.url)
            made = (*flight.made, self._finish(name, authority, order, flight))
            return issuer.directory, self._issue(name, authority, made, in_use)
        except OrderError as error:
            if error.problem.type in _PASSING:
                raise
            log.warning("order given up", name=name.name, error=error.message)
            return None

    def _issue(
        self,
        name: CertificateName,
        authority: Authority,
        made: tuple[Made, ...],
        in_use: tuple[StoredCertificate, ...],
    ) -> tuple[Made, ...]:
        """Order one certificate of each key type that is not made yet."""
        directory = authority.issuer.directory
        for key_type in self._config.key_types:
            if any(each.key_type == key_type for each in made):
                continue
            key = new_key(key_type)
            flight = Flight(directory, "", key_type, key, new_csr(key, name.name), made)
            replaced = next(
                (
                    each.chain.encode()
                    for each in in_use
                    if each.key_type == key_type and each.issuer == directory
                ),
                None,
            )
            try:
                order = authority.order(flight.csr, replaced)
            except OrderError as error:
                # A predecessor the CA does not take must not stand in the way of its successor.
                if replaced is None or error.problem.type not in _NO_PREDECESSOR:
                    raise
                order = authority.order(flight.csr, None)
            flight = replace(flight, url=str(order.uri))
            # On record before anything is shown: the key must outlive us.
            self._settle(
                name,
                "ordered",
                {"issuer": directory, "domain": self._domain(name.name), "order": flight.url},
                sealed_order=seal_flight(self._vault, flight),
            )
            made = (*made, self._finish(name, authority, order, flight))
        return made

    def _finish(
        self,
        name: CertificateName,
        authority: Authority,
        order: messages.OrderResource,
        flight: Flight,
    ) -> Made:
        asked = authority.asked(order, name.challenge.value)
        with self.showing.showing(name, asked):
            chain = authority.finish(order, asked)
        check_received(name.name, chain, flight)
        return Made(flight.key_type, flight.key, chain)

    def _put(self, name: CertificateName, issuer: str, made: tuple[Made, ...]) -> None:
        new = [to_store(self._vault, each.chain.encode(), each.key, issuer=issuer) for each in made]
        stored = self._store.certificates.put(
            name.name,
            new,
            _now(),
            "issued",
            owner=self.owner,
            sealed_order=None,
            renewal=None,
            due_at=_now(),
        )
        if not stored:
            raise _Lost
        metrics.ORDERS.labels(issuer, "issued").inc()
        ends = min(each.ends_at for each in new)
        log.info("certificate issued", name=name.name, issuer=issuer, ends_at=ends.isoformat())

    def _failed(self, name: CertificateName, error: OrderError) -> None:
        now = _now()
        problem = error.problem
        failures = name.failures + 1
        due_at = now + try_again_after(failures, random.random())  # noqa: S311 - spreads tries
        if error.retry_after is not None:
            due_at = max(due_at, min(error.retry_after, now + timedelta(days=1)))
        detail = _detail(problem)
        log.error(
            "no certificate", name=name.name, again_at=due_at.isoformat("T", "seconds"), **detail
        )
        keep = {} if problem.type in _PASSING else {"sealed_order": None}
        with contextlib.suppress(_Lost):
            self._settle(
                name,
                "failed",
                detail,
                failures=failures,
                problem=detail | {"at": now.isoformat(timespec="seconds")},
                waiting="",
                due_at=due_at,
                **keep,
            )

    def _wait(self, name: CertificateName, spent: list[Spent]) -> Wait | None:
        return must_wait(name.name, self._domain(name.name), spent, _now())

    def _domain(self, name: str) -> str:
        """Return the registered domain that CAs count by."""
        return str(self._suffixes.privatesuffix(name.removeprefix("*.")) or name)

    def _spent(self) -> dict[str, list[Spent]]:
        """Return what counts against each CA's limits, out of the history."""
        found: dict[str, list[Spent]] = {}
        for entry in self._store.certificates.history(since=_now() - LONGEST_SPAN):
            what = _SPENDING.get(entry.what)
            if what is None or not entry.detail.get("issuer"):
                continue
            if what is Spending.FAILURE and entry.detail.get("whose") != Whose.NAME:
                continue
            spent = Spent(entry.at, entry.name, self._domain(entry.name), what)
            # Of each key type there is one, and a CA counts every one.
            count = int(entry.detail.get("certificates", "1"))
            found.setdefault(entry.detail["issuer"], []).extend([spent] * count)
        return found

    def _settle(
        self, name: CertificateName, what: str, detail: Mapping[str, str], **values: object
    ) -> None:
        store = self._store.certificates
        if not store.settle(name.name, self.owner, _now(), what, detail, **values):
            raise _Lost


def _detail(problem: Problem) -> dict[str, str]:
    return {key: str(value) for key, value in asdict(problem).items()}


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _now() -> datetime:
    return datetime.now(UTC)
