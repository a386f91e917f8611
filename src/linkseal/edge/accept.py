"""Accept connections on a listening socket that several workers share.

A turn takes few connections, so that one worker does not empty the queue while the
others idle, and a lack of file descriptors pauses accepting instead of spinning.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket

import aiofastnet
import structlog

from linkseal.edge.hello import UNRECOGNIZED_NAME
from linkseal.edge.protocol import EdgeProtocol
from linkseal.edge.state import EdgeState
from linkseal.edge.tls import ListeningTLS

AT_ONCE = 8
PAUSE = 0.5
SHUTDOWN_TIMEOUT = 2.0
PEEK_BYTES = 4096
DEFER_SECONDS = 1
"""How long the kernel keeps a new connection on which the client has not spoken yet."""

# It tells every failed handshake with a traceback; here they are counted.
logging.getLogger("aiofastnet").setLevel(logging.CRITICAL)

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
        self._tasks: set[asyncio.Task[None]] = set()
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
        for _ in range(AT_ONCE):
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
            self._state.counts.accepted += 1
            task = self._loop.create_task(self._open(connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _open(self, connection: socket.socket) -> None:
        try:
            if self._tls is None:
                await aiofastnet.connect_accepted_socket(
                    self._loop, lambda: EdgeProtocol(self._state, secure=False), connection
                )
            else:
                await self._open_tls(connection, self._tls)
        except (OSError, TimeoutError, asyncio.CancelledError):
            # ssl.SSLError is an OSError: a hello that is none, or a client that left.
            self._state.counts.failed_handshakes += 1
            connection.close()

    async def _open_tls(self, connection: socket.socket, tls: ListeningTLS) -> None:
        timeout = self._state.config.header_timeout
        context = tls.choose(await self._peek(connection, timeout))
        if context is None:
            with contextlib.suppress(BlockingIOError):
                connection.send(UNRECOGNIZED_NAME, socket.MSG_DONTWAIT)
            connection.close()
            return
        await aiofastnet.connect_accepted_socket(
            self._loop,
            lambda: EdgeProtocol(self._state, secure=True),
            connection,
            ssl=context,
            ssl_handshake_timeout=timeout,
            ssl_shutdown_timeout=SHUTDOWN_TIMEOUT,
            ssl_incoming_bio_size=16896,
            ssl_outgoing_bio_size=16896,
        )

    async def _peek(self, connection: socket.socket, timeout: float) -> bytes:  # noqa: ASYNC109
        """Return the first bytes a client sends, leaving them to be read again."""
        peek = socket.MSG_PEEK | socket.MSG_DONTWAIT
        with contextlib.suppress(BlockingIOError):
            return connection.recv(PEEK_BYTES, peek)
        readable = self._loop.create_future()
        self._loop.add_reader(connection, _settle, readable)
        try:
            async with asyncio.timeout(timeout):
                await readable
        finally:
            self._loop.remove_reader(connection)
        return connection.recv(PEEK_BYTES, peek)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
