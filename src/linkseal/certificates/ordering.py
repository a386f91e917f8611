"""Get a name its certificate: look, order, show, download, store; or say why not.

One :class:`Ordering` serves a process's threads. It never touches what is in use until the
next certificate is there, and what it does is on record at every step, so that whoever
comes after a crash goes on with the same order and the same key.
"""

from __future__ import annotations

import contextlib
import random
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from acme import messages
from msgspec.structs import replace

from linkseal.certificates import metrics
from linkseal.certificates.accounts import Accounts
from linkseal.certificates.advice import Problem, Whose
from linkseal.certificates.authority import Authority, OrderError, new_csr, new_key
from linkseal.certificates.budget import Budget
from linkseal.certificates.dns01 import DNSProvider
from linkseal.certificates.held import (
    Flight,
    Made,
    open_flight,
    seal_flight,
    standing,
    to_store,
)
from linkseal.certificates.leases import Leases, LostError
from linkseal.certificates.received import check_received
from linkseal.certificates.renewal import look
from linkseal.certificates.schedule import Spent, Wait, try_again_after
from linkseal.certificates.showing import Showing
from linkseal.config import ACMEConfig, IssuerConfig
from linkseal.errors import LinksealError, StoreError
from linkseal.store import CertificateName, Store, StoredCertificate
from linkseal.vault import Vault

_NO_PREDECESSOR: Final = frozenset({"alreadyReplaced", "unauthorized", "malformed"})
"""Problems of an order with ``replaces`` (RFC 9773 §5) that another without it may not have."""
_ACCOUNT_LOST: Final = frozenset({"accountDoesNotExist", "badPublicKey"})
_PASSING: Final = frozenset(
    {"unreachable", "orderNotReady", "serverInternal", "badNonce", "rateLimited", "clock"}
)
"""Problems after which an order may still come to something."""
_MOST_TRIES: Final = 3
"""How often an order is resumed before another takes its place."""
_SETTLED: Final = timedelta(minutes=5)
"""How long after an issue a certificate is first looked at again."""

log = structlog.get_logger("certificates")


class _Waiting(Exception):  # noqa: N818 - not an error
    def __init__(self, wait: Wait) -> None:
        super().__init__(str(wait))
        self.wait = wait


class Ordering:
    """Gets certificates.

    Attributes:
        leases: The names this worker has.
        accounts: The CAs.
        showing: How they are shown challenges.
        budget: What they allow us.

    Args:
        config: The CAs and how they are shown challenges.
        store: Where names and certificates are; shared by threads.
        vault: Seals keys.
        provider: Writes DNS-01 challenges; ``None`` without one.
        owner: What leases are taken as; see :class:`~linkseal.certificates.leases.Leases`.
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
        self.budget = Budget(store)
        self.accounts = Accounts(config, store, vault)
        self.showing = Showing(config, store, provider)
        self.leases = Leases(store, owner)

    def postpone(self, name: str) -> None:
        """Try again in a minute what broke off for reasons of ours."""
        with contextlib.suppress(LostError):
            self.leases.settle(name, "", {}, due_at=_now() + try_again_after(1, 0))

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
                said, due = look(self.accounts, name.renewal, stands.in_use, _now())
                self.leases.settle(name.name, "", {}, renewal=said, due_at=due or _now())
                if due is not None:
                    return
            issuer, made = self._order(name, stands.in_use)
            self._put(name, issuer, made)
        except StoreError:
            raise
        except _Waiting as waiting:
            log.info("order waits", name=name.name, waiting=str(waiting.wait))
            self.leases.settle(
                name.name, "", {}, waiting=str(waiting.wait), due_at=waiting.wait.until
            )
        except LostError:
            log.warning("another worker has the name", name=name.name)
        except Exception as error:  # noqa: BLE001 - a name must not be tried for ever in silence
            self._failed(name, _told(error))

    # Order.

    def _order(
        self, name: CertificateName, in_use: tuple[StoredCertificate, ...]
    ) -> tuple[str, tuple[Made, ...]]:
        waits: list[Wait] = []
        refusals: list[OrderError] = []
        failed = ""
        if name.sealed_order is not None:
            try:
                resumed = self._resume(name, name.sealed_order, in_use)
                if resumed is not None:
                    return resumed
            except OrderError as error:
                # It may still come to something; until then another CA may be quicker.
                refusals.append(error)
                failed = error.problem.issuer
        spent = self.budget.spent()
        for issuer in self._config.issuers:
            if issuer.directory == failed:
                continue
            try:
                wait, made = self._ask(name, issuer, spent.get(issuer.directory, []), in_use)
            except OrderError as error:
                # What is wrong with a name is so for every CA, but CAA may allow the next.
                if error.problem.whose is Whose.NAME and error.problem.type not in {
                    "caa",
                    "caaUnreadable",
                }:
                    raise
                refusals.append(error)
                continue
            if wait is None:
                return issuer.directory, made
            waits.append(wait)
        for refusal in refusals[:-1]:
            log.warning("a CA failed", name=name.name, error=refusal.message)
            self._store.certificates.note(name.name, _now(), "refused", _detail(refusal.problem))
        if refusals:
            raise refusals[-1]
        raise _Waiting(min(waits, key=lambda wait: wait.until))

    def _ask(
        self,
        name: CertificateName,
        issuer: IssuerConfig,
        spent: list[Spent],
        in_use: tuple[StoredCertificate, ...],
    ) -> tuple[Wait | None, tuple[Made, ...]]:
        """Ask one CA, if its limits allow it; else return what must be waited for."""
        kept = self.budget.kept_off(issuer.directory, name.name)
        if kept is not None:
            raise kept
        try:
            authority = self.accounts.open(issuer)
            kinds = {each.key_type for each in in_use if each.issuer == issuer.directory}
            renews = authority.knows_windows and kinds >= set(self._config.key_types)
            wait = self.budget.wait(name.name, spent, renews=renews)
            if wait is not None:
                return wait, ()
            self.showing.preflight(name, authority, self.accounts.url(issuer))
            return None, self._issue(name, authority, (), in_use)
        except (StoreError, LostError):
            raise
        except Exception as caught:
            error = _told(caught)
            metrics.ORDERS.labels(issuer.directory, "failed").inc()
            self.budget.keep_off(issuer.directory, name.name, error)
            if error.problem.type in _ACCOUNT_LOST:
                self.accounts.forget(issuer)
            raise error from caught

    def _resume(
        self, name: CertificateName, sealed: bytes, in_use: tuple[StoredCertificate, ...]
    ) -> tuple[str, tuple[Made, ...]] | None:
        """Go on with an order of before; ``None`` if nothing can come of it any more.

        Raises:
            OrderError: Something may still come of it, but not now. It is tried a few times.
        """
        flight = None
        try:
            flight = open_flight(self._vault, sealed)
            issuer = self.accounts.issuer(flight.issuer)
            if issuer is not None and flight.url:
                authority = self.accounts.open(issuer)
                order = authority.resume(flight.url, flight.csr)
                log.info("order resumed", name=name.name, order=flight.url)
                made = (*flight.made, self._finish(name, authority, order, flight))
                return issuer.directory, self._issue(name, authority, made, in_use)
        except (StoreError, LostError):
            raise
        except Exception as caught:
            error = _told(caught)
            log.warning("order not resumed", name=name.name, error=error.message)
            passing = error.problem.type in _PASSING
            if flight is not None and passing and flight.tries < _MOST_TRIES:
                again = replace(flight, tries=flight.tries + 1)
                self.leases.settle(name.name, "", {}, sealed_order=seal_flight(self._vault, again))
                raise error from caught
        self.leases.settle(name.name, "", {}, sealed_order=None)
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
                order = self._new_order(authority, flight.csr, replaced)
            except OrderError as error:
                if not made:
                    raise
                log.warning("a key type is left out", name=name.name, error=error.message)
                continue
            flight = replace(flight, url=str(order.uri))
            # On record before anything is shown: the key must outlive us.
            self.leases.settle(
                name.name,
                "ordered",
                {"issuer": directory, "domain": self.budget.domain(name.name), "order": flight.url},
                sealed_order=seal_flight(self._vault, flight),
            )
            try:
                made = (*made, self._finish(name, authority, order, flight))
            except OrderError as error:
                if error.problem.type not in _PASSING:
                    self.leases.settle(name.name, "", {}, sealed_order=None)
                if not made:
                    raise
                # One kind is better than none; the other comes with the next renewal.
                log.warning("a key type is left out", name=name.name, error=error.message)
        return made

    @staticmethod
    def _new_order(
        authority: Authority, csr: bytes, replaced: bytes | None
    ) -> messages.OrderResource:
        try:
            return authority.order(csr, replaced)
        except OrderError as error:
            # A predecessor the CA does not take must not stand in the way of its successor.
            if replaced is None or error.problem.type not in _NO_PREDECESSOR:
                raise
            return authority.order(csr, None)

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
            owner=self.leases.owner,
            sealed_order=None,
            renewal=None,
            due_at=_now() + _SETTLED,
        )
        if not stored:
            raise LostError(name.name)
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
        with contextlib.suppress(LostError):
            self.leases.settle(
                name.name,
                "failed",
                detail,
                failures=failures,
                problem=detail | {"at": now.isoformat(timespec="seconds")},
                waiting="",
                due_at=due_at,
            )


def _told(error: Exception) -> OrderError:
    """Return any failure as a problem: told, and tried again later."""
    if isinstance(error, OrderError):
        return error
    if isinstance(error, LinksealError):
        return OrderError(Problem(error.code, error.message, Whose.OURS, error.hint))
    log.error("fault in an order", exc_info=error)
    return OrderError(Problem("internal", repr(error), Whose.OURS, "see the service's log"))


def _detail(problem: Problem) -> dict[str, str]:
    return {key: str(value) for key, value in asdict(problem).items()}


def _now() -> datetime:
    return datetime.now(UTC)
