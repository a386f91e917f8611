"""What is wrong on our side is never the sender's fault: the mail waits, and the log says why."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import structlog

from linkseal import datadir
from linkseal.config import SMTPConfig
from linkseal.intake.hooks import Busy
from linkseal.intake.next_hop import NextHop
from linkseal.intake.reception import Reception
from linkseal.intake.session import ProxySession
from linkseal.store import Store
from support.intake import MakeProxy, mail, raw_client, transact

LATER = "451 4.3.0 temporary local problem, try again later"
OURS = "451 4.3.0 it could not be done, try again later"
KEPT = "250 2.0.0 kept as 1"
LOGIN = "AUTH PLAIN " + base64.b64encode(b"\0mailer\0correct horse").decode()


@contextlib.contextmanager
def altered(store: Store, name: str, column: str, value: str) -> Iterator[None]:
    """Have something else in a customer's row for a while."""
    number = store.customers.get(name).id

    def put(value: str) -> str:
        with store._database.transaction() as connection:
            where = f"customers WHERE id = {number}"
            before = connection.exec_driver_sql(f"SELECT {column} FROM {where}").scalar_one()
            connection.exec_driver_sql(
                f"UPDATE customers SET {column} = '{value}' WHERE id = {number}"
            )
        return str(before)

    before = put(value)
    yield
    put(before)


def renamed(store: Store, name: str) -> contextlib.AbstractContextManager[None]:
    """Take a customer away, as far as its name is concerned."""
    return altered(store, name, "name", "gone")


def nonsense(store: Store, name: str) -> contextlib.AbstractContextManager[None]:
    """Have a row in the database that our code does not expect."""
    return altered(store, name, "ssl", "nonsense")


async def test_a_listener_of_a_customer_not_yet_added_is_told_of_at_the_start(
    store: Store, make_proxy: MakeProxy
) -> None:
    with structlog.testing.capture_logs() as told:
        async with make_proxy():
            pass
        assert [each for each in told if each["log_level"] == "error"] == []
        with renamed(store, "other"):
            async with make_proxy() as proxy:
                listener = str(proxy.listener)
    (line,) = [each for each in told if each["log_level"] == "error"]
    assert (line["listener"], line["code"]) == (listener, "customer-missing")
    assert line["message"] == "there is no customer other"
    assert "smtp.listeners" in line["event"]


async def test_mail_of_a_listener_waits_for_its_customer(
    store: Store, make_proxy: MakeProxy
) -> None:
    async with make_proxy() as proxy, raw_client(proxy, proxy.listener) as client:
        with renamed(store, "other"), structlog.testing.capture_logs() as told:
            assert await transact(client) == LATER
        assert "there is no customer other" in {each.get("message") for each in told}
        assert await transact(client) == KEPT


async def test_mail_of_a_login_waits_for_its_customer(store: Store, make_proxy: MakeProxy) -> None:
    async with make_proxy() as proxy, raw_client(proxy) as client:
        await client.say("EHLO me")
        assert (await client.say(LOGIN))[:3] == "235"
        with renamed(store, "login"):
            assert await transact(client) == LATER
        assert await transact(client) == KEPT


async def test_a_message_our_code_fails_on_waits_and_the_next_is_taken(
    store: Store, make_proxy: MakeProxy
) -> None:
    async with make_proxy() as proxy, raw_client(proxy) as client:
        with nonsense(store, "acme"), structlog.testing.capture_logs() as told:
            assert await transact(client) == OURS
        (line,) = [each for each in told if each["event"] == "message"]
        assert (line["outcome"], line["reply"]) == ("deferred", OURS)
        assert any(isinstance(each.get("exc_info"), ValueError) for each in told)
        # No EHLO and no RSET between: the refused message left nothing behind.
        assert (await client.say("MAIL FROM:<b@acme.example>"))[:3] == "250"
        assert (await client.say("RCPT TO:<b@x.example>"))[:3] == "250"
        assert (await client.say("DATA"))[:3] == "354"
        assert await client.say_message(mail()) == KEPT
    (got,) = proxy.mailbox.messages
    assert (got.sender, got.recipients) == ("b@acme.example", ("b@x.example",))


async def test_a_command_our_code_fails_on_is_answered_and_the_session_goes_on(
    store: Store, make_proxy: MakeProxy
) -> None:
    async with make_proxy() as proxy, raw_client(proxy) as client:
        await client.say("EHLO me")
        with nonsense(store, "login"):
            assert await client.say(LOGIN) == OURS
        assert (await client.say(LOGIN))[:3] == "235"
        assert await transact(client) == KEPT


async def test_a_login_that_is_taken_is_nothing_to_warn_of(
    make_proxy: MakeProxy, caplog: pytest.LogCaptureFixture
) -> None:
    async with make_proxy() as proxy, raw_client(proxy) as client:
        await client.say("EHLO me")
        with caplog.at_level(logging.DEBUG):
            assert (await client.say(LOGIN))[:3] == "235"
    assert caplog.records
    assert [line for line in caplog.records if line.levelno >= logging.WARNING] == []


@pytest.mark.parametrize(
    ("command", "message", "least"), [(60.0, 600.0, 660.0), (5.0, 10.0, 300.0)]
)
async def test_a_client_is_not_cut_off_while_the_next_hop_has_its_message(
    store: Store, make_proxy: MakeProxy, command: float, message: float, least: float
) -> None:
    smtp = SMTPConfig(timeout=command, data_timeout=message)
    async with make_proxy() as proxy:
        config = proxy.config
    reception = Reception(
        config, datadir.open_vault(config), store.customers, store.messages, store.domains
    )
    with ThreadPoolExecutor(1) as logins:
        session = ProxySession(
            smtp,
            "us.example",
            reception,
            NextHop(smtp, "us.example"),
            Busy(),
            logins,
            tls=None,
            customer=None,
            loop=asyncio.get_running_loop(),
        )
    assert session._timeout_duration >= least
