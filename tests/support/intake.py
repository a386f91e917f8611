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
