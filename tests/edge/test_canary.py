"""A wrong certificate shown on purpose, over real sockets."""

from __future__ import annotations

import secrets
import socket
import ssl
import time
from collections.abc import Mapping

import pytest
from cryptography import x509

from linkseal.domains.echo import PROBE_PATH, find_echo
from linkseal.domains.observation import Echo
from linkseal.edge.canary import LIFE
from linkseal.edge.snapshot import load_snapshot, save_snapshot
from linkseal.seal.nonce import make_nonce
from support.edge import (
    PROBE_KEY,
    SHARED,
    VAULT,
    Edge,
    files_in,
    is_closed,
    read_reply,
    request,
    snapshot,
)

HOST = "links.acme.example"
TARGET = "t-abc.ct.example.net"


def careless() -> ssl.SSLContext:
    """Take any certificate, as a CDN that does not verify."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Client:
    """One connection of a CDN that does not verify."""

    def __init__(
        self, edge: Edge, name: str, context: ssl.SSLContext, session: ssl.SSLSession | None = None
    ) -> None:
        plain = socket.create_connection(edge.https, 10)
        self.tls = context.wrap_socket(plain, server_hostname=name, session=session)
        edge.open_sockets.append(self.tls)

    @property
    def issuer(self) -> str:
        shown = self.tls.getpeercert(binary_form=True)
        assert shown
        return x509.load_der_x509_certificate(shown).issuer.rfc4514_string()

    def ask(self, host: str = HOST) -> Echo:
        expires_at = int(time.time()) + 60
        entropy = secrets.token_bytes(16)
        nonce = make_nonce(host, expires_at=expires_at, entropy=entropy, key=PROBE_KEY)
        self.tls.sendall(request(f"{PROBE_PATH}{nonce}/echo", host))
        reply = read_reply(self.tls)
        found = find_echo(reply.headers, reply.body, nonce=nonce, key=PROBE_KEY)
        assert found is not None
        return found


def show(edge: Edge, canary: Mapping[str, int]) -> None:
    known = snapshot(files_in(edge.directory), edge.authority, canary=canary)
    save_snapshot(edge.directory / "edge.snapshot", known, VAULT)


def wait_for_wrong(edge: Edge, *, wrong: bool) -> Client:
    deadline = time.monotonic() + 20
    while True:
        client = Client(edge, HOST, careless())
        if ("canary" in client.issuer) is wrong:
            return client
        client.tls.close()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def wait_for_refused(client: Client, count: int) -> None:
    """Wait until so many refusals are told of: the edge hears of one when it reads the alert."""
    deadline = time.monotonic() + 20
    while (told := client.ask().canary_refused) != count:
        assert told < count
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_names_are_shown_a_wrong_certificate_until_it_is_over(edge: Edge) -> None:
    resumable = careless()
    old = Client(edge, HOST, resumable)
    assert old.ask().canary is False
    session = old.tls.session
    show(edge, dict.fromkeys((HOST, TARGET), int(time.time()) + 60))
    client = wait_for_wrong(edge, wrong=True)
    assert client.ask().canary is True
    assert client.ask().canary is True
    assert "canary" in Client(edge, TARGET, careless()).issuer
    assert "canary" not in Client(edge, SHARED, careless()).issuer
    # A connection made before is answered once more; a session made before is not taken up.
    assert old.ask().canary is False
    assert is_closed(old.tls)
    again = Client(edge, HOST, resumable, session)
    assert again.tls.session_reused is False
    assert again.ask().canary is True
    assert again.ask().canary_refused == 0
    with pytest.raises(ssl.SSLCertVerificationError):
        edge.connect(tls=HOST)
    wait_for_refused(again, 1)
    # Others, as nginx, look at it when the handshake is over, and leave.
    Client(edge, HOST, careless()).tls.close()
    wait_for_refused(again, 2)
    show(edge, {})
    assert wait_for_wrong(edge, wrong=False).ask().canary is False
    # Who took the wrong one must not go on with it.
    assert again.ask().canary is True
    assert is_closed(again.tls)
    assert edge.connect(tls=HOST).fileno() >= 0


def test_the_edge_ends_it_by_itself(edge: Edge) -> None:
    show(edge, {HOST: int(time.time()) + LIFE})
    wait_for_wrong(edge, wrong=True)
    until = int(time.time()) + 4
    show(edge, {HOST: until})
    wait_for_wrong(edge, wrong=False)
    assert time.time() >= until
    assert load_snapshot(edge.directory / "edge.snapshot", VAULT).canary == {HOST: until}


@pytest.mark.parametrize("seconds", [-1, LIFE + 30, 1_000_000])
def test_what_is_over_or_would_last_too_long_is_not_shown(edge: Edge, seconds: int) -> None:
    show(edge, {HOST: int(time.time()) + seconds})
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        client = Client(edge, HOST, careless())
        assert "canary" not in client.issuer
        client.tls.close()
    connection = edge.connect(tls=HOST)
    for _ in range(2):
        connection.sendall(request("/robots.txt", HOST))
        assert read_reply(connection).status == 200
