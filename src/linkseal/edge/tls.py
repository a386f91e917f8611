"""TLS of the edge: one listening context, and the right certificate for every name.

A context is chosen by the name in the client's hello, read before OpenSSL begins. A hello
that cannot be read so gets the listening context, whose SNI callback then chooses.
Certificates are in contexts of their own, loaded when first asked for and kept in an LRU;
a name nobody serves costs one dictionary look-up.

A session can be resumed at every worker, and only for the customer it was made for: a
context serves the names of one customer, and its ticket keys are made from the snapshot's
secret and that customer. The listening context gives no tickets.

Where the CDN shows a certificate of its own, names of one certificate and the same CAs have a
context, which asks for it and never refuses one; it gives no tickets, so that what was shown is
what is shown today.

Settings: Mozilla's "intermediate" recommendation: TLS 1.2 and 1.3, forward secrecy only.
"""

from __future__ import annotations

import os
import ssl
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import structlog

from linkseal.edge.canary import Canary
from linkseal.edge.certificates import CertificateFiles
from linkseal.edge.hello import UnreadableHelloError, server_name
from linkseal.edge.openssl import (
    AskingContext,
    ask_clients,
    forbid_resumption,
    restrict_groups,
    share_tickets,
)
from linkseal.edge.snapshot import Snapshot, SnapshotCertificate
from linkseal.errors import VaultError

_Scope = tuple[tuple[str, ...], int | None, tuple[bytes, ...]]
"""What a context is for: certificates, whose names they are shown for, and of which CAs a client
is asked for one there; of none: it is not asked."""

_CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)

RETRY_AFTER: Final = 5.0
"""Seconds until a certificate that could not be loaded is tried again."""

log = structlog.get_logger("edge")


class ListeningTLS:
    """The edge's TLS: make it before forking, give :meth:`use` every new snapshot after.

    Attributes:
        context: What is used where a hello could not be read.
        canary: What is shown wrong on purpose.
        unknown_names: How many handshakes asked for a name nobody serves.

    Args:
        snapshot: What to serve by.
        files: Where its certificates are.
        max_contexts: Loaded certificates to keep.
    """

    def __init__(self, snapshot: Snapshot, files: CertificateFiles, max_contexts: int) -> None:
        self._files = files
        self._max_contexts = max_contexts
        self._contexts: OrderedDict[_Scope, ssl.SSLContext] = OrderedDict()
        self._by_name: dict[str, SnapshotCertificate] = {}
        self._left_out: dict[tuple[str, ...], float] = {}
        self._snapshot = snapshot
        self.unknown_names = 0
        self.canary = Canary(_context_of)
        self.context = _new_context()
        forbid_resumption(self.context)
        self.context.sni_callback = self._choose_in_handshake
        # aiofastnet's direct engine makes its SSL objects behind the ssl module's back, and
        # the module's SNI callback then follows a null pointer: it must use the module's own.
        self.context._aiofastnet_force_fallback_ssl = True  # type: ignore[attr-defined]  # noqa: SLF001
        self.use(snapshot)

    def use(self, snapshot: Snapshot) -> None:
        """Serve by another snapshot from the next handshake on; connections go on.

        Raises:
            VaultError: The shared domain's certificate cannot be read.
            ssl.SSLError: It cannot be loaded.
            OSError: Nothing could be opened now, for want of descriptors or memory.
                After any of these the last snapshot stays in use.
        """
        by_name: dict[str, SnapshotCertificate] = {}
        for certificate in snapshot.certificates:
            for name in certificate.names:
                by_name.setdefault(name, certificate)
        shared = by_name.get(snapshot.shared_host) or by_name.get(_wildcard(snapshot.shared_host))
        if shared is not None:
            # Loaded now, so that a bad one is refused here and not at a recipient's handshake.
            self._context((shared.files, None, ()), snapshot.ticket_secret)
        self._by_name = by_name
        self._left_out.clear()
        rotated = snapshot.ticket_secret != self._snapshot.ticket_secret
        self._snapshot = snapshot
        self.canary.use(snapshot.canary)
        living = {certificate.files for certificate in snapshot.certificates}
        asked = {(), *snapshot.client_cas.values()}
        for scope in list(self._contexts):
            if scope[0] not in living or scope[2] not in asked:
                del self._contexts[scope]
        if rotated:
            for scope, context in self._contexts.items():
                if not scope[2]:
                    share_tickets(context, snapshot.ticket_secret, _text(scope))

    def choose(self, hello: bytes) -> tuple[ssl.SSLContext | None, str]:
        """Return the context to answer a hello with, ``None`` to refuse the name, and the name.

        The name is empty when none is asked for, or the hello cannot be read.

        Args:
            hello: The first bytes of the client, perhaps not all of its hello.

        Raises:
            OSError: The name is served, but nothing can be opened now to serve it by, for want
                of descriptors or memory. It is logged.
        """
        try:
            name = server_name(hello)
        except UnreadableHelloError:
            return self.context, ""
        try:
            wrong = self.canary.context_for(name) if name else None
            return wrong or self._context_for(name), name or ""
        except OSError as error:
            _log_refused(name, error)
            raise

    def certificate_for(self, name: str | None) -> SnapshotCertificate | None:
        """Return what to show for an SNI; ``None`` refuses the handshake.

        Its own certificate, else the base domain's wildcard: for targets, and for branded
        hosts we hold none for, where a CDN that verifies accepts our target's name.
        Without SNI the shared tracking domain's. What could not be loaded a moment ago is
        passed over.
        """
        snapshot = self._snapshot
        host = snapshot.shared_host if name is None else name.lower().rstrip(".")
        found = self._usable(host) or self._usable(_wildcard(host))
        if found is None and host in snapshot.hosts:
            found = self._usable(f"*.{snapshot.base_domain}")
        return found

    def _usable(self, name: str) -> SnapshotCertificate | None:
        found = self._by_name.get(name)
        if found is None or not self._left_out:
            return found
        return found if self._left_out.get(found.files, 0.0) <= time.monotonic() else None

    def _choose_in_handshake(
        self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _context: ssl.SSLContext
    ) -> int | None:
        """Answer OpenSSL in the handshake: no file, no network, no database."""
        try:
            # What this connection asks of its client is settled already, and that is nothing.
            context = self._context_for(name, ask=False)
        except OSError as error:
            _log_refused(name, error)
            return int(ssl.ALERT_DESCRIPTION_INTERNAL_ERROR)
        if context is None:
            # RFC 6066 §3: unrecognized_name.
            return int(ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME)
        connection.context = context
        return None

    def _context_for(self, name: str | None, *, ask: bool = True) -> ssl.SSLContext | None:
        snapshot = self._snapshot
        host = name.lower().rstrip(".") if name else ""
        asked = snapshot.client_cas.get(host, ()) if ask else ()
        # Without sessions there is nothing that one customer's names must not share.
        customer = None if asked else snapshot.hosts.get(host)
        while (certificate := self.certificate_for(name)) is not None:
            try:
                scope = (certificate.files, customer, asked)
                return self._context(scope, snapshot.ticket_secret)
            except (VaultError, ssl.SSLError) as error:
                # It is the certificate's own fault: the next best is shown meanwhile.
                log.error("certificate left out", names=certificate.names, error=str(error))
                self._left_out[certificate.files] = time.monotonic() + RETRY_AFTER
            # Any other OSError is the machine's fault, and may be over at the next handshake.
        self.unknown_names += 1
        return None

    def _context(self, scope: _Scope, secret: bytes) -> ssl.SSLContext:
        kept = self._contexts.get(scope)
        if kept is not None:
            self._contexts.move_to_end(scope)
            return kept
        files, _, asked = scope
        context = _asking_context(asked) if asked else _new_context()
        for each in files:
            _with_file(self._files.load(each), context.load_cert_chain)
        if not asked:
            share_tickets(context, secret, _text(scope))
        self._contexts[scope] = context
        self._left_out.pop(files, None)
        if len(self._contexts) > self._max_contexts:
            self._contexts.popitem(last=False)
        return context


def check_loads(chain: bytes, key: bytes) -> None:
    """Make sure that the edge can serve by a certificate, before it is told to.

    Args:
        chain: PEM, leaf first.
        key: PEM, not encrypted.

    Raises:
        ssl.SSLError: OpenSSL does not take it.
        OSError: Nothing could be opened now, for want of descriptors or memory.
    """
    _with_file(chain + b"\n" + key, _new_context().load_cert_chain)


def _context_of(pem: bytes) -> ssl.SSLContext:
    context = _new_context()
    forbid_resumption(context)
    _with_file(pem, context.load_cert_chain)
    return context


def _log_refused(name: str | None, error: OSError) -> None:
    log.error(
        "handshake refused: its certificate cannot be opened now",
        name=name or "",
        error=error.strerror or str(error),
        hint="let the service open more files (LimitNOFILE), or lower edge.max_connections",
    )


def _text(scope: _Scope) -> str:
    return f"{' '.join(scope[0])} {scope[1]}"


def _wildcard(host: str) -> str:
    # RFC 6125 §6.4.3: a wildcard stands for exactly one label.
    return f"*.{host.partition('.')[2]}"


def _asking_context(authorities: tuple[bytes, ...]) -> ssl.SSLContext:
    asking = AskingContext(ssl.PROTOCOL_TLS_SERVER)
    _set_up(asking)
    # Where OpenSSL cannot be reached, nobody is asked.
    context = asking if ask_clients(asking, authorities) else _new_context()
    forbid_resumption(context)
    return context


def _new_context() -> ssl.SSLContext:
    return _set_up(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))


def _set_up(context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    # Clients choose: those without AES in hardware are faster with ChaCha20.
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    # Two are the default; a recipient uses one, and each costs a signature-free 17 µs.
    context.num_tickets = 1
    restrict_groups(context)
    return context


def _with_file(data: bytes, load: Callable[[str], None]) -> None:
    """Hand ``data`` to something that wants a path, without a key ever touching the disk."""
    handle = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(handle), "wb") as file:
            file.write(data)
        load(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)
