"""One recipient's connection: HTTP/1.1 by llhttp, answers in order, nothing trusted.

Requests never have a body that is read here: one that announces a body is refused, but for a
probe's, and its connection closed: what follows cannot be mistaken for a request (RFC 9112 §11.2).
A click's or open's answer waits in a queue until its hit is on disk; others only behind those.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final, cast

import httptools
import structlog

from linkseal.config import plain_address
from linkseal.edge.answers import CLOSE, KEEP, KEEP_1_0
from linkseal.edge.client import client_address
from linkseal.edge.damage import open_damaged
from linkseal.edge.head import Fields, absolute, is_host, scan, size_of
from linkseal.edge.other import answer_other
from linkseal.edge.probe import Line
from linkseal.errors import TokenError
from linkseal.journal import Hit
from linkseal.seal import Kind, Sealed, open_path

if TYPE_CHECKING:
    from linkseal.edge.state import EdgeState

MOST_WAITING: Final = 64
"""Answers that may wait on one connection before no more is read from it."""
MOST_BEHIND: Final = 256 * 1024
"""Bytes that may wait behind a hit before no more is answered: one read can ask for many."""
USER_AGENT_LENGTH: Final = 512
LINGER: Final = 2.0
"""Seconds what a refused client still sends is read and thrown away."""

_READS: Final = frozenset({b"GET", b"HEAD"})
_VERSIONS: Final = frozenset({"1.0", "1.1"})
_CLICK: Final = Kind.CLICK

log = structlog.get_logger("edge")


class _Ready(bytes):
    """An answer that waits only for those before it."""

    __slots__ = ()


class EdgeProtocol(asyncio.Protocol):
    """Serves one connection.

    Args:
        state: The worker's, shared by all its connections.
        secure: Whether the connection is TLS.
        sni: What its client asked for; empty for nothing.
        canary: Whether its client was shown a wrong certificate on purpose.

    Attributes:
        deadline: The loop's time at which :meth:`expire` is due.
    """

    __slots__ = (
        "_address",
        "_answers",
        "_canary",
        "_chunk",
        "_closing",
        "_fed",
        "_fresh",
        "_headers",
        "_parser",
        "_paused",
        "_refused",
        "_secure",
        "_sni",
        "_state",
        "_transport",
        "_url",
        "_write_paused",
        "deadline",
    )

    def __init__(
        self, state: EdgeState, *, secure: bool, sni: str = "", canary: bool = False
    ) -> None:
        self._state = state
        self._secure, self._sni, self._canary = secure, sni, canary
        self._parser: Any = httptools.HttpRequestParser(self)
        self._answers: deque[bytes] = deque()
        self._headers: Fields = []
        self._url = b""
        # Bytes since the last whole head, and in the read that is being parsed.
        self._fed = self._chunk = 0
        self._fresh = True
        self._closing = self._refused = self._paused = self._write_paused = False
        self._address, self.deadline = "", 0.0

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock for the first request."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self._address = plain_address(peer[0]) if isinstance(peer, tuple) else ""
        state = self._state
        state.connections.add(self)
        self.deadline = state.head_deadline
        if len(state.connections) > state.config.max_connections:
            state.counts.refused_connections += 1
            self.abort()

    def connection_lost(self, _error: Exception | None) -> None:
        """Forget the connection; hits that are being written still are."""
        state = self._state
        if self._canary and self._fresh and not (self._fed or self._closing or state.draining):
            state.shared.count_refused()  # Some verify when the handshake is over.
        self._closing = True
        state.connections.discard(self)
        self._answers.clear()
        # The parser holds this protocol: a cycle that only the garbage collector would find.
        self._parser = None

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        if self._closing:
            return
        state = self._state
        if not self._fed:
            # The first bytes of a head: it has to be whole in time, however slowly it drips.
            self.deadline = state.head_deadline
        self._chunk = size = len(data)
        self._fed += size
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Answered as plain HTTP/1.1; what follows is something else and is not read.
            self._close_after_answers()
        except httptools.HttpParserCallbackError as error:
            log.error("request failed", exc_info=error.__context__ or error)
            self._refuse(500)
        except httptools.HttpParserError:
            self._refuse(400)
        if self._fed > state.max_head_bytes and not self._closing:
            self._refuse(431)

    def eof_received(self) -> bool:
        """Answer what was asked before a client that half-closed is let go."""
        # Only over plain TCP: a TLS transport closes when its client does.
        if self._answers and not self._secure:
            self._closing = True
            return True
        return False

    def pause_writing(self) -> None:
        """Read no more requests from a client that does not read its answers."""
        self._write_paused = True
        self._pause()

    def resume_writing(self) -> None:
        """Go on reading."""
        self._write_paused = False
        self._resume()

    # The parser's side.

    def on_url(self, url: bytes) -> None:
        """Gather the request target."""
        self._url = self._url + url if self._url else url
        if len(self._url) > self._state.max_url_bytes:
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
        state, parser = self._state, self._parser
        self.deadline = state.idle_deadline
        self._fresh = False
        method = parser.get_method()
        host, hosts, agent, has_connection, has_body = scan(headers)
        keep = parser.should_keep_alive()
        # Only HTTP/1.1 is kept alive without being asked to.
        version = "1.1" if keep and not has_connection else parser.get_http_version()
        if has_body and method != b"POST":
            self._refuse(400 if method in _READS else 405)
        elif len(headers) > state.max_headers or (
            (fed or self._chunk) > state.max_head_bytes
            and len(url) + size_of(headers) > state.max_head_bytes
        ):
            self._refuse(431)
        elif version not in _VERSIONS:
            self._refuse(505)
        elif method not in _READS:
            probe = method == b"POST" and hosts == 1
            if not (probe and self._answer_other("POST", url, host, headers, CLOSE)):
                self._refuse(405)
        # RFC 9112 §3.2: exactly one Host in HTTP/1.1, at most one in HTTP/1.0.
        elif hosts != 1 and (hosts or version == "1.1"):
            self._refuse(400)
        else:
            # A client that does not read is answered once more: it can ask a lot in one read.
            last = state.draining or self._write_paused
            if not keep or last or (has_connection and parser.should_upgrade()):
                end = CLOSE
            else:
                end = KEEP if version == "1.1" else KEEP_1_0
            self._answer(method == b"HEAD", url, host, agent, headers, end)

    def _answer(
        self, head: bool, url: bytes, host: bytes, agent: bytes, headers: Fields, end: int
    ) -> None:
        state = self._state
        target = url
        if url[:1] != b"/":
            # RFC 9112 §3.2.2: the target's own authority counts, not the Host field.
            split = absolute(url)
            if split is None:
                self._refuse(400)
                return
            host, url = split
        served = state.served(host)
        if served is None:
            if not is_host(host):
                self._refuse(400)
                return
            self._answer_other("HEAD" if head else "GET", target, host, headers, end)
            return
        name, customer, rule = served
        if b"?" in url:
            url = url.partition(b"?")[0]
        path = url.decode("latin-1")
        sealed: Sealed | None
        try:
            sealed = open_path(state.keyring, path)
        except TokenError:
            sealed = open_damaged(state.keyring, path)
            if sealed is None:
                self._answer_other("HEAD" if head else "GET", target, host, headers, end)
                return
        if customer is not None and customer != sealed.customer:
            state.counts.wrong_customer += 1
            self._put(state.answers.page(404, end, head=head), end)
            return
        address = self._address if rule is None else client_address(self._address, headers, rule)
        self._answer_hit(sealed, name, address, agent, end, head=head)

    def _answer_hit(
        self, sealed: Sealed, host: str, address: str, agent: bytes, end: int, *, head: bool
    ) -> None:
        state = self._state
        answers = self._answers
        if sealed.kind is _CLICK:
            state.counts.clicks += 1
            answers.append(state.answers.redirect(sealed.destination, end))
        else:
            state.counts.opens += 1
            answers.append(state.answers.pixel(end, head=head))
        if end == CLOSE:
            self._closing = True
        elif len(answers) >= MOST_WAITING:
            self._pause()
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
            address,
            agent[:USER_AGENT_LENGTH].decode("latin-1"),
        )
        state.recorder.record(hit, self)

    def _answer_other(
        self, method: str, target: bytes, host: bytes, headers: Fields, end: int
    ) -> bool:
        """Answer what is no sealed link; return whether it was, as any GET or HEAD is."""
        state = self._state
        came_by = Line(self._transport, self._sni, self._address, self._canary)
        found = answer_other(state, came_by, method, target, host, headers, end)
        if found is None:
            return False
        # A POST's body is not read: the connection ends as if it were refused.
        self._refused = method == "POST"
        if found.delay and not self._answers:
            # Nothing is in front of it, and behind it nothing more is answered.
            self._closing = True
            state.later(found.delay, self._send_late, found.data)
        else:
            self._put(found.data, found.end)
        return True

    def _send_late(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)
            self._finish()

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
        if not answers and self._closing:
            self._finish()
        elif self._paused:
            self._resume()

    def _put(self, answer: bytes, end: int) -> None:
        """Send an answer that needs no record, or queue it behind those that do."""
        if end == CLOSE:
            self._closing = True
        if answers := self._answers:
            answers.append(_Ready(answer))
            if len(answers) >= MOST_WAITING:
                self._pause()
            self._closing = self._closing or sum(map(len, answers)) > MOST_BEHIND
            return
        self._transport.write(answer)
        if self._closing:
            self._finish()

    def _refuse(self, status: int) -> None:
        """Answer with a refusal and close: what the client says next is not to be believed."""
        if self._closing:
            return
        self._state.counts.refused[status] += 1
        self._refused = True
        self._put(self._state.answers.page(status, CLOSE), CLOSE)

    def _close_after_answers(self) -> None:
        self._closing = True
        if not self._answers:
            self._finish()

    def _finish(self) -> None:
        """Close; after a refusal first let the client read it.

        A client that still sends would be reset by a close, and lose the answer (RFC 9112 §9.6).
        TLS has its own farewell.
        """
        if self._refused and self._transport.can_write_eof():
            self._refused = False
            self._transport.write_eof()
            self.deadline = self._state.now + LINGER
        else:
            self._transport.close()

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._paused and not self._write_paused and len(self._answers) < MOST_WAITING:
            self._paused = False
            self._transport.resume_reading()

    # The worker's side.

    def expire(self) -> None:
        """Close a connection whose time is up: silently when idle, with 408 inside a head."""
        if not self._closing:
            self._state.counts.timeouts += 1
            if self._fed and not self._answers:
                self._refuse(408)
                return
            self._closing = True
        self._transport.abort()

    def drain(self, *, patient: bool) -> None:
        """Close once what was asked is answered; at once when nothing was.

        Args:
            patient: Wait also for the first request of a connection that had none.
        """
        if not self._closing and (self._fed or (patient and self._fresh)):
            return
        self._close_after_answers()

    def abort(self) -> None:
        """Close at once: there is no time left."""
        self._transport.abort()
