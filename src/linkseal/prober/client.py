"""One HTTP/1.1 request to one address, and what comes back: no more, nothing followed.

Standards: RFC 9112 (messages), RFC 9110 §15.2 (answers before the answer are passed over).
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from typing import Any, Final

import httptools

from linkseal.prober.connect import Streams, as_sent, connected, reason
from linkseal.prober.request import Budget

MOST_BODY: Final = 64 * 1024
"""Bytes of a body that are recorded."""
MOST_READ: Final = 256 * 1024
"""Bytes of an answer that are read: more than our largest, to tell whether it is whole."""
MOST_HEAD: Final = 64 * 1024
"""Bytes of an answer's head that are read, answers before the answer included."""
_CHUNK: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Attributes:
        method: ``GET``, ``HEAD`` or ``POST``.
        host: For the Host field and SNI.
        target: The request target, byte for byte.
        fields: More header fields.
        body: Sent with ``POST``.
    """

    method: str
    host: str
    target: str
    fields: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def as_bytes(self) -> bytes:
        """Return the request as it is sent."""
        fields = [("Host", self.host), *self.fields, ("Connection", "close")]
        if self.method == "POST":
            fields += [
                ("Content-Type", "application/x-www-form-urlencoded"),
                ("Content-Length", str(len(self.body))),
            ]
        lines = [f"{self.method} {self.target} HTTP/1.1", *(f"{n}: {v}" for n, v in fields)]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


@dataclass(slots=True)
class Reply:
    """What came back.

    Attributes:
        status: 0 when there was no answer.
        headers: Names in lower case; of several of one name, a list (RFC 9110 §5.3).
        body: At most :data:`MOST_READ` bytes.
        whole: Whether the body came to its end.
        error: What went wrong; empty when nothing did.
        seconds: To the end of the answer.
        chain: The certificates the server sent, leaf first, in DER; none without TLS.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    whole: bool = False
    error: str = ""
    seconds: float = 0.0
    chain: tuple[bytes, ...] = ()


async def ask(
    question: Question, address: str, port: int, tls: ssl.SSLContext | None, budget: Budget
) -> Reply:
    """Ask one address; never raises for what the other side does."""
    clock = asyncio.get_running_loop().time
    began = clock()
    parser = _Answer(headless=question.method == "HEAD")
    error = ""
    chain: tuple[bytes, ...] = ()
    try:
        async with (
            asyncio.timeout(budget.seconds()),
            connected(address, port, tls, question.host) as streams,
        ):
            if tls is not None:
                chain = as_sent(streams.writer.get_extra_info("ssl_object"))
            await _converse(streams, question.as_bytes(), parser)
    except (OSError, TimeoutError) as fault:
        error = reason(fault)
    except httptools.HttpParserError:
        error = "an answer that is no HTTP"
    if not error and not parser.whole:
        most = (MOST_READ if parser.status else MOST_HEAD) // 1024
        error = f"more than {most} KiB" if parser.too_long else "the answer breaks off"
    return Reply(
        status=parser.status,
        headers=parser.fields,
        body=bytes(parser.body),
        whole=parser.whole,
        error=error,
        seconds=clock() - began,
        chain=chain,
    )


async def _converse(streams: Streams, request: bytes, answer: _Answer) -> None:
    streams.writer.write(request)
    await streams.writer.drain()
    read = 0
    while True:
        data = await streams.reader.read(_CHUNK)
        if not data:
            answer.end()
            return
        read += len(data)
        answer.feed(data)
        if answer.whole:
            return
        if read > (MOST_READ if answer.status else MOST_HEAD):
            answer.too_long = True
            return


class _Answer:
    """Gathers an answer as llhttp reads it.

    Args:
        headless: The answer to HEAD: it has no body, whatever its fields say.
    """

    def __init__(self, *, headless: bool) -> None:
        self.status = 0
        self.fields: dict[str, str] = {}
        self.body = bytearray()
        self.whole = False
        self.too_long = False
        self._headless = headless
        self._framed = False
        self._parser: Any = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Read on."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.whole = True
        except httptools.HttpParserError:
            # What follows a whole answer is not ours to judge.
            if not self.whole:
                raise

    def end(self) -> None:
        """Note the end of the connection, which ends a body of no stated length."""
        # RFC 9112 §6.3: without a length or chunks a body ends with the connection.
        if self.status and not self._framed:
            self.whole = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Gather a field."""
        if self.whole:
            return
        key, text = name.decode("latin-1").lower(), value.decode("latin-1").strip()
        self.fields[key] = f"{self.fields[key]}, {text}" if key in self.fields else text

    def on_headers_complete(self) -> None:
        """Note the status; an interim answer is no answer."""
        if self.whole:
            return
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self.fields = {}
            return
        self.status = status
        self._framed = bool({"content-length", "transfer-encoding"} & self.fields.keys())
        self.whole = self._headless

    def on_body(self, data: bytes) -> None:
        """Gather the body."""
        if not self.whole:
            self.body += data[: MOST_READ - len(self.body)]

    def on_message_complete(self) -> None:
        """Note the end."""
        self.whole = self.whole or self.status > 0
