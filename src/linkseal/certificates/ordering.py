"""Get a name its certificate: look, order, show, download, store; or say why not.

One :class:`Ordering` serves a process's threads. It never touches what is in use until the
next certificate is there, and what it does is on record at every step, so that whoever
comes after a crash goes on with the same order and the same key.
"""

from __future__ import annotations

import contextlib
import random
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from acme import messages
from cryptography import x509
from msgspec.structs import replace
from publicsuffixlist import PublicSuffixList

from linkseal.certificates import metrics
from linkseal.certificates.advice import Problem, Whose
from linkseal.certificates.authority import (
    Asked,
    Authority,
    OrderError,
    new_account_key,
    new_csr,
    new_key,
)
from linkseal.certificates.dns01 import (
    DNSProvider,
    Resolver,
    challenge_owner,
    wait_until_visible,
)
from linkseal.certificates.held import (
    ACCOUNT_KEY,
    Flight,
    Made,
    open_flight,
    seal_flight,
    standing,
    to_store,
)
from linkseal.certificates.pem import parse_certificate
from linkseal.certificates.preflight import check_answered, check_caa
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
from linkseal.config import ACMEConfig, IssuerConfig
from linkseal.domains.caa import IssuerIdentity
from linkseal.errors import CertificateError, LinksealError
from linkseal.store import CertificateName, Challenge, Store, StoredCertificate
from linkseal.vault import Vault

LEASE: Final = timedelta(seconds=60)
"""How long a name stays its worker's after the worker was last heard of."""
_CHALLENGE_LIFE: Final = timedelta(hours=1)
_SKEW: Final = timedelta(minutes=5)
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
        owner: See below.
        answer_seconds: How long the edge and DNS may take to show a challenge.

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
        self._provider = provider
        self._registering = threading.Lock()
        self._suffixes = PublicSuffixList()
        self._resolver = Resolver(
            nameservers=tuple((each.host, each.port) for each in config.resolvers),
            authority_port=config.dns.authority_port,
            private_networks=config.allow_private_addresses,
        )
        self.owner = owner
        self.answer_seconds = 30.0

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
        issuer = self._issuer(certificate.issuer)
        if issuer is None:
            return {}
        try:
            authority = self._authority(issuer)
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
                authority = self._authority(issuer)
                renews = authority.knows_windows and any(
                    each.issuer == issuer.directory for each in in_use
                )
                wait = self._wait(name, spent.get(issuer.directory, []))
                # Renewals that a CA asked for are free of its limits.
                if wait is not None and not renews:
                    waits.append(wait)
                    continue
                self._preflight(name, authority)
                return issuer.directory, self._issue(name, authority, (), in_use)
            except OrderError as error:
                metrics.ORDERS.labels(issuer.directory, "failed").inc()
                if error.problem.type in _ACCOUNT_LOST:
                    self._store.acme.forget_account(issuer.directory)
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
        issuer = self._issuer(flight.issuer)
        if issuer is None or not flight.url:
            return None
        try:
            authority = self._authority(issuer)
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
        with self._showing(name, asked):
            chain = authority.finish(order, asked)
        self._check(name.name, chain, flight, authority)
        return Made(flight.key_type, flight.key, chain)

    def _check(self, name: str, chain: str, flight: Flight, authority: Authority) -> None:
        """Refuse what is not the certificate that was ordered."""
        directory = authority.issuer.directory
        try:
            found = parse_certificate(chain.encode(), flight.key, source=f"of {directory}")
        except CertificateError as error:
            problem = Problem(
                "serverInternal", error.message, Whose.ISSUER, "it is ordered anew", directory
            )
            raise OrderError(problem) from error
        leaf = x509.load_pem_x509_certificate(chain.encode())
        now = _now()
        if leaf.not_valid_before_utc > now + _SKEW or leaf.not_valid_after_utc <= now:
            life = f"{leaf.not_valid_before_utc:%F %T} to {leaf.not_valid_after_utc:%F %T} UTC"
            problem = Problem(
                "clock",
                f"the certificate just issued is valid from {life}, and here it is {now:%F %T}",
                Whose.OURS,
                "set this machine's clock (NTP)",
                directory,
            )
            raise OrderError(problem)
        if name not in found.names:
            detail = f"the certificate is for {', '.join(found.names)}"
            raise OrderError(
                Problem("serverInternal", detail, Whose.ISSUER, "it is ordered anew", directory)
            )

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

    # Show.

    def _preflight(self, name: CertificateName, authority: Authority) -> None:
        """See what the CA would see, before it counts."""
        if self._config.check_caa:
            account = self._store.acme.account(authority.issuer.directory)
            identity = IssuerIdentity(
                authority.caa_identities, account[0] if account else "", name.challenge.value
            )
            check_caa(name.name, identity, self._resolver)
        if name.challenge is Challenge.HTTP_01:
            token = f"linkseal-{secrets.token_hex(16)}"
            self._store.acme.publish(token, token, _now() + _CHALLENGE_LIFE)
            try:
                self._check_answered(name.name, token, token)
            finally:
                self._store.acme.withdraw(token)

    @contextlib.contextmanager
    def _showing(self, name: CertificateName, asked: list[Asked]) -> Iterator[None]:
        """Show challenges until the CA has seen them."""
        with contextlib.ExitStack() as shown:
            for each in asked:
                if name.challenge is Challenge.HTTP_01:
                    shown.callback(self._store.acme.withdraw, each.token)
                    self._store.acme.publish(each.token, each.answer, _now() + _CHALLENGE_LIFE)
                    self._check_answered(each.name, each.token, each.answer)
                    continue
                if self._provider is None:
                    raise CertificateError(
                        f"{name.name} needs a DNS-01 challenge, and nothing here writes DNS",
                        code="acme-dns-missing",
                        hint="set acme.dns.provider to rfc2136 or exec",
                    )
                owner = challenge_owner(each.name, self._resolver.cname)
                shown.callback(_quietly, self._provider.withdraw, owner, each.answer)
                self._provider.publish(owner, each.answer)
                deadline = time.monotonic() + self.answer_seconds
                wait_until_visible(owner, each.answer, deadline=deadline, resolver=self._resolver)
            yield

    def _check_answered(self, host: str, token: str, answer: str) -> None:
        deadline = time.monotonic() + self.answer_seconds
        check_answered(host, token, answer, self._resolver, self._config.http_port, deadline)

    # CAs.

    def authority(self, directory: str) -> Authority:
        """Return a CA by its directory, with our account there.

        Raises:
            CertificateError: It is not in the configuration, or does not answer.
        """
        issuer = self._issuer(directory)
        if issuer is None:
            raise CertificateError(
                f"the CA {directory} is not in the configuration",
                code="acme-issuer-unknown",
                hint="put its directory into [[acme.issuers]]",
            )
        return self._authority(issuer)

    def _issuer(self, directory: str) -> IssuerConfig | None:
        return next((each for each in self._config.issuers if each.directory == directory), None)

    def _authority(self, issuer: IssuerConfig) -> Authority:
        """Return a CA with our account there, registered when there is none yet."""
        url, sealed = self._store.acme.account(issuer.directory) or ("", b"")
        if not url:
            # One at a time: two would make two accounts, and lose the key of one.
            with self._registering:
                return self._register(issuer)
        authority = Authority(issuer, self._vault.open(sealed, ACCOUNT_KEY))
        authority.use_account(url)
        return authority

    def _register(self, issuer: IssuerConfig) -> Authority:
        accounts = self._store.acme
        kept = accounts.account(issuer.directory)
        if kept is None:
            # Kept before it is registered: a key that the CA knows must not be lost.
            kept = "", self._vault.seal(new_account_key(), ACCOUNT_KEY)
            accounts.put_account(issuer.directory, *kept)
        url, sealed = kept
        authority = Authority(issuer, self._vault.open(sealed, ACCOUNT_KEY))
        if url:
            authority.use_account(url)
        else:
            accounts.put_account(issuer.directory, authority.register(self._config.email), sealed)
        return authority

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


def _quietly(withdraw: object, owner: str, answer: str) -> None:
    """Withdraw a record; one that stays does no harm."""
    try:
        withdraw(owner, answer)  # type: ignore[operator]
    except LinksealError as error:
        log.warning("challenge not withdrawn", at=owner, error=error.message)


def _detail(problem: Problem) -> dict[str, str]:
    return {key: str(value) for key, value in asdict(problem).items()}


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _now() -> datetime:
    return datetime.now(UTC)
