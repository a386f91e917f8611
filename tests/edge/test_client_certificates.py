"""Certificates of clients: asked for where a CA is set up, told in the echo, never refused."""

from __future__ import annotations

import contextlib
import re
import secrets
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from linkseal.domains.echo import PROBE_PATH, find_echo
from linkseal.domains.observation import ClientCertificate, Echo
from linkseal.edge.openssl import AskingContext
from linkseal.edge.snapshot import load_snapshot, save_snapshot
from linkseal.edge.tls import ListeningTLS
from linkseal.seal.nonce import make_nonce
from support.edge import (
    PROBE_KEY,
    SHARED,
    VAULT,
    Edge,
    files_in,
    hello,
    read_reply,
    request,
    snapshot,
)

BRANDED, TARGET, OTHER = "links.acme.example", "t-abc.ct.example.net", "links.other.example"
CA = trustme.CA()
BELOW = CA.create_child_ca()
STRANGER = trustme.CA()
TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
MakeEdge = Callable[..., Edge]


def der(authority: trustme.CA) -> bytes:
    return ssl.PEM_cert_to_DER_cert(authority.cert_pem.bytes().decode())


ASKED: dict[str, tuple[bytes, ...]] = dict.fromkeys((BRANDED, TARGET), (der(CA),))


@pytest.fixture
def edge(make_edge: MakeEdge) -> Edge:
    return make_edge(known={"client_cas": ASKED})


@dataclass
class Peer:
    """A CDN that connects to the edge."""

    edge: Edge
    shows: trustme.LeafCert | None = None
    version: ssl.TLSVersion = TLS13
    session: ssl.SSLSession | None = None
    reused: bool | None = None

    def __post_init__(self) -> None:
        self.context = ssl.create_default_context()
        self.context.check_hostname = False
        self.context.minimum_version = self.context.maximum_version = self.version
        self.edge.authority.configure_trust(self.context)
        if self.shows is not None:
            self.shows.configure_cert(self.context)

    def probe(self, name: str = BRANDED) -> Echo:
        text = make_nonce(
            name, expires_at=int(time.time()) + 60, entropy=secrets.token_bytes(16), key=PROBE_KEY
        )
        plain = socket.create_connection(self.edge.https, 30)
        with self.context.wrap_socket(plain, server_hostname=name, session=self.session) as tls:
            tls.sendall(request(f"{PROBE_PATH}{text}/echo", BRANDED))
            reply = read_reply(tls)
            self.session, self.reused = tls.session, tls.session_reused
        echo = find_echo(reply.headers, reply.body, nonce=text, key=PROBE_KEY)
        assert echo is not None
        return echo


def issued(authority: trustme.CA = CA, **more: Any) -> trustme.LeafCert:
    return authority.issue_cert("edge.cdn.example", common_name="edge", **more)


@pytest.mark.parametrize("version", [TLS12, TLS13])
@pytest.mark.parametrize("name", [BRANDED, TARGET])
def test_what_is_shown_is_told(edge: Edge, version: ssl.TLSVersion, name: str) -> None:
    shows = issued()
    leaf = x509.load_pem_x509_certificate(shows.cert_chain_pems[0].bytes())
    echo = Peer(edge, shows, version).probe(name)
    assert (echo.client_asked, echo.sni) == (True, name)
    assert echo.client_certificate == ClientCertificate(
        leaf.subject.rfc4514_string(),
        leaf.issuer.rfc4514_string(),
        leaf.not_valid_after_utc,
        leaf.fingerprint(hashes.SHA256()).hex(),
        not_before=leaf.not_valid_before_utc,
    )


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_who_shows_none_is_served_all_the_same(edge: Edge, version: ssl.TLSVersion) -> None:
    echo = Peer(edge, None, version).probe()
    assert (echo.client_asked, echo.client_certificate) == (True, None)


@pytest.mark.parametrize("version", [TLS12, TLS13])
@pytest.mark.parametrize(
    ("shows", "problem"),
    [
        (issued(STRANGER), "foreign"),
        (issued(STRANGER, key_type=trustme.KeyType.RSA), "foreign"),
        (issued(not_after=datetime.now(UTC) - timedelta(hours=1)), "expired"),
        (issued(not_before=datetime.now(UTC) + timedelta(days=1)), "refused"),
        (issued(BELOW), ""),
    ],
)
def test_whatever_is_shown_the_client_is_served(
    edge: Edge, version: ssl.TLSVersion, shows: trustme.LeafCert, problem: str
) -> None:
    """A chain is judged with the intermediates that came with it."""
    found = Peer(edge, shows, version).probe().client_certificate
    assert found is not None
    assert found.problem == problem
    plain = socket.create_connection(edge.https, 30)
    context = Peer(edge, shows, version).context
    with context.wrap_socket(plain, server_hostname=BRANDED) as tls:
        tls.sendall(request(edge.token_path(), BRANDED))
        assert read_reply(tls).status == 302


ODD: dict[str, tuple[Any, hashes.SHA256 | None, str]] = {
    "a short key": (rsa.generate_private_key(65537, 1024), hashes.SHA256(), "edge"),
    "a long key": (ec.generate_private_key(ec.SECP521R1()), hashes.SHA256(), "edge"),
    "an Edwards key": (ed25519.Ed25519PrivateKey.generate(), None, "edge"),
    "control characters in its name": (
        ec.generate_private_key(ec.SECP256R1()),
        hashes.SHA256(),
        "ed\x1bge\u202e",
    ),
}


@pytest.mark.parametrize("version", [TLS12, TLS13])
@pytest.mark.parametrize("odd", ODD)
def test_an_odd_certificate_is_no_reason_to_refuse_either(
    edge: Edge, odd: str, version: ssl.TLSVersion, tmp_path: Path
) -> None:
    """Python's own reading of what a peer shows would trip over some of these."""
    key, digest, name = ODD[odd]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\xff")
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(unknown, critical=True)
        .sign(key, digest)
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file = tmp_path / "odd.pem"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    peer = Peer(edge, None, version)
    peer.context.set_ciphers("DEFAULT@SECLEVEL=0")
    peer.context.load_cert_chain(file)
    echo = peer.probe()
    assert echo.client_asked
    # A client that has no signature algorithm in common with us shows none.
    if echo.client_certificate is not None:
        assert echo.client_certificate.problem == "foreign"
        assert echo.client_certificate.subject.isprintable()


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_a_chain_is_kept_and_a_heap_of_certificates_is_not(
    edge: Edge, version: ssl.TLSVersion, tmp_path: Path
) -> None:
    """What is shown stays in memory, at many times its size, for as long as who showed it."""
    shows = issued(BELOW, key_type=trustme.KeyType.RSA)
    more = STRANGER.cert_pem.bytes()
    file = tmp_path / "heap.pem"

    def peer(certificates: int) -> Peer:
        chain = b"".join(each.bytes() for each in shows.cert_chain_pems)
        file.write_bytes(shows.private_key_pem.bytes() + chain + certificates * more)
        made = Peer(edge, None, version)
        made.context.load_cert_chain(file)
        return made

    size = len(der(STRANGER))
    found = peer(8_000 // size).probe().client_certificate
    assert found is not None
    assert found.problem == ""
    # Over TLS 1.3 the client is done first, and then is answered nothing.
    with pytest.raises((OSError, AssertionError)):
        peer(18_000 // size).probe()
    assert Peer(edge, issued(), version).probe().client_asked


def test_what_is_shown_is_not_written_anywhere(
    edge: Edge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no directory for temporary files, handshakes go on."""
    peer = Peer(edge, issued())
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    found = peer.probe().client_certificate
    assert found is not None
    assert found.problem == ""


@pytest.mark.parametrize("version", [TLS12, TLS13])
@pytest.mark.parametrize("name", [SHARED, OTHER])
def test_nobody_is_asked_in_the_handshakes_of_other_names(
    edge: Edge, version: ssl.TLSVersion, name: str
) -> None:
    echo = Peer(edge, issued(), version).probe(name)
    assert (echo.client_asked, echo.client_certificate) == (False, None)
    assert "Acceptable client certificate CA names" not in seen_by_openssl(edge, name)
    # Of the names that ask, it is their CA only that is named: browsers offer no other.
    assert re.search(
        r"Acceptable client certificate CA names\n.*trustme.*\n(?!.*trustme)",
        seen_by_openssl(edge, BRANDED),
    )


def seen_by_openssl(edge: Edge, name: str) -> str:
    place = f"{edge.https[0]}:{edge.https[1]}"
    done = subprocess.run(
        ["openssl", "s_client", "-connect", place, "-servername", name],
        input="",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "No client certificate CA names sent" in done.stdout or "Acceptable" in done.stdout
    return done.stdout


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_a_session_brings_nothing_back_that_is_not_shown(
    edge: Edge, version: ssl.TLSVersion
) -> None:
    """Who comes back is asked again, and tells what is shown then."""
    peer = Peer(edge, issued(), version)
    first = peer.probe().client_certificate
    again = peer.probe().client_certificate
    assert (first, peer.reused) == (again, False)
    assert first is not None
    # A session of a name where nobody is asked is worth nothing where somebody is.
    peer.session = None
    peer.probe(TARGET if version is TLS12 else SHARED)
    assert peer.probe().client_certificate == first
    assert peer.reused is False


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_sessions_of_other_names_come_back_as_before(edge: Edge, version: ssl.TLSVersion) -> None:
    peer = Peer(edge, None, version)
    peer.probe(SHARED)
    peer.probe(SHARED)
    assert peer.reused is True


def test_a_hello_that_cannot_be_read_first_asks_nobody_and_is_served(edge: Edge) -> None:
    """Longer than is peeked at: many protocols offered."""
    peer = Peer(edge, issued())
    peer.context.set_alpn_protocols(["http/1.1", *(f"{n:0250d}" for n in range(40))])
    echo = peer.probe()
    assert (echo.client_asked, echo.client_certificate) == (False, None)


def test_a_snapshot_keeps_each_set_of_cas_once(tmp_path: Path, authority: trustme.CA) -> None:
    both = (der(CA), der(STRANGER))
    many = {f"n{number}.example": both for number in range(2000)} | {BRANDED: (der(CA),)}
    known = snapshot(files_in(tmp_path), authority, client_cas=many)
    save_snapshot(tmp_path / "s", known, VAULT)
    assert load_snapshot(tmp_path / "s", VAULT).client_cas == many
    save_snapshot(tmp_path / "t", snapshot(files_in(tmp_path), authority), VAULT)
    more = (tmp_path / "s").stat().st_size - (tmp_path / "t").stat().st_size
    assert more < 2001 * 25 + 3 * 2000


def test_a_ca_that_is_replaced_or_removed_is_asked_for_no_more(
    tmp_path: Path, authority: trustme.CA
) -> None:
    files = files_in(tmp_path)
    another = "t-def.ct.example.net"
    known = snapshot(files, authority, client_cas=ASKED | {another: ASKED[TARGET]})
    tls = ListeningTLS(known, files, 100)

    def chosen(name: str) -> ssl.SSLContext:
        context, _ = tls.choose(hello(authority, name))
        assert context is not None
        return context

    def use(client_cas: dict[str, tuple[bytes, ...]]) -> None:
        certificates = known.certificates
        tls.use(snapshot(files, authority, certificates=certificates, client_cas=client_cas))

    first, target = chosen(BRANDED), chosen(TARGET)
    assert isinstance(first, AskingContext)
    # Thousands of customers of one CDN take no more memory than one.
    assert chosen(another) is target
    use(ASKED | {BRANDED: (der(STRANGER),)})
    assert chosen(BRANDED) is not first
    assert chosen(TARGET) is target
    use({})
    assert not isinstance(chosen(BRANDED), AskingContext)
    assert not any(isinstance(each, AskingContext) for each in tls._contexts.values())


def test_a_client_that_leaves_in_the_midst_hurts_nobody(edge: Edge, authority: trustme.CA) -> None:
    for size in (20, 100, 400):
        with socket.create_connection(edge.https, 30) as plain, contextlib.suppress(OSError):
            plain.sendall(hello(authority, BRANDED)[:size])
    assert Peer(edge, issued()).probe().client_asked
