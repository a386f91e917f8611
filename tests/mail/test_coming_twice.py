"""A message that comes by twice gets one pixel; one that quotes another's gets its own."""

from __future__ import annotations

from datetime import timedelta

import pytest

from linkseal.mail import Instrumented, Instrumenter, MailOptions
from linkseal.seal import MessageID
from support.mail import BASE, KEYRING, MESSAGE, html_mail, instrument

TAG = MailOptions(pixel_tag="%open%")
LETTER = '<p>%open%Hello</p><a href="https://a.example/x">x</a><p>Bye</p></body></html>'


def pixel_tag() -> str:
    body = instrument(html_mail("x")).message.decode()
    return body[body.index("<img ") :].strip()


def later(
    message: bytes, after: timedelta, *, customer: int = 7, options: MailOptions = TAG
) -> Instrumented:
    """Return what becomes of a message that comes by once more."""
    again = MessageID.make(MESSAGE.issued_at + after, b"\x02" * 8)
    return Instrumenter(KEYRING, options).instrument(
        message, base=BASE, customer=customer, message_id=again
    )


def test_a_message_that_comes_by_twice_gets_one_pixel() -> None:
    once = instrument(html_mail('<p>Hello</p><img src="https://a.example/o/logo.png">'))
    assert once.pixel_part == "1"
    twice = instrument(once.message)
    assert twice.message is once.message
    assert twice.pixel_part is None


@pytest.mark.parametrize("end", ["", "\n", "</body></html>", "\n \n</body>\n</html>\n"])
def test_the_pixel_is_known_again_before_any_end_of_the_body(end: str) -> None:
    html = f"<html><body><p>Hello</p>{pixel_tag()}{end}"
    assert instrument(html_mail(html)).pixel_part is None


@pytest.mark.parametrize(
    "quoted",
    [
        "<p>Look:</p><blockquote>{}</blockquote>",
        "{}<p>Look above</p>",
        "<blockquote>{}</blockquote></body></html>",
        "{} I wrote > this",
    ],
)
def test_a_quoted_newsletters_pixel_does_not_stop_ours(quoted: str) -> None:
    html = quoted.format(pixel_tag())
    done = instrument(html_mail(html))
    assert done.pixel_part == "1"
    assert done.message.decode().count("<img ") == 2


@pytest.mark.parametrize("after", [timedelta(0), timedelta(seconds=-30), timedelta(minutes=59)])
def test_a_pixel_in_the_place_of_its_tag_is_known_again(after: timedelta) -> None:
    once = instrument(html_mail(LETTER), TAG)
    assert once.pixel_part == "1"
    twice = later(once.message, after)
    assert twice.message is once.message
    assert twice.pixel_part is None


@pytest.mark.parametrize(
    ("before", "after", "customer", "options"),
    [
        # The tag is asked for again: whoever wrote it wants a pixel there.
        ("<p>%open%</p>", timedelta(minutes=1), 7, TAG),
        # A reply has something of its own, or is another day's, or another's.
        ('<a href="https://a.example/mine">mine</a>', timedelta(minutes=1), 7, TAG),
        ("<p>Thanks</p>", timedelta(hours=2), 7, TAG),
        ("<p>Thanks</p>", timedelta(minutes=1), 8, TAG),
        # Without a tag configured, ours is at the end and nowhere else.
        ("<p>Thanks</p>", timedelta(minutes=1), 7, MailOptions()),
    ],
)
def test_a_reply_that_quotes_a_letter_gets_its_own_pixel(
    before: str, after: timedelta, customer: int, options: MailOptions
) -> None:
    letter = instrument(html_mail(LETTER), TAG).message.partition(b"\n\n")[2].decode()
    reply = html_mail(f"{before}<blockquote>{letter}</blockquote>")
    done = later(reply, after, customer=customer, options=options)
    assert done.pixel_part == "1"
    assert done.message.count(b"<img ") == 2


def test_what_only_looks_like_our_pixel_is_none() -> None:
    forged = f'<img src="{BASE}/o/nothing-of-ours"><p>Hello</p>'
    assert later(html_mail(forged), timedelta(0)).pixel_part == "1"


@pytest.mark.parametrize("options", [TAG, MailOptions()])
def test_the_second_part_of_a_message_gets_no_pixel_for_the_first(options: MailOptions) -> None:
    part = "--b\nContent-Type: text/html; charset=utf-8\n\n{}\n"
    message = (
        "From: a@acme.example\nMIME-Version: 1.0\n"
        "Content-Type: multipart/mixed; boundary=b\n\n"
        + part.format(LETTER)
        + part.format("<p>and more</p>")
        + "--b--\n"
    ).encode()
    once = instrument(message, options)
    assert once.pixel_part == "1"
    assert later(once.message, timedelta(minutes=1), options=options).message is once.message
