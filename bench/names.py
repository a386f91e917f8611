"""One edge worker with 10,000 names, against itself with one: start, memory, handshakes.

Every name has a certificate and a key of its own. Each is shaken hands with once before the
rounds, so that what is measured is the worker at work and not its first loads; those are
told beside it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bench.edge import BASE, HOST, ROUNDS, Server, fresh, running_edge, write_requests
from bench.report import print_rows
from linkseal.certificates import Certificate, LocalCA
from linkseal.vault import MASTER_KEY_BYTES, Vault

NAMES: Final = 10_000
MOST_MIB: Final = 400
MOST_START: Final = 2.0


def run() -> list[dict[str, Any]]:
    """Measure, and return the rows."""
    cores = sorted(os.sched_getaffinity(0))
    # Files are synced one by one, which is not what is measured here.
    shm = Path("/dev/shm")
    with (
        tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as name,
        contextlib.ExitStack() as stack,
    ):
        folder = Path(name)
        keyring = write_requests(folder)
        vault = Vault(bytes(MASTER_KEY_BYTES))
        shared = LocalCA(folder, vault, BASE).certificate(HOST, datetime.now(UTC))
        names = [f"links.customer-{number}.example" for number in range(NAMES)]
        (folder / "many").write_text("\n".join(names))
        (folder / "one").write_text(names[0])
        many = [shared, *_certificates(names)]
        (folder / "b").mkdir()
        one = stack.enter_context(running_edge(folder / "b", keyring, many[:2], vault, cores[0]))
        begun = time.monotonic()
        full = stack.enter_context(running_edge(folder, keyring, many, vault, cores[0]))
        written = time.monotonic()
        _shake(full, HOST)
        start = time.monotonic() - written
        idle = _mib(full)
        before = full.cpu()
        for each in names:
            _shake(full, each)
        first = (full.cpu() - before) / NAMES
        loaded = _mib(full)
        rates: dict[str, list[float]] = {"many": [], "one": []}
        for _ in range(ROUNDS):
            for server, which in ((full, "many"), (one, "one")):
                before = server.cpu()
                count, _ = fresh(server, folder, cores[-1], which)
                rates[which].append(count / (server.cpu() - before))
    ours, peer = statistics.median(rates["many"]), statistics.median(rates["one"])
    return [
        {
            "name": f"handshakes, {NAMES:,} names",
            "unit": "per CPU-second",
            "ours": round(ours),
            "peer": round(peer),
            "ratio": round(ours / peer, 2),
            "goal": 0.9,
            "note": f"peer: one name; a name's first handshake {first * 1e3:.1f} ms",
        },
        {
            "name": "start to the first answer",
            "unit": "milliseconds",
            "ours": round(start * 1e3),
            "peer": None,
            "ratio": None,
            "goal": None,
            "note": f"at most {MOST_START * 1e3:,.0f}; files written in {written - begun:.1f} s",
        },
        {
            "name": "memory, all names loaded",
            "unit": "MiB",
            "ours": round(loaded),
            "peer": round(idle),
            "ratio": None,
            "goal": None,
            "note": f"at most {MOST_MIB}; peer: none loaded yet",
        },
    ]


def _certificates(names: list[str]) -> list[Certificate]:
    """Return a certificate for each name, from a CA made for it."""
    issuer = ec.generate_private_key(ec.SECP256R1())
    title = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Bench CA")])
    start = datetime.now(UTC) - timedelta(hours=1)
    made = []
    for name in names:
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(title)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + timedelta(days=90))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=True)
            .sign(issuer, hashes.SHA256())
        )
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        chain = leaf.public_bytes(serialization.Encoding.PEM)
        made.append(Certificate((name,), chain, pem, leaf.not_valid_after_utc))
    return made


def _shake(server: Server, name: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", server.https), 30) as plain,
        context.wrap_socket(plain, server_hostname=name),
    ):
        pass


def _mib(server: Server) -> float:
    """Return the memory that is the worker's alone: forked pages it never wrote are not."""
    lines = Path(f"/proc/{server.pids[0]}/smaps_rollup").read_text().splitlines()
    found = {key: int(rest.split()[0]) for key, _, rest in (x.partition(":") for x in lines[1:])}
    return (found["Private_Clean"] + found["Private_Dirty"]) / 1024


if __name__ == "__main__":
    print_rows("Many names on one edge worker", run())
