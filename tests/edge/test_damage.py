"""Links that were damaged on their way open as long as their token is whole."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkseal.edge.damage import open_damaged
from linkseal.errors import TokenError
from linkseal.seal import KEY_BYTES, Keyring, Kind, Sealed, open_path, sealed_url
from support.edge import MESSAGE, Edge

KEYRING = Keyring({1: bytes(range(KEY_BYTES))}, 1)
DESTINATION = "https://shop.example/sale?id=7"
# Its token has hyphens and underscores.
SEALED = Sealed(Kind.CLICK, 1, MESSAGE, 5, DESTINATION)
PATH = sealed_url("", KEYRING, SEALED)
UNIVERSAL = sealed_url("", KEYRING, SEALED, universal=True)
PIXEL = sealed_url("", KEYRING, Sealed(Kind.OPEN, 1, MESSAGE, 0, ""))
ALPHABET = string.ascii_letters + string.digits + "-_"


def escaped(text: str) -> str:
    return "".join(f"%{ord(char):02X}" for char in text)


def damaged(path: str, damage: str) -> str:
    """Return a path with `damage` in the middle of its token."""
    middle = len(path) // 2
    return path[:middle] + damage + path[middle:]


EQUAL = {
    "all of it": "/" + escaped("c") + "/" + escaped(PATH[3:]),
    "all of it, lower case": "/%63/" + escaped(PATH[3:]).lower(),
    "the kind": PATH.replace("/c/", "/%63/"),
    "one letter": PATH[:9] + escaped(PATH[9]) + PATH[10:],
    "hyphens": PATH.replace("-", "%2D"),
    "hyphens, lower case": PATH.replace("-", "%2d"),
    "underscores": PATH.replace("_", "%5F"),
    "of an app": UNIVERSAL.replace("uni", "%75ni").replace("_", "%5f"),
}
"""RFC 3986 §6.2.2.1 and §6.2.2.2: the same URLs as before."""

FOLLOWED = {
    "a full stop": PATH + ".",
    "a bracket": PATH + ")",
    "an angle bracket": PATH + ">",
    "an angle bracket, escaped": PATH + "%3E",
    "quotation marks": PATH + "%22",
    "a guillemet": PATH + "%C2%BB",
    "a slash": PATH + "/",
    "the end of a sentence": PATH + ").,",
    "a parameter without a query": PATH + "&utm_source=news",
    "a parameter, escaped for HTML": PATH + "&amp;utm_source=news",
    "a query, escaped": PATH + "%3Futm_source=news",
    "a session": PATH + ";jsessionid=1",
}
"""What stands behind the token is none of it."""

BROKEN = {
    "a soft break that lost its line end": damaged(PATH, "="),
    "a soft break": damaged(PATH, "=%0D%0A"),
    "a line end": damaged(PATH, "%0a"),
    "a line end and an indent": damaged(PATH, "%0D%0A%20%09"),
    "a soft break at the end": PATH + "=",
}
"""RFC 2045 §6.7 rule 5: no token holds what was put into it."""

LOST = {
    "encoded twice": PATH[:9] + "%25" + escaped(PATH[9])[1:] + PATH[10:],
    "its slash encoded": "/c%2F" + PATH[3:],
    "no escape": damaged(PATH, "%"),
    "half an escape": damaged(PATH, "%2"),
    "no hexadecimal": damaged(PATH, "%2G"),
    "cut": PATH[:-1],
    "cut, escaped": escaped(PATH[:-1]).replace("%2F", "/"),
    "a letter too many": PATH + "a",
    "an underscore behind": PATH + "_",
    "a letter too many, escaped": PATH + "%61",
    "other letters": PATH.swapcase(),
    "something within": damaged(PATH, "."),
    "cut by something within": damaged(PATH, "%3E"),
    "escaped for quoted-printable": PATH + "=3D",
    "with words behind": PATH + "%20here",
    "of another kind": "/%6F/" + PATH[3:],
    "no token": "/%63/",
    "another path": "/%64/" + PATH[3:],
    "in front of it": "/x" + PATH,
}
"""Where something is missing, or was put in that a token may hold, nothing is guessed."""


@pytest.mark.parametrize("path", [*EQUAL.values(), *FOLLOWED.values(), *BROKEN.values()],
                         ids=[*EQUAL, *FOLLOWED, *BROKEN])  # fmt: skip
def test_a_whole_token_opens(path: str) -> None:
    assert open_damaged(KEYRING, path) == SEALED


@pytest.mark.parametrize("path", LOST.values(), ids=LOST)
def test_what_is_not_whole_does_not(path: str) -> None:
    assert open_damaged(KEYRING, path) is None


def test_a_pixel_opens_too() -> None:
    sealed = open_damaged(KEYRING, PIXEL.replace("/o/", "/%6f/") + "%20")
    assert sealed is not None
    assert sealed.kind is Kind.OPEN


@given(st.lists(st.sampled_from(["plain", "upper", "lower"]), min_size=len(PATH)))
def test_any_characters_may_be_escaped(how: list[str]) -> None:
    path = "".join(
        {"plain": char, "upper": escaped(char), "lower": escaped(char).lower()}[each]
        if char != "/"
        else char
        for char, each in zip(PATH, how, strict=False)
    )
    if path == PATH:
        assert open_path(KEYRING, path) == SEALED
    else:
        assert open_damaged(KEYRING, path) == SEALED


@given(
    st.integers(0, len(PATH)),
    st.integers(0, 4),
    st.text(st.sampled_from(ALPHABET + "%=./?&;>)<é\x00 +~"), max_size=12),
)
def test_whatever_happens_there_is_one_destination_or_none(at: int, cut: int, text: str) -> None:
    path = PATH[:at] + text + PATH[at + cut :]
    sealed = open_damaged(KEYRING, path)
    assert sealed in {None, SEALED}
    if sealed is None and not cut and at == len(PATH) and text[:1] not in {*ALPHABET, *"%=", ""}:
        raise AssertionError("what stands behind a token is none of it")


@given(st.text(st.characters(max_codepoint=255), max_size=200))
def test_anything_else_is_nothing(path: str) -> None:
    for each in (path, "/" + path, "/c/" + path):
        assert open_damaged(KEYRING, each) is None
        with pytest.raises(TokenError):
            open_path(KEYRING, each)


def test_the_edge_redirects_as_for_the_link_that_was_sent(edge: Edge) -> None:
    path = edge.token_path(link=3)
    token = path[3:]
    for each in (
        "/%63/" + escaped(token),
        path + ">",
        path + "%3E?utm_source=x",
        damaged(path, "="),
        path + "&amp;utm_source=news",
    ):
        reply = edge.get(each)
        assert (reply.status, reply.headers["location"]) == (302, "https://a.example/3"), each
    assert [(hit.link, hit.destination) for hit in edge.hits()] == [(3, "https://a.example/3")] * 5


@pytest.mark.parametrize(
    "query", ["?utm_source=x&amp;utm_medium=y", "?fbclid=%ZZ", "?", "??/c/x", "?a=b)."]
)
def test_an_appended_query_is_dropped(edge: Edge, query: str) -> None:
    """The destination is as it was sealed: what others append is not handed on to it."""
    reply = edge.get(edge.token_path(link=3) + query)
    assert (reply.status, reply.headers["location"]) == (302, "https://a.example/3")


def test_a_damaged_link_of_another_customer_is_none(edge: Edge) -> None:
    path = "/%63/" + edge.token_path(customer=1)[3:] + "."
    assert edge.get(path, "links.acme.example").status == 302
    assert edge.get(path, "links.other.example").status == 404
    assert len(edge.hits()) == 1


def test_what_cannot_be_mended_is_a_page_for_people(edge: Edge) -> None:
    path = edge.token_path()
    for each in (path[:-1], path + "a", damaged(path, "."), path.replace("/c/", "/c%2F")):
        assert edge.get(each).status == 404
    assert edge.hits() == []
