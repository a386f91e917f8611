"""One recipient's connection: HTTP/1.1 by llhttp, answers in order, nothing trusted.

Requests never have a body here, so one that announces a body is refused and its
connection closed: what follows it cannot be mistaken for a request (RFC 9112 §11.2).
A click's or open's answer waits in the connection's queue until its hit is on disk;
answers that need no record wait only behind those.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import urlsplit

import httptools

from linkseal.edge.answers import CLOSE, KEEP, KEEP_1_0
from linkseal.errors import TokenError
from linkseal.journal import Hit
from linkseal.seal import Kind, Sealed, open_path

if TYPE_CHECKING:
    from linkseal.edge.state import EdgeState

MOST_WAITING: Final = 64
"""Answers that may wait on one connection before no more is read from it."""
USER_AGENT_LENGTH: Final = 512

_READS = frozenset({b"GET", b"HEAD"})
_VERSIONS = frozenset({"1.0", "1.1"})


class _Ready(bytes):
    """An answer that waits only for those before it."""

    __slots__ = ()


class EdgeProtocol(asyncio.Protocol):
    """Serves one connection.

    Args:
        state: The worker's, shared by all its connections.
        secure: Whether the connection is TLS.
    """

    __slots__ = (
        "_address",
        "_answers",
        "_closing",
        "_fed",
        "_headers",
        "_parser",
        "_paused",
        "_secure",
        "_state",
        "_transport",
        "_url",
        "deadline",
    )

    def __init__(self, state: EdgeState, *, secure: bool) -> None:
        self._state = state
        self._secure = secure
        self._answers: deque[bytes] = deque()
        self._headers: list[tuple[bytes, bytes]] = []
        self._url = b""
        self._fed = 0
        self._closing = False
        self._paused = False
        self._address = ""
        self.deadline = 0.0

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock for the first request."""
        self._transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpRequestParser(self)
        peer = transport.get_extra_info("peername")
        self._address = peer[0] if isinstance(peer, tuple) else ""
        state = self._state
        state.connections.add(self)
        self.deadline = state.now + state.config.header_timeout
        if state.draining or len(state.connections) > state.config.max_connections:
            state.counts.refused_connections += 1
            self._transport.abort()

    def connection_lost(self, _error: Exception | None) -> None:
        """Forget the connection; hits that are being written still are."""
        self._closing = True
        self._state.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        if self._closing:
            return
        if not self._fed:
            # The first bytes of a head: it has to be whole in time, however slowly it drips.
            self.deadline = self._state.now + self._state.config.header_timeout
        self._fed += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # The request itself was answered; what follows is not HTTP and is not read.
            self._close_after_answers()
        except httptools.HttpParserError:
            self._refuse(400)
        if self._fed > self._state.config.max_head_bytes and not self._closing:
            self._refuse(431)

    def eof_received(self) -> bool:
        """Answer what was asked before a client that half-closed is let go."""
        if self._answers and not self._closing:
            self._closing = True
            return True
        return False

    def pause_writing(self) -> None:
        """Read no more requests from a client that does not read its answers."""
        self._pause()

    def resume_writing(self) -> None:
        """Go on reading."""
        self._resume()

    # The parser's side.

    def on_url(self, url: bytes) -> None:
        """Gather the request target."""
        if not self._url:
            self._url = url
        else:
            self._url += url
        if len(self._url) > self._state.config.max_url_bytes:
            self._refuse(414)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Gather a header field."""
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Answer the request."""
        url, headers, fed = self._url, self._headers, self._fed
        self._url, self._headers, self._fed = b"", [], 0
        if self._closing:
            return
        state = self._state
        self.deadline = state.now + state.config.idle_timeout
        method = self._parser.get_method()
        version = self._parser.get_http_version()
        is_read = method in _READS
        host, hosts, agent, has_body = _scan(headers)
        if has_body:
            self._refuse(400 if is_read else 405)
        elif len(headers) > state.config.max_headers or (
            fed > state.config.max_head_bytes and _size(headers) > state.config.max_head_bytes
        ):
            self._refuse(431)
        elif version not in _VERSIONS:
            self._refuse(505)
        elif not is_read:
            self._refuse(405)
        # RFC 9112 §3.2: exactly one Host in HTTP/1.1, at most one in HTTP/1.0.
        elif hosts > 1 or (hosts == 0 and version == "1.1"):
            self._refuse(400)
        else:
            end = CLOSE
            if self._parser.should_keep_alive() and not state.draining:
                end = KEEP if version == "1.1" else KEEP_1_0
            self._answer(method == b"HEAD", url, host, agent, end)

    def _answer(self, head: bool, url: bytes, host: bytes, agent: bytes, end: int) -> None:
        state = self._state
        if not url.startswith(b"/"):
            # RFC 9112 §3.2.2: the target's own authority counts, not the Host field.
            split = _absolute(url)
            if split is None:
                self._refuse(400)
                return
            host, url = split
        served = state.served(host)
        if served is None:
            state.counts.unknown_hosts += 1
            self._put(_Ready(state.answers.page(421, end, head=head)), end)
            return
        name, customer = served
        path = url.partition(b"?")[0].decode("latin-1")
        try:
            sealed = open_path(state.snapshot.keyring, path)
        except TokenError:
            self._answer_other(path, end, head=head)
            return
        if customer is not None and customer != sealed.customer:
            state.counts.wrong_customer += 1
            self._put(_Ready(state.answers.page(404, end, head=head)), end)
            return
        self._answer_hit(sealed, name, agent, end, head=head)

    def _answer_hit(self, sealed: Sealed, host: str, agent: bytes, end: int, *, head: bool) -> None:
        state = self._state
        if sealed.kind is Kind.CLICK:
            state.counts.clicks += 1
            answer = state.answers.redirect(sealed.destination, end)
        else:
            state.counts.opens += 1
            answer = state.answers.pixel(end, head=head)
        self._put(answer, end)
        hit = Hit(
            int(sealed.kind),
            int(time.time() * 1000),
            sealed.customer,
            bytes(sealed.message),
            sealed.link,
            sealed.destination,
            host,
            self._secure,
            "HEAD" if head else "GET",
            self._address,
            agent[:USER_AGENT_LENGTH].decode("latin-1"),
        )
        state.recorder.record(hit, self)

    def _answer_other(self, path: str, end: int, *, head: bool) -> None:
        state = self._state
        if path == "/robots.txt":
            answer = state.answers.robots(end, head=head)
        else:
            state.counts.bad_tokens += 1
            answer = state.answers.page(404, end, head=head)
        self._put(_Ready(answer), end)

    # Answers, in order.

    def committed(self) -> None:
        """Send the answer whose hit is on disk, and those that only waited behind it."""
        answers = self._answers
        if not answers:
            return
        out = answers.popleft()
        while answers and type(answers[0]) is _Ready:
            out += answers.popleft()
        self._transport.write(out)
        if answers:
            return
        if self._closing:
            self._transport.close()
        elif self._paused:
            self._resume()

    def _put(self, answer: bytes, end: int) -> None:
        """Queue an answer, or send it when nothing waits before it."""
        if end == CLOSE:
            self._closing = True
        if type(answer) is _Ready and not self._answers:
            self._transport.write(answer)
            if self._closing:
                self._transport.close()
            return
        self._answers.append(answer)
        if len(self._answers) >= MOST_WAITING:
            self._pause()

    def _refuse(self, status: int) -> None:
        """Answer with a refusal and close: what the client says next is not to be believed."""
        if self._closing:
            return
        self._state.counts.refused[status] = self._state.counts.refused.get(status, 0) + 1
        self._put(_Ready(self._state.answers.page(status, CLOSE)), CLOSE)

    def _close_after_answers(self) -> None:
        self._closing = True
        if not self._answers:
            self._transport.close()

    def _pause(self) -> None:
        self._paused = True
        self._transport.pause_reading()

    def _resume(self) -> None:
        if self._paused and len(self._answers) < MOST_WAITING:
            self._paused = False
            self._transport.resume_reading()

    # The worker's side.

    def expire(self) -> None:
        """Close a connection whose time is up: silently when idle, with 408 inside a head."""
        self._state.counts.timeouts += 1
        if self._fed and not self._answers and not self._closing:
            self._refuse(408)
        else:
            self._transport.abort()

    def drain(self) -> None:
        """Close once what was asked is answered; at once when nothing was."""
        if not self._fed or self._closing:
            self._close_after_answers()

    def abort(self) -> None:
        """Close at once: there is no time left."""
        self._transport.abort()


def _scan(headers: list[tuple[bytes, bytes]]) -> tuple[bytes, int, bytes, bool]:
    """Return the Host, how many there are, the User-Agent, and whether a body is announced."""
    host = agent = b""
    hosts = 0
    has_body = False
    for name, value in headers:
        size = len(name)
        if size == 4:
            if name.lower() == b"host":
                hosts += 1
                host = value
        elif size == 10:
            if name.lower() == b"user-agent":
                agent = value
        elif size == 14:
            has_body |= name.lower() == b"content-length" and value.strip() != b"0"
        elif size == 17:
            has_body |= name.lower() == b"transfer-encoding"
    return host, hosts, agent, has_body


def _size(headers: list[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) + 4 for name, value in headers)


def _absolute(url: bytes) -> tuple[bytes, bytes] | None:
    """Split an absolute-form target into authority and path; ``None`` for any other form."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme not in {b"http", b"https"} or not parts.netloc:
        return None
    return parts.netloc, parts.path or b"/"
