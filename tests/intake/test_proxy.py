"""The SMTP proxy: what goes in comes out instrumented, and every answer is the next hop's."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import aiosmtplib
import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from linkseal import datadir
from linkseal.demo.recipient import read_message
from linkseal.intake.headers import read_headers
from linkseal.seal import open_url
from linkseal.store import MessageState
from linkseal.testing.mailbox import Mailbox, Misbehaviour
from support.intake import HTML, TO, MakeProxy, Proxy, mail, send

ENVELOPE = b"EHLO me\r\nMAIL FROM:<a@acme.example>\r\nRCPT TO:<x@example.net>\r\nDATA\r\n"


@pytest.fixture
async def proxy(make_proxy: MakeProxy) -> AsyncIterator[Proxy]:
    async with make_proxy() as running:
        yield running


async def test_a_message_is_instrumented_recorded_and_passed_on(proxy: Proxy) -> None:
    api = '{"category": ["spring", "sale"], "unique_args": {"order": 7}}'
    reply = await send(
        proxy.client(),
        mail(Subject="=?utf-8?q?Gr=C3=BC=C3=9Fe?=", X_SMTPAPI=api),
        TO,
        "b@x.example",
    )
    assert reply.message == "2.0.0 kept as 1"
    (got,) = proxy.mailbox.messages
    assert (got.sender, got.recipients) == ("bounce@acme.example", (TO, "b@x.example"))
    seen = read_message(got.content)
    sealed = open_url(datadir.open_keyring(proxy.config), seen.links[0])
    assert sealed.destination == "https://a.example/1"
    assert seen.links[0].startswith("https://go.ct.example.net:8443/c/")
    assert seen.images[0].startswith("https://go.ct.example.net:8443/o/")
    kept = proxy.store.messages.get(str(sealed.message))
    assert kept.state is MessageState.SENT
    assert (kept.subject, kept.recipient) == ("Grüße", f"{TO}, b@x.example")
    assert (kept.categories, kept.custom_args) == (("spring", "sale"), {"order": "7"})
    assert kept.links == {0: "https://a.example/1"}
    assert (kept.base, bool(kept.base_why)) == ("https://go.ct.example.net:8443", True)


async def test_what_is_not_changed_arrives_byte_for_byte(proxy: Proxy) -> None:
    """Lines that begin with dots included, and long ones."""
    body = ".\r\n..\r\n.x\r\n\r\n. \r\n" + "y" * 5000 + "\r\n\r\n"
    message = b"From: a@acme.example\r\nContent-Type: text/plain\r\n\r\n" + body.encode()
    await send(proxy.client(), message)
    assert proxy.mailbox.messages[0].content == message


async def test_thirty_megabytes_pass(proxy: Proxy) -> None:
    message = b"From: a@acme.example\r\n\r\n" + (b"x" * 998 + b"\r\n") * 30_000
    await send(proxy.client(), message)
    assert proxy.mailbox.messages[0].content == message


@pytest.mark.parametrize(
    "misbehaviour",
    [
        Misbehaviour(refuse_sender="550 5.7.1 not you"),
        Misbehaviour(refuse_recipients={TO: "550 5.1.1 nobody of that name"}),
        Misbehaviour(refuse_data="554 5.7.1 looks like spam"),
        Misbehaviour(refuse_data="452 4.2.2 mailbox full"),
    ],
)
async def test_refusals_are_handed_back_with_their_code_and_text(
    make_proxy: MakeProxy, misbehaviour: Misbehaviour
) -> None:
    box = Mailbox()
    box.misbehaviour = misbehaviour
    expected = (
        misbehaviour.refuse_sender or misbehaviour.refuse_data or misbehaviour.refuse_recipients[TO]
    )
    async with make_proxy(box) as proxy:
        with pytest.raises(aiosmtplib.SMTPException) as refusal:
            await send(proxy.client(), mail())
        told = refusal.value
        if isinstance(told, aiosmtplib.SMTPRecipientsRefused):
            told = told.recipients[0]
        assert isinstance(told, aiosmtplib.SMTPResponseException)
        assert f"{told.code} {told.message}" == expected
        assert box.messages == []


async def test_one_refused_recipient_does_not_stop_the_others(proxy: Proxy) -> None:
    proxy.mailbox.misbehaviour = Misbehaviour(
        refuse_recipients={"no@x.example": "550-5.1.1 nobody\r\n550 5.1.1 of that name"}
    )
    async with proxy.client() as client:
        refused, _ = await client.sendmail("a@acme.example", [TO, "no@x.example"], mail())
    assert refused["no@x.example"] == (550, "5.1.1 nobody\n5.1.1 of that name")
    assert proxy.mailbox.messages[0].recipients == (TO,)


async def test_a_refused_message_is_on_record_as_refused(proxy: Proxy) -> None:
    proxy.mailbox.misbehaviour = Misbehaviour(refuse_data="554 5.7.1 no")
    with pytest.raises(aiosmtplib.SMTPDataError):
        await send(proxy.client(), mail())
    proxy.mailbox.misbehaviour = Misbehaviour()
    await send(proxy.client(), mail())
    link = read_message(proxy.mailbox.messages[0].content).links[0]
    message = open_url(datadir.open_keyring(proxy.config), link).message
    assert proxy.store.messages.get(str(message)).state is MessageState.SENT


async def test_a_next_hop_that_dies_leaves_the_mail_with_the_sender(proxy: Proxy) -> None:
    proxy.mailbox.misbehaviour = Misbehaviour(drop_at_data=True)
    async with proxy.client() as client:
        with pytest.raises(aiosmtplib.SMTPDataError) as refusal:
            await client.sendmail("a@acme.example", [TO], mail())
        assert refusal.value.code == 451
        proxy.mailbox.misbehaviour = Misbehaviour()
        await client.sendmail("a@acme.example", [TO], mail())
    assert len(proxy.mailbox.messages) == 1


async def test_a_next_hop_that_does_not_answer_in_time_is_given_up(make_proxy: MakeProxy) -> None:
    box = Mailbox()
    box.misbehaviour = Misbehaviour(delay=3)
    async with make_proxy(box, data_timeout=0.5) as proxy:
        with pytest.raises(aiosmtplib.SMTPDataError) as refusal:
            await send(proxy.client(), mail())
        assert refusal.value.code == 451


async def test_a_next_hop_that_is_down_is_a_temporary_refusal(proxy: Proxy) -> None:
    await proxy.mailbox.stop()
    with pytest.raises(aiosmtplib.SMTPResponseException) as refusal:
        await send(proxy.client(), mail())
    assert refusal.value.code == 451
    assert refusal.value.message.startswith("4.4.1")


@pytest.mark.parametrize("missing", ["SIZE", "8BITMIME", "SMTPUTF8", "PIPELINING"])
async def test_only_what_the_next_hop_has_is_announced(make_proxy: MakeProxy, missing: str) -> None:
    box = Mailbox()
    box.misbehaviour = Misbehaviour(without=frozenset({missing}))
    async with make_proxy(box) as proxy, proxy.client() as client:
        await client.ehlo()
        for name in ("SIZE", "8BITMIME", "SMTPUTF8", "PIPELINING"):
            assert client.supports_extension(name) == (name != missing)


async def test_the_smaller_size_is_announced_and_kept(make_proxy: MakeProxy) -> None:
    async with make_proxy(Mailbox(size=20_000)) as proxy, proxy.client() as client:
        await client.ehlo()
        assert client.esmtp_extensions["size"] == "20000"
        with pytest.raises(aiosmtplib.SMTPResponseException) as refusal:
            await client.sendmail("a@acme.example", [TO], mail(body="x\r\n" * 10_000))
        assert refusal.value.code == 552
    async with make_proxy(Mailbox(), max_message_bytes=10_000) as proxy, proxy.client() as client:
        await client.ehlo()
        assert client.esmtp_extensions["size"] == "10000"


async def test_eight_bits_are_refused_where_the_next_hop_has_seven(
    make_proxy: MakeProxy,
) -> None:
    box = Mailbox()
    box.misbehaviour = Misbehaviour(without=frozenset({"8BITMIME"}))
    async with make_proxy(box) as proxy:
        with pytest.raises(aiosmtplib.SMTPDataError) as refusal:
            await send(proxy.client(), mail(body="<p>Grüße</p>"))
        assert (refusal.value.code, refusal.value.message[:5]) == (554, "5.6.1")


async def test_parameters_and_international_addresses_are_passed_on(proxy: Proxy) -> None:
    async with proxy.client() as client:
        await client.ehlo()
        options = ["BODY=8BITMIME", "SMTPUTF8", "SIZE=500"]
        await client.mail("jörg@acme.example", options=options, encoding="utf-8")
        await client.rcpt("zoë@bücher.example", encoding="utf-8")
        await client.data(mail(body="<p>ü</p>"))
    (got,) = proxy.mailbox.messages
    assert (got.sender, got.recipients) == ("jörg@acme.example", ("zoë@bücher.example",))
    assert set(got.options) == {"BODY=8BITMIME", "SMTPUTF8"}


async def test_the_empty_sender_is_passed_on(proxy: Proxy) -> None:
    async with proxy.client() as client:
        await client.ehlo()
        await client.execute_command(b"MAIL", b"FROM:<>")
        await client.rcpt(TO)
        await client.data(mail())
    assert proxy.mailbox.messages[0].sender in {"", "<>"}


@contextlib.asynccontextmanager
async def raw(proxy: Proxy) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(proxy.address.host, proxy.address.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def replies(reader: asyncio.StreamReader, count: int) -> list[str]:
    found: list[str] = []
    while len(found) < count:
        line = (await asyncio.wait_for(reader.readline(), 20)).decode()
        assert line
        if line[3] == " ":
            found.append(line.strip())
    return found


async def test_a_pipelining_client_is_answered_in_order(proxy: Proxy) -> None:
    async with raw(proxy) as (reader, writer):
        writer.write(
            b"EHLO me\r\nMAIL FROM:<a@acme.example>\r\nRCPT TO:<x@example.net>\r\nDATA\r\n"
        )
        assert [line[:3] for line in await replies(reader, 5)] == [
            "220",
            "250",
            "250",
            "250",
            "354",
        ]
        writer.write(mail() + b"\r\n.\r\nQUIT\r\n")
        assert [line[:3] for line in await replies(reader, 2)] == ["250", "221"]


@pytest.mark.parametrize("end", [b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r.\r", b"\n.\r"])
async def test_smuggled_ends_of_data_are_refused(proxy: Proxy, end: bytes) -> None:
    """A second message hidden behind an end of data that only some servers see."""
    hidden = b"MAIL FROM:<evil@acme.example>\r\nRCPT TO:<x@example.net>\r\nDATA\r\nhidden\r\n.\r\n"
    async with raw(proxy) as (reader, writer):
        writer.write(
            b"EHLO me\r\nMAIL FROM:<a@acme.example>\r\nRCPT TO:<x@example.net>\r\nDATA\r\n"
        )
        await replies(reader, 5)
        writer.write(mail() + end + hidden)
        (answer,) = await replies(reader, 1)
        assert answer.startswith("550 5.6.0")
    assert proxy.mailbox.messages == []


async def test_a_client_that_leaves_in_the_middle_sends_nothing(proxy: Proxy) -> None:
    async with raw(proxy) as (reader, writer):
        writer.write(
            b"EHLO me\r\nMAIL FROM:<a@acme.example>\r\nRCPT TO:<x@example.net>\r\nDATA\r\n"
        )
        await replies(reader, 5)
        writer.write(mail()[:40])
        await writer.drain()
    await send(proxy.client(), mail())
    assert len(proxy.mailbox.messages) == 1


async def test_broken_mail_passes_untouched(proxy: Proxy) -> None:
    for message in (
        b"no header at all\r\n",
        b"From: a@acme.example\r\nContent-Type: multipart/mixed\r\n\r\n<a href=http://a.b>\r\n",
        b"From: a@acme.example\r\nContent-Type: text/html\r\n\r\n\x00<a href=http://a.b>\r\n",
        b"From: a@acme.example\r\nSubject: =?utf-8?B?YWJjZ?= cut\r\n\r\ntext\r\n",
    ):
        async with proxy.client() as client:
            await client.sendmail("a@acme.example", [TO], message)
        assert proxy.mailbox.messages[-1].content == message


async def test_a_customer_is_found_by_login_listener_and_from_domain(
    make_proxy: MakeProxy,
) -> None:
    async with make_proxy() as proxy:

        async def whose(**options: Any) -> int:
            await send(proxy.client(**options), mail())
            link = read_message(proxy.mailbox.messages[-1].content).links[0]
            return open_url(datadir.open_keyring(proxy.config), link).customer

        ids = {each.name: each.id for each in proxy.store.customers.all()}
        login = {"username": "mailer", "password": "correct horse"}
        assert await whose() == ids["acme"]
        assert await whose(address=proxy.listener) == ids["other"]
        assert await whose(address=proxy.listener, **login) == ids["login"]


async def test_mail_of_nobody_is_refused_or_passes_untouched(make_proxy: MakeProxy) -> None:
    stranger = mail("a@stranger.example").replace(b"acme.example", b"stranger.example")
    async with make_proxy() as proxy, proxy.client() as client:
        with pytest.raises(aiosmtplib.SMTPDataError) as refusal:
            await client.sendmail("a@stranger.example", [TO], stranger)
        assert (refusal.value.code, refusal.value.message[:5]) == (550, "5.7.1")
        assert "--from-domain stranger.example" in refusal.value.message
        await client.sendmail("a@acme.example", [TO], mail())
    async with make_proxy(unknown_customer="pass") as proxy:
        await send(proxy.client(), stranger)
        assert proxy.mailbox.messages[0].content == stranger


async def test_a_wrong_login_is_refused_and_required_means_required(make_proxy: MakeProxy) -> None:
    async with make_proxy(auth="required") as proxy:
        with pytest.raises(aiosmtplib.SMTPAuthenticationError):
            await send(proxy.client(username="mailer", password="wrong"), mail())
        with pytest.raises(aiosmtplib.SMTPResponseException) as refusal:
            await send(proxy.client(), mail())
        assert refusal.value.code == 530
        await send(proxy.client(username="mailer", password="correct horse"), mail())
    async with make_proxy(auth="off") as proxy, proxy.client() as client:
        await client.ehlo()
        assert not client.supports_extension("AUTH")


async def test_a_database_that_is_down_leaves_the_mail_with_the_sender(proxy: Proxy) -> None:
    with proxy.store._database.transaction() as connection:
        connection.exec_driver_sql("ALTER TABLE messages RENAME TO gone")
    with pytest.raises(aiosmtplib.SMTPDataError) as refusal:
        await send(proxy.client(), mail())
    assert (refusal.value.code, refusal.value.message[:5]) == (451, "4.3.0")
    with proxy.store._database.transaction() as connection:
        connection.exec_driver_sql("ALTER TABLE gone RENAME TO messages")
    await send(proxy.client(), mail())
    assert len(proxy.mailbox.messages) == 1


async def test_ordinary_clients_build_messages_that_pass(proxy: Proxy) -> None:
    message = EmailMessage()
    message["From"] = "News <news@acme.example>"
    message["To"] = TO
    message["Subject"] = "Hello"
    message.set_content("text")
    message.add_alternative(HTML, subtype="html")
    async with proxy.client() as client:
        await client.send_message(message)
    assert len(read_message(proxy.mailbox.messages[0].content).links) == 1


async def test_replies_in_other_scripts_do_not_break_the_conversation(proxy: Proxy) -> None:
    proxy.mailbox.misbehaviour = Misbehaviour(refuse_recipients={TO: "450 4.2.1 für später"})
    async with proxy.client() as client:
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as refusal:
            await client.sendmail("a@acme.example", [TO], mail())
        assert refusal.value.recipients[0].code == 450
        refused, _ = await client.sendmail("a@acme.example", ["b@x.example"], mail())
        assert refused == {}


async def test_a_from_domain_in_another_script_is_the_customers(proxy: Proxy) -> None:
    proxy.store.customers.add("books", from_domains=["bücher.example"])
    for domain in ("bücher.example", "xn--bcher-kva.example", "news.BÜCHER.example"):
        await send(proxy.client(), mail(f"a@{domain}"))
    assert len(proxy.mailbox.messages) == 3
    with pytest.raises(aiosmtplib.SMTPDataError):
        await send(proxy.client(), mail("a@b\udcff.example".encode("utf-8", "replace").decode()))


async def test_a_message_that_would_grow_too_large_passes_untouched(make_proxy: MakeProxy) -> None:
    message = mail(body=HTML + "x" * 900 + "\r\n")
    async with make_proxy(Mailbox(size=len(message) + 100)) as proxy:
        await send(proxy.client(), message)
        assert proxy.mailbox.messages[0].content == message


async def test_after_any_refusal_the_next_message_is_taken(make_proxy: MakeProxy) -> None:
    box = Mailbox()
    async with make_proxy(box, max_message_bytes=20_000) as proxy, proxy.client() as client:
        with pytest.raises(aiosmtplib.SMTPResponseException):
            await client.sendmail("a@acme.example", [TO], mail(body="x\r\n" * 20_000))
        await client.sendmail("a@acme.example", [TO], mail())
        box.misbehaviour = Misbehaviour(refuse_data="554 5.7.1 no")
        with pytest.raises(aiosmtplib.SMTPDataError):
            await client.sendmail("a@acme.example", [TO], mail())
        box.misbehaviour = Misbehaviour()
        await client.sendmail("a@acme.example", [TO], mail())
        await client.execute_command(b"MAIL", b"FROM:<a@acme.example>")
        await client.ehlo()
        await client.sendmail("a@acme.example", [TO], mail())
    assert len(box.messages) == 3


async def test_a_client_that_leaves_before_the_answer_is_settled(proxy: Proxy) -> None:
    proxy.mailbox.misbehaviour = Misbehaviour(delay=0.5)
    async with raw(proxy) as (reader, writer):
        writer.write(ENVELOPE)
        await replies(reader, 5)
        writer.write(mail() + b"\r\n.\r\n")
        await writer.drain()
        await asyncio.sleep(0.2)
    (got,) = await proxy.mailbox.wait_for(1, 20)
    link = read_message(got.content).links[0]
    message = str(open_url(datadir.open_keyring(proxy.config), link).message)
    deadline = time.monotonic() + 20
    while proxy.store.messages.get(message).state is not MessageState.SENT:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_a_login_in_the_clear_is_forgotten_by_starttls(
    make_proxy: MakeProxy, tmp_path: Path
) -> None:
    issued = trustme.CA().issue_cert("go.ct.example.net")
    (tmp_path / "chain.pem").write_bytes(issued.cert_chain_pems[0].bytes())
    (tmp_path / "key.pem").write_bytes(issued.private_key_pem.bytes())
    files = {"certificate": tmp_path / "chain.pem", "key": tmp_path / "key.pem"}
    stranger = mail("a@stranger.example")
    async with make_proxy(**files) as proxy, proxy.client(validate_certs=False) as client:
        await client.login("mailer", "correct horse")
        await client.starttls(validate_certs=False)
        with pytest.raises(aiosmtplib.SMTPDataError) as refusal:
            await client.sendmail("a@stranger.example", [TO], stranger)
        assert refusal.value.code == 550
        await client.login("mailer", "correct horse")
        await client.sendmail("a@stranger.example", [TO], stranger)
    assert len(proxy.mailbox.messages) == 1


async def test_addresses_that_are_no_text_are_refused(proxy: Proxy) -> None:
    async with raw(proxy) as (reader, writer):
        writer.write(b"EHLO me\r\nMAIL FROM:<a@acme.example>\r\nRCPT TO:<x\xff@example.net>\r\n")
        answers = await replies(reader, 4)
        assert answers[-1][:3] in {"501", "553"}


@given(st.text(), st.sampled_from(["utf-8?B", "utf-8?q", "big5?b", "nothing?Q", "?"]))
def test_any_subject_and_sender_are_read(text: str, kind: str) -> None:
    for value in (text, f"=?{kind}?{text}?= {text}"):
        content = f"From: {value}\r\nSubject: {value}\r\n\r\n".encode("utf-8", "surrogatepass")
        assert isinstance(read_headers(content).subject, str)


def test_hostile_headers_are_read_in_no_time() -> None:
    started = time.process_time()
    for value in ('"' * 30_000, "(" * 30_000, "a@" * 20_000, "<" * 30_000):
        read_headers(f"From: {value}\r\nSubject: {value}\r\n\r\n".encode())
    assert time.process_time() - started < 5
