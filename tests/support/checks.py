"""A branded domain in perfect order as a probe sees it, to break one thing at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from linkseal.domains.checks import Result, Verdict, judge
from linkseal.domains.observation import (
    Answer,
    Echo,
    Exchange,
    Handshake,
    Hop,
    Observation,
    Tried,
)

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOST = "links.acme.example"
BASE = "ct.linkseal.example"
TARGET = f"t-abcdefghijklmnop.{BASE}"
OWNERSHIP = "ct-verify=k4yq"
V4 = "203.0.113.9"
EGRESS = "198.51.100.7"
AGENT = "Mozilla/5.0 (probe)"
PROBE = f"https://{HOST}/.well-known/ct-probe/nonce"
LOCATION = "https://shop.example/a%20b?x=1&y=%C3%A9#part"


@dataclass(frozen=True)
class Cdn:
    """A CDN by its name and addresses."""

    name: str
    networks: tuple[str, ...] = ()
    cname_suffixes: tuple[str, ...] = ()
    client_header: str = "CF-Connecting-IP"


CLOUDFLARE = Cdn("Cloudflare", ("203.0.113.0/24",))


def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def issue(
    subject: x509.Name | str,
    public: Any,
    issuer: x509.Name | str,
    signer: Any,
    *,
    names: Sequence[str] = (),
    ca: bool = False,
    start: datetime = AT - timedelta(days=10),
    end: datetime = AT + timedelta(days=80),
    digest: Any = None,
) -> x509.Certificate:
    """Issue a certificate; a subject or issuer as text is its common name."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(common_name(subject) if isinstance(subject, str) else subject)
        .issuer_name(common_name(issuer) if isinstance(issuer, str) else issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
        )
    return builder.sign(signer, digest or hashes.SHA256())


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


YEARS: dict[str, Any] = {"start": AT - timedelta(days=900), "end": AT + timedelta(days=900)}
ROOT_KEY, LINK_KEY, LEAF_KEY = key(), key(), key()
ROOT = issue("Root", ROOT_KEY.public_key(), "Root", ROOT_KEY, ca=True, **YEARS)
LINK = issue("Link", LINK_KEY.public_key(), "Root", ROOT_KEY, ca=True, **YEARS)
LEAF = der(issue(HOST, LEAF_KEY.public_key(), "Link", LINK_KEY, names=[HOST]))
CHAIN = (LEAF, der(LINK))

_SERIAL = iter(range(1, 1_000_000))


def answer(name: str, kind: str, *values: str, **other: Any) -> Answer:
    said: dict[str, Any] = {"server": "1.1.1.1", "authoritative": False, "rcode": "NOERROR"} | other
    return Answer(name=name, type=kind, values=values, **said)


def from_zone(name: str, kind: str, *values: str, server: str = "ns1", **other: Any) -> Answer:
    return answer(name, kind, *values, server=server, authoritative=True, **other)


def echo(url: str = f"{PROBE}/echo", **other: Any) -> Echo:
    """What the edge saw of a request through a CDN in perfect order."""
    seen: dict[str, Any] = {
        "serial": next(_SERIAL),
        "node": "n1",
        "method": "GET",
        "target": url.partition(HOST)[2],
        "host": HOST,
        "header_names": ("host",),
        "forwarded": {},
        "user_agent": AGENT,
        "accept_language": "",
        "tls_version": "TLSv1.3",
        "sni": HOST,
        "peer": V4,
        "client": EGRESS,
    }
    return Echo(**(seen | other))


def exchange(url: str = f"{PROBE}/echo", **other: Any) -> Exchange:
    """One request, answered as it should be; ``seen`` changes the echo, ``None`` drops it."""
    seen = other.pop("seen", {})
    said: dict[str, Any] = {
        "purpose": "echo",
        "url": url,
        "method": "GET",
        "address": V4,
        "user_agent": AGENT,
        "status": 200,
        "headers": {"server": "cdn", "cache-control": "private, no-store, no-transform"},
        "seconds": 0.05,
    } | other
    if seen is not None:
        same = {"method": said["method"], "user_agent": said["user_agent"]}
        said["echo"] = echo(url, **(same | seen))
    return Exchange(**said)


def redirect(**other: Any) -> Exchange:
    headers = {"server": "cdn", "location": LOCATION} | other.pop("headers", {})
    said = {"purpose": "redirect", "status": 302, "expected_location": LOCATION} | other
    return exchange(f"{PROBE}/302", headers=headers, **said)


def handshakes(chain: tuple[bytes, ...] = CHAIN, **errors: str) -> tuple[Handshake, ...]:
    """All four versions at one address: the old refused; ``v12="alert"`` changes one."""
    said = {"v10": "alert", "v11": "alert", "v12": "", "v13": ""} | errors
    return tuple(
        Handshake(V4, f"{name[1]}.{name[2]}", error, () if error else chain)
        for name, error in said.items()
    )


def observed(**other: Any) -> Observation:
    """Return what is seen of a domain behind a CDN, all in order."""
    seen: dict[str, Any] = {
        "host": HOST,
        "target": TARGET,
        "ownership": OWNERSHIP,
        "base_domain": BASE,
        "route": "cdn",
        "at": AT,
        "own_addresses": ("192.0.2.80",),
        "egress": (EGRESS,),
        "dns": (
            answer(HOST, "A", V4),
            from_zone(HOST, "CNAME", TARGET),
            from_zone(HOST, "CNAME", TARGET, server="ns2"),
            from_zone(f"_ct-challenge.{HOST}", "TXT", OWNERSHIP),
            answer(f"{HOST}.acme.example", "CNAME", rcode="NXDOMAIN"),
        ),
        "chain": (Hop(HOST, TARGET),),
        "reached": (Tried(V4, 80), Tried(V4, 443)),
        "handshakes": handshakes(),
        "exchanges": (exchange(), redirect()),
    }
    return Observation(**(seen | other))


def verdict(check: str, seen: Observation, cdn: Cdn | None = None) -> Verdict:
    """Judge one check."""
    (one,) = judge(seen, roots=[ROOT], cdn=cdn, only={check}).verdicts
    return one


def found(check: str, cdn: Cdn | None = None, **other: Any) -> tuple[Result, str]:
    """Return result and message of one check of :func:`observed` with something changed."""
    one = verdict(check, observed(**other), cdn)
    return one.result, one.message
