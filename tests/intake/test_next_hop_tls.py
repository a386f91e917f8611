"""What is configured for the next hop is kept: no password and no mail goes in the clear."""

from __future__ import annotations

import base64
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiosmtplib
import pytest
import trustme

from support.intake import MakeProxy, mail, raw_client, send, transact
from support.scripted_hop import BEGUN, scripted_hop

EHLO = "250-hop.example\r\n250-AUTH PLAIN\r\n250 STARTTLS"
STARTTLS = "220 2.0.0 go on"
LOGIN = {"next_hop_user": "us", "next_hop_password": "secret of ours"}


@dataclass
class Side:
    """The next hop's TLS, and the file of whom to trust for it."""

    context: ssl.SSLContext
    ca: Path


@pytest.fixture
def side(tmp_path: Path) -> Side:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "next-hop-ca.pem"))
    return Side(context, tmp_path / "next-hop-ca.pem")


async def refusal(make_proxy: MakeProxy, **smtp: Any) -> str:
    async with make_proxy(**smtp) as proxy:
        with pytest.raises(aiosmtplib.SMTPResponseException) as told:
            await send(proxy.client(), mail())
    return f"{told.value.code} {told.value.message}"


@pytest.mark.parametrize("at_once", [False, True])
async def test_all_but_the_greeting_is_encrypted(
    make_proxy: MakeProxy, side: Side, at_once: bool
) -> None:
    answers = {"EHLO": EHLO, "STARTTLS": STARTTLS, "AUTH": "235 2.7.0 welcome"}
    async with scripted_hop(answers, side.context, at_once=at_once) as hop:
        mode = "tls" if at_once else "starttls"
        smtp = {"next_hop": hop.address, "next_hop_tls": mode, "next_hop_ca": side.ca, **LOGIN}
        async with make_proxy(**smtp) as proxy:
            await send(proxy.client(), mail())
    clear = [line.partition(" ")[0] for line in hop.heard if not line.startswith("*")]
    assert set(clear) == (set() if at_once else {"EHLO", "STARTTLS"})
    plain = base64.b64encode(b"\0us\0secret of ours").decode()
    assert f"*AUTH PLAIN {plain}" in hop.heard
    assert len(hop.messages) == 1


@pytest.mark.parametrize("at_once", [False, True])
async def test_a_certificate_of_nobody_we_trust_is_not_taken(
    make_proxy: MakeProxy, side: Side, at_once: bool
) -> None:
    answers = {"EHLO": EHLO, "STARTTLS": STARTTLS}
    async with scripted_hop(answers, side.context, at_once=at_once) as hop:
        mode = "tls" if at_once else "starttls"
        told = await refusal(make_proxy, next_hop=hop.address, next_hop_tls=mode, **LOGIN)
    assert told == "451 4.4.1 the next hop cannot be reached, try again later"
    assert not any("AUTH" in line or "MAIL" in line for line in hop.heard)


async def test_a_refused_starttls_is_quoted_and_nothing_goes_in_the_clear(
    make_proxy: MakeProxy,
) -> None:
    answers = {"EHLO": EHLO, "STARTTLS": "454 4.7.0 no key today"}
    async with scripted_hop(answers) as hop:
        told = await refusal(make_proxy, next_hop=hop.address, next_hop_tls="starttls", **LOGIN)
    assert told == f"451 4.4.0 the next hop refused us: {answers['STARTTLS']}, try again later"
    assert {line.partition(" ")[0] for line in hop.heard} == {"EHLO", "STARTTLS"}


async def test_a_message_that_is_answered_before_its_end_is_broken_off(
    make_proxy: MakeProxy, side: Side
) -> None:
    """Not only where the connection itself tells what of it was not sent yet."""
    message = b"Subject: x\r\n\r\n" + (b"x" * 990 + b"\r\n") * 20_000
    async with scripted_hop({BEGUN: "250 2.0.0 fine"}, side.context, at_once=True) as hop:
        smtp = {"next_hop": hop.address, "next_hop_tls": "tls", "next_hop_ca": side.ca}
        async with make_proxy(**smtp) as proxy, raw_client(proxy) as client:
            told = await transact(client, message)
            hop.reads_on.set()
            await hop.wait_for_ends(2)
    assert told == "451 4.4.2 the next hop did not answer, try again later"
    assert hop.messages == []
