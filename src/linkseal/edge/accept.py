"""Accept connections on a listening socket that several workers share.

One at a time, so that one worker does not empty the queue while the others idle; a lack of
file descriptors pauses accepting instead of spinning.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
from collections.abc import Coroutine
from typing import Any, Final

import aiofastnet
import structlog
from aiofastnet.ssl_transport import SSLTransport_Socket

from linkseal.edge.hello import INTERNAL_ERROR, UNRECOGNIZED_NAME, bytes_needed
from linkseal.edge.protocol import EdgeProtocol
from linkseal.edge.state import EdgeState
from linkseal.edge.tls import ListeningTLS

PAUSE: Final = 0.5
SHUTDOWN_TIMEOUT: Final = 2.0
PEEK_BYTES: Final = 4096
DEFER_SECONDS: Final = 1
"""How long the kernel keeps a new connection on which the client has not spoken yet."""
TLS_BUFFER: Final = 16_896
"""One TLS record (RFC 8446 §5.2: 16,640 bytes and a header); there are two a connection."""
_DIRECT: Final = aiofastnet.OPENSSL_DYN_LIBS is not None
"""Whether aiofastnet has its direct engine: not in a Python that has OpenSSL linked in."""
_PEEK = socket.MSG_PEEK | socket.MSG_DONTWAIT

log = structlog.get_logger("edge")


class Acceptor:
    """Accepts on one listener and serves what comes.

    Args:
        loop: The worker's.
        listener: Bound, listening, shared with other workers.
        state: The worker's.
        tls: What to serve https by, or ``None`` for plain http.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listener: socket.socket,
        state: EdgeState,
        tls: ListeningTLS | None,
    ) -> None:
        self._loop = loop
        self._listener = listener
        self._state = state
        self._tls = tls
        self._protocol = functools.partial(EdgeProtocol, state, secure=tls is not None)
        listener.setblocking(False)  # noqa: FBT003 - the socket's own API
        # Clients speak first, on http and https: no need to wake up before they do.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, DEFER_SECONDS)
        self.start()

    def start(self) -> None:
        """Begin, or go on after a pause."""
        if not self._state.draining:
            self._loop.add_reader(self._listener, self._accept)

    def stop(self) -> None:
        """Accept no more; connections that are being opened go on."""
        self._loop.remove_reader(self._listener)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            # No descriptors or memory left: those in use must end first.
            log.error("cannot accept", error=error.strerror)
            self.stop()
            self._loop.call_later(PAUSE, self.start)
            return
        state = self._state
        state.counts.accepted += 1
        if max(len(state.connections), len(state.opening)) >= state.config.max_connections:
            state.counts.refused_connections += 1
            connection.close()
            return
        if self._tls is None:
            self._spawn(
                aiofastnet.connect_accepted_socket(self._loop, self._protocol, connection),
                connection,
            )
            return
        try:
            hello = connection.recv(PEEK_BYTES, _PEEK)
        except BlockingIOError:
            self._spawn(self._open_late(connection, self._tls), connection)
        except OSError:
            self._failed(connection)
        else:
            needed = bytes_needed(hello)
            if len(hello) < needed <= PEEK_BYTES:
                # A hello with a post-quantum key share takes more than one packet.
                self._spawn(self._open_late(connection, self._tls, needed), connection)
            else:
                self._handshake(connection, hello, self._tls)

    def _handshake(self, connection: socket.socket, hello: bytes, tls: ListeningTLS) -> None:
        try:
            context, name = tls.choose(hello)
        except OSError:
            # No certificate could be opened: the name is served, so it is not to be called unknown.
            _send_alert(connection, INTERNAL_ERROR)
            self._failed(connection)
            return
        if context is None:
            _send_alert(connection, UNRECOGNIZED_NAME)
            connection.close()
            return
        timeout = self._state.config.header_timeout
        wrong = tls.canary.is_shown_by(context)
        protocol = functools.partial(self._protocol, sni=name, canary=wrong)
        if context is tls.context or not _DIRECT:
            self._spawn(
                aiofastnet.connect_accepted_socket(
                    self._loop,
                    protocol,
                    connection,
                    ssl=context,
                    ssl_handshake_timeout=timeout,
                    ssl_shutdown_timeout=SHUTDOWN_TIMEOUT,
                    ssl_incoming_bio_size=TLS_BUFFER,
                    ssl_outgoing_bio_size=TLS_BUFFER,
                ),
                connection,
                wrong=wrong,
            )
            return
        # What the call above does, without its task, its checks and three turns of the loop:
        # a twentieth of a fresh connection's cost (docs/decisions, 2026-11-24).
        connection.setblocking(False)  # noqa: FBT003 - the socket's own API
        opened = self._loop.create_future()
        transport = None
        try:
            transport = SSLTransport_Socket(
                self._loop,
                protocol(),
                context,
                True,  # noqa: FBT003 - server side
                timeout,
                SHUTDOWN_TIMEOUT,
                TLS_BUFFER,
                TLS_BUFFER,
                connection,
                waiter=opened,
                server_hostname="",
            )
        except Exception as error:
            opened.cancel()
            # The client is gone already, or nothing is left to serve it with; or else a fault.
            if not isinstance(error, (OSError, MemoryError)):
                log.error("cannot open a connection", exc_info=error)
        self._watch(opened, connection, transport, wrong=wrong)

    async def _open_late(
        self, connection: socket.socket, tls: ListeningTLS, needed: int = 1
    ) -> None:
        """Wait for a client's first bytes, so many or its end, then go on as usual."""
        readable = self._loop.create_future()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, needed)
        self._loop.add_reader(connection, _settle, readable)
        try:
            async with asyncio.timeout(self._state.config.header_timeout):
                await readable
        finally:
            self._loop.remove_reader(connection)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        self._handshake(connection, connection.recv(PEEK_BYTES, _PEEK), tls)

    def _spawn(
        self, opening: Coroutine[Any, Any, Any], connection: socket.socket, *, wrong: bool = False
    ) -> None:
        self._watch(self._loop.create_task(opening), connection, wrong=wrong)

    def _watch(
        self,
        opening: asyncio.Future[Any],
        connection: socket.socket,
        transport: asyncio.Transport | None = None,
        *,
        wrong: bool = False,
    ) -> None:
        self._state.opening.add(opening)
        opening.add_done_callback(
            functools.partial(self._opened, connection, transport, wrong=wrong)
        )

    def _opened(
        self,
        connection: socket.socket,
        transport: asyncio.Transport | None,
        opening: asyncio.Future[Any],
        *,
        wrong: bool,
    ) -> None:
        self._state.opening.discard(opening)
        if opening.cancelled() and transport is not None:
            # A task takes its transport along when it is cancelled, a bare future does not.
            transport.abort()
        error = None if opening.cancelled() else opening.exception()
        if wrong and error is not None and not isinstance(error, TimeoutError):
            # By an alert, or without a word: a client that was only slow did not.
            self._state.shared.count_refused()
        if opening.cancelled() or error is not None:
            self._failed(connection)

    def _failed(self, connection: socket.socket) -> None:
        """Count a hello that is none, a certificate that cannot be opened, a client that left."""
        self._state.counts.failed_handshakes += 1
        connection.close()


def _send_alert(connection: socket.socket, alert: bytes) -> None:
    with contextlib.suppress(OSError):
        connection.send(alert, socket.MSG_DONTWAIT)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
