"""Nonces of probes, and the signature under echoes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkseal.domains.echo import field_text, find_echo, open_echo, sign_echo
from linkseal.domains.observation import Echo
from linkseal.errors import TokenError
from linkseal.seal.nonce import MAX_LIFE, MAX_USES, Nonce, make_nonce, open_nonce, sign, verify

KEY, OTHER = b"k" * 32, b"o" * 32
NOW = 1_790_000_000
ENTROPY = bytes(range(16))
HOST = "links.acme.example"
TEXT = make_nonce(HOST, expires_at=NOW + 60, entropy=ENTROPY, key=KEY, uses=2)
ECHO = Echo(
    serial=1,
    node="0-abcd",
    method="GET",
    target=f"/.well-known/ct-probe/{TEXT}/echo?a=\xfc",
    host=HOST,
    header_names=("host",),
    forwarded={"via": "1.1 a"},
    user_agent="",
    accept_language="",
    tls_version="TLSv1.3",
    sni=HOST,
    peer="192.0.2.1",
    client="192.0.2.1",
)


def test_a_nonce_opens_to_what_it_was_made_of() -> None:
    assert open_nonce(TEXT, now=NOW, key=KEY) == Nonce(HOST, NOW + 60, 2, "AAECAwQFBgcICQoLDA0ODw")
    assert TEXT.startswith(f"v1.{HOST}.{NOW + 60}.2.AAECAwQFBgcICQoLDA0ODw.")


labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)


@given(
    st.lists(labels, min_size=1, max_size=8).map(".".join),
    st.integers(1, MAX_LIFE),
    st.binary(min_size=16, max_size=16),
    st.integers(1, MAX_USES),
)
def test_any_nonce_opens_and_needs_no_encoding(
    host: str, seconds: int, entropy: bytes, uses: int
) -> None:
    text = make_nonce(host, expires_at=NOW + seconds, entropy=entropy, key=KEY, uses=uses)
    nonce = open_nonce(text, now=NOW, key=KEY)
    assert (nonce.host, nonce.expires_at, nonce.uses) == (host, NOW + seconds, uses)
    assert not set(text) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._")


@given(st.integers(0, len(TEXT) - 1), st.characters(min_codepoint=1, max_codepoint=255))
def test_a_changed_character_opens_nothing(at: int, character: str) -> None:
    changed = TEXT[:at] + character + TEXT[at + 1 :]
    if changed != TEXT:
        with pytest.raises(TokenError):
            open_nonce(changed, now=NOW, key=KEY)


@given(st.text())
def test_what_is_none_is_refused_in_one_way(text: str) -> None:
    with pytest.raises(TokenError):
        open_nonce(text, now=NOW, key=KEY)


@pytest.mark.parametrize("now", [NOW + 60, NOW + 61, NOW + 60 - MAX_LIFE - 1])
def test_it_is_good_until_it_expires_and_not_made_for_later(now: int) -> None:
    with pytest.raises(TokenError):
        open_nonce(TEXT, now=now, key=KEY)
    assert open_nonce(TEXT, now=NOW + 59.9, key=KEY).uses == 2


def test_another_key_opens_nothing() -> None:
    with pytest.raises(TokenError):
        open_nonce(TEXT, now=NOW, key=OTHER)


@pytest.mark.parametrize(
    "wrong",
    [
        {"host": "Links.acme.example"},
        {"host": "links.acme.example/../x"},
        {"host": ""},
        {"host": "a" * 254},
        {"entropy": b"short"},
        {"uses": 0},
        {"uses": MAX_USES + 1},
        {"expires_at": -1},
        {"key": b""},
    ],
)
def test_what_no_nonce_is_made_of(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        make_nonce(**{"host": HOST, "expires_at": NOW, "entropy": ENTROPY, "key": KEY, **wrong})  # type: ignore[arg-type]


def test_no_key_opens_or_signs_nothing() -> None:
    for call in (
        lambda: open_nonce(TEXT, now=NOW, key=b""),
        lambda: sign(b"data", b""),
        lambda: verify(b"data", "", b""),
    ):
        with pytest.raises(ValueError):
            call()


def test_an_echo_is_opened_only_as_it_was_signed() -> None:
    data, signature = sign_echo(ECHO, KEY)
    assert open_echo(data, signature, KEY) == ECHO
    for wrong_data, wrong_signature, key in (
        (data + b" ", signature, KEY),
        (data.replace(HOST.encode(), b"links.evil.example"), signature, KEY),
        (data, signature[:-4], KEY),
        (data, "", KEY),
        (data, "\xfc", KEY),
        (data, signature, OTHER),
        (data, sign(data, OTHER), KEY),
        (b"{}", sign(b"{}", KEY), KEY),
    ):
        with pytest.raises(TokenError):
            open_echo(wrong_data, wrong_signature, key)


def test_an_echo_is_found_in_the_body_or_in_the_field() -> None:
    data, signature = sign_echo(ECHO, KEY)
    signed = {"linkseal-signature": signature}
    in_field = {**signed, "linkseal-echo": field_text(data)}
    assert find_echo(signed, data, nonce=TEXT, key=KEY) == ECHO
    assert find_echo(in_field, b"GIF89a", nonce=TEXT, key=KEY) == ECHO
    other = make_nonce(HOST, expires_at=NOW + 60, entropy=b"x" * 16, key=KEY)
    assert find_echo(signed, data, nonce=other, key=KEY) is None
    assert find_echo({}, data, nonce=TEXT, key=KEY) is None
    assert find_echo(signed, b"<html>", nonce=TEXT, key=KEY) is None
    assert find_echo({**signed, "linkseal-echo": "\xfc"}, data, nonce=TEXT, key=KEY) is None
