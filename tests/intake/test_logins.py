"""Passwords take long to check, on purpose: nobody else waits for that."""

from __future__ import annotations

import asyncio
import base64
import threading
import time

import aiosmtplib
import pytest

from linkseal.intake.proxy import LOGINS_AT_ONCE
from linkseal.store import Customer, Store
from support.intake import MakeProxy, Proxy, mail, send

RIGHT = base64.b64encode(b"\0mailer\0correct horse").decode()
WRONG = base64.b64encode(b"\0mailer\0wrong horse").decode()


class SlowLogins:
    """The store's customers, whose passwords are checked when the gate is open."""

    def __init__(self, store: Store) -> None:
        self._customers = store.customers
        self._lock = threading.Lock()
        self.gate = threading.Event()
        self.begun = 0
        self.under_way = 0
        self.most = 0

    def get(self, name: str) -> Customer:
        return self._customers.get(name)

    def for_from_domain(self, domain: str) -> Customer | None:
        return self._customers.for_from_domain(domain)

    def for_login(self, user: str, password: str) -> Customer | None:
        with self._lock:
            self.begun += 1
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        assert self.gate.wait(20)
        with self._lock:
            self.under_way -= 1
        return self._customers.for_login(user, password)

    async def wait_for(self, count: int) -> None:
        deadline = time.monotonic() + 20
        while self.begun < count:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)


async def log_in(proxy: Proxy, said: str) -> int:
    async with proxy.client() as client:
        await client.ehlo()
        return (await client.execute_command(b"AUTH", b"PLAIN", said.encode())).code


async def test_others_send_mail_while_a_password_is_checked(
    store: Store, make_proxy: MakeProxy
) -> None:
    slow = SlowLogins(store)
    async with make_proxy(customers=slow) as proxy:
        waiting = asyncio.create_task(log_in(proxy, RIGHT))
        await slow.wait_for(1)
        await send(proxy.client(), mail())
        assert len(proxy.mailbox.messages) == 1
        assert not waiting.done()
        slow.gate.set()
        assert await waiting == 235


async def test_only_so_many_are_checked_at_a_time_and_all_are_answered(
    store: Store, make_proxy: MakeProxy
) -> None:
    slow = SlowLogins(store)
    said = [RIGHT, WRONG, RIGHT, WRONG, RIGHT, WRONG, RIGHT]
    async with make_proxy(customers=slow) as proxy:
        waiting = [asyncio.create_task(log_in(proxy, each)) for each in said]
        await slow.wait_for(LOGINS_AT_ONCE)
        await send(proxy.client(), mail())
        slow.gate.set()
        codes = await asyncio.gather(*waiting)
    assert codes == [235 if each == RIGHT else 535 for each in said]
    assert slow.most == LOGINS_AT_ONCE
    assert slow.begun == len(said)


async def test_a_client_that_leaves_meanwhile_is_nobodys_problem(
    store: Store, make_proxy: MakeProxy
) -> None:
    slow = SlowLogins(store)
    async with make_proxy(customers=slow) as proxy:
        client = proxy.client()
        await client.connect()
        await client.ehlo()
        left = asyncio.create_task(client.execute_command(b"AUTH", b"PLAIN", RIGHT.encode()))
        await slow.wait_for(1)
        client.close()
        with pytest.raises(aiosmtplib.SMTPServerDisconnected):
            await left
        slow.gate.set()
        assert await log_in(proxy, RIGHT) == 235


@pytest.mark.parametrize(
    ("said", "code"), [(RIGHT, 235), (WRONG, 535), ("nothing", 501), ("bm90aGluZw==", 501)]
)
async def test_what_is_no_login_is_not_checked(
    store: Store, make_proxy: MakeProxy, said: str, code: int
) -> None:
    slow = SlowLogins(store)
    slow.gate.set()
    async with make_proxy(customers=slow) as proxy:
        assert await log_in(proxy, said) == code
    assert slow.begun == (code != 501)


async def test_the_older_way_to_log_in_is_checked_the_same_way(make_proxy: MakeProxy) -> None:
    async with make_proxy() as proxy:
        for password, code in (("wrong horse", 535), ("correct horse", 235)):
            async with proxy.client() as client:
                await client.ehlo()
                for said in (b"AUTH LOGIN", base64.b64encode(b"mailer")):
                    assert (await client.execute_command(said)).code == 334
                answer = await client.execute_command(base64.b64encode(password.encode()))
                assert answer.code == code
