"""TLS as a probe sees it, against servers of the system's OpenSSL."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from linkseal.domains.observation import Handshake
from linkseal.prober.connect import shake_hands, try_port
from linkseal.prober.request import Budget
from linkseal.testing.programs import free_port
from prober.lab import HOST, Origin, Seen, look, server_tls, serving

AUTHORITY = trustme.CA()
CHAINED = AUTHORITY.create_child_ca()


def budget(timeout: float = 3.0) -> Budget:
    return Budget(timeout, lambda _progress: None)


def speaking(lowest: ssl.TLSVersion, highest: ssl.TLSVersion) -> ssl.SSLContext:
    context = server_tls(AUTHORITY.issue_cert(HOST))
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = lowest, highest
    return context


async def accepted(context: ssl.SSLContext) -> list[str]:
    async with serving(Origin(), context, "127.0.0.1") as port:
        shakes = [
            await shake_hands("127.0.0.1", port, HOST, version, budget())
            for version in ("1.3", "1.2", "1.1", "1.0")
        ]
    assert all(each.error or each.chain for each in shakes)
    return [each.offered for each in shakes if not each.error]


@pytest.mark.parametrize(
    ("lowest", "highest", "spoken"),
    [
        (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3, ["1.3", "1.2"]),
        (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_3, ["1.3", "1.2", "1.1", "1.0"]),
        (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ["1.1", "1.0"]),
        (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3, ["1.3"]),
    ],
)
async def test_each_version_is_offered_alone(
    lowest: ssl.TLSVersion, highest: ssl.TLSVersion, spoken: list[str]
) -> None:
    assert await accepted(speaking(lowest, highest)) == spoken


async def test_old_protocols_are_told_of() -> None:
    context = speaking(ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_3)
    seen = await look(Origin(), authority=AUTHORITY, tls=context)
    assert seen.verdicts() == {"TLS-05": "TLS 1.0 and 1.1 still accepted."}


async def seen_with(certificate: trustme.LeafCert, *, whole: bool = True) -> Seen:
    tls = server_tls(certificate, whole=whole)
    return await look(Origin(), authority=AUTHORITY, tls=tls)


def certificates(shake: Handshake) -> list[x509.Certificate]:
    return [x509.load_der_x509_certificate(each) for each in shake.chain]


async def test_the_chain_is_taken_as_it_is_sent() -> None:
    leaf = CHAINED.issue_cert(HOST)
    whole = await seen_with(leaf)
    assert whole.verdicts() == {}
    for shake in whole.observation.handshakes:
        sent = [each.public_bytes(Encoding.PEM) for each in certificates(shake)]
        assert sent == ([each.bytes() for each in leaf.cert_chain_pems] if not shake.error else [])


async def test_a_missing_intermediate_is_not_made_up() -> None:
    seen = await seen_with(CHAINED.issue_cert(HOST), whole=False)
    assert {len(each.chain) for each in seen.observation.handshakes if not each.error} == {1}
    assert seen.verdicts()["TLS-02"].startswith("Intermediate missing")


async def test_an_expired_certificate_is_looked_at_all_the_same() -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    leaf = AUTHORITY.issue_cert(HOST, not_before=yesterday - timedelta(days=9), not_after=yesterday)
    found = (await seen_with(leaf)).verdicts()
    assert found["TLS-04"] == f"Expired {yesterday:%Y-%m-%d %H:%M} UTC."
    assert "HTTP-02" not in found


async def test_a_certificate_for_another_name() -> None:
    found = (await seen_with(AUTHORITY.issue_cert("www.acme.example"))).verdicts()
    assert found["TLS-03"] == f"Certificate is for www.acme.example, not `{HOST}`."


async def test_a_certificate_of_nobody_browsers_know() -> None:
    found = (await seen_with(trustme.CA().issue_cert(HOST))).verdicts()
    assert "TLS-02" in found
    assert "HTTP-02" not in found


async def test_the_branded_name_is_asked_for() -> None:
    names: list[str | None] = []
    context = server_tls(AUTHORITY.issue_cert(HOST))
    context.sni_callback = lambda _connection, name, _context: names.append(name)
    await look(Origin(), authority=AUTHORITY, tls=context)
    assert set(names) == {HOST}


@contextlib.contextmanager
def refusing(context: ssl.SSLContext) -> Iterator[int]:
    """Shake hands as OpenSSL does by itself: asyncio's server closes without the alert."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = listening.accept()
                with peer, contextlib.suppress(OSError):
                    context.wrap_socket(peer, server_side=True).close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


async def test_an_alert_is_told_by_its_name() -> None:
    named = server_tls(AUTHORITY.issue_cert(HOST))
    named.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
    modern = server_tls(AUTHORITY.issue_cert(HOST))
    modern.minimum_version = ssl.TLSVersion.TLSv1_2
    for context, version, error in (
        (named, "1.3", "tlsv1 unrecognized name"),
        (modern, "1.0", "tlsv1 alert protocol version"),
        (modern, "1.3", ""),
    ):
        with refusing(context) as port:
            shake = await shake_hands("127.0.0.1", port, HOST, version, budget())
        assert (shake.error, bool(shake.chain)) == (error, not error)


async def test_what_speaks_no_tls() -> None:
    async with serving(Origin(), None, "127.0.0.1") as port:
        shake = await shake_hands("127.0.0.1", port, HOST, "1.3", budget(1.0))
    assert (shake.error, shake.chain) == ("timeout", ())


async def test_a_handshake_that_hangs_is_left_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = asyncio.get_running_loop().time()
        shake = await shake_hands("127.0.0.1", silent.getsockname()[1], HOST, "1.2", budget(0.3))
        assert asyncio.get_running_loop().time() - began < 10
    assert shake == Handshake("127.0.0.1", "1.2", "timeout")


async def test_a_closed_port() -> None:
    tried = await try_port("127.0.0.1", free_port("127.0.0.1"), 443, budget())
    assert (tried.port, tried.error) == (443, "connection refused")
