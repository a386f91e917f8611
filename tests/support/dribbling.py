"""A host that answers slowly, too much, or without end."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def dribbling(
    first: bytes, more: bytes = b"", every: float = 0.2, tls: ssl.SSLContext | None = None
) -> Iterator[int]:
    """Listen on a port; each connection gets the first bytes, and then more for ever.

    Connections are served one at a time, over TLS if there is a context.
    """
    stopping = threading.Event()

    def talk(connection: socket.socket) -> None:
        connection.recv(9999)
        connection.sendall(first)
        while more and not stopping.wait(every):
            connection.sendall(more)

    def serve() -> None:
        while not stopping.is_set():
            with contextlib.suppress(OSError):
                connection, _ = listening.accept()
                with contextlib.ExitStack() as open_now:
                    open_now.enter_context(connection)
                    if tls is not None:
                        connection = tls.wrap_socket(connection, server_side=True)
                        open_now.enter_context(connection)
                    talk(connection)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            stopping.set()
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
