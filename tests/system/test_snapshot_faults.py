"""What is at fault with one certificate, or for a moment, never keeps news from the edge."""

from __future__ import annotations

import dataclasses
import os
import socket
import sqlite3
import ssl
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from linkseal import datadir
from linkseal.certificates import parse_certificate
from linkseal.certificates.held import UPLOADED, to_store
from linkseal.errors import CertificateError
from linkseal.store import CertificateRoute, Challenge, NameKind, Store
from linkseal.testing.service import ServiceProcess
from support.lab import eventually

GOOD = "good.acme.example"
FAULTS: dict[str, Any] = {
    "sealed_key": b"\0" * 64,
    "chain": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
}


def hold(service: ServiceProcess, authority: trustme.CA, name: str, damage: str = "") -> None:
    """Hold a certificate for a name, as an upload does; or what a fault has made of one."""
    config = service.config
    issued = authority.issue_cert(name, key_type=trustme.KeyType.ECDSA)
    vault = datadir.open_vault(config)
    chain = b"".join(pem.bytes() for pem in issued.cert_chain_pems)
    new = to_store(vault, chain, issued.private_key_pem.bytes(), issuer=UPLOADED)
    if damage:
        new = dataclasses.replace(new, **{damage: FAULTS[damage]})
    now = datetime.now(UTC)
    with Store.open(config.store_url, migrate=False) as store:
        store.certificates.add_name(
            name,
            kind=NameKind.BRANDED,
            route=CertificateRoute.UPLOADED,
            challenge=Challenge.HTTP_01,
            now=now,
        )
        store.certificates.put(name, [new], now, "uploaded")


def shown(service: ServiceProcess, authority: trustme.CA, name: str) -> bool:
    """Whether a client that trusts the authority only is shown a certificate for a name."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    edge = service.config.edge.https
    with socket.create_connection((edge.host, edge.port), 10) as plain:
        try:
            context.wrap_socket(plain, server_hostname=name).close()
        except ssl.SSLError:
            return False
    return True


def left_out(service: ServiceProcess) -> set[str]:
    return {
        name
        for line in service.log()
        if line["event"] == "certificate left out"
        for name in line["names"]
    }


def test_a_certificate_at_fault_is_left_out_and_every_other_name_goes_on(folder: Path) -> None:
    """While the service runs, and when it starts with the fault already there."""
    authority = trustme.CA()
    faulty = {f"{fault.replace('_', '-')}.acme.example": fault for fault in FAULTS}
    service = ServiceProcess(folder)
    with service:
        for name, fault in faulty.items():
            hold(service, authority, name, fault)
        assert eventually(lambda: left_out(service) == set(faulty))
        hold(service, authority, GOOD)
        assert eventually(lambda: shown(service, authority, GOOD))
    with service:
        assert shown(service, authority, GOOD)
        assert not any(shown(service, authority, name) for name in faulty)


def test_a_key_damaged_after_the_edge_has_it_harms_nobody(folder: Path) -> None:
    authority = trustme.CA()
    service = ServiceProcess(folder)
    with service:
        hold(service, authority, GOOD)
        assert eventually(lambda: shown(service, authority, GOOD))
        with sqlite3.connect(service.config.data_dir / "linkseal.db") as database:
            database.execute("UPDATE certificates SET sealed_key = x'00'")
        database.close()
    with service:
        assert shown(service, authority, GOOD)


def test_a_replaced_certificate_stays_readable_however_long_it_was_in_use(folder: Path) -> None:
    """Workers take the new snapshot a moment after its files are there."""
    authority = trustme.CA()
    with ServiceProcess(folder) as service:
        hold(service, authority, GOOD)
        assert eventually(lambda: shown(service, authority, GOOD))
        files = set(service.config.edge_certificates_dir.iterdir())
        for file in files:
            os.utime(file, (0, 0))
        hold(service, authority, GOOD)
        assert eventually(lambda: set(service.config.edge_certificates_dir.iterdir()) > files)
        time.sleep(1)
        assert set(service.config.edge_certificates_dir.iterdir()) > files


def make_pair(key: ec.EllipticCurvePrivateKey) -> tuple[bytes, bytes]:
    """Return a certificate of the shared name and its key, PEM."""
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    names = [x509.DNSName(each) for each in ("go.ct.localhost", "*.ct.localhost")]
    leaf = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=60))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    return leaf.public_bytes(serialization.Encoding.PEM), key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@pytest.mark.parametrize(
    "curve", [ec.SECP192R1(), ec.SECP521R1(), ec.BrainpoolP256R1()], ids=lambda curve: curve.name
)
def test_a_key_on_a_curve_that_browsers_refuse_is_refused(curve: ec.EllipticCurve) -> None:
    with pytest.raises(CertificateError) as refusal:
        parse_certificate(*make_pair(ec.generate_private_key(curve)), source="x")
    assert refusal.value.code == "certificate-key-weak"


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()], ids=lambda curve: curve.name)
def test_a_key_on_a_curve_that_browsers_take_is_taken(curve: ec.EllipticCurve) -> None:
    found = parse_certificate(*make_pair(ec.generate_private_key(curve)), source="x")
    assert found.names == ("go.ct.localhost", "*.ct.localhost")


def test_a_certificate_the_edge_cannot_load_never_reaches_a_worker(folder: Path) -> None:
    """One that starts anew must be able to."""
    with (folder / "linkseal.toml").open("a") as file:
        file.write('[tls]\ncertificate = "chain.pem"\nkey = "key.pem"\n')
    good = make_pair(ec.generate_private_key(ec.SECP256R1()))
    write(folder, good)
    with ServiceProcess(folder) as service:
        write(folder, make_pair(ec.generate_private_key(ec.SECP192R1())))
        assert eventually(
            lambda: any(line.get("code") == "certificate-key-weak" for line in service.log())
        )
        before = service.pids()
        service.kill("edge-0")
        service.kill("edge-1")
        assert eventually(
            lambda: all(service.pids()[part] != before[part] for part in ("edge-0", "edge-1"))
        )
        edge = service.config.edge.https
        assert ssl.get_server_certificate((edge.host, edge.port)) == good[0].decode()
        assert not [line for line in service.log() if line["event"] == "part crashed"]


def write(folder: Path, pair: tuple[bytes, bytes]) -> None:
    (folder / "chain.pem").write_bytes(pair[0])
    (folder / "key.pem").write_bytes(pair[1])


def test_a_snapshot_that_could_not_be_written_is_written_soon_after(folder: Path) -> None:
    """Nothing changes that the service could see but that it can be written again."""
    authority = trustme.CA()
    with ServiceProcess(folder) as service:
        file = service.config.snapshot_file
        away = file.with_name("away")
        file.rename(away)
        file.mkdir()
        (file / "in-the-way").touch()
        hold(service, authority, GOOD)
        assert eventually(
            lambda: any(line.get("code") == "vault-unwritable" for line in service.log())
        )
        (file / "in-the-way").unlink()
        file.rmdir()
        away.rename(file)
        assert eventually(lambda: shown(service, authority, GOOD))
