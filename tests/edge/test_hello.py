"""The name in a TLS hello, peeked at."""

from __future__ import annotations

import contextlib
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkseal.edge.hello import UnreadableHelloError, bytes_needed, server_name


def hello(name: str | None, minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2) -> bytes:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.minimum_version = minimum
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    connection = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        connection.do_handshake()
    return outgoing.read()


def test_the_name_is_read_from_real_hellos() -> None:
    assert server_name(hello("go.ct.example.net")) == "go.ct.example.net"
    assert server_name(hello("x.example", ssl.TLSVersion.TLSv1_3)) == "x.example"
    assert server_name(hello("x.example") + b"more") == "x.example"


def test_a_hello_without_a_name_has_none() -> None:
    assert server_name(hello(None)) is None


def test_a_cut_hello_is_never_taken_for_one_without_a_name() -> None:
    whole = hello("go.ct.example.net")
    for length in range(len(whole)):
        with pytest.raises(UnreadableHelloError):
            server_name(whole[:length])


@given(st.binary(max_size=400), st.sampled_from([0, 5, 43, 44]))
def test_any_bytes_are_read_or_refused(data: bytes, kept: int) -> None:
    try:
        name = server_name(hello("a.example")[:kept] + data)
    except UnreadableHelloError:
        return
    assert name is None or name.isascii()


@given(st.integers(0, 500), st.integers(0, 255))
def test_a_changed_byte_gives_a_name_none_or_the_error(at: int, value: int) -> None:
    data = bytearray(hello("go.ct.example.net"))
    data[at % len(data)] = value
    try:
        name = server_name(bytes(data))
    except UnreadableHelloError:
        return
    assert name is None or len(name) == len("go.ct.example.net")


@pytest.mark.parametrize(
    ("hello", "needed"),
    [
        (b"", 0),
        (b"\x16\x03", 2),
        (b"\x16\x03\x01\x02\x00", 517),
        (b"\x16\x03\x01\x02\x00" + bytes(100), 517),
        (b"GET / HTTP/1.1", 14),
    ],
)
def test_the_first_bytes_say_how_many_there_will_be(hello: bytes, needed: int) -> None:
    assert bytes_needed(hello) == needed
