"""The right certificate for every name, sessions that come back, and CAs that ask."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from cryptography import x509

from linkseal.edge.certificates import SWEEP_AFTER
from linkseal.edge.snapshot import Snapshot, SnapshotCertificate, save_snapshot
from linkseal.edge.tls import RETRY_AFTER, ListeningTLS
from support.edge import (
    SHARED,
    VAULT,
    Edge,
    certificate,
    files_in,
    no_descriptors,
    request,
    snapshot,
)

TARGET = "t-abc.ct.example.net"
BRANDED = "links.acme.example"
BARE = "links.other.example"
"""A branded host we hold no certificate for."""


def shown(tls: ListeningTLS, name: str | None) -> tuple[str, ...] | None:
    found = tls.certificate_for(name)
    return found.names if found else None


@pytest.fixture
def tls(tmp_path: Path, authority: trustme.CA) -> ListeningTLS:
    files = files_in(tmp_path)
    return ListeningTLS(snapshot(files, authority), files, 100)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (SHARED, (SHARED, "*.ct.example.net")),
        (TARGET, (SHARED, "*.ct.example.net")),
        (BRANDED, (BRANDED,)),
        ("LINKS.ACME.example.", (BRANDED,)),
        (BARE, (SHARED, "*.ct.example.net")),
        (None, (SHARED, "*.ct.example.net")),
        ("ct.example.net", None),
        ("a.b.ct.example.net", None),
        ("stranger.example", None),
        ("", None),
    ],
)
def test_what_is_shown_for_a_name(
    tls: ListeningTLS, name: str | None, expected: tuple[str, ...] | None
) -> None:
    assert shown(tls, name) == expected


class Client:
    """Shakes hands in memory with what a name is served by."""

    def __init__(self, tls: ListeningTLS, authority: trustme.CA, name: str) -> None:
        self._tls = tls
        self._name = name
        self.context = ssl.create_default_context()
        authority.configure_trust(self.context)

    def connect(
        self, session: ssl.SSLSession | None = None, *, version: ssl.TLSVersion | None = None
    ) -> ssl.SSLObject:
        if version is not None:
            self.context.minimum_version = self.context.maximum_version = version
        to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = self.context.wrap_bio(
            to_client, to_server, server_hostname=self._name, session=session
        )
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        hello = to_server.read()
        chosen, _ = self._tls.choose(hello)
        assert chosen is not None
        to_server.write(hello)
        server = chosen.wrap_bio(to_server, to_client, server_side=True)
        for _ in range(4):
            for side in (server, client):
                try:
                    side.do_handshake()
                    side.read()
                except ssl.SSLWantReadError:
                    pass
        return client


def test_a_session_comes_back_at_every_worker(tmp_path: Path, authority: trustme.CA) -> None:
    files = files_in(tmp_path)
    known = snapshot(files, authority)
    workers = [ListeningTLS(known, files, 100) for _ in range(2)]
    for name in (SHARED, BRANDED, BARE):
        first = Client(workers[0], authority, SHARED if name == BARE else name)
        session = first.connect().session
        other = Client(workers[1], authority, SHARED if name == BARE else name)
        other.context = first.context
        assert other.connect(session).session_reused


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_no_session_comes_back_under_another_customers_name(
    tls: ListeningTLS, authority: trustme.CA, version: ssl.TLSVersion
) -> None:
    """All of these but one are shown the same wildcard certificate."""
    names = [SHARED, TARGET, "t-xyz.ct.example.net", BRANDED]
    tls.use(_with_hosts(tls, {TARGET: 1, "t-xyz.ct.example.net": 2, BRANDED: 1}))
    first = Client(tls, authority, SHARED)
    sessions = {}
    for name in names:
        first._name = name
        sessions[name] = first.connect(version=version).session
    for name in names:
        for other in names:
            first._name = other
            try:
                reused = first.connect(sessions[name], version=version).session_reused
            except ssl.SSLError:
                reused = False
            assert reused == (name == other), (name, other)


def _with_hosts(tls: ListeningTLS, hosts: dict[str, int]) -> Snapshot:
    old = tls._snapshot
    return Snapshot(
        keyring=old.keyring,
        base_domain=old.base_domain,
        shared_host=old.shared_host,
        hosts=hosts,
        certificates=old.certificates,
        challenges={},
        ticket_secret=old.ticket_secret,
    )


def test_a_new_secret_ends_all_tickets_given_before(tmp_path: Path, authority: trustme.CA) -> None:
    files = files_in(tmp_path)
    known = snapshot(files, authority)
    tls = ListeningTLS(known, files, 100)
    client = Client(tls, authority, SHARED)
    session = client.connect().session
    tls.use(snapshot(files, authority, certificates=known.certificates, ticket_secret=b"n" * 32))
    assert not client.connect(session).session_reused
    assert client.connect(client.connect().session).session_reused


def test_a_client_gets_the_first_kind_it_understands(tmp_path: Path, authority: trustme.CA) -> None:
    files = files_in(tmp_path)
    both = [
        certificate(files, authority, SHARED, key_type=kind).files[0]
        for kind in (trustme.KeyType.ECDSA, trustme.KeyType.RSA)
    ]
    known = snapshot(files, authority, certificates=[SnapshotCertificate((SHARED,), tuple(both))])
    client = Client(ListeningTLS(known, files, 100), authority, SHARED)
    kinds = []
    for ciphers in ("ECDHE+AESGCM", "ECDHE-RSA-AES128-GCM-SHA256"):
        client.context.set_ciphers(ciphers)
        der = client.connect(version=ssl.TLSVersion.TLSv1_2).getpeercert(binary_form=True)
        assert der is not None
        kinds.append(type(x509.load_der_x509_certificate(der).public_key()).__name__)
    assert [kind[:2] for kind in kinds] == ["EC", "RS"]


def test_only_so_many_certificates_stay_loaded(tmp_path: Path, authority: trustme.CA) -> None:
    files = files_in(tmp_path)
    names = [f"n{number}.example" for number in range(6)]
    known = snapshot(
        files,
        authority,
        certificates=[certificate(files, authority, name) for name in (SHARED, *names)],
    )
    tls = ListeningTLS(known, files, 3)
    for name in names * 2:
        Client(tls, authority, name).connect()
    assert len(tls._contexts) == 3


def test_a_certificate_that_cannot_be_read_leaves_the_others(
    tmp_path: Path, authority: trustme.CA
) -> None:
    files = files_in(tmp_path)
    known = snapshot(files, authority)
    tls = ListeningTLS(known, files, 100)
    branded = tmp_path / "edge.certificates" / known.certificates[1].files[0]
    branded.write_bytes(branded.read_bytes()[:100])
    # The wildcard is for another name, but a CDN that verifies the target's accepts it.
    context = tls._context_for(BRANDED)
    assert context is tls._context((known.certificates[0].files, 1, ()), known.ticket_secret)
    Client(tls, authority, SHARED).connect()


def test_a_certificate_that_can_be_read_again_is_shown_again(
    tmp_path: Path, authority: trustme.CA
) -> None:
    """Without a new snapshot; the one that stands in is shown until then."""
    files = files_in(tmp_path)
    known = snapshot(files, authority)
    tls = ListeningTLS(known, files, 100)
    branded = tmp_path / "edge.certificates" / known.certificates[1].files[0]
    branded.rename(tmp_path / "away")
    assert tls._context_for(BRANDED) is not None
    left_out_at = time.monotonic()
    assert shown(tls, BRANDED) == known.certificates[0].names
    (tmp_path / "away").rename(branded)
    assert shown(tls, BRANDED) == known.certificates[0].names
    time.sleep(max(0.0, left_out_at + RETRY_AFTER + 0.1 - time.monotonic()))
    assert shown(tls, BRANDED) == (BRANDED,)
    Client(tls, authority, BRANDED).connect()


@pytest.mark.parametrize("name", [BRANDED, TARGET, BARE])
def test_a_process_out_of_descriptors_refuses_the_handshake_and_forgets_no_certificate(
    tls: ListeningTLS, authority: trustme.CA, name: str
) -> None:
    expected = shown(tls, name)
    with no_descriptors():
        for _ in range(2):
            with pytest.raises(OSError, match="Too many open files"):
                tls._context_for(name)
    assert shown(tls, name) == expected
    assert tls._context_for(name) is not None
    assert tls.unknown_names == 0
    Client(tls, authority, BRANDED).connect()
    Client(tls, authority, TARGET).connect()


def test_a_worker_out_of_descriptors_takes_the_new_snapshot_later(
    make_edge: Callable[..., Edge], authority: trustme.CA, capfd: pytest.CaptureFixture[str]
) -> None:
    edge = make_edge()
    known = snapshot(files_in(edge.directory), authority, challenges={"tok-1": "late"})
    save_snapshot(edge.directory / "edge.next", known, VAULT)
    deadline = time.monotonic() + 20
    with no_descriptors():
        (edge.directory / "edge.next").rename(edge.directory / "edge.snapshot")
        while "snapshot not taken" not in "".join(capfd.readouterr()):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    while edge.get("/.well-known/acme-challenge/tok-1", SHARED).body != b"late":
        assert time.monotonic() < deadline
        time.sleep(0.1)


def alert(edge: Edge, name: str) -> str:
    with pytest.raises(ssl.SSLError) as refusal:
        edge.connect(tls=name)
    return str(refusal.value.reason)


def test_a_strangers_name_gets_the_alert(edge: Edge) -> None:
    assert alert(edge, "stranger.example") == "TLSV1_UNRECOGNIZED_NAME"
    assert edge.send(request("/", SHARED), tls=SHARED).status == 404


def test_a_hello_in_two_pieces_is_answered(edge: Edge, authority: trustme.CA) -> None:
    """As hellos with a post-quantum key share come: too long for one packet."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname=BRANDED)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    hello = outgoing.read()
    with socket.create_connection(edge.https, 10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(hello[:100])
        threading.Event().wait(0.2)
        connection.sendall(hello[100:])
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                connection.sendall(outgoing.read())
                incoming.write(connection.recv(65536))
        client.write(request("/", BRANDED))
        connection.sendall(outgoing.read())
        incoming.write(connection.recv(65536))
        with contextlib.suppress(ssl.SSLWantReadError):
            client.read()
        # Only the context of the name gives tickets; the one for hellos that cannot be read
        # does not.
        assert client.session is not None
        assert client.session.has_ticket
        names = client.getpeercert()
    assert names is not None
    assert ("DNS", BRANDED) in names["subjectAltName"]


def test_a_ca_is_answered_on_any_name_by_token(
    make_edge: Callable[..., Edge], authority: trustme.CA
) -> None:
    edge = make_edge()
    path = "/.well-known/acme-challenge/tok-1"
    known = snapshot(files_in(edge.directory), authority, challenges={"tok-1": "tok-1.thumbprint"})
    assert edge.get(path, "new.acme.example").status == 421
    save_snapshot(edge.directory / "edge.snapshot", known, VAULT)
    # At once: the CA may ask another worker than the one that was seen to answer.
    reply = edge.get(path, "new.acme.example")
    assert (reply.status, reply.body) == (200, b"tok-1.thumbprint")
    assert edge.get(path, SHARED).body == b"tok-1.thumbprint"
    assert edge.get("/.well-known/acme-challenge/tok-2", "new.acme.example").status == 421
    assert edge.get("/.well-known/acme-challenge/tok-2", SHARED).status == 404
    assert edge.hits() == []


def test_a_certificate_just_replaced_can_still_be_read(
    tmp_path: Path, authority: trustme.CA
) -> None:
    """Workers may serve by the snapshot before for a moment, however old the file is."""
    files = files_in(tmp_path)
    old, new = (certificate(files, authority, BRANDED).files[0] for _ in range(2))
    path = tmp_path / "edge.certificates" / old
    os.utime(path, (0, 0))
    files.sweep({old}, set())
    os.utime(path, (0, 0))
    files.sweep({new}, {old})
    assert files.load(old)
    files.sweep({new}, {new})
    assert files.load(old)
    os.utime(path, (time.time() - SWEEP_AFTER - 1,) * 2)
    files.sweep({new}, {new})
    assert not path.exists()
    assert files.load(new)


def test_a_certificate_named_again_is_kept(tmp_path: Path, authority: trustme.CA) -> None:
    files = files_in(tmp_path)
    found = certificate(files, authority, BRANDED).files[0]
    os.utime(tmp_path / "edge.certificates" / found, (0, 0))
    files.sweep({found}, set())
    files.sweep({found}, {found})
    assert files.load(found)
