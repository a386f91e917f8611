"""The name in a TLS hello, peeked at."""

from __future__ import annotations

import contextlib
import ssl

from hypothesis import given
from hypothesis import strategies as st

from linkseal.edge.hello import server_name


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


def test_a_hello_without_a_name_has_none() -> None:
    assert server_name(hello(None)) is None


@given(st.integers(0, 600))
def test_a_cut_hello_has_its_name_or_none(length: int) -> None:
    assert server_name(hello("go.ct.example.net")[:length]) in {None, "go.ct.example.net"}


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_left(data: bytes) -> None:
    for start in (b"", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32)):
        name = server_name(start + data)
        assert name is None or name.isascii()
