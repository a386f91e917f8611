"""Whatever the next hop answers, the client is never told more than was done."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from linkseal.config import Address
from linkseal.store import Store
from support.intake import MakeProxy, Proxy, RawClient, raw_client, transact
from support.scripted_hop import BANNER, BEGUN, END, ScriptedHop, scripted_hop

# What is no answer to any of these commands: RFC 5321 §4.2.
NO_ANSWERS = ["354 go", "100 wait", "999 x", "25 ok", "garbage", "2x0 ok"]
LOST = "451 4.4.2 the next hop did not answer, try again later"
UNREACHABLE = "451 4.4.1 the next hop cannot be reached, try again later"
DONE = "250 2.0.0 kept"


def quoted(words: str) -> str:
    return f"451 4.4.0 the next hop {words}, try again later"


@contextlib.asynccontextmanager
async def talking(
    make_proxy: MakeProxy, answers: Mapping[str, str], **smtp: Any
) -> AsyncIterator[tuple[ScriptedHop, RawClient, Proxy]]:
    """Connect to a proxy before a next hop that answers so."""
    async with (
        scripted_hop(answers) as hop,
        make_proxy(next_hop=hop.address, **smtp) as proxy,
        raw_client(proxy) as client,
    ):
        yield hop, client, proxy


def states(store: Store) -> list[str]:
    with store._database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT state FROM messages ORDER BY id")
        return [str(row[0]) for row in rows]


@pytest.mark.parametrize("answer", ["250 ok", "220 ok", *NO_ANSWERS[1:]])
async def test_a_message_is_not_sent_where_data_is_answered_by_no_354(
    make_proxy: MakeProxy, answer: str
) -> None:
    async with talking(make_proxy, {"DATA": answer}) as (hop, client, proxy):
        assert await transact(client) == LOST
        await hop.wait_for_ends(1)
        assert hop.messages == []
        assert states(proxy.store) == ["refused"]
        hop.answers.clear()
        assert await transact(client) == DONE


@pytest.mark.parametrize("answer", NO_ANSWERS)
async def test_the_end_of_a_message_is_answered_in_earnest_or_not_at_all(
    make_proxy: MakeProxy, answer: str
) -> None:
    async with talking(make_proxy, {END: answer}) as (hop, client, _):
        assert await transact(client) == LOST
        await hop.wait_for_ends(1)
        hop.answers.clear()
        assert await transact(client) == DONE


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("251 2.1.5 goes on", "250 2.1.5 goes on"),
        ("252-2.0.0 perhaps\r\n252 2.0.0 likely", "250-2.0.0 perhaps\n250 2.0.0 likely"),
        ("200 taken", "250 taken"),
        ("299", "250 "),
    ],
)
async def test_a_message_is_accepted_by_the_first_digit(
    make_proxy: MakeProxy, answer: str, told: str
) -> None:
    """RFC 5321 §4.2.1; clients that know 250 alone would send it again."""
    async with talking(make_proxy, {END: answer}) as (hop, client, proxy):
        assert await transact(client) == told
        assert await transact(client) == told
        assert len(hop.messages) == 2
        assert greetings(hop) == ["EHLO", "EHLO"], "one asks what it can, one has both messages"
        assert states(proxy.store) == ["sent", "sent"]


@pytest.mark.parametrize("verb", ["MAIL", "RCPT"])
@pytest.mark.parametrize("answer", NO_ANSWERS)
async def test_what_is_no_reply_to_a_command_is_none(
    make_proxy: MakeProxy, verb: str, answer: str
) -> None:
    async with talking(make_proxy, {verb: answer}) as (hop, client, _):
        assert await transact(client) == LOST
        await hop.wait_for_ends(1)
        assert "DATA" not in hop.heard


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", END])
@pytest.mark.parametrize("answer", ["450 4.2.0 later", "599 5.0.0 never"])
async def test_a_refusal_is_handed_back_word_by_word(
    make_proxy: MakeProxy, verb: str, answer: str
) -> None:
    async with talking(make_proxy, {verb: answer}) as (_, client, _):
        assert await transact(client) == answer


async def test_a_recipient_that_is_forwarded_is_accepted(make_proxy: MakeProxy) -> None:
    async with talking(make_proxy, {"RCPT": "251 2.1.5 goes on"}) as (hop, client, _):
        assert await transact(client) == DONE
        assert len(hop.messages) == 1


@pytest.mark.parametrize(
    ("answers", "text"),
    [
        ({BANNER: "554 5.3.2 no service here"}, "554 5.3.2 no service here"),
        ({BANNER: "421 4.3.2 too busy"}, "421 4.3.2 too busy"),
        ({BANNER: "554 f\xfcr\x0bniemand\x07"}, "554 f?r niemand?"),
        ({"EHLO": "550-5.7.1 not\r\n550 5.7.1 you"}, "550 5.7.1 not 5.7.1 you"),
        ({"EHLO": "502 no", "HELO": "504 never"}, "504 never"),
    ],
)
async def test_a_next_hop_that_refuses_us_is_quoted_and_the_mail_is_kept(
    make_proxy: MakeProxy, answers: dict[str, str], text: str
) -> None:
    async with talking(make_proxy, answers) as (hop, client, _):
        assert await transact(client) == quoted(f"refused us: {text}")
        hop.answers.clear()
        assert await transact(client) == DONE


async def test_a_quoted_refusal_is_one_line_a_client_reads(make_proxy: MakeProxy) -> None:
    """RFC 5321 §4.5.3.1.5: 512 octets, the code and the line end included."""
    async with talking(make_proxy, {BANNER: f"554 {'x' * 3000}"}) as (_, client, _):
        told = await transact(client)
    assert told.startswith("451 4.4.0 the next hop refused us: 554 xxx")
    assert len(told) <= 510


async def test_a_failed_login_at_the_next_hop_is_quoted(make_proxy: MakeProxy) -> None:
    login = {"next_hop_user": "us", "next_hop_password": "secret of ours"}
    answers = {"EHLO": "250-hop\r\n250 AUTH PLAIN", "AUTH": "535 5.7.8 no such login"}
    async with talking(make_proxy, answers, **login) as (_, client, _):
        assert await transact(client) == quoted("refused us: 535 5.7.8 no such login")


@pytest.mark.parametrize(
    ("wanted", "missing"),
    [({"next_hop_tls": "starttls"}, "STARTTLS"), ({"next_hop_user": "us"}, "AUTH")],
)
async def test_a_next_hop_without_what_is_configured_is_said_to_be(
    make_proxy: MakeProxy, wanted: dict[str, str], missing: str
) -> None:
    async with talking(make_proxy, {}, **wanted) as (hop, client, _):
        assert await transact(client) == quoted(f"does not offer {missing}")
        assert set(hop.heard) == {"EHLO go.ct.example.net"}


@pytest.mark.parametrize("banner", ["garbage", "250 hello", "999 x"])
async def test_a_banner_that_is_none_is_no_refusal(make_proxy: MakeProxy, banner: str) -> None:
    async with talking(make_proxy, {BANNER: banner}) as (_, client, _):
        assert await transact(client) == UNREACHABLE


async def test_a_next_hop_that_is_silent_is_given_up(make_proxy: MakeProxy) -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    silent = Address("127.0.0.1", server.sockets[0].getsockname()[1])
    async with (
        server,
        make_proxy(next_hop=silent, timeout=0.3) as proxy,
        raw_client(proxy) as client,
    ):
        assert await transact(client) == UNREACHABLE


@pytest.mark.parametrize("code", ["500", "502"])
async def test_a_next_hop_of_old_is_greeted_by_helo(make_proxy: MakeProxy, code: str) -> None:
    """RFC 5321 §3.2; it has no extension, so none is announced."""
    async with talking(make_proxy, {"EHLO": f"{code} what?"}) as (hop, client, _):
        announced = await client.say("EHLO me")
        for word in ("SIZE", "8BITMIME", "SMTPUTF8", "PIPELINING"):
            assert word not in announced
        assert await transact(client) == DONE
        assert greetings(hop) == ["EHLO", "HELO", "EHLO", "HELO"]


async def test_helo_is_no_way_around_a_refusal(make_proxy: MakeProxy) -> None:
    async with talking(make_proxy, {"EHLO": "554 5.7.1 go away"}) as (hop, client, _):
        assert await transact(client) == quoted("refused us: 554 5.7.1 go away")
        assert set(greetings(hop)) == {"EHLO"}


def greetings(hop: ScriptedHop) -> list[str]:
    words = [line.partition(" ")[0] for line in hop.heard]
    return [word for word in words if word in {"EHLO", "HELO"}]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("552 5.3.4 too large", "552 5.3.4 too large"),
        ("250 2.0.0 fine", LOST),
        ("250-2.0.0 no end of it", LOST),
    ],
)
async def test_what_is_answered_before_its_end_is_not_sent_to_its_end(
    make_proxy: MakeProxy, answer: str, told: str
) -> None:
    """The rest would be taken for commands, or accepted, after the client was told otherwise."""
    message = b"Subject: x\r\n\r\n" + (b"x" * 990 + b"\r\n") * 20_000
    patience = 1.0 if "-" in answer else 60.0
    async with talking(make_proxy, {BEGUN: answer}, data_timeout=patience) as (hop, client, _):
        assert await transact(client, message) == told
        hop.reads_on.set()
        await hop.wait_for_ends(2)
        assert hop.messages == []
        hop.answers.clear()
        assert await transact(client) == DONE
