"""A worker that can open nothing more says so, and does not call a name it serves unknown."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from pathlib import Path

import pytest
import trustme

from linkseal.edge.hello import INTERNAL_ERROR
from linkseal.edge.tls import ListeningTLS
from support.edge import (
    SHARED,
    Edge,
    files_in,
    hello,
    no_descriptors,
    read_reply,
    request,
    snapshot,
)

BRANDED = "links.acme.example"


def open_sockets() -> int:
    found = 0
    for each in Path("/proc/self/fd").iterdir():
        # Closed meanwhile, by the worker's thread.
        with contextlib.suppress(FileNotFoundError):
            found += str(each.readlink()).startswith("socket:")
    return found


def wait_for_sockets(count: int) -> None:
    deadline = time.monotonic() + 20
    while open_sockets() < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_client_is_told_of_an_internal_error_and_may_come_back(
    edge: Edge, authority: trustme.CA, capfd: pytest.CaptureFixture[str]
) -> None:
    first = hello(authority, BRANDED)
    # Until it has answered, the worker opens sockets of its own.
    kept = edge.connect()
    kept.sendall(request("/robots.txt"))
    assert read_reply(kept).status == 200
    before = open_sockets()
    with socket.create_connection(edge.https, 10) as connection:
        connection.sendall(first[:100])
        # Accepted, and waiting for the rest: the certificate is what cannot be opened any more.
        wait_for_sockets(before + 2)
        with no_descriptors():
            connection.sendall(first[100:])
            assert connection.recv(64) == INTERNAL_ERROR
    said = "".join(capfd.readouterr())
    assert "handshake refused: its certificate cannot be opened now" in said
    assert "Too many open files" in said
    assert BRANDED in said
    assert edge.send(request("/", BRANDED), tls=BRANDED).status == 404


def test_a_hello_that_openssl_reads_gets_the_same_alert(
    tmp_path: Path, authority: trustme.CA
) -> None:
    files = files_in(tmp_path)
    tls = ListeningTLS(snapshot(files, authority), files, 100)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(to_client, to_server, server_hostname=BRANDED)
    server = tls.context.wrap_bio(to_server, to_client, server_side=True)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    with no_descriptors(), pytest.raises(ssl.SSLError):
        server.do_handshake()
    with pytest.raises(ssl.SSLError, match="ALERT_INTERNAL_ERROR"):
        client.do_handshake()
    assert tls.unknown_names == 0
    assert tls.certificate_for(SHARED) is not None
