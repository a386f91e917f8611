"""The proxy between a client and a mailbox, on real sockets in the test's own loop."""

from __future__ import annotations

import contextlib
import secrets
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from linkseal import datadir
from linkseal.config import Address, Config, SMTPConfig
from linkseal.intake.proxy import serving
from linkseal.intake.reception import CustomerQueries, Reception
from linkseal.store import Store
from linkseal.testing.mailbox import Mailbox
from support.intake import MakeProxy, Proxy


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/linkseal.db") as opened:
        opened.customers.add("acme", from_domains=["acme.example"])
        opened.customers.add("other", from_domains=["other.example"])
        opened.customers.add("login", smtp_user="mailer", smtp_password="correct horse")
        yield opened


@pytest.fixture
def make_proxy(tmp_path: Path, store: Store) -> MakeProxy:
    @contextlib.asynccontextmanager
    async def make(
        mailbox: Mailbox | None = None,
        customers: CustomerQueries | None = None,
        ssl: Literal["allowed", "required"] = "allowed",
        **smtp: Any,
    ) -> AsyncIterator[Proxy]:
        box = mailbox or Mailbox()
        await box.start()
        config = Config(
            data_dir=tmp_path / f"data-{secrets.token_hex(4)}",
            base_domain="ct.example.net",
            ssl=ssl,
            smtp=SMTPConfig(**{"next_hop": box.address, "timeout": 20, **smtp}),
        )
        datadir.prepare(config)
        reception = Reception(
            config,
            datadir.open_vault(config),
            customers or store.customers,
            store.messages,
            store.domains,
        )
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        addresses = [Address(*each.getsockname()[:2]) for each in sockets]
        try:
            async with serving(config, [(sockets[0], None), (sockets[1], "other")], reception):
                yield Proxy(addresses[0], addresses[1], box, store, config)
        finally:
            await box.stop()

    return make
