"""A next hop that says what a test wants, sensible or not."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping

from linkseal.config import Address

BANNER = ""
BEGUN, END = "...", "."
"""What a script calls the connection, the beginning and the end of a message by."""


class ScriptedHop:
    """Answers by the first word of a command, else as a mail server would.

    Args:
        answers: Reply by verb, or :data:`BANNER`, :data:`BEGUN` or :data:`END`.
        tls: What STARTTLS goes on with, where that is answered by 220.

    Attributes:
        answers: As given; may be changed at any time.
        heard: Every command line, in order; those that were encrypted begin with ``*``.
        messages: Every message whose end was seen.
        reads_on: Set where it reads a message although it has answered its beginning.
        address: Where it listens.
    """

    def __init__(self, answers: Mapping[str, str], tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.answers = dict(answers)
        self.heard: list[str] = []
        self.messages: list[bytes] = []
        self.address = Address("127.0.0.1", 0)
        self.reads_on = asyncio.Event()
        self._ended = asyncio.Condition()
        self._ends = 0

    async def wait_for_ends(self, count: int) -> None:
        """Return when so many connections have ended."""
        async with asyncio.timeout(20), self._ended:
            await self._ended.wait_for(lambda: self._ends >= count)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        try:
            await self._say(writer, self.answers.get(BANNER, "220 hop.example"))
            while line := await reader.readline():
                command = line.decode("utf-8", "replace").strip()
                verb = command.partition(" ")[0].upper()
                encrypted = writer.get_extra_info("sslcontext") is not None
                self.heard.append("*" * encrypted + command)
                usual = {"DATA": "354 go on", "QUIT": "221 2.0.0 bye"}.get(verb, "250 2.0.0 OK")
                answer = self.answers.get(verb, usual)
                await self._say(writer, answer)
                if verb == "STARTTLS" and self._tls and answer.startswith("220"):
                    await writer.start_tls(self._tls)
                if verb == "DATA" and answer.startswith("354"):
                    self.messages.append(await self._read_message(reader, writer))
                    await self._say(writer, self.answers.get(END, "250 2.0.0 kept"))
        except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            async with self._ended:
                self._ends += 1
                self._ended.notify_all()

    async def _read_message(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes:
        message = bytearray()
        if BEGUN in self.answers:
            message += await reader.readuntil(b"\n")
            await self._say(writer, self.answers[BEGUN])
            await self.reads_on.wait()
        while not message.endswith(b"\r\n.\r\n"):
            message += await reader.readuntil(b"\n")
        return bytes(message)

    async def _say(self, writer: asyncio.StreamWriter, reply: str) -> None:
        writer.write(reply.encode() + b"\r\n")
        await writer.drain()


@contextlib.asynccontextmanager
async def scripted_hop(
    answers: Mapping[str, str], tls: ssl.SSLContext | None = None, *, at_once: bool = False
) -> AsyncIterator[ScriptedHop]:
    """Run one on loopback; its TLS begins by STARTTLS, or ``at_once`` with the connection."""
    hop = ScriptedHop(answers, tls)
    server = await asyncio.start_server(
        hop.serve, hop.address.host, 0, ssl=tls if at_once else None
    )
    hop.address = Address(hop.address.host, server.sockets[0].getsockname()[1])
    try:
        yield hop
    finally:
        server.close()
