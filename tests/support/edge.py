"""Talk to an edge worker over real sockets, as recipients do."""

from __future__ import annotations

import contextlib
import resource
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import trustme

from linkseal.config import EdgeConfig, JournalConfig
from linkseal.edge.certificates import CertificateFiles
from linkseal.edge.client import ClientKind, ClientRule
from linkseal.edge.shared import Shared
from linkseal.edge.snapshot import Snapshot, SnapshotCertificate, save_snapshot
from linkseal.edge.tls import ListeningTLS
from linkseal.edge.worker import WorkerSetup
from linkseal.journal import Hit, decode_batch, list_segments, read_rows
from linkseal.seal import KEY_BYTES, Keyring, Kind, MessageID, Sealed, sealed_url
from linkseal.seal.nonce import PROBE_KEY_BYTES
from linkseal.vault import Vault

SHARED = "go.ct.example.net"
KEYRING = Keyring({1: bytes(range(KEY_BYTES))}, 1)
PROBE_KEY = b"p" * PROBE_KEY_BYTES
# A CDN that stands on this machine, for one customer's host; the other host has none.
CLIENTS = {
    "links.acme.example": ClientRule(
        ("127.0.0.0/8", "198.51.100.0/24"), "X-Forwarded-For", ClientKind.LIST
    ),
}
VAULT = Vault(b"m" * 32)
MESSAGE = MessageID.make(datetime(2026, 11, 24, tzinfo=UTC), b"\x01" * 8)
HOSTS = {"links.acme.example": 1, "links.other.example": 2, "t-abc.ct.example.net": 1}


def worker_setup(
    directory: Path,
    known: Snapshot,
    http: socket.socket,
    https: socket.socket,
    *,
    edge: EdgeConfig | None = None,
    journal: JournalConfig | None = None,
    shared: Shared | None = None,
) -> WorkerSetup:
    """Write a snapshot into a folder, and return what a worker of that is made from."""
    save_snapshot(directory / "edge.snapshot", known, VAULT)
    return WorkerSetup(
        slot=0,
        http=http,
        https=https,
        tls=ListeningTLS(known, files_in(directory), 100),
        edge=edge or EdgeConfig(),
        journal=journal or JournalConfig(),
        journal_dir=directory / "journal",
        snapshot_file=directory / "edge.snapshot",
        vault=VAULT,
        shared=shared or Shared(),
    )


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Edge:
    """One running worker, and what is needed to talk to it."""

    directory: Path
    authority: trustme.CA
    http: tuple[str, int]
    https: tuple[str, int]
    stop: Callable[[], None]
    journal_dir: Path
    open_sockets: list[socket.socket] = field(default_factory=list)

    def token_path(self, *, link: int = 0, customer: int = 1, kind: Kind = Kind.CLICK) -> str:
        destination = f"https://a.example/{link}" if kind is Kind.CLICK else ""
        return sealed_url("", KEYRING, Sealed(kind, customer, MESSAGE, link, destination))

    def connect(self, *, tls: str | None = None) -> socket.socket:
        plain = socket.create_connection(self.https if tls else self.http, 10)
        self.open_sockets.append(plain)
        if tls is None:
            return plain
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        wrapped = context.wrap_socket(plain, server_hostname=tls)
        self.open_sockets.append(wrapped)
        return wrapped

    def send(self, data: bytes, *, tls: str | None = None) -> Reply:
        with self.connect(tls=tls) as connection:
            connection.sendall(data)
            return read_reply(connection)

    def get(self, path: str, host: str = SHARED, **headers: str) -> Reply:
        return self.send(request(path, host, **headers))

    def hits(self) -> list[Hit]:
        return [
            hit
            for name in list_segments(self.journal_dir)
            for row in read_rows(self.journal_dir, name, after=0, max_bytes=1 << 30, closed=False)
            for hit in decode_batch(row.data).hits
        ]


def request(path: str, host: str = SHARED, method: str = "GET", **headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def hello(authority: trustme.CA, name: str = SHARED) -> bytes:
    """Return what a TLS client says first."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def read_reply(connection: socket.socket, *, head: bool = False) -> Reply:
    """Read one answer; the status is 0 when the connection was closed without one."""
    data = b""
    while b"\r\n\r\n" not in data:
        try:
            chunk = connection.recv(1)
        except ConnectionResetError:
            chunk = b""
        if not chunk:
            return Reply(0, {}, data)
        data += chunk
    start, *lines = data.decode("latin-1").rstrip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    body = b""
    length = 0 if head else int(headers.get("content-length", 0))
    while len(body) < length:
        body += connection.recv(length - len(body))
    return Reply(int(start.split()[1]), headers, body)


def is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except (ConnectionResetError, ssl.SSLError):
        return True


@contextlib.contextmanager
def no_descriptors() -> Iterator[None]:
    """Let nothing be opened in this process (EMFILE)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def files_in(directory: Path) -> CertificateFiles:
    return CertificateFiles(directory / "edge.certificates", VAULT)


def certificate(
    files: CertificateFiles, authority: trustme.CA, *names: str, **kinds: Any
) -> SnapshotCertificate:
    issued = authority.issue_cert(*names, **kinds)
    chain = b"".join(pem.bytes() for pem in issued.cert_chain_pems)
    return SnapshotCertificate(names, (files.put(chain, issued.private_key_pem.bytes()),))


def snapshot(files: CertificateFiles, authority: trustme.CA, **changes: Any) -> Snapshot:
    return Snapshot(
        **{
            "keyring": KEYRING,
            "base_domain": "ct.example.net",
            "shared_host": SHARED,
            "hosts": HOSTS,
            "certificates": [
                certificate(files, authority, SHARED, "*.ct.example.net"),
                certificate(files, authority, "links.acme.example"),
            ],
            "challenges": {},
            "ticket_secret": b"t" * 32,
            "probe_key": PROBE_KEY,
            "clients": CLIENTS,
            **changes,
        }
    )
