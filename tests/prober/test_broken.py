"""Broken set-ups, each with one mistake: exactly the one right check says so."""

from __future__ import annotations

import asyncio
import socket
import ssl
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from linkseal.certificates.schedule import LIMITS, Wait
from linkseal.config import Config
from linkseal.domains.echo import REDIRECT
from linkseal.domains.lifecycle import Action, Route, Step
from linkseal.domains.well_known import CHALLENGE_PATH
from linkseal.edge.probe import Asked, Probes
from linkseal.store import CertificateRoute, Challenge, NameKind, NewCertificate, Store
from linkseal.testing.dns_server import Fault
from linkseal.watch.looking import make_request
from prober.lab import (
    BASE,
    CUSTOMER,
    HOST,
    KEY,
    OWNERSHIP,
    TARGET,
    Origin,
    assert_told,
    look,
    request,
    server_tls,
)

AUTHORITY = trustme.CA()
CNAME, OWNED = CUSTOMER
NOW = datetime.now(UTC)
SetUp = dict[str, Any]
ACME: SetUp = {"asking": request(route="acme")}


def cname(*records: str) -> SetUp:
    return {"customer": [*records, OWNED]}


def issued(**more: Any) -> SetUp:
    return {"certificate": AUTHORITY.issue_cert(HOST, **more)}


def speaking(lowest: ssl.TLSVersion, highest: ssl.TLSVersion) -> SetUp:
    context = server_tls(AUTHORITY.issue_cert(HOST))
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = lowest, highest
    return {"tls": context}


def made(bits: int, signer: trustme.CA | None) -> SetUp:
    """Show a certificate with an RSA key, signed by itself or by an authority."""
    key = rsa.generate_private_key(65537, bits)
    subject = x509.Name.from_rfc4514_string(f"CN={HOST}")
    issuer, signing = subject, key
    if signer is not None:
        issuer = x509.load_pem_x509_certificate(signer.cert_pem.bytes()).subject
        signing = serialization.load_pem_private_key(signer.private_key_pem.bytes(), None)  # type: ignore[assignment]
    certificate = (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=80))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(signing, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return showing(secret, certificate.public_bytes(serialization.Encoding.PEM))


def showing(*pem: bytes) -> SetUp:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # Short keys are not even loaded otherwise.
    with trustme.Blob(b"".join(pem)).tempfile() as file:
        context.load_cert_chain(file)
    return {"tls": context}


def private_root() -> SetUp:
    authority = trustme.CA()
    leaf = authority.issue_cert(HOST)
    return showing(leaf.private_key_and_cert_chain_pem.bytes(), authority.cert_pem.bytes())


def behaving(behave: Callable[[Asked, bytes], Any], **more: Any) -> SetUp:
    return {"origin": Origin(behave), "plain": Origin()} | more


def arriving(rewrite: Callable[[Asked], Asked]) -> SetUp:
    return {"origin": Origin(rewrite=rewrite)}


def answer_of(status: str, *fields: str) -> bytes:
    lines = "".join(f"{each}\r\n" for each in (*fields, "Content-Length: 0"))
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode()


def answering(when: Callable[[Asked], bool], answer: bytes, **more: Any) -> SetUp:
    return behaving(lambda asked, ours: answer if when(asked) else ours, **more)


def keeping(key: Callable[[Asked], object], when: Callable[[Asked], bool]) -> SetUp:
    """Answer out of a cache."""
    kept: dict[object, bytes] = {}
    return behaving(
        lambda asked, ours: kept.setdefault(key(asked), ours) if when(asked) else ours,
    )


def altering(path: str, *changes: tuple[bytes, bytes]) -> SetUp:
    def alter(asked: Asked, ours: bytes) -> bytes:
        if path not in asked.path:
            return ours
        head, _, body = ours.partition(b"\r\n\r\n")
        length = len(body)
        for old, new in changes:
            head, body = head.replace(old, new), body.replace(old, new)
        head = head.replace(b"Length: %d" % length, b"Length: %d" % len(body))
        return head + b"\r\n\r\n" + body

    return behaving(alter)


def fields(**values: bytes) -> SetUp:
    """Replace fields of each request."""

    def replaced(name: bytes, old: bytes) -> bytes:
        return values.get(name.decode().lower().replace("-", "_"), old)

    return arriving(
        lambda asked: replace(
            asked, headers=[(each, replaced(each, old)) for each, old in asked.headers]
        )
    )


def agent(asked: Asked) -> bytes:
    return next((value for name, value in asked.headers if name.lower() == b"user-agent"), b"")


def to_https(asked: Asked, _ours: bytes, status: str = "301 Moved") -> bytes:
    return answer_of(status, f"Location: https://{HOST}{asked.target.decode()}")


def cloudflares(_asked: Asked, ours: bytes) -> bytes:
    return ours.replace(b"\r\n", b"\r\nServer: cloudflare\r\n", 1)


def hsts_parent() -> SetUp:
    policy = answer_of("200 OK", "Strict-Transport-Security: max-age=31536000; includeSubDomains")
    return {
        "certificate": AUTHORITY.issue_cert(HOST, "acme.example"),
        "customer": [*CUSTOMER, "@ A 127.0.0.1"],
        "asking": request(route=""),
    } | answering(lambda asked: asked.host == "acme.example", policy)


async def late(_asked: Asked, ours: bytes) -> bytes:
    await asyncio.sleep(0.8)
    return ours


async def late_in_front(asked: Asked, ours: bytes) -> bytes:
    return await late(asked, ours) if asked.host == HOST else ours


def not_there(asked: Asked, ours: bytes) -> bytes:
    return answer_of("404 Not Found") if asked.path.startswith(CHALLENGE_PATH) else ours


def home(asked: Asked, ours: bytes) -> bytes:
    led = answer_of("301 Moved", "Location: https://www.acme.example/")
    return led if asked.path.startswith(CHALLENGE_PATH) else ours


def held(what: str = "", **order: Any) -> SetUp:
    """Ask as a service does that has a certificate for the name, and how its last order went."""
    certificate = AUTHORITY.issue_cert(HOST)
    chain = b"".join(each.bytes() for each in certificate.cert_chain_pems)
    leaf = x509.load_pem_x509_certificate(chain)
    new = NewCertificate(
        "p256", chain.decode(), b"", "", "uploaded", False, leaf.not_valid_before_utc,
        leaf.not_valid_after_utc,
    )  # fmt: skip
    with (
        tempfile.TemporaryDirectory() as folder,
        Store.open(f"sqlite:///{folder}/linkseal.db") as store,
    ):
        store.customers.add("acme")
        names: SetUp = {"target": TARGET, "ownership": OWNERSHIP, "delegation": f"k7.acme.{BASE}"}
        store.domains.claim(HOST, customer_id=1, who="ann", now=NOW, **names)
        store.domains.apply_dns(HOST, target=TARGET, passed=True, who="ann", now=NOW)
        store.domains.apply(HOST, Step(Action.REQUEST_SSL, "ann", route=Route.ACME), NOW)
        store.certificates.add_name(
            HOST,
            kind=NameKind.BRANDED,
            route=CertificateRoute.ACME,
            challenge=Challenge.HTTP_01,
            now=NOW,
        )
        store.certificates.put(HOST, [new], NOW, "issued")
        assert store.certificates.settle(HOST, "", NOW, what, {}, **order)
        config = Config(base_domain=BASE, data_dir=Path(folder))
        asking = make_request(config, store, store.domains.get(HOST), KEY)
    return {"certificate": certificate, "asking": asking}


def need_v6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")


def both_families() -> SetUp:
    need_v6()
    records = ["links A 127.0.0.1", "links AAAA ::1"]
    hiding = Origin(
        rewrite=lambda asked: replace(asked, came_by=replace(asked.came_by, peer="203.0.113.9"))
    )
    return {**cname(*records), "v6": hiding, "asking": request(route="")}


def aaaa_dead() -> SetUp:
    need_v6()
    records = ["links A 127.0.0.1", "links AAAA ::1"]
    return {**cname(*records), "asking": request(route="")}


def acme(record: str, **asking: Any) -> SetUp:
    return {"customer": [*CUSTOMER, record], "asking": request(route="acme", **asking)}


SET_UPS: dict[str, Callable[[], SetUp]] = {
    "no-address": cname,
    "servfail": lambda: {"faults": {HOST: Fault.SERVFAIL}},
    "cname-to-nobody": lambda: cname("links CNAME gone"),
    "cname-loop": lambda: cname("links CNAME one", "one CNAME two", "two CNAME one"),
    "cname-long": lambda: cname(
        "links CNAME s1", *(f"s{n} CNAME s{n + 1}" for n in range(1, 8)), f"s8 CNAME {TARGET}."
    ),
    "another-target": lambda: cname(f"links CNAME t-other.{BASE}."),
    "target-mistyped": lambda: cname(f"links CNAME t-abd.{BASE}."),
    "txt-missing": lambda: {"customer": [CNAME]},
    "txt-wrong": lambda: {"customer": [CNAME, "_ct-challenge.links TXT ct-verify=old"]},
    "txt-doubled": lambda: {"customer": [CNAME, OWNED.replace("links", HOST)]},
    "cname-doubled": lambda: cname(CNAME.replace("links", HOST)),
    "aaaa-dead": aaaa_dead,
    "caa-forbids": lambda: acme(
        '@ CAA 0 issue "other.example"', caa_identities=("letsencrypt.org",)
    ),
    "caa-account": lambda: acme(
        '@ CAA 0 issue "letsencrypt.org; accounturi=https://acme.example/2"',
        caa_identities=("letsencrypt.org",),
        caa_accounts=("https://acme.example/1",),
    ),
    "delegation-wrong": lambda: acme(
        "_acme-challenge.links TXT old", acme_delegation=f"k7.acme.{BASE}"
    ),
    "https-closed": lambda: {"https_port": 1},
    "missing-intermediate": lambda: {
        "tls": server_tls(AUTHORITY.create_child_ca().issue_cert(HOST), whole=False)
    },
    "self-signed": lambda: made(2048, None),
    "origin-ca": lambda: {
        "certificate": trustme.CA(
            organization_name="CloudFlare, Inc.",
            organization_unit_name="CloudFlare Origin SSL Certificate Authority",
        ).issue_cert(HOST)
    },
    "staging": lambda: {
        "certificate": trustme.CA(organization_name="(STAGING) Let's Encrypt").issue_cert(HOST)
    },
    "private-root": private_root,
    "wrong-name": lambda: {"certificate": AUTHORITY.issue_cert("www.acme.example")},
    "expired": lambda: issued(
        not_before=NOW - timedelta(days=90), not_after=NOW - timedelta(days=1)
    ),
    "renewal-stopped": lambda: issued(
        not_before=NOW - timedelta(days=88), not_after=NOW + timedelta(days=2)
    ),
    "tls-1.3-only": lambda: speaking(ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3),
    "old-tls-only": lambda: speaking(ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1),
    "old-tls-too": lambda: speaking(ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_3),
    "weak-key": lambda: made(1024, AUTHORITY),
    "http-closed": lambda: {"http_port": 1},
    "http-home": lambda: {
        "plain": Origin(lambda *_: answer_of("301 Moved", "Location: https://www.acme.example/"))
    },
    "http-temporary": lambda: {"plain": Origin(partial(to_https, status="302 Found"))},
    "hsts-parent": hsts_parent,
    "another-server": lambda: {"origin": Origin(probes=Probes(0, b"x" * 32)), "plain": Origin()},
    "host-rewritten": lambda: fields(host=TARGET.encode()),
    "query-dropped": lambda: arriving(
        lambda asked: replace(asked, target=asked.target.partition(b"?")[0])
    ),
    "long-refused": lambda: answering(
        lambda asked: len(asked.target) > 1900, answer_of("414 URI Too Long")
    ),
    "redirect-followed": lambda: answering(
        lambda asked: asked.path.endswith("/302"), answer_of("200 OK", "Content-Type: text/html")
    ),
    "redirect-rewritten": lambda: altering(
        "/302", (REDIRECT.encode(), f"https://{HOST}/shop".encode())
    ),
    "redirect-cached": lambda: keeping(
        lambda asked: asked.target, lambda asked: asked.path.endswith("/302")
    ),
    "pixel-cached": lambda: keeping(
        lambda asked: asked.target, lambda asked: asked.path.endswith(("/pixel", ".gif"))
    ),
    "requests-merged": lambda: keeping(
        lambda asked: asked.target,
        lambda asked: asked.path.endswith("/echo") and b"?" not in asked.target,
    ),
    "query-not-in-key": lambda: keeping(
        lambda asked: asked.path, lambda asked: b"?" in asked.target
    ),
    "client-lost": lambda: arriving(
        lambda asked: replace(asked, came_by=replace(asked.came_by, peer="203.0.113.9"))
    ),
    "client-lost-v6": both_families,
    "agent-rewritten": lambda: fields(user_agent=b"Amazon CloudFront"),
    "language-dropped": lambda: fields(accept_language=b""),
    "visitor-unknown": lambda: fields(user_agent=b"Amazon CloudFront", accept_language=b""),
    "head-blocked": lambda: answering(
        lambda asked: asked.method == "HEAD", answer_of("405 Method Not Allowed")
    ),
    "post-blocked": lambda: answering(
        lambda asked: asked.method == "POST", answer_of("403 Forbidden")
    ),
    "addresses-obfuscated": lambda: altering(
        "/html", (b"mailto:probe@example.com", b"/cdn-cgi/l/email-protection#1a2b")
    ),
    "image-optimised": lambda: altering("/pixel", (b"image/gif", b"image/webp")),
    "browser-cache": lambda: altering("/html", (b"private, no-store", b"max-age=14400")),
    "bot-challenge": lambda: answering(
        lambda asked: b"python" in agent(asked), answer_of("403 No", "CF-Mitigated: challenge")
    ),
    "challenge-for-all": lambda: {
        "origin": Origin(lambda *_: answer_of("403 No", "CF-Mitigated: challenge"))
    },
    "scanner-refused": lambda: answering(
        lambda asked: b"python" in agent(asked), answer_of("403 Forbidden")
    ),
    "browser-refused": lambda: {
        "origin": Origin(
            lambda asked, ours: answer_of("403 Forbidden") if b"Chrome" in agent(asked) else ours
        )
    },
    "redirect-loop": lambda: {"origin": Origin(to_https)},
    "app-file-redirected": lambda: answering(
        lambda asked: asked.path.endswith("/assetlinks.json"),
        answer_of("301 Moved", "Location: https://www.acme.example/assetlinks.json"),
        asking=request(app_files=("assetlinks.json",)),
    ),
    "slow": lambda: behaving(late),
    "slow-proxy": lambda: behaving(late_in_front, asking=request(route="")),
    "challenge-path-taken": lambda: ACME | {"plain": Origin(not_there)},
    "challenge-path-home": lambda: ACME | {"plain": Origin(home)},
    "challenge-port-closed": lambda: ACME | {"http_port": 1},
    "http-followed": lambda: {"asking": request(route="cdn")},
    "second-proxy": lambda: {
        "origin": Origin(cloudflares),
        "plain": Origin(to_https),
        "asking": request(route="cdn"),
    },
    "order-waits": lambda: held(waiting=str(Wait(NOW + timedelta(days=1), LIMITS[1]))),
    "renewal-fails": lambda: held(
        "failed",
        failures=1,
        problem={"type": "caa", "detail": "CAA record for acme.example prevents issuance"},
    ),
    "cdn-loop": lambda: arriving(
        lambda asked: replace(
            asked, headers=[*asked.headers, (b"CDN-Loop", b"cloudflare, cloudflare")]
        )
    ),
}


@pytest.mark.parametrize("name", SET_UPS)
async def test_one_mistake_is_told_by_the_one_right_check(name: str) -> None:
    how: SetUp = {"origin": Origin(), "authority": AUTHORITY}
    seen = await look(**(how | SET_UPS[name]()))
    assert_told(seen, name)
