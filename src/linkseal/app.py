"""Build everything and supervise it: the only place that does.

``linkseal up`` runs one :class:`Service`: edge workers, collector and SMTP proxy as
processes under a :class:`linkseal.supervisor.Supervisor`. The service makes what a new
machine lacks (keys, database, a local certificate), binds every port before it forks,
and writes the snapshot the edge reads whenever a key or a certificate changes.
"""

from __future__ import annotations

import json
import os
import resource
import secrets
import signal
import socket
import ssl
import time
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog

from linkseal import datadir
from linkseal.certificates import Certificate, LocalCA, read_certificate
from linkseal.certificates.held import open_key, shown
from linkseal.certificates.process import run_certificates
from linkseal.config import Address, Config
from linkseal.edge.app_files import AppFiles
from linkseal.edge.certificates import CertificateFiles
from linkseal.edge.enrolled import client_rules
from linkseal.edge.shared import Shared
from linkseal.edge.snapshot import Snapshot, SnapshotCertificate, save_snapshot
from linkseal.edge.tls import ListeningTLS, check_loads
from linkseal.edge.worker import WorkerSetup, run_worker
from linkseal.errors import CertificateError, LinksealError, VaultError
from linkseal.events.collector import run_collector
from linkseal.intake.proxy import run_proxy
from linkseal.listeners import bound_address, listen
from linkseal.ops import forget_process, run_ops
from linkseal.store import Store, StoredCertificate
from linkseal.supervisor import Part, Supervisor
from linkseal.vault import load_keyring, write_private
from linkseal.watch import canary
from linkseal.watch.process import run_watch

LOCK_WAIT: Final = 15.0
"""Seconds a new service waits for the last one's processes to leave."""
RENEWAL_CHECK: Final = 3600.0
FIRST_RETRY: Final = 1.0
LONGEST_RETRY: Final = 30.0
"""Seconds until a snapshot that could not be written is tried again, doubled each time."""
TICKET_LIFE: Final = 86_400.0

log = structlog.get_logger("service")


@dataclass(frozen=True, slots=True)
class Ready:
    """What a started service tells its starter.

    Attributes:
        config: The configuration with the ports really bound.
        ca_file: The local CA's certificate; ``None`` when a configured one is served.
    """

    config: Config
    ca_file: Path | None


class Service:
    """The whole service on one machine.

    Args:
        config: Ports may be 0: a free one is taken. Its data directory is prepared.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._listeners: dict[str, socket.socket] = {}
        self._configured: Certificate | None = None
        self._named: frozenset[str] = frozenset()
        self._sources: tuple[object, ...] = ()
        self._build_due = 0.0
        self._retry_in = FIRST_RETRY
        self._shared = Shared()
        self._wrong: dict[str, int] = {}
        self._app_files = AppFiles.beside(config.snapshot_file)
        self._ticket_secret = b""
        self._ticket_secret_due = 0.0

    def run(self, on_ready: Callable[[Ready], None]) -> None:
        """Start, call ``on_ready`` once the ports are bound, and supervise until told to stop.

        While it runs, ``service.json`` in the data directory says where it listens.

        Raises:
            ServiceError: A port is taken, or a service runs on this data directory.
            LinksealError: The keys, the local CA or the database cannot be used.
        """
        _raise_descriptor_limit()
        with datadir.hold(self._config, LOCK_WAIT):
            _clear_metrics(self._config.metrics_dir)
            Store.open(self._config.store_url).close()
            try:
                self._bind()
                self._vault = datadir.open_vault(self._config)
                snapshot = self._build_snapshot()
                # Tried here before it is saved: workers must be able to start by it.
                self._tls = ListeningTLS(snapshot, self._files, self._config.edge.max_contexts)
                self._save(snapshot)
                supervisor = Supervisor(self._parts(), self._tick, forget_process)
                supervisor.run(lambda: self._announce(on_ready))
            finally:
                self._config.service_file.unlink(missing_ok=True)
                for listener in self._listeners.values():
                    listener.close()

    def _announce(self, on_ready: Callable[[Ready], None]) -> None:
        edge, smtp = self._config.edge, self._config.smtp
        where = {
            "pid": os.getpid(),
            "http": str(edge.http),
            "https": str(edge.https),
            "ops": str(edge.ops),
            "smtp": str(smtp.listen) if smtp.enabled else None,
            "base": self._config.shared_base,
            "ca_file": str(self._ca_file) if self._ca_file else None,
        }
        write_private(self._config.service_file, json.dumps(where, indent=2).encode() + b"\n")
        log.info("ready", **where)
        on_ready(Ready(self._config, self._ca_file))

    @property
    def _ca_file(self) -> Path | None:
        return None if self._configured else self._local_ca.file

    @property
    def _files(self) -> CertificateFiles:
        return CertificateFiles(self._config.edge_certificates_dir, self._vault)

    @property
    def _local_ca(self) -> LocalCA:
        config = self._config
        return LocalCA(config.data_dir / "tls", self._vault, config.base_domain)

    def _bind(self) -> None:
        """Bind every port, and keep a configuration that names the ports bound."""
        config = self._config
        wanted = {f"edge.{key}": getattr(config.edge, key) for key in ("http", "https", "ops")}
        if config.smtp.enabled:
            wanted["smtp.listen"] = config.smtp.listen
            for number, extra in enumerate(config.smtp.listeners):
                wanted[f"smtp.listeners[{number}].listen"] = extra.listen
        for key, address in wanted.items():
            self._listeners[key] = listen(address, key)

        def bound(key: str) -> Address:
            return bound_address(self._listeners[key])

        edge = config.edge.model_copy(
            update={key: bound(f"edge.{key}") for key in ("http", "https", "ops")}
        )
        update: dict[str, object] = {"edge": edge}
        if config.smtp.enabled:
            update["smtp"] = config.smtp.model_copy(update={"listen": bound("smtp.listen")})
        self._config = config.model_copy(update=update)

    def _build_snapshot(self) -> Snapshot:
        config = self._config
        now = datetime.now(UTC)
        self._sources = self._stat_sources()
        with Store.open(config.store_url, migrate=False) as store:
            held = shown(store.certificates.in_use(), now)
            challenges = store.acme.challenges(now)
            hosts = store.domains.hosts()
            app_files = self._app_files.follow(store.app_links.served(), store.app_links.of)
            wrong = canary.read(config, store, now)
            asked = store.client_authorities.asked()
            clients = client_rules(store.domains.all(reports=False), store.cdn_ranges.networks())
        usable = {name: files for name, kinds in held.items() if (files := self._put(kinds))}
        certificates = [SnapshotCertificate((name,), files) for name, files in usable.items()]
        own = self._own_certificate(now)
        file = (self._files.put(own.chain, own.key),)
        # The first that names a host is shown: a configured certificate comes before what
        # CAs issued; the local CA's, or an expired one, is for what nothing else covers.
        if own is self._configured and own.expires_at > now:
            certificates.insert(0, SnapshotCertificate(own.names, file))
        elif bare := tuple(name for name in own.names if not _covered(name, usable)):
            certificates.append(SnapshotCertificate(bare, file))
        return Snapshot(
            keyring=load_keyring(config.keyring_file, self._vault),
            base_domain=config.base_domain,
            shared_host=config.shared_host,
            hosts=hosts,
            certificates=certificates,
            challenges=challenges,
            ticket_secret=self._tickets(),
            probe_key=datadir.open_probe_key(config, self._vault),
            clients=clients,
            app_files=app_files,
            canary=wrong,
            client_cas=asked,
        )

    def _save(self, snapshot: Snapshot) -> None:
        """Give the edge a snapshot, then drop files that no worker can need any more."""
        save_snapshot(self._config.snapshot_file, snapshot, self._vault)
        named = frozenset(file for each in snapshot.certificates for file in each.files)
        self._files.sweep(named, self._named)
        self._named = named
        self._app_files.sweep()
        self._wrong = snapshot.canary
        self._build_due = time.monotonic() + RENEWAL_CHECK
        self._retry_in = FIRST_RETRY

    def _put(self, kinds: Sequence[StoredCertificate]) -> tuple[str, ...]:
        """Return the edge's files of what is held for a name; what cannot be used has none.

        Raises:
            VaultError: They cannot be written.
            OSError: Nothing could be opened now.
        """
        files = []
        for each in kinds:
            try:
                chain = each.chain.encode("ascii")
                found = self._files.has(chain)
                key = b"" if found else open_key(self._vault, each)
                if not found:
                    check_loads(chain, key)
            except (UnicodeError, VaultError, ssl.SSLError) as error:
                # One name's fault must not keep every other name's news from the edge.
                log.error("certificate left out", names=[each.name], error=str(error))
            else:
                files.append(found or self._files.put(chain, key))
        return tuple(files)

    def _own_certificate(self, now: datetime) -> Certificate:
        """Return what is there without any CA: the configured certificate, or the local CA's.

        One that cannot be used is loud; the last good one is served on, if there was one.
        """
        wanted = self._config.tls
        if not (wanted.certificate and wanted.key):
            return self._local_ca.certificate(self._config.shared_host, now)
        try:
            found = read_certificate(wanted.certificate, wanted.key, self._config.shared_host, now)
            check_loads(found.chain, found.key)
        except (CertificateError, ssl.SSLError) as error:
            told = error.as_dict() if isinstance(error, CertificateError) else {"error": str(error)}
            if self._configured is not None:
                log.error("configured certificate not taken, the last one stays", **told)
                return self._configured
            log.error("configured certificate not taken, the local CA stands in", **told)
            return self._local_ca.certificate(self._config.shared_host, now)
        self._configured = found
        return found

    def _tickets(self) -> bytes:
        """Return the secret of session tickets, a new one each day (RFC 5077 §5.5)."""
        if time.monotonic() >= self._ticket_secret_due:
            self._ticket_secret = secrets.token_bytes(32)
            self._ticket_secret_due = time.monotonic() + TICKET_LIFE
        return self._ticket_secret

    def _stat_sources(self) -> tuple[object, ...]:
        """Return what changes when a file the snapshot is made from does."""
        config = self._config
        files = (config.keyring_file, config.tls.certificate, config.tls.key, config.canary_file)
        seen: list[object] = []
        for file in files:
            try:
                stat = file.stat() if file else None
            except OSError:
                stat = None
            seen.append((stat.st_mtime_ns, stat.st_ino, stat.st_size) if stat else None)
        return tuple(seen)

    def _canary_over(self) -> bool:
        """Whether a wrong certificate is shown that must not be any more."""
        if not self._wrong:
            return False
        with Store.open(self._config.store_url, migrate=False) as store:
            return canary.read(self._config, store) != self._wrong

    def _tick(self, reload: bool) -> None:
        """Write a new snapshot when a key or certificate changed, or is due for renewal."""
        due = time.monotonic() >= self._build_due
        changed = self._stat_sources() != self._sources
        try:
            if not (reload or due or changed or self._canary_over()):
                return
            snapshot = self._build_snapshot()
            self._tls.use(snapshot)
            self._save(snapshot)
            log.info("snapshot written")
        except Exception as error:
            # The edge goes on with the last good snapshot. Whatever changed is not known any
            # more by the next tick, so it is the failure that makes it due again.
            self._build_due = time.monotonic() + self._retry_in
            self._retry_in = min(self._retry_in * 2, LONGEST_RETRY)
            if isinstance(error, LinksealError):
                log.error("snapshot not written, the last one stays", **error.as_dict())
            else:
                log.exception("snapshot not written, the last one stays")

    def _parts(self) -> list[Part]:
        config = self._config
        parts = [
            Part(
                "collector",
                lambda stop_fd: run_collector(
                    config.store_url,
                    config.journal_dir,
                    config.store.collect_interval,
                    stop_fd,
                ),
                stage=1,
            ),
            Part("certificates", self._certificates(), grace=2.0),
            Part("watch", lambda stop_fd: run_watch(config, self._vault, stop_fd), grace=2.0),
        ]
        parts += [
            Part(f"edge-{slot}", self._edge(slot), grace=config.edge.drain_timeout + 5)
            for slot in range(config.edge.workers)
        ]
        if config.smtp.enabled:
            parts.append(Part("smtp", self._proxy(), grace=15.0))
        ops = self._listeners["edge.ops"]
        parts.append(
            Part("ops", lambda stop_fd: run_ops(ops, config.edge.workers, stop_fd), stage=2)
        )
        return parts

    def _certificates(self) -> Callable[[int], None]:
        service = os.getpid()

        def changed() -> None:
            # The supervisor looks at once; one that is gone has no number of its own any more.
            if os.getppid() == service:
                os.kill(service, signal.SIGHUP)

        return lambda stop_fd: run_certificates(self._config, self._vault, stop_fd, changed)

    def _edge(self, slot: int) -> Callable[[int], None]:
        config = self._config
        setup = WorkerSetup(
            slot=slot,
            http=self._listeners["edge.http"],
            https=self._listeners["edge.https"],
            tls=self._tls,
            edge=config.edge,
            journal=config.journal,
            journal_dir=config.journal_dir,
            snapshot_file=config.snapshot_file,
            vault=self._vault,
            shared=self._shared,
        )
        return lambda stop_fd: run_worker(setup, stop_fd)

    def _proxy(self) -> Callable[[int], None]:
        config = self._config
        listeners: list[tuple[socket.socket, str | None]] = [(self._listeners["smtp.listen"], None)]
        listeners += [
            (self._listeners[f"smtp.listeners[{number}].listen"], extra.customer)
            for number, extra in enumerate(config.smtp.listeners)
        ]
        return lambda stop_fd: run_proxy(config, listeners, self._vault, stop_fd)


def _raise_descriptor_limit() -> None:
    """Allow as many open connections as the machine's administrator does.

    The usual soft limit of 1024 is there for programs that call select(2); none here does.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _clear_metrics(directory: Path) -> None:
    """Remove what the parts of an earlier service left; this process's own files stay."""
    for file in directory.glob("*.db"):
        if not file.stem.endswith(f"_{os.getpid()}"):
            file.unlink(missing_ok=True)


def _covered(name: str, held: Container[str]) -> bool:
    """Whether a certificate is held for a name, or for the wildcard that stands for it."""
    return name in held or f"*.{name.partition('.')[2]}" in held
