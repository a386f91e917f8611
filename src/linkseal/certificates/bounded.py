"""HTTP answers that end: by a deadline and a size for all of one, head and body.

A socket's timeout is for each read, so whoever sends a byte now and then holds the reader for
as long as they like.
"""

from __future__ import annotations

import functools
import http.client
import io
import socket
import time
from typing import IO, Any, Final, cast

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection

_CONNECT_SECONDS: Final = 5.0


class TooLongError(http.client.HTTPException):
    """An answer has more bytes than it may."""


class _Bounded(io.RawIOBase):
    """Reads a socket until a deadline, and so many bytes; then it raises."""

    def __init__(self, connection: socket.socket, deadline: float, most: int) -> None:
        self._connection = connection
        self._stream = cast("io.RawIOBase", connection.makefile("rb", buffering=0))
        self._deadline = deadline
        self._left = most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out: the answer does not end")
        if self._left == 0:
            raise TooLongError("the answer does not end")
        self._connection.settimeout(left)
        count = self._stream.readinto(memoryview(buffer)[: self._left])
        self._left -= count or 0
        return count

    def close(self) -> None:
        self._stream.close()
        super().close()


class BoundedResponse(http.client.HTTPResponse):
    """An answer that is read until a deadline, and so many bytes.

    Reading raises :class:`TimeoutError` and :class:`TooLongError`.

    Args:
        connection: What it comes from.
        deadline: On :func:`time.monotonic`; ``None`` is as far off as the socket's timeout.
        most: Bytes, of head and body together.
    """

    def __init__(
        self,
        connection: socket.socket,
        *args: Any,
        most: int,
        deadline: float | None = None,
        **options: Any,
    ) -> None:
        if deadline is None:
            deadline = time.monotonic() + (connection.gettimeout() or 0.0)
        source = _Source(connection, deadline, most)
        # All that http.client wants of a socket is makefile().
        super().__init__(cast("socket.socket", source), *args, **options)


class _Source:
    def __init__(self, connection: socket.socket, deadline: float, most: int) -> None:
        self._made = functools.partial(_Bounded, connection, deadline, most)

    def makefile(self, _mode: str) -> IO[bytes]:
        return io.BufferedReader(self._made())


class BoundedAdapter(HTTPAdapter):
    """Sends requests whose answers end. For one thread at a time.

    Compressed answers, which are not asked for, are refused: a few of their bytes can stand
    for any number.

    Args:
        seconds: For a request with all its redirects, from :meth:`begin` on; connecting to
            a host with many addresses that are silent may add 5 seconds for each.
        most: Bytes of one answer.
    """

    def __init__(self, seconds: float, most: int) -> None:
        self._seconds = seconds
        self._most = most
        self._deadline = 0.0
        super().__init__()

    def begin(self) -> None:
        """Let the time of a request begin."""
        self._deadline = time.monotonic() + self._seconds

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the pools bounded ones."""
        super().init_poolmanager(*args, **options)
        self._bound(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        """Make the pools of an HTTP proxy bounded ones."""
        manager = super().proxy_manager_for(*args, **options)
        if isinstance(manager, ProxyManager):
            self._bound(manager)
        return manager

    def send(
        self, request: requests.PreparedRequest, *args: Any, **options: Any
    ) -> requests.Response:
        """Send one request in what is left of the time.

        Raises:
            requests.RequestException: There is no answer, or one that does not end.
        """
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise requests.Timeout("timed out: too many redirects, or slow ones", request=request)
        request.headers["Accept-Encoding"] = "identity"
        options["timeout"] = (min(_CONNECT_SECONDS, left), left)
        response = super().send(request, *args, **options)
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            response.close()
            raise requests.exceptions.ContentDecodingError(
                "a compressed answer, which was not asked for", request=request
            )
        return response

    def _bound(self, manager: PoolManager) -> None:
        answer = functools.partial(BoundedResponse, most=self._most)

        class Plain(HTTPConnection):
            response_class = staticmethod(answer)  # type: ignore[assignment]

        class Secure(HTTPSConnection):
            response_class = staticmethod(answer)  # type: ignore[assignment]

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        manager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
