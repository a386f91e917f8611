"""Links that apps may open: `universal="true"` goes, the path says it, nothing else changes."""

from __future__ import annotations

import base64
import binascii
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkseal.mail import LinkOutcome, LinkRecord, MailOptions
from linkseal.seal import Kind, Sealed, open_url, sealed_url
from support.mail import BASE, KEYRING, MESSAGE, NO_PIXEL, html_mail, instrument

URL = "https://a.example/x"
SEALED = sealed_url(BASE, KEYRING, Sealed(Kind.CLICK, 7, MESSAGE, 0, URL), universal=True)
TOKEN = re.compile(rf"{re.escape(BASE)}(/uni)?/c/[A-Za-z0-9_-]+")


def after(html: str, options: MailOptions = NO_PIXEL) -> str:
    return instrument(html_mail(html), options).message.partition(b"\n\n")[2].decode()


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (f'<a universal="true" href="{URL}">', f'<a href="{SEALED}">'),
        (f"<a universal='true' href='{URL}'>", f"<a href='{SEALED}'>"),
        (f"<a href={URL} universal=true>", f"<a href={SEALED}>"),
        (
            f'<A CLASS="b" UNIVERSAL = "True" HREF="{URL}" id=x>',
            f'<A CLASS="b" HREF="{SEALED}" id=x>',
        ),
        (f'<a href="{URL}"\r\n universal="true"\r\n id=x>', f'<a href="{SEALED}"\r\n\r\n id=x>'),
        (f'<a href={URL} universal="true"/>', f"<a href={SEALED} />"),
        (f'<a href="{URL}" universal=true/>', f'<a href="{SEALED}" />'),
        (f"<a href={URL} universal=TRUE/>", f"<a href={SEALED} />"),
        (f'<a href={URL} universal="true"title=y>', f"<a href={SEALED} title=y>"),
        (f'<a id="x"universal="true"href="{URL}">', f'<a id="x"href="{SEALED}">'),
        (f'<area universal="true" href="{URL}">', f'<area href="{SEALED}">'),
    ],
)
def test_a_universal_link_gets_the_path_and_loses_the_attribute(before: str, expected: str) -> None:
    assert after(before) == expected
    assert SEALED.startswith(f"{BASE}/uni/c/")
    assert open_url(KEYRING, SEALED).destination == URL


def test_it_is_on_record() -> None:
    first, second = instrument(
        html_mail(f'<a href="{URL}" universal="true">x</a><a href="{URL}">y</a>'), NO_PIXEL
    ).links
    assert first == LinkRecord("1", 0, URL, LinkOutcome.SEALED, universal=True)
    assert second == LinkRecord("1", 1, URL, LinkOutcome.SEALED, universal=False)


@pytest.mark.parametrize("value", ["false", "", "yes", "truest"])
def test_what_is_not_true_is_nothing(value: str) -> None:
    html = after(f'<a universal="{value}" href="{URL}">')
    assert html.startswith(f'<a universal="{value}" href="{BASE}/c/')


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (
            f'<a universal="true" clicktracking=off href="{URL}">',
            f'<a href="{URL}">',
        ),
        ('<a href="mailto:a@acme.example" universal="true">', '<a href="mailto:a@acme.example">'),
        ('<a universal="true" href="{{url}}">', '<a href="{{url}}">'),
    ],
)
def test_a_link_that_stays_loses_the_attribute_too(before: str, expected: str) -> None:
    assert after(before) == expected
    assert instrument(html_mail(before), NO_PIXEL).sealed == {}


def test_sealed_once_it_is_left_alone_the_second_time() -> None:
    once = instrument(html_mail(f'<a href="{URL}" universal="true">'), NO_PIXEL)
    elsewhere = once.message.replace(BASE.encode(), b"https://else.example")
    for message in (once.message, elsewhere):
        done = instrument(message, NO_PIXEL)
        assert done.message is message
        assert [link.outcome for link in done.links] == [LinkOutcome.ALREADY_OURS]


def test_long_lines_are_broken_beside_an_attribute_that_goes() -> None:
    one = f'<a id="x" universal="true" href="{URL}">y</a>'
    done = instrument(html_mail(one * 16))
    assert len(done.sealed) == 16
    assert max(map(len, done.message.splitlines())) <= 998
    assert b"universal" not in done.message


SPACE = st.sampled_from([" ", "\n", "\t", "  "])
MARK = st.sampled_from(['universal="true"', "universal=TRUE", "universal='true'", "", "id=u"])


@given(
    st.lists(st.tuples(SPACE, MARK, SPACE, MARK, st.booleans()), min_size=1, max_size=5),
    st.sampled_from(["8bit", "base64", "quoted-printable"]),
)
def test_in_any_tag_only_the_link_and_the_attribute_change(
    tags: list[tuple[str, str, str, str, bool]], encoding: str
) -> None:
    html = before = ""
    for one, mark, two, other, last in tags:
        universal = "universal" in (mark + other).lower()
        words = [one + mark, two + other]
        words.insert(2 if last else 0, f'{one}href="{URL}"')
        html += f"<a{''.join(words)} >é</a>\n"
        if universal:
            first = next(each for each in (mark, other) if "universal" in each.lower())
            at = next(number for number, word in enumerate(words) if word.endswith(first))
            words[at] = words[at].removesuffix(first)[:-1]
        before += f"<a{''.join(words)} >é</a>\n"
    message = html_mail(html, "utf-8", encoding)
    done = instrument(message, NO_PIXEL)
    assert len(done.links) == len(tags)
    got = decoded(done.message.partition(b"\n\n")[2], encoding)
    paths = [match.group(1) == "/uni" for match in TOKEN.finditer(got)]
    assert paths == [link.universal for link in done.links]
    assert paths == ["universal" in (mark + other).lower() for _, mark, _, other, _ in tags]
    assert TOKEN.sub(URL, got) == before


def decoded(body: bytes, encoding: str) -> str:
    if encoding == "base64":
        body = base64.b64decode(body)
    elif encoding == "quoted-printable":
        body = binascii.a2b_qp(body)
    return body.decode()
