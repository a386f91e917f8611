"""One recipient's connection: HTTP/1.1 by llhttp, answers in order, nothing trusted.

Requests never have a body here, so one that announces a body is refused and its
connection closed: what follows it cannot be mistaken for a request (RFC 9112 §11.2).
A click's or open's answer waits in the connection's queue until its hit is on disk;
answers that need no record wait only behind those.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

import httptools
import structlog

from linkseal.edge.answers import CLOSE, KEEP, KEEP_1_0
from linkseal.errors import TokenError
from linkseal.journal import Hit
from linkseal.seal import Kind, Sealed, open_path

if TYPE_CHECKING:
    from linkseal.edge.state import EdgeState

MOST_WAITING: Final = 64
"""Answers that may wait on one connection before no more is read from it."""
USER_AGENT_LENGTH: Final = 512
LINGER: Final = 2.0
"""Seconds what a refused client still sends is read and thrown away."""

_READS: Final = frozenset({b"GET", b"HEAD"})
_VERSIONS: Final = frozenset({"1.0", "1.1"})
_HOST_FIELD, _AGENT_FIELD, _CONNECTION_FIELD, _LENGTH_FIELD, _ENCODING_FIELD = range(1, 6)
_FIELD_OF: Final = {
    b"host": _HOST_FIELD,
    b"user-agent": _AGENT_FIELD,
    b"connection": _CONNECTION_FIELD,
    b"content-length": _LENGTH_FIELD,
    b"transfer-encoding": _ENCODING_FIELD,
}
_FIELDS: Final[dict[bytes, int]] = {}
"""Field by spelling, as clients use them: one look-up a field instead of several comparisons."""
_MOST_SPELLINGS: Final = 1024
_LONGEST_SPELLING: Final = 64
_CLICK: Final = Kind.CLICK
_CHALLENGE: Final = "/.well-known/acme-challenge/"
# RFC 9112 §3.2 and RFC 3986 §3.2.2: what may stand in a Host field.
_HOST: Final = re.compile(
    rb"(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._~!$&'()*+,;=%-]*)(?::[0-9]*)?", re.ASCII
)

log = structlog.get_logger("edge")


class _Ready(bytes):
    """An answer that waits only for those before it."""

    __slots__ = ()


class EdgeProtocol(asyncio.Protocol):
    """Serves one connection.

    Args:
        state: The worker's, shared by all its connections.
        secure: Whether the connection is TLS.

    Attributes:
        deadline: The loop's time at which :meth:`expire` is due.
    """

    __slots__ = (
        "_address",
        "_answers",
        "_chunk",
        "_closing",
        "_fed",
        "_fresh",
        "_headers",
        "_parser",
        "_paused",
        "_refused",
        "_secure",
        "_state",
        "_transport",
        "_url",
        "_write_paused",
        "deadline",
    )

    def __init__(self, state: EdgeState, *, secure: bool) -> None:
        self._state = state
        self._secure = secure
        self._parser: Any = httptools.HttpRequestParser(self)
        self._answers: deque[bytes] = deque()
        self._headers: list[tuple[bytes, bytes]] = []
        self._url = b""
        # Bytes since the last whole head, and in the read that is being parsed.
        self._fed = 0
        self._chunk = 0
        self._fresh = True
        self._closing = False
        self._refused = False
        self._paused = False
        self._write_paused = False
        self._address = ""
        self.deadline = 0.0

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock for the first request."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self._address = peer[0] if isinstance(peer, tuple) else ""
        state = self._state
        state.connections.add(self)
        self.deadline = state.head_deadline
        if len(state.connections) > state.config.max_connections:
            state.counts.refused_connections += 1
            self.abort()

    def connection_lost(self, _error: Exception | None) -> None:
        """Forget the connection; hits that are being written still are."""
        self._closing = True
        self._state.connections.discard(self)
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
        """Answer what was asked before a client that half-closed is let go.

        Only over plain TCP: a TLS transport closes when its client does.
        """
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
        host, hosts, agent, has_connection, has_body = _scan(headers)
        keep = parser.should_keep_alive()
        # Only HTTP/1.1 is kept alive without being asked to.
        version = "1.1" if keep and not has_connection else parser.get_http_version()
        if has_body:
            self._refuse(400 if method in _READS else 405)
        elif len(headers) > state.max_headers or (
            (fed or self._chunk) > state.max_head_bytes
            and len(url) + _size(headers) > state.max_head_bytes
        ):
            self._refuse(431)
        elif version not in _VERSIONS:
            self._refuse(505)
        elif method not in _READS:
            self._refuse(405)
        # RFC 9112 §3.2: exactly one Host in HTTP/1.1, at most one in HTTP/1.0.
        elif hosts != 1 and (hosts or version == "1.1"):
            self._refuse(400)
        else:
            if not keep or state.draining or (has_connection and parser.should_upgrade()):
                end = CLOSE
            else:
                end = KEEP if version == "1.1" else KEEP_1_0
            self._answer(method == b"HEAD", url, host, agent, end)

    def _answer(self, head: bool, url: bytes, host: bytes, agent: bytes, end: int) -> None:
        state = self._state
        if url[:1] != b"/":
            # RFC 9112 §3.2.2: the target's own authority counts, not the Host field.
            split = _absolute(url)
            if split is None:
                self._refuse(400)
                return
            host, url = split
        served = state.served(host)
        if served is None:
            if _HOST.fullmatch(host.strip()) is None:
                self._refuse(400)
                return
            self._answer_unknown_host(url, end, head=head)
            return
        name, customer = served
        if b"?" in url:
            url = url.partition(b"?")[0]
        path = url.decode("latin-1")
        try:
            sealed = open_path(state.keyring, path)
        except TokenError:
            self._answer_other(path, end, head=head)
            return
        if customer is not None and customer != sealed.customer:
            state.counts.wrong_customer += 1
            self._put(state.answers.page(404, end, head=head), end)
            return
        self._answer_hit(sealed, name, agent, end, head=head)

    def _answer_hit(self, sealed: Sealed, host: str, agent: bytes, end: int, *, head: bool) -> None:
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
            self._address,
            agent[:USER_AGENT_LENGTH].decode("latin-1"),
        )
        state.recorder.record(hit, self)

    def _answer_unknown_host(self, url: bytes, end: int, *, head: bool) -> None:
        """Refuse, but for a CA: a name gets its certificate before it is served."""
        if not self._answer_challenge(url.decode("latin-1"), end, head=head):
            self._state.counts.unknown_hosts += 1
            self._put(self._state.answers.page(421, end, head=head), end)

    def _answer_challenge(self, path: str, end: int, *, head: bool) -> bool:
        """Answer a CA's question, on whatever name: the token is nothing one can guess."""
        state = self._state
        text = None
        if path.startswith(_CHALLENGE):
            text = state.challenges.get(path.removeprefix(_CHALLENGE).partition("?")[0])
        if text is None:
            return False
        state.counts.challenges += 1
        self._put(state.answers.challenge(text, end, head=head), end)
        return True

    def _answer_other(self, path: str, end: int, *, head: bool) -> None:
        state = self._state
        if self._answer_challenge(path, end, head=head):
            return
        if path == "/robots.txt":
            self._put(state.answers.robots(end, head=head), end)
        else:
            state.counts.bad_tokens += 1
            self._put(state.answers.page(404, end, head=head), end)

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
        if self._answers:
            self._answers.append(_Ready(answer))
            if len(self._answers) >= MOST_WAITING:
                self._pause()
            return
        self._transport.write(answer)
        if self._closing:
            self._finish()

    def _refuse(self, status: int) -> None:
        """Answer with a refusal and close: what the client says next is not to be believed."""
        if self._closing:
            return
        refused = self._state.counts.refused
        refused[status] = refused.get(status, 0) + 1
        self._refused = True
        self._put(self._state.answers.page(status, CLOSE), CLOSE)

    def _close_after_answers(self) -> None:
        self._closing = True
        if not self._answers:
            self._finish()

    def _finish(self) -> None:
        """Close; after a refusal first let the client read it.

        A client that still sends would be reset by a close, and lose the answer before it
        read it (RFC 9112 §9.6). TLS has its own farewell.
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


def _scan(headers: list[tuple[bytes, bytes]]) -> tuple[bytes, int, bytes, bool, bool]:
    """Return the Host, how many there are, the User-Agent, and two facts.

    They are whether there is a Connection field, and whether a body is announced.
    """
    host = agent = b""
    hosts = 0
    has_connection = has_body = False
    for name, value in headers:
        field = _FIELDS.get(name)
        if field is None:
            field = _learn(name)
        if not field:
            continue
        if field == _HOST_FIELD:
            hosts += 1
            host = value
        elif field == _AGENT_FIELD:
            agent = value
        elif field == _CONNECTION_FIELD:
            has_connection = True
        elif field == _ENCODING_FIELD or value.strip() != b"0":
            has_body = True
    return host, hosts, agent, has_connection, has_body


def _learn(name: bytes) -> int:
    """Return which field a name is, 0 for those that do not matter, and remember the spelling."""
    field = _FIELD_OF.get(name.lower(), 0)
    if len(_FIELDS) < _MOST_SPELLINGS and len(name) < _LONGEST_SPELLING:
        _FIELDS[name] = field
    return field


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
