"""The certificates' process: sees to what is due, and tells the service what changed."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from linkseal import datadir
from linkseal.certificates import metrics
from linkseal.certificates.dns01 import DNSProvider
from linkseal.certificates.dns_hook import ExecHook
from linkseal.certificates.dns_update import DynamicUpdate, TSIGKey
from linkseal.certificates.held import Standing, standings
from linkseal.certificates.ordering import Ordering
from linkseal.certificates.schedule import State, warning
from linkseal.config import Config, DNSConfig
from linkseal.errors import LinksealError
from linkseal.stopping import stop_signal
from linkseal.store import CertificateRoute, Challenge, NameKind, Store
from linkseal.vault import Vault

LOOK_SECONDS: Final = 0.5
_LEASE_SECONDS: Final = 15.0
_REPORT_SECONDS: Final = 60.0
_KEPT: Final = timedelta(days=90)
"""How long a certificate out of use is kept after its end."""

log = structlog.get_logger("certificates")


def make_provider(config: DNSConfig) -> DNSProvider | None:
    """Return what writes DNS-01 challenges; ``None`` when nothing is configured."""
    if config.provider == "rfc2136":
        assert config.server is not None
        key = TSIGKey(config.key_name, config.key_secret, config.key_algorithm)
        return DynamicUpdate(config.server.host, config.server.port, key=key, zone=config.zone)
    if config.provider == "exec":
        return ExecHook(config.command)
    return None


def hold_own_names(config: Config, store: Store) -> None:
    """Have certificates for the shared domain and the targets.

    One wildcard for both where challenges can be written into DNS; else one for the shared
    domain alone.
    """
    now = datetime.now(UTC)
    if config.acme.dns.provider == "none":
        log.warning(
            "targets get no certificate of a CA: that takes DNS-01",
            hint="set acme.dns.provider to rfc2136 or exec",
        )
        store.certificates.add_name(
            config.shared_host,
            kind=NameKind.SHARED,
            route=CertificateRoute.ACME,
            challenge=Challenge.HTTP_01,
            now=now,
        )
        return
    store.certificates.add_name(
        f"*.{config.base_domain}",
        kind=NameKind.TARGETS,
        route=CertificateRoute.ACME,
        challenge=Challenge.DNS_01,
        now=now,
    )


def run_certificates(
    config: Config, vault: Vault, stop_fd: int, changed: Callable[[], None]
) -> None:
    """Order and renew until told to stop: the body of the certificates' process.

    SIGTERM, or the end of ``stop_fd`` (the supervisor is gone), ends it at once: orders
    under way are on record and go on at the next start.

    Args:
        config: The service's.
        vault: Opens keys.
        stop_fd: Read end of the supervisor's pipe.
        changed: Called when the edge has to be told something new.
    """
    stopped = stop_signal()
    with Store.open(config.store_url, migrate=False) as store:
        keeper = Keeper(config, store, vault, changed)
        while not select.select([stopped, stop_fd], [], [], LOOK_SECONDS)[0]:
            try:
                keeper.look()
            except LinksealError as error:
                log.error("certificates wait", **error.as_dict())
        keeper.stop()


class Keeper:
    """Looks again and again at what is due.

    Args:
        config: The service's.
        store: Where names and certificates are.
        vault: Opens keys.
        changed: Called when the edge has to be told something new.
    """

    def __init__(
        self, config: Config, store: Store, vault: Vault, changed: Callable[[], None]
    ) -> None:
        self._config = config
        self._store = store
        self._changed = changed
        # One certificates' process runs on a data directory: the service's lock sees to that.
        owner = datadir.installation_id(config)
        provider = make_provider(config.acme.dns)
        self._ordering = Ordering(config.acme, store, vault, provider, owner)
        self._leases = self._ordering.leases
        self._pool = ThreadPoolExecutor(config.acme.parallel, thread_name_prefix="order")
        self._active: dict[str, Future[None]] = {}
        self._revision: int | None = None
        self._leases_due = 0.0
        self._report_due = 0.0
        self._own_names_held = False

    def look(self) -> None:
        """Do what there is to do now.

        Raises:
            LinksealError: The database cannot be used.
        """
        store = self._store.certificates
        revision = store.revision()
        if revision != self._revision:
            # At the first look too: whoever stored the last one may have been killed before
            # the service was told.
            self._changed()
            self._revision = revision
        self._collect()
        if self._config.acme.enabled:
            if not self._own_names_held:
                hold_own_names(self._config, self._store)
                self._own_names_held = True
            self._begin()
        if time.monotonic() >= self._report_due:
            self._report_due = time.monotonic() + _REPORT_SECONDS
            self._report()

    def stop(self) -> None:
        """Begin nothing more; what is under way goes on after the next start."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _begin(self) -> None:
        now = datetime.now(UTC)
        if time.monotonic() >= self._leases_due:
            self._leases_due = time.monotonic() + _LEASE_SECONDS
            for active in self._active:
                self._leases.keep(active)
        for due in self._store.certificates.due(now, self._leases.owner):
            if len(self._active) >= self._config.acme.parallel:
                break
            if due.name not in self._active and self._leases.take(due.name):
                # As it is now: another worker may have seen to it just before.
                name = self._store.certificates.name(due.name)
                if name.due_at is not None and name.due_at <= now:
                    self._active[name.name] = self._pool.submit(self._ordering.work, name)
                else:
                    self._leases.release(name.name)

    def _collect(self) -> None:
        for name, future in list(self._active.items()):
            if not future.done():
                continue
            del self._active[name]
            error = future.exception()
            if error is not None:
                log.error("order broken off", name=name, exc_info=error)
                self._ordering.postpone(name)
            self._leases.release(name)

    def _report(self) -> None:
        now = datetime.now(UTC)
        held = self._store.certificates
        found = standings(held.names(), [*held.in_use(), *held.revoked()], now)
        for state in State:
            metrics.NAMES.labels(state.value).set(sum(each.state is state for each in found))
        for kind in NameKind:
            ends = [
                each.life.end
                for each in found
                if each.life and each.in_use and each.name.kind is kind
            ]
            if ends:
                days = (min(ends) - now).total_seconds() / 86400
                metrics.DAYS_LEFT.labels(kind.value).set(round(days, 2))
        for each in found:
            self._warn(each, now)
        held.forget_old(now - _KEPT)

    def _warn(self, standing: Standing, now: datetime) -> None:
        """Warn once at 30, 14, 7 and 1 days of what is not renewed by itself, or cannot be."""
        if standing.life is None or standing.state in (State.VALID, State.REVOKED):
            return
        days = warning(standing.life.end, now)
        if days is None:
            return
        name = standing.name
        detail = {"days": str(days), "ends_at": standing.life.end.isoformat(timespec="seconds")}
        history = self._store.certificates.history(name.name)
        if any(entry.what == "warned" and entry.detail == detail for entry in history):
            return
        hint = "upload the next one: linkseal certificate import"
        if name.route is CertificateRoute.ACME:
            hint = (name.problem or {}).get("advice", "see linkseal certificate show")
        log.warning("certificate ends soon", name=name.name, route=name.route, hint=hint, **detail)
        self._store.certificates.note(name.name, now, "warned", detail)
