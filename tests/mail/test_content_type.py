"""Header fields as senders write them: comments are no part of a value (RFC 5322 §3.2.2)."""

from __future__ import annotations

import pytest

from linkseal.mail import Reason
from support.mail import BASE, NO_PIXEL, instrument

LINK = '<a href="https://a.example/\xe9">'


def mail(fields: str, body: bytes | None = None) -> bytes:
    head = f"From: a@acme.example\r\n{fields}\r\n\r\n".encode()
    return head + (LINK.encode("latin-1") if body is None else body)


@pytest.mark.parametrize(
    "value",
    [
        "TEXT/HTML (comment); CHARSET=iso-8859-1",
        "(a (nested \\) one)) text/html; charset=iso-8859-1",
        "text/(what)html;charset=iso-8859-1 (Western; charset=utf-8)",
        'text/html; charset="iso-8859-1" (x)',
        'text/html (12" wide); charset="iso-8859-1"',
        "text/html (folded\r\n over lines);\r\n charset=iso-8859-1",
        'text/html; name="a (b; \\"c"; charset=iso-8859-1',
        "text/html; charset=iso-8859-1; name=report(1.html",
    ],
)
def test_comments_in_a_content_type_are_no_part_of_it(value: str) -> None:
    done = instrument(mail(f"Content-Type: {value}"), NO_PIXEL)
    assert [(link.number, link.url) for link in done.links] == [(0, "https://a.example/%C3%A9")]
    assert BASE.encode() in done.message


def test_comments_in_the_other_fields_are_no_part_of_them() -> None:
    fields = "Content-Type: text/html\r\nContent-Transfer-Encoding: (as ever) Base64 (x)"
    done = instrument(mail(fields, b"PGEgaHJlZj0iaHR0cHM6Ly9hLmV4YW1wbGUvIj4="), NO_PIXEL)
    assert len(done.sealed) == 1
    attached = mail("Content-Type: text/html\r\nContent-Disposition: (x) attachment")
    assert instrument(attached).message is attached


@pytest.mark.parametrize(
    "value", ["text/html (never closed; charset=utf-8", "text/html charset=utf-8", "text/html,x"]
)
def test_a_type_that_only_begins_like_html_is_on_record(value: str) -> None:
    message = mail(f"Content-Type: {value}")
    done = instrument(message)
    assert done.message is message
    assert [(part.part, part.reason) for part in done.parts] == [("1", Reason.TYPE_UNCLEAR)]


@pytest.mark.parametrize("value", ["text/html-x", "text/html5", "text/plain (text/html)", "html"])
def test_another_type_is_another(value: str) -> None:
    message = mail(f"Content-Type: {value}")
    assert (instrument(message).message is message, instrument(message).parts) == (True, ())
