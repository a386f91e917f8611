"""Requests and connections that mean no good, or were cut: a clear refusal, and on it goes."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable

import pytest

from support.edge import SHARED, Edge, is_closed, read_reply, request

MakeEdge = Callable[..., Edge]


def smuggled(edge: Edge, *lines: str, rest: str = "") -> bytes:
    head = [f"GET {edge.token_path()} HTTP/1.1", f"Host: {SHARED}", *lines]
    return ("\r\n".join(head) + "\r\n\r\n" + rest).encode("latin-1")


SHAPES: dict[str, tuple[tuple[str, ...], str]] = {
    "two lengths": (("Content-Length: 5", "Content-Length: 6"), "hello"),
    "two equal lengths": (("Content-Length: 5", "Content-Length: 5"), "hello"),
    "a list of lengths": (("Content-Length: 5, 5",), "hello"),
    "length and chunked": (("Content-Length: 5", "Transfer-Encoding: chunked"), "0\r\n\r\n"),
    "chunked": (("Transfer-Encoding: chunked",), "0\r\n\r\n"),
    "bad chunk": (("Transfer-Encoding: chunked",), "zz\r\n"),
    "odd encoding": (("Transfer-Encoding: xchunked",), ""),
    "encoding by tab": (("Transfer-Encoding:\tchunked",), "0\r\n\r\n"),
    "a body": (("Content-Length: 5",), "hello"),
    "negative length": (("Content-Length: -1",), ""),
    "plus length": (("Content-Length: +5",), "hello"),
    "obs-fold": (("X-One: a", " b"), ""),
    "obs-fold host": (("X-One: a", "\tHost: www.example.net"), ""),
    "space before colon": (("X-One : a",), ""),
    "space before host's colon": (("Host : www.example.net",), ""),
    "a name with a space": (("X One: a",), ""),
    "no name": ((": a",), ""),
    "nul in a value": (("X-One: a\x00b",), ""),
    "bare cr in a value": (("X-One: a\rb",), ""),
    "two hosts": (("Host: www.example.net",), ""),
    "two equal hosts": ((f"Host: {SHARED}",), ""),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_smuggling_shapes_are_refused_and_nothing_after_them_is_read(
    edge: Edge, shape: str
) -> None:
    lines, rest = SHAPES[shape]
    connection = edge.connect()
    connection.sendall(smuggled(edge, *lines, rest=rest) + request(edge.token_path(link=9)))
    assert read_reply(connection).status == 400
    assert is_closed(connection)
    assert edge.hits() == []


@pytest.mark.parametrize(
    "text",
    [
        "GET {path} HTTP/1.1\nHost: {host}\n\n",
        "GET {path} HTTP/1.1\r\nHost: {host}\nX: y\r\n\r\n",
        "GET {path} HTTP/1.1\r\nHost: {host}\r\n\nGET / HTTP/1.1\r\n\r\n",
    ],
    ids=["all", "one", "the last"],
)
def test_bare_line_feeds_are_refused(edge: Edge, text: str) -> None:
    connection = edge.connect()
    connection.sendall(text.format(path=edge.token_path(), host=SHARED).encode())
    assert read_reply(connection).status == 400
    assert is_closed(connection)
    assert edge.hits() == []


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x00\x01\x02\x03\r\n\r\n", 400),
        (b"GET\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n", 405),
        (b"get / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ],
)
def test_what_is_no_request_is_refused(edge: Edge, data: bytes, status: int) -> None:
    connection = edge.connect()
    connection.sendall(data)
    assert read_reply(connection).status in {status, 505}
    assert is_closed(connection)


def test_an_upgrade_is_answered_as_http_and_closed(edge: Edge) -> None:
    connection = edge.connect()
    upgrade = request(edge.token_path(), Connection="Upgrade", Upgrade="h2c")
    connection.sendall(upgrade + b"\x00\x00\x00")
    assert read_reply(connection).status == 302
    assert is_closed(connection)


def test_a_url_of_64_kilobytes_is_too_long(edge: Edge) -> None:
    connection = edge.connect()
    connection.sendall(request("/c/" + "A" * 65536))
    assert read_reply(connection).status == 414
    assert edge.get(edge.token_path()).status == 302


def test_long_and_many_headers_are_too_large(edge: Edge) -> None:
    assert edge.get(edge.token_path(), X_Long="a" * 40_000).status == 431
    many = {f"X_{number}": "a" for number in range(150)}
    assert edge.get(edge.token_path(), **many).status == 431
    connection = edge.connect()
    connection.sendall(b"GET / HTTP/1.1\r\nX: " + b"a" * 50_000)
    assert read_reply(connection).status == 431
    assert edge.hits() == []


def test_a_head_that_drips_is_timed_out(make_edge: MakeEdge) -> None:
    edge = make_edge(header_timeout=1.0, idle_timeout=30.0)
    connection = edge.connect()
    connection.sendall(b"GET / HTTP/1.1\r\n")
    started = time.monotonic()
    assert read_reply(connection).status == 408
    assert is_closed(connection)
    assert time.monotonic() - started < 10


def test_a_silent_or_idle_connection_is_closed(make_edge: MakeEdge) -> None:
    edge = make_edge(header_timeout=1.0, idle_timeout=1.0)
    silent, idle = edge.connect(), edge.connect()
    idle.sendall(request(edge.token_path()))
    assert read_reply(idle).status == 302
    assert is_closed(silent)
    assert is_closed(idle)


def test_a_client_that_closed_its_side_is_still_answered(edge: Edge) -> None:
    connection = edge.connect()
    connection.sendall(request(edge.token_path()))
    connection.shutdown(socket.SHUT_WR)
    assert read_reply(connection).status == 302
    assert is_closed(connection)


@pytest.mark.parametrize("tls", [None, SHARED])
def test_a_client_that_leaves_without_its_answer_is_recorded_all_the_same(
    edge: Edge, tls: str | None
) -> None:
    connection = edge.connect(tls=tls)
    connection.sendall(request(edge.token_path()))
    connection.close()
    deadline = time.monotonic() + 20
    while not edge.hits() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(edge.hits()) == 1


def test_a_client_that_does_not_read_is_not_buffered_for_without_end(make_edge: MakeEdge) -> None:
    edge = make_edge(idle_timeout=2.0)
    connection = edge.connect()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(1.0)
    one = request("/c/wrong")
    sent = 0
    with pytest.raises((TimeoutError, ConnectionError)):  # noqa: PT012 - sends until it may not
        for _ in range(200):
            connection.sendall(one * 1000)
            sent += 1000
    assert sent < 200_000
    assert edge.get(edge.token_path()).status == 302


@pytest.mark.parametrize(
    "hello",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 20,
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16",
        b"\xff" * 64,
    ],
    ids=["truncated", "plain http", "one byte", "noise"],
)
def test_a_tls_hello_that_is_none_is_closed_and_the_service_goes_on(
    make_edge: MakeEdge, hello: bytes
) -> None:
    edge = make_edge(header_timeout=1.0)
    with socket.create_connection(edge.https, 10) as connection:
        connection.sendall(hello)
        connection.settimeout(10)
        try:
            while connection.recv(1024):
                pass
        except ConnectionResetError:
            pass
    assert edge.send(request(edge.token_path()), tls=SHARED).status == 302


def test_a_tls_client_that_says_nothing_is_closed(make_edge: MakeEdge) -> None:
    edge = make_edge(header_timeout=1.0)
    with socket.create_connection(edge.https, 10) as connection:
        connection.settimeout(10)
        assert is_closed(connection)
    assert edge.send(request(edge.token_path()), tls=SHARED).status == 302


def test_more_connections_than_allowed_are_closed_at_once(make_edge: MakeEdge) -> None:
    edge = make_edge(max_connections=16)
    kept = [edge.connect() for _ in range(16)]
    for connection in kept:
        connection.sendall(request(edge.token_path()))
        assert read_reply(connection).status == 302
    assert is_closed(edge.connect())
    kept[0].sendall(request(edge.token_path()))
    assert read_reply(kept[0]).status == 302


def test_an_unknown_name_gets_the_alert(edge: Edge) -> None:
    with pytest.raises(ssl.SSLError) as refusal:
        edge.connect(tls="www.stranger.example")
    assert refusal.value.reason == "TLSV1_UNRECOGNIZED_NAME"
