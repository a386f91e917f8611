"""Certificates to upload and to refuse, a DNS server that answers as told, and what both tell."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dns.message
import dns.rcode
import dns.tsig
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from linkseal.certificates.dns_update import TSIGKey
from linkseal.certificates.upload import Upload, read_upload
from linkseal.errors import CertificateError, ServiceError
from linkseal.testing.knot import Knot, find_knotd
from linkseal.testing.programs import free_port

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
DAY = timedelta(days=1)
HOST = "links.acme.example"
CA_URL = "http://ca.example/r7.der"
SERVER = (ExtendedKeyUsageOID.SERVER_AUTH,)
KEY = TSIGKey("linkseal", "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0")
BASE = "_acme-challenge.ct.example.net"
ZONES = {
    "acme.example": [
        "_acme-challenge.links CNAME hop.acme.example.",
        "hop CNAME 7f3a.acme.ct.example.net.",
        "_acme-challenge.loop CNAME loop.acme.example.",
        "loop CNAME _acme-challenge.loop.acme.example.",
    ],
    "ct.example.net": [],
}


def refused(call: Callable[[], object]) -> CertificateError:
    with pytest.raises(CertificateError) as caught:
        call()
    return caught.value


# Uploads


@dataclass(frozen=True)
class Entity:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: PrivateKeyTypes

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def key_pem(self, password: str = "", *, traditional: bool = False) -> bytes:
        layout = serialization.PrivateFormat
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            layout.TraditionalOpenSSL if traditional else layout.PKCS8,
            serialization.BestAvailableEncryption(password.encode())
            if password
            else serialization.NoEncryption(),
        )


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def make(
    subject: str | x509.Name,
    issuer: Entity | None = None,
    *,
    ca: bool = False,
    key: PrivateKeyTypes | None = None,
    names: Sequence[str] = (),
    begins: datetime = NOW - DAY,
    life: timedelta = 90 * DAY,
    purposes: Sequence[x509.ObjectIdentifier] = SERVER,
    url: str = "",
    path_length: int | None = None,
    constraint: str = "",
) -> Entity:
    own = key or new_key()
    name = (
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
        if isinstance(subject, str)
        else subject
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.certificate.subject if issuer else name)
        .public_key(own.public_key())  # type: ignore[arg-type]  # any kind, to be refused
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + life)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=path_length), critical=True)
    )
    if names:
        san = x509.SubjectAlternativeName([x509.DNSName(each) for each in names])
        builder = builder.add_extension(san, critical=False)
    if purposes and not ca:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    if url:
        access = x509.AccessDescription(
            AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier(url)
        )
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
    if constraint:
        limits = x509.NameConstraints([x509.DNSName(constraint)], None)
        builder = builder.add_extension(limits, critical=True)
    signer = issuer.key if issuer else own
    assert isinstance(signer, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
    return Entity(builder.sign(signer, hashes.SHA256()), own)


ROOT = make("Root", ca=True, life=3650 * DAY)
MIDDLE = make("Middle", ROOT, ca=True, life=1000 * DAY)
ISSUING = make("Issuing", MIDDLE, ca=True, life=900 * DAY)
LEAF = make("leaf", ISSUING, names=[HOST, "*.go.acme.example"], url=CA_URL)
STRANGER = make("Stranger", make("Other root", ca=True), ca=True)
CHAIN = [LEAF.certificate, ISSUING.certificate, MIDDLE.certificate]
BUNDLE = LEAF.pem + ISSUING.pem + MIDDLE.pem


def upload(
    data: bytes = BUNDLE,
    key: bytes | None = None,
    *,
    password: str | None = None,
    names: Sequence[str] = (HOST,),
    cdn: bool = False,
    now: datetime = NOW,
    roots: Sequence[Entity] = (ROOT,),
) -> Upload:
    return read_upload(
        data,
        key,
        password=password,
        names=names,
        cdn=cdn,
        now=now,
        roots=[root.certificate for root in roots],
    )


def served(result: Upload) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(result.certificate.chain)


def refusal(
    data: bytes = BUNDLE,
    key: bytes | None = None,
    *,
    password: str | None = None,
    names: Sequence[str] = (HOST,),
    now: datetime = NOW,
    roots: Sequence[Entity] = (ROOT,),
) -> CertificateError:
    error = refused(lambda: upload(data, key, password=password, names=names, now=now, roots=roots))
    assert error.hint
    assert "PRIVATE KEY-----\n" not in error.message
    return error


def p12(leaf: Entity, others: Sequence[Entity], password: str = "") -> bytes:
    assert isinstance(leaf.key, ec.EllipticCurvePrivateKey)
    return pkcs12.serialize_key_and_certificates(
        b"links",
        leaf.key,
        leaf.certificate,
        [other.certificate for other in others],
        serialization.BestAvailableEncryption(password.encode())
        if password
        else serialization.NoEncryption(),
    )


# DNS


@contextlib.contextmanager
def running_knot(folder: Path) -> Iterator[Knot]:
    """A real Knot with :data:`ZONES`; skips the test where there is none."""
    try:
        find_knotd()
    except ServiceError as error:
        pytest.skip(f"{error.message}: {error.hint}")
    with Knot(folder, ZONES) as running:
        yield running


Script = Callable[[dns.message.Message], bytes | None]


@contextlib.contextmanager
def scripted(on_udp: Script, on_tcp: Script | None = None) -> Iterator[int]:
    """A DNS server that answers as told, on one port for UDP and TCP.

    A script that returns None is silent; without one for TCP, connections are closed.
    """

    def read(wire: bytes) -> dns.message.Message:
        return dns.message.from_wire(wire, keyring=dns.tsig.Key(KEY.name, KEY.secret))

    def serve_udp() -> None:
        with contextlib.suppress(OSError):
            while not stopping.is_set():
                wire, peer = udp.recvfrom(65535)
                answer = on_udp(read(wire)) if wire else None
                if answer is not None:
                    udp.sendto(answer, peer)

    def serve_tcp() -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as silent:
            while not stopping.is_set():
                peer, _ = tcp.accept()
                with contextlib.ExitStack() as open_now:
                    open_now.enter_context(peer)
                    stream = open_now.enter_context(peer.makefile("rb"))
                    wire = stream.read(int.from_bytes(stream.read(2)))
                    if not wire or on_tcp is None:
                        continue
                    answer = on_tcp(read(wire))
                    if answer is None:
                        silent.push(open_now.pop_all())
                    else:
                        peer.sendall(len(answer).to_bytes(2) + answer)

    stopping = threading.Event()
    with (
        socket.create_server(("127.0.0.1", free_port("127.0.0.1"))) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
    ):
        place = tcp.getsockname()
        udp.bind(place)
        threads = [threading.Thread(target=each) for each in (serve_udp, serve_tcp)]
        for thread in threads:
            thread.start()
        try:
            yield place[1]
        finally:
            stopping.set()
            socket.create_connection(place).close()
            udp.sendto(b"", place)
            for thread in threads:
                thread.join()


def reply(
    rcode: int = dns.rcode.NOERROR, *, fault: int = 0, key: TSIGKey | None = KEY, flags: int = 0
) -> Script:
    """Answer with this code and TSIG error, signed with the key, or not at all."""

    def script(query: dns.message.Message) -> bytes:
        answer = dns.message.make_response(query)
        answer.set_rcode(dns.rcode.Rcode.make(rcode))
        answer.flags |= flags
        if key is None:
            answer.tsig = None
            answer.want_tsig_sign = False
        else:
            answer.use_tsig(dns.tsig.Key(key.name, key.secret), tsig_error=fault)
        return answer.to_wire()

    return script


def silence(_query: dns.message.Message) -> None:
    return None
