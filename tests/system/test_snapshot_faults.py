"""What is at fault with one certificate, or for a moment, never keeps news from the edge."""

from __future__ import annotations

import dataclasses
import socket
import sqlite3
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import trustme

from linkseal import datadir
from linkseal.certificates.held import UPLOADED, to_store
from linkseal.store import CertificateRoute, Challenge, NameKind, Store
from linkseal.testing.service import ServiceProcess

GOOD = "good.acme.example"
FAULTS: dict[str, Any] = {
    "sealed_key": b"\0" * 64,
    "chain": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
}


def eventually(read: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while not (value := read()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return value


def hold(service: ServiceProcess, authority: trustme.CA, name: str, damage: str = "") -> None:
    """Hold a certificate for a name, as an upload does; or what a fault has made of one."""
    config = service.config
    issued = authority.issue_cert(name)
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
