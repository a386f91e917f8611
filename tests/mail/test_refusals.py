"""Messages that pass untouched and say why; hostile and huge ones included."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from linkseal.mail import Reason
from linkseal.mail.content import has_long_line
from support.mail import CORPUS, NO_PIXEL, OFF, html_mail, instrument, needs_corpus

LINK = b'<a href="https://a.example/1">x</a>'


def multipart(kind: str, *parts: bytes, boundary: str = "b", close: bool = True) -> bytes:
    head = f"From: a@acme.example\nContent-Type: {kind}; boundary={boundary}\n\n".encode()
    mark = f"--{boundary}\n".encode()
    body = b"".join(mark + part + b"\n" for part in parts)
    return head + body + (f"--{boundary}--\n".encode() if close else b"")


HTML = b"Content-Type: text/html\n\n" + LINK
DEEP = HTML
for _level in range(50):
    _mark = f"d{_level}".encode()
    DEEP = (
        b"Content-Type: multipart/mixed; boundary="
        + _mark
        + b"\n\n--"
        + _mark
        + b"\n"
        + DEEP
        + b"\n--"
        + _mark
        + b"--\n"
    )

WHOLE = {
    "empty": (b"", Reason.NO_HEADERS),
    "only a line end": (b"\r\n", Reason.NO_HEADERS),
    "no header fields": (b"hello\n\n" + LINK, Reason.NO_HEADERS),
    "noise": (bytes(range(256)) * 10, Reason.NO_HEADERS),
    "dkim": (b"DKIM-Signature: v=1\n" + html_mail("x"), Reason.DKIM_SIGNED),
    "arc": (b"ARC-Seal: i=1\n" + html_mail("x"), Reason.DKIM_SIGNED),
    "signed": (multipart("multipart/signed; protocol=x", HTML, HTML), Reason.SIGNED),
    "encrypted": (multipart("multipart/encrypted", HTML), Reason.ENCRYPTED),
    "pkcs7": (b"Content-Type: application/pkcs7-mime\n\nMII", Reason.ENCRYPTED),
    "pkcs7 signed": (
        b"Content-Type: Application/X-PKCS7-MIME (opaque);\n SMIME-Type=Signed-Data\n\nMII",
        Reason.SIGNED,
    ),
    "no boundary": (b"Content-Type: multipart/mixed\n\n--b\n" + HTML, Reason.NO_BOUNDARY),
    "no end": (multipart("multipart/mixed", HTML, close=False), Reason.UNTERMINATED),
    "two types": (b"Content-Type: text/plain\n" + html_mail("x"), Reason.AMBIGUOUS_HEADERS),
    "50 deep": (b"From: a@acme.example\n" + DEEP, Reason.NESTED_TOO_DEEP),
    "too many parts": (multipart("multipart/mixed", *[b"\nx"] * 1001), Reason.TOO_MANY_PARTS),
    "encoded multipart": (
        b"Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64\n\n"
        b"--b\n" + HTML + b"\n--b--\n",
        Reason.ENCODING_BROKEN,
    ),
}


@pytest.mark.parametrize("case", WHOLE)
def test_a_message_that_cannot_be_changed_safely_passes_whole(case: str) -> None:
    message, reason = WHOLE[case]
    done = instrument(message)
    assert done.message is message
    assert done.untouched is reason


PARTS = {
    "undecodable charset": (html_mail(b"\xff\xfe" + LINK, "utf-8"), Reason.CHARSET_BROKEN),
    "8 bits in us-ascii": (html_mail(b"\xe9" + LINK, "us-ascii"), Reason.CHARSET_BROKEN),
    "unknown charset": (html_mail(LINK, "x-klingon"), Reason.CHARSET_UNKNOWN),
    "no text charset": (html_mail(LINK, "base64"), Reason.CHARSET_UNKNOWN),
    "utf-7": (html_mail(LINK, "utf-7"), Reason.CHARSET_UNKNOWN),
    "utf-7 by its other name": (html_mail(LINK, "u7"), Reason.CHARSET_UNKNOWN),
    "a slow codec": (html_mail(b"a" * 100_000 + LINK, "punycode"), Reason.CHARSET_UNKNOWN),
    "base64 after its padding": (
        b"Content-Type: text/html\nContent-Transfer-Encoding: base64\n\nYQ==\nYQ==\n",
        Reason.ENCODING_BROKEN,
    ),
    "broken quoted-printable": (
        b"Content-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n1=2 " + LINK,
        Reason.ENCODING_BROKEN,
    ),
    "unknown encoding": (html_mail(LINK, encoding="x-uuencode"), Reason.ENCODING_UNKNOWN),
    "nul": (html_mail(b"\x00" + LINK), Reason.NUL),
    "broken base64": (
        b"Content-Type: text/html\nContent-Transfer-Encoding: base64\n\n!!!" + LINK,
        Reason.ENCODING_BROKEN,
    ),
    "cut base64": (
        b"Content-Type: text/html\nContent-Transfer-Encoding: base64\n\nPGEgaHJ",
        Reason.ENCODING_BROKEN,
    ),
}


@pytest.mark.parametrize("case", PARTS)
def test_a_part_that_cannot_be_read_passes_and_the_others_do_not(case: str) -> None:
    message, reason = PARTS[case]
    done = instrument(message)
    assert done.message is message
    assert [part.reason for part in done.parts] == [reason]
    mixed = multipart("multipart/mixed", message.partition(b"Subject: x\n")[2] or message, HTML)
    done = instrument(mixed)
    assert [(part.part, part.reason) for part in done.parts] == [("1", reason)]
    assert [link.part for link in done.links] == ["2"]
    assert done.pixel_part == "2"


def test_signed_parts_inside_a_message_are_left_alone() -> None:
    signed = multipart("multipart/signed", HTML, b"\nsignature", boundary="s")
    done = instrument(multipart("multipart/mixed", signed, HTML))
    assert [(part.part, part.reason) for part in done.parts] == [("1", Reason.SIGNED)]
    assert signed.partition(b"\n")[2] in done.message
    assert [link.part for link in done.links] == ["2"]


def test_attachments_and_forwarded_messages_are_left_alone() -> None:
    attached = b"Content-Type: text/html\nContent-Disposition: attachment\n\n" + LINK
    forwarded = b"Content-Type: message/rfc822\n\n" + html_mail("x") + LINK
    message = multipart("multipart/mixed", attached, forwarded, b"\n" + LINK)
    assert instrument(message).message is message


def test_a_boundary_that_begins_like_another_is_another() -> None:
    inner = multipart("multipart/alternative", HTML, boundary="bb")
    done = instrument(multipart("multipart/mixed", inner, HTML, boundary="b"), NO_PIXEL)
    assert [link.part for link in done.links] == ["1.1", "2"]


def test_thirty_megabytes_and_five_thousand_links_take_seconds() -> None:
    started = time.process_time()
    attachment = b"Content-Type: application/pdf\nContent-Transfer-Encoding: base64\n\n"
    attachment += (b"A" * 76 + b"\n") * 400_000
    links = "".join(f'<a href="https://a.example/{n}">x</a>\n' for n in range(5000))
    html = b"Content-Type: text/html\n\n" + links.encode()
    message = multipart("multipart/mixed", html, attachment)
    done = instrument(message)
    assert len(message) > 30_000_000
    assert len(done.sealed) == 5000
    assert time.process_time() - started < 20


def test_hostile_html_is_not_slow() -> None:
    for html in ("<a " * 100_000, "<a href='" * 50_000, "<!--" * 100_000, "<b><a>" * 2_000):
        started = time.process_time()
        instrument(html_mail(html))
        assert time.process_time() - started < 20


@needs_corpus
def test_every_message_of_the_corpus_passes_and_untracked_stays_the_same() -> None:
    files = sorted(CORPUS.glob("eml/*.eml"))
    assert files
    for file in files:
        message = file.read_bytes()
        assert instrument(message, OFF).message is message
        done = instrument(message)
        assert (
            done.untouched
            or done.parts
            or done.links
            or done.pixel_part
            or (done.message is message)
        )


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize(("length", "long"), [(997, False), (998, False), (999, True)])
def test_a_line_is_too_long_past_998_octets(length: int, end: bytes, *, long: bool) -> None:
    line = b"x" * length
    for data in (line, line + end, b"y" * 500 + end + line + end + b"z" * 998, line + end + line):
        assert has_long_line(data) is long


@settings(max_examples=500)
@example([0, 998, 0], b"\n")
@given(
    st.lists(st.one_of(st.integers(0, 1100), st.integers(996, 1000)), max_size=8),
    st.sampled_from([b"\n", b"\r\n"]),
)
def test_long_lines_are_found_wherever_they_stand(lengths: list[int], end: bytes) -> None:
    data = end.join(b"x" * length for length in lengths)
    assert has_long_line(data) is (max(lengths, default=0) > 998)


def test_a_part_with_a_digest_over_it_is_left_alone() -> None:
    message = b"Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\n" + html_mail('<a href="https://a.example">')
    done = instrument(message)
    assert done.message is message
    assert [(part.part, part.reason) for part in done.parts] == [("1", Reason.DIGESTED)]
