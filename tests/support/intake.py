"""A running proxy, as its clients see it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import aiosmtplib

from linkseal.config import Address, Config
from linkseal.store import Store
from linkseal.testing.mailbox import Mailbox

TO = "reader@example.net"
HTML = '<p>Hello</p>\r\n<a href="https://a.example/1">one</a>\r\n'


@dataclass
class Proxy:
    """A running proxy, its next hop, its store."""

    address: Address
    listener: Address
    mailbox: Mailbox
    store: Store
    config: Config

    def client(self, address: Address | None = None, **options: Any) -> aiosmtplib.SMTP:
        where = address or self.address
        return aiosmtplib.SMTP(
            hostname=where.host, port=where.port, timeout=20, start_tls=False, **options
        )


MakeProxy = Callable[..., contextlib.AbstractAsyncContextManager[Proxy]]


def mail(sender: str = "news@acme.example", body: str = HTML, **headers: str) -> bytes:
    lines = [f"From: {sender}", f"To: {TO}", "Content-Type: text/html; charset=utf-8"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


async def send(client: aiosmtplib.SMTP, message: bytes, *to: str) -> aiosmtplib.SMTPResponse:
    async with client:
        await client.ehlo()
        _, text = await client.sendmail("bounce@acme.example", list(to) or [TO], message)
        return aiosmtplib.SMTPResponse(250, text)


class RawClient:
    """Says lines to a proxy as they are, and reads its replies."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def reply(self) -> str:
        """Return one reply, its lines parted by line ends."""
        lines: list[str] = []
        while not lines or lines[-1][3:4] == "-":
            line = await asyncio.wait_for(self._reader.readline(), 20)
            assert line, "the proxy left"
            lines.append(line.decode().rstrip("\r\n"))
        return "\n".join(lines)

    async def say(self, line: str) -> str:
        """Send a command and return the reply."""
        self._writer.write(line.encode() + b"\r\n")
        return await self.reply()

    async def say_message(self, message: bytes) -> str:
        """Send a message after DATA, and return the reply."""
        self._writer.write(message + b"\r\n.\r\n")
        return await self.reply()


@contextlib.asynccontextmanager
async def raw_client(proxy: Proxy, address: Address | None = None) -> AsyncIterator[RawClient]:
    """Connect to a proxy, its banner read."""
    where = address or proxy.address
    reader, writer = await asyncio.open_connection(where.host, where.port)
    try:
        client = RawClient(reader, writer)
        await client.reply()
        yield client
    finally:
        writer.close()


async def transact(client: RawClient, message: bytes = b"") -> str:
    """Greet, send a message, and return the first reply that refuses it, or the last."""
    for command in ("EHLO me", "MAIL FROM:<a@acme.example>", f"RCPT TO:<{TO}>"):
        reply = await client.say(command)
        if reply[0] != "2":
            return reply
    reply = await client.say("DATA")
    return await client.say_message(message or mail()) if reply[:3] == "354" else reply
