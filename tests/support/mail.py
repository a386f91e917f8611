"""Messages to instrument, and the instrumenter they meet."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from pathlib import Path

import pytest

from linkseal.mail import Instrumented, Instrumenter, MailOptions
from linkseal.seal import KEY_BYTES, Keyring, MessageID

KEYRING = Keyring({1: bytes(range(KEY_BYTES))}, 1)
MESSAGE = MessageID.make(datetime(2026, 11, 24, tzinfo=UTC), b"\x01" * 8)
CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
needs_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason="no corpus beside the project")
BASE = "https://go.ct.example.net"
OFF = MailOptions(track_clicks=False, track_opens=False)
NO_PIXEL = MailOptions(track_opens=False)


def instrument(message: bytes, options: MailOptions | None = None) -> Instrumented:
    return Instrumenter(KEYRING, options).instrument(
        message, base=BASE, customer=7, message_id=MESSAGE, own_hosts=["links.acme.example"]
    )


def html_mail(html: str | bytes, charset: str = "utf-8", encoding: str = "8bit") -> bytes:
    body = html.encode(charset) if isinstance(html, str) else html
    if encoding == "base64":
        body = base64.encodebytes(body)
    elif encoding == "quoted-printable":
        body = binascii.b2a_qp(body, istext=True)
    head = f"Content-Type: text/html; charset={charset}\nContent-Transfer-Encoding: {encoding}\n\n"
    return b"From: a@acme.example\nSubject: x\n" + head.encode() + body
