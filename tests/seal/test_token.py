"""The token: what goes in comes out, and nothing else opens."""

from __future__ import annotations

import json
import string
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkseal.errors import LinksealError, SealError, TokenError
from linkseal.seal import (
    KEY_BYTES,
    MAX_DESTINATION,
    MAX_TOKEN,
    Keyring,
    Kind,
    MessageID,
    Sealed,
    open_path,
    open_url,
    sealed_url,
)

KEY = bytes(range(KEY_BYTES))
KEYRING = Keyring({1: KEY}, 1)
MESSAGE = MessageID.make(datetime(2026, 11, 24, 8, 0, tzinfo=UTC), b"\x01" * 8)
GOLDEN = json.loads((Path(__file__).parent / "golden_v1.json").read_text())
ALPHABET = string.ascii_letters + string.digits + "-_"

visible = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=300)
contents = st.builds(
    Sealed,
    kind=st.just(Kind.CLICK),
    customer=st.integers(0, 2**63 - 1),
    message=st.binary(min_size=12, max_size=12).map(MessageID),
    link=st.integers(0, 2**63 - 1),
    destination=st.builds(str.__add__, st.sampled_from(["http://", "https://"]), visible),
)


def click(destination: str, **changes: Any) -> Sealed:
    return Sealed(
        **{
            "kind": Kind.CLICK,
            "customer": 7,
            "message": MESSAGE,
            "link": 3,
            "destination": destination,
            **changes,
        }
    )


@given(contents)
def test_opening_gives_back_what_was_sealed(sealed: Sealed) -> None:
    assert KEYRING.open(KEYRING.seal(sealed)) == sealed


@given(contents)
def test_a_token_is_short_enough_and_safe_in_a_path(sealed: Sealed) -> None:
    token = KEYRING.seal(sealed)
    assert set(token) <= set(ALPHABET)
    assert len(token) <= MAX_TOKEN


@given(contents, st.data())
def test_any_changed_character_is_refused_with_the_one_error(
    sealed: Sealed, data: st.DataObject
) -> None:
    token = KEYRING.seal(sealed)
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(max_codepoint=0x2FF).filter(lambda char: char != token[at]))
    with pytest.raises(TokenError):
        KEYRING.open(token[:at] + other + token[at + 1 :])


@given(contents, st.data())
def test_any_cut_or_longer_token_is_refused(sealed: Sealed, data: st.DataObject) -> None:
    token = KEYRING.seal(sealed)
    start = data.draw(st.integers(0, len(token)))
    end = data.draw(st.integers(start, len(token)))
    if (start, end) != (0, len(token)):
        with pytest.raises(TokenError):
            KEYRING.open(token[start:end])
    with pytest.raises(TokenError):
        KEYRING.open(token + data.draw(st.text(ALPHABET, min_size=1, max_size=8)))


@given(st.one_of(st.text(max_size=200), st.text(ALPHABET, max_size=200)))
def test_any_text_that_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(TokenError):
        KEYRING.open(text)


def test_every_bit_of_a_token_counts() -> None:
    """Also the spare bits of the last base64 character: one link has one spelling."""
    token = KEYRING.seal(click("https://a.example/"))
    for at, char in enumerate(token):
        for other in ALPHABET:
            if other != char:
                with pytest.raises(TokenError):
                    KEYRING.open(token[:at] + other + token[at + 1 :])


def test_a_token_of_another_keyring_is_refused() -> None:
    token = Keyring({1: bytes(KEY_BYTES)}, 1).seal(click("https://a.example/"))
    with pytest.raises(TokenError):
        KEYRING.open(token)


def test_rotation_seals_with_the_new_key_and_opens_with_both() -> None:
    old = KEYRING.seal(click("https://a.example/"))
    rotated = KEYRING.rotated(bytes(KEY_BYTES))
    new = rotated.seal(click("https://a.example/"))
    assert rotated.active == 2
    assert new != old
    assert rotated.open(old) == rotated.open(new)
    with pytest.raises(TokenError):
        KEYRING.open(new)


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: str(case["name"]))
def test_golden_tokens_of_version_1_open_for_ever(case: dict[str, Any]) -> None:
    """A change that breaks one of these kills every link already sent."""
    sealed = Sealed(
        Kind[case["kind"].upper()],
        case["customer"],
        MessageID.parse(case["message"]),
        case["link"],
        case["destination"],
    )
    assert KEYRING.open(case["token"]) == sealed
    assert sealed.issued_at == datetime.fromisoformat(case["issued_at"])


@pytest.mark.parametrize(
    ("destination", "code"),
    [
        ("javascript:alert(1)", "seal-scheme"),
        ("//a.example/", "seal-scheme"),
        ("ftp://a.example/", "seal-scheme"),
        ("https://a.example/\r\nSet-Cookie: x=1", "seal-characters"),
        ("https://a.example/ b", "seal-characters"),
        ("https://a.example/é", "seal-characters"),
        ("https://a.example/" + "x" * MAX_DESTINATION, "seal-too-long"),
    ],
)
def test_what_must_not_be_redirected_to_cannot_be_sealed(destination: str, code: str) -> None:
    with pytest.raises(SealError) as refusal:
        KEYRING.seal(click(destination))
    assert refusal.value.code == code


def test_numbers_below_zero_cannot_be_sealed() -> None:
    with pytest.raises(SealError):
        KEYRING.seal(click("https://a.example/", customer=-1))


def test_an_open_carries_no_destination() -> None:
    opened = Sealed(Kind.OPEN, 7, MESSAGE, 0, "")
    assert KEYRING.open(KEYRING.seal(opened)) == opened
    with pytest.raises(SealError):
        KEYRING.seal(Sealed(Kind.OPEN, 7, MESSAGE, 0, "https://a.example/"))


def test_the_longest_destination_fits_the_longest_token() -> None:
    hard_to_pack = "https://a.example/" + "".join(
        chr(0x21 + (i * i * 7919 + i * 104729) % 94) for i in range(MAX_DESTINATION - 18)
    )
    token = KEYRING.seal(click(hard_to_pack))
    assert KEYRING.open(token).destination == hard_to_pack
    assert len(token) <= MAX_TOKEN


def test_urls_name_the_kind_in_the_path() -> None:
    sealed = click("https://a.example/")
    url = sealed_url("https://go.ct.example.net", KEYRING, sealed)
    assert url == f"https://go.ct.example.net/c/{KEYRING.seal(sealed)}"
    assert open_url(KEYRING, url) == sealed
    assert open_url(KEYRING, f" {KEYRING.seal(sealed)}\n") == sealed


def test_a_clicks_token_is_refused_under_an_opens_path() -> None:
    token = KEYRING.seal(click("https://a.example/"))
    with pytest.raises(TokenError):
        open_path(KEYRING, f"/o/{token}")
    with pytest.raises(TokenError):
        open_path(KEYRING, f"/x/{token}")


@pytest.mark.parametrize("text", ["", "https://[", "https://a.example/", "/c/", "\x00", "é/c/x"])
def test_an_operators_paste_that_is_no_link_is_refused(text: str) -> None:
    with pytest.raises(TokenError):
        open_url(KEYRING, text)


def test_keys_are_checked_and_never_shown() -> None:
    for keys, active in (({1: b"short"}, 1), ({0: KEY}, 0), ({70000: KEY}, 70000), ({1: KEY}, 2)):
        with pytest.raises(SealError):
            Keyring(keys, active)
    assert repr(KEYRING) == "Keyring(keys=[1], active=1)"


@given(st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)), st.binary(min_size=8, max_size=8))
def test_a_message_id_says_when_and_reads_back(at: datetime, entropy: bytes) -> None:
    aware = at.replace(tzinfo=UTC)
    message = MessageID.make(aware, entropy)
    assert message.issued_at == aware.replace(microsecond=0)
    assert MessageID.parse(str(message)) == message
    assert len(str(message)) == 20


@pytest.mark.parametrize("text", ["", "a" * 19, "w" * 20, "0" * 19 + "1", "é" * 20])
def test_what_is_no_message_id_is_refused(text: str) -> None:
    with pytest.raises(LinksealError) as refusal:
        MessageID.parse(text)
    assert refusal.value.code == "message-id-invalid"
