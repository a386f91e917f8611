"""Instrumenting messages: what must change changes, and not one byte else."""

from __future__ import annotations

import base64
import binascii
import email
import email.policy
import time
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkseal.demo.newsletters import letters
from linkseal.demo.recipient import read_message
from linkseal.mail import Instrumenter, LinkOutcome, MailOptions, Reason
from linkseal.seal import Kind, open_url
from support.mail import BASE, KEYRING, MESSAGE, NO_PIXEL, OFF, html_mail, instrument


def body_of(message: bytes) -> str:
    part = email.message_from_bytes(message, policy=email.policy.default)
    assert isinstance(part, EmailMessage)
    content: str = part.get_content()
    return content


def outcome(tag: str) -> tuple[LinkOutcome, str]:
    """Instrument one tag; return the one link's outcome and the HTML after."""
    done = instrument(html_mail(tag), NO_PIXEL)
    (link,) = done.links
    return link.outcome, done.message.partition(b"\n\n")[2].decode()


def sealed_in(html: str) -> str:
    start = html.index(BASE)
    end = min(at for at in (html.find(stop, start) for stop in "\"' >") if at > 0)
    return open_url(KEYRING, html[start:end]).destination


@pytest.mark.parametrize(
    ("tag", "destination"),
    [
        ('<a href="https://a.example/x">', "https://a.example/x"),
        ("<a href='https://a.example/x'>", "https://a.example/x"),
        ("<a href=https://a.example/x>", "https://a.example/x"),
        ("<a href=https://a.example/x/>", "https://a.example/x/"),
        ('<A HREF = "HTTPS://A.Example/x">', "HTTPS://A.Example/x"),
        ('<area shape=rect href="http://a.example">', "http://a.example"),
        ('<a title="a>b" href="https://a.example/x">', "https://a.example/x"),
        ('<a href="https://a.example/?a=1&amp;b=2">', "https://a.example/?a=1&b=2"),
        ('<a href="https://a.example/?a=1&b=2">', "https://a.example/?a=1&b=2"),
        ('<a href="https://a.example/?q=&lt;&#x41;&#66;">', "https://a.example/?q=<AB"),
        ('<a href="https://a.example/?c=1&currency=CHF">', "https://a.example/?c=1&currency=CHF"),
        ('<a href="\n  https://a.example/x \t">', "https://a.example/x"),
        ('<a href="https://a.exa\nmple/x">', "https://a.example/x"),
        ('<a href="https://a.example/a b">', "https://a.example/a%20b"),
        ('<a href="https://a.example/é?q=ü#ß">', "https://a.example/%C3%A9?q=%C3%BC#%C3%9F"),
        ('<a href="https://bücher.example/x">', "https://xn--bcher-kva.example/x"),
        ('<a href="https://straße.example/">', "https://xn--strae-oqa.example/"),
        ("<a href=https://a.example/\u00a0x>", "https://a.example/%C2%A0x"),
        ('<a href="https://u:p@bücher.example:8/">', "https://u:p@xn--bcher-kva.example:8/"),
        (
            '<a href="https://a.example/%2F%2f+;=//?b=2&a=1&a=&c#f">',
            "https://a.example/%2F%2f+;=//?b=2&a=1&a=&c#f",
        ),
    ],
)
def test_a_link_is_sealed_to_exactly_where_it_led(tag: str, destination: str) -> None:
    result, html = outcome(tag)
    assert result is LinkOutcome.SEALED
    assert sealed_in(html) == destination


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ('<a href="mailto:a@acme.example">', LinkOutcome.SCHEME),
        ('<a href="tel:+123">', LinkOutcome.SCHEME),
        ('<a href="javascript:alert(1)">', LinkOutcome.SCHEME),
        ('<a href="https:a.example">', LinkOutcome.SCHEME),
        ('<a href="#top">', LinkOutcome.RELATIVE),
        ('<a href="/path">', LinkOutcome.RELATIVE),
        ('<a href="//a.example/x">', LinkOutcome.RELATIVE),
        ('<a href="">', LinkOutcome.RELATIVE),
        ("<a href>", LinkOutcome.RELATIVE),
        ('<a href="{{ url }}">', LinkOutcome.PLACEHOLDER),
        ('<a href="https://a.example/?u=*|ID|*">', LinkOutcome.PLACEHOLDER),
        ('<a href="https://a.example/%recipient.id%">', LinkOutcome.PLACEHOLDER),
        ('<a href="https://">', LinkOutcome.UNPARSABLE),
        ('<a href="https://[::1">', LinkOutcome.UNPARSABLE),
        ('<a href="https://a.example:99999/">', LinkOutcome.UNPARSABLE),
        ('<a href="https://a\x7fb.example/">', LinkOutcome.UNPARSABLE),
        (f'<a href="https://a.example/{"x" * 5000}">', LinkOutcome.TOO_LONG),
        (f'<a href="{BASE}/anything">', LinkOutcome.ALREADY_OURS),
        (f'<a href="{BASE}:443/anything">', LinkOutcome.ALREADY_OURS),
        (f'<a href="https://{"é." * 300_000}example/">', LinkOutcome.UNPARSABLE),
        ('<a href="http://LINKS.acme.example/c/x">', LinkOutcome.ALREADY_OURS),
    ],
)
def test_what_is_not_sealed_stays_as_it_is_and_says_why(tag: str, expected: LinkOutcome) -> None:
    assert outcome(tag) == (expected, tag)


def test_a_sealed_link_is_not_sealed_again() -> None:
    once = instrument(html_mail('<a href="https://a.example/x">'), NO_PIXEL)
    elsewhere = Instrumenter(KEYRING, NO_PIXEL).instrument(
        once.message, base="https://go.other.example", customer=7, message_id=MESSAGE
    )
    assert elsewhere.links[0].outcome is LinkOutcome.ALREADY_OURS
    assert elsewhere.message is once.message


@pytest.mark.parametrize(
    ("tag", "after"),
    [
        ('<a clicktracking=off href="http://a.example">', '<a href="http://a.example">'),
        ('<a href="http://a.example" clicktracking="off">', '<a href="http://a.example">'),
        (
            "<a href='http://a.example' ClickTracking='OFF' id=x>",
            "<a href='http://a.example' id=x>",
        ),
        ("<a clicktracking = off\n href=http://a.example>", "<a\n href=http://a.example>"),
        ('<a href=http://a.b/p clicktracking="off"/>', "<a href=http://a.b/p />"),
        ('<a href=http://a.b/p clicktracking="off"title=y>', "<a href=http://a.b/p title=y>"),
        ('<a href="http://a.example" clicktracking=off/>', '<a href="http://a.example" />'),
        ("<a href=http://a.b/p ClickTracking = OFF/>", "<a href=http://a.b/p />"),
    ],
)
def test_an_opt_out_keeps_the_link_and_takes_the_attribute_away(tag: str, after: str) -> None:
    assert outcome(tag) == (LinkOutcome.OPT_OUT, after)


@pytest.mark.parametrize("value", ["on", "off//", "off/x", '"off/"', "'off/'", "on/"])
def test_clicktracking_that_is_not_off_is_nothing(value: str) -> None:
    result, html = outcome(f'<a href="http://a.example" clicktracking={value}>')
    assert result is LinkOutcome.SEALED
    assert f" clicktracking={value}>" in html


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<a clicktracking=off name=x>", "<a name=x>"),
        ("<a name=x clicktracking=off/>", "<a name=x />"),
        ('<AREA ALT="y" UNIVERSAL="true" ClickTracking="off">', '<AREA ALT="y">'),
        ("<a clicktracking=on name=x>", "<a clicktracking=on name=x>"),
        ("<p clicktracking=off>", "<p clicktracking=off>"),
        ("<a clicktracking=off><b><p>x</a><p></b>", "<a><b><p>x</a><p></b>"),
    ],
)
def test_a_tag_without_href_loses_what_was_said_to_us_alone(before: str, after: str) -> None:
    done = instrument(html_mail(before), NO_PIXEL)
    assert done.links == ()
    assert done.message == html_mail(after)


@pytest.mark.parametrize(
    "html",
    [
        '<!-- <a href="https://a.example/x"> -->',
        "<script>var x = '<a href=\"https://a.example/x\">';</script>",
        "<style>a { content: '<a href=\"https://a.example/x\">' }</style>",
        '<textarea><a href="https://a.example/x"></textarea>',
        '<title><a href="https://a.example/x"></title>',
        "<p title='<a href=\"https://a.example/x\">'>",
        '<link href="https://a.example/x"><img src="https://a.example/x">',
        '<form action="https://a.example/x">',
    ],
)
def test_what_only_looks_like_a_link_is_none(html: str) -> None:
    message = html_mail(html)
    done = instrument(message, NO_PIXEL)
    assert done.message is message
    assert done.links == ()


@pytest.mark.parametrize(
    ("comment", "urls"),
    [
        ('<!--[if mso]><a href="https://a.example/?a=1&amp;b">x</a><![endif]-->', "?a=1&b"),
        ("<!--[IF gte mso 9]><v:rect HREF = 'https://a.example/x' /><![endif]-->", "x"),
        ("<!--[if mso]><a href=https://a.example/x>x</a><![endif]-->", "x"),
        ("<!--[if mso]>İİİİİİ <a href=https://a.example/x>x</a><![endif]-->", "x"),
        ('<!--[if mso | IE]><a href="mailto:a@b.c"><link href="/x.css"><![endif]-->', None),
        ('<!--[if mso]><a data-href="https://a.example/x"><![endif]-->', None),
    ],
)
def test_links_that_only_outlook_shows_stay_and_are_on_record(
    comment: str, urls: str | None
) -> None:
    html = f'{comment}<!--[if !mso]><!--><a href="https://a.example/0">x</a><!--<![endif]-->'
    done = instrument(html_mail(html), NO_PIXEL)
    expected = [] if urls is None else [(None, f"https://a.example/{urls}", "conditional")]
    assert [(link.number, link.url, link.outcome) for link in done.links] == [
        (0, "https://a.example/0", "sealed"),
        *expected,
    ]
    assert comment in done.message.decode()


def test_links_in_downlevel_revealed_comments_and_misnested_markup_are_sealed_once() -> None:
    html = '<![if !mso]><a href="https://a.example/1"><b><p>x</a><p></b><![endif]>'
    done = instrument(html_mail(html + '<table><a href="https://a.example/2">'), NO_PIXEL)
    assert [link.url for link in done.links] == ["https://a.example/1", "https://a.example/2"]
    assert done.message.count(BASE.encode()) == 2


@pytest.mark.parametrize(
    ("html", "before", "after"),
    [
        ("<html><body><p>x</body></html>", "<p>x", "</body></html>"),
        ("<BODY>x</BODY>", "x", "</BODY>"),
        ("<p>x\n", "<p>x", "\n"),
        ("<html><p>x</html>\n", "<p>x", "</html>\n"),
        ("<body><!-- </body> --><p>x</body>", "<p>x", "</body>"),
        ("<body><style>/*</body>*/</style><p>x</body><!--</body>-->", "<p>x", "</body><!--"),
    ],
)
def test_the_pixel_stands_before_the_end_of_the_body(html: str, before: str, after: str) -> None:
    done = instrument(html_mail(html))
    start, pixel, end = done.message.decode().partition("<img ")
    assert pixel
    assert start.endswith(before)
    assert end.partition(">")[2].startswith(after)
    opened = open_url(KEYRING, end.split('"')[1])
    assert (opened.kind, opened.customer, opened.message) == (Kind.OPEN, 7, MESSAGE)
    assert done.pixel_part == "1"


def test_the_pixel_takes_the_place_of_its_tag_and_other_tags_go() -> None:
    options = MailOptions(pixel_tag="%open%")
    html = '<p>%open%</p><p>%open%</p><a href="https://a.example/%open%">x</a></body>'
    after = instrument(html_mail(html), options).message.decode()
    assert after.count("<img ") == 1
    assert "<p><img " in after
    assert "<p></p>" in after
    assert "%open%" not in after.partition("<a ")[0]


def test_a_tag_is_only_replaced_where_readers_see_it() -> None:
    options = MailOptions(pixel_tag="%open%", track_clicks=False)
    hidden = '<title>%open%</title><img alt="%open%"><!-- %open% --><style>%open%</style>'
    after = instrument(html_mail(f"{hidden}<p>%open%</p>"), options).message.decode()
    assert f"{hidden}<p><img src=" in after
    many = '<a href="https://a.example">%open%' * 20_000
    started = time.process_time()
    assert instrument(html_mail(many), options).pixel_part == "1"
    assert time.process_time() - started < 20


@pytest.mark.parametrize("end", ["<!--", "<script>", "<textarea>", "<plaintext>", '<img alt="'])
def test_a_pixel_that_would_not_be_loaded_is_not_placed(end: str) -> None:
    message = html_mail(f"<p>x</p>{end} y")
    done = instrument(message)
    assert done.message is message
    assert done.pixel_part is None


@pytest.mark.parametrize("encoding", ["8bit", "quoted-printable", "base64"])
@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1", "windows-1252"])
def test_every_encoding_and_charset_comes_back(encoding: str, charset: str) -> None:
    html = '<p>Grüße</p>\n<a href="https://a.example/ü">=20 é</a>\n' + "x" * 200 + "\n"
    message = html_mail(html, charset, encoding)
    done = instrument(message, NO_PIXEL)
    after = body_of(done.message)
    assert after.replace(_only_link(after), "https://a.example/ü") == html
    assert sealed_in(after) == "https://a.example/%C3%BC"
    assert done.message.partition(b"\n\n")[0] == message.partition(b"\n\n")[0]
    if encoding != "8bit":
        assert max(map(len, done.message.splitlines())) <= 76


def _only_link(html: str) -> str:
    return read_message(html_mail(html)).links[0]


@pytest.mark.parametrize("charset", ["iso-2022-jp", "shift_jis", "euc-kr", "gb2312", "utf-16"])
def test_charsets_that_are_not_ascii_come_back(charset: str) -> None:
    text = {"euc-kr": "안녕", "gb2312": "你好"}.get(charset, "日本語")
    html = f'<p>{text}</p><a href="https://a.example/x">{text}</a>'
    done = instrument(html_mail(html, charset, "base64"), NO_PIXEL)
    assert sealed_in(body_of(done.message)) == "https://a.example/x"
    assert body_of(done.message).count(text) == 2


def test_line_ends_of_every_kind_stay() -> None:
    for end in ("\r\n", "\n", "\r"):
        html = end.join(["<p>", '<a href="https://a.example/1">', "</a>", '<a href="http://b.c">'])
        after = instrument(html_mail(html), NO_PIXEL).message.partition(b"\n\n")[2].decode()
        assert [line[:3] for line in after.split(end)] == ["<p>", "<a ", "</a", "<a "]
    mixed = (
        'a\r\nb\nc\rd\r\n<a\r\nhref="https://a.example/1">\n\r\n<a href="https://a.example/2">\r'
    )
    after = instrument(html_mail(mixed), NO_PIXEL).message.partition(b"\n\n")[2].decode()
    urls = [part for part in after.split('"') if part.startswith(BASE)]
    assert [open_url(KEYRING, url).link for url in urls] == [0, 1]
    for number, url in enumerate(urls, 1):
        after = after.replace(url, f"https://a.example/{number}")
    assert after == mixed


@pytest.mark.parametrize("letter", letters(), ids=lambda letter: letter.name)
def test_newsletters_keep_every_byte_outside_their_html(letter: object) -> None:
    message: bytes = letter.message  # type: ignore[attr-defined]
    done = instrument(message)
    before = email.message_from_bytes(message, policy=email.policy.compat32)
    after = email.message_from_bytes(done.message, policy=email.policy.compat32)
    for old, new in zip(before.walk(), after.walk(), strict=True):
        assert old.items() == new.items()
        if not old.is_multipart() and old.get_content_type() != "text/html":
            assert old.get_payload() == new.get_payload()
        assert (old.preamble, old.epilogue) == (new.preamble, new.epilogue)
    links = read_message(done.message).links
    assert sum(link.startswith(f"{BASE}/c/") for link in links) == len(done.sealed)
    assert [open_url(KEYRING, link).link for link in links if link.startswith(BASE)] == list(
        done.sealed
    )


def decoded(body: bytes, encoding: str) -> str:
    if encoding == "base64":
        body = base64.b64decode(body)
    elif encoding == "quoted-printable":
        body = binascii.a2b_qp(body)
    return body.decode()


@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                ["<p>", "\r\n", "\n", "\r", "<!--", "-->", "<script>", "</script>", "</body>", "é"]
            ),
            st.sampled_from(['<a href="https://a.example/&amp;é">', "<a href=http://b.example>"]),
            st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20),
        ),
        max_size=30,
    ).map("".join),
    st.sampled_from(["binary", "base64", "quoted-printable"]),
)
@settings(max_examples=200, deadline=None)
def test_of_any_html_only_the_links_change(html: str, encoding: str) -> None:
    message = html_mail(html, "utf-8", encoding)
    assert instrument(message, OFF).message is message
    done = instrument(message, NO_PIXEL)
    raw = done.message.partition(b"\n\n")[2]
    original = message.partition(b"\n\n")[2]
    after, before = (decoded(body, encoding) for body in (raw, original))
    for link in done.links:
        if link.outcome is LinkOutcome.SEALED:
            at = after.index(BASE)
            token = after[at:].split('"')[0].split(">")[0]
            assert open_url(KEYRING, token).destination == link.url
            source = "https://a.example/&amp;é" if "a.example" in link.url else "http://b.example"
            after = after[:at] + source + after[at + len(token) :]
    assert after == before


@given(
    st.binary(max_size=400),
    st.sampled_from(
        [b"", b"Content-Type: multipart/mixed; boundary=b\n\n--b\n", b"Content-Type: text/html\n\n"]
    ),
)
def test_any_bytes_pass(data: bytes, start: bytes) -> None:
    assert instrument(start + data, OFF).message == start + data
    assert isinstance(instrument(start + data).message, bytes)


def test_more_links_than_the_limit_stay() -> None:
    html = "".join(f'<a href="https://a.example/{number}">' for number in range(5))
    done = instrument(html_mail(html), MailOptions(track_opens=False, max_links=3))
    assert [link.outcome for link in done.links].count(LinkOutcome.OVER_LIMIT) == 2
    assert b'<a href="https://a.example/4">' in done.message


def test_clicks_off_leaves_links_and_opens_off_adds_no_pixel() -> None:
    message = html_mail('<a href="https://a.example/1">')
    done = instrument(message, MailOptions(track_clicks=False))
    assert [link.outcome for link in done.links] == [LinkOutcome.OFF]
    assert done.message.count(b"<img ") == 1
    assert b'<a href="https://a.example/1">' in done.message
    assert instrument(message, NO_PIXEL).pixel_part is None


def test_long_lines_are_broken_between_attributes_not_beyond_what_mail_takes() -> None:
    link = '<a class="x" href="https://a.example/1">y</a>'
    done = instrument(html_mail(link * 20))
    assert len(done.sealed) == 20
    assert max(map(len, done.message.splitlines())) <= 998
    assert b'class="x"\nhref="' in done.message
    glued = '<a class="x"href="https://a.example/1">' * 24
    assert instrument(html_mail(glued)).parts[0].reason is Reason.LINE_TOO_LONG


@pytest.mark.parametrize("encoding", ["8bit", "quoted-printable", "base64"])
def test_a_text_of_one_line_is_broken_with_the_messages_line_ends(encoding: str) -> None:
    one_line = '<a id="x" href="https://a.example/1">' * 24
    message = html_mail(one_line, encoding=encoding).replace(b"\n", b"\r\n")
    done = instrument(message)
    assert done.message.count(b"\n") == done.message.count(b"\r\n")
    assert max(map(len, done.message.splitlines())) <= 998


def qp_mail(body: bytes) -> bytes:
    return (
        b"From: a@acme.example\r\nContent-Type: text/html; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + body
    )


def test_quoted_printable_padding_and_escaped_line_ends_are_read_as_meant() -> None:
    padded = qp_mail(b'<a href=3D"https://a.example/ab= \r\ncd">x</a>\r\n')
    assert instrument(padded).links[0].url == "https://a.example/abcd"
    escaped = qp_mail(b'<p>=0A<a href=3D"https://a.example/">q</a></p>=0D=0A' + b"x=\r\n" * 50)
    done = instrument(escaped)
    assert done.message.count(b"\n") == done.message.count(b"\r\n")
    body = binascii.a2b_qp(done.message.partition(b"\r\n\r\n")[2])
    assert body.startswith(b'<p>\n<a href="https://go.')
    assert b"q</a></p>\r\nxxx" in body
