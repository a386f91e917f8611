"""A running proxy, as its clients see it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
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
