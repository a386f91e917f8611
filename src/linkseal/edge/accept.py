"""Accept connections on a listening socket that several workers share.

A turn takes few connections, so that one worker does not empty the queue while the
others idle, and a lack of file descriptors pauses accepting instead of spinning.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket

import aiofastnet
import structlog

from linkseal.edge.hello import UNRECOGNIZED_NAME, server_name
from linkseal.edge.protocol import EdgeProtocol
from linkseal.edge.state import EdgeState
from linkseal.edge.tls import ListeningTLS

AT_ONCE = 8
PAUSE = 0.5
SHUTDOWN_TIMEOUT = 2.0
PEEK_BYTES = 4096

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
        connection.setblocking(False)  # noqa: FBT003 - the socket's own API
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
        name = server_name(await self._peek(connection, timeout))
        if name is not None and tls.certificate_for(name) is None:
            tls.unknown_names += 1
            with contextlib.suppress(BlockingIOError):
                connection.send(UNRECOGNIZED_NAME)
            connection.close()
            return
        await aiofastnet.connect_accepted_socket(
            self._loop,
            lambda: EdgeProtocol(self._state, secure=True),
            connection,
            ssl=tls.context,
            ssl_handshake_timeout=timeout,
            ssl_shutdown_timeout=SHUTDOWN_TIMEOUT,
        )

    async def _peek(self, connection: socket.socket, timeout: float) -> bytes:  # noqa: ASYNC109
        """Return the first bytes a client sends, leaving them to be read again."""
        try:
            return connection.recv(PEEK_BYTES, socket.MSG_PEEK)
        except BlockingIOError:
            pass
        readable = self._loop.create_future()
        self._loop.add_reader(connection, _settle, readable)
        try:
            async with asyncio.timeout(timeout):
                await readable
        finally:
            self._loop.remove_reader(connection)
        return connection.recv(PEEK_BYTES, socket.MSG_PEEK)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
