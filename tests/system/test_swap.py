"""A certificate is renewed while a thousand clients a second connect: none may notice."""

from __future__ import annotations

import hashlib
import json
import socket
import ssl
import subprocess
import sys
import time
from typing import Any

from support.lab import BRANDED, Lab, eventually

LONGEST = 240
AFTER = 3
CLIENTS = 8
PER_SECOND = 1000

# Connects at its own pace, verifies, and says what went wrong and which certificates it saw.
CLIENT = """
import collections, hashlib, json, os, socket, ssl, sys, time
host, port, name, cafile, stop, seconds, per_second = sys.argv[1:]
context = ssl.create_default_context(cafile=cafile)
seen, failed = collections.Counter(), collections.Counter()
begin = time.monotonic()
turn = 0
while time.monotonic() < begin + float(seconds) and not os.path.exists(stop):
    turn += 1
    pause = begin + turn / float(per_second) - time.monotonic()
    if pause > 0:
        time.sleep(pause)
    try:
        with socket.create_connection((host, int(port)), 10) as plain:
            with context.wrap_socket(plain, server_hostname=name) as connection:
                assert not connection.session_reused
                seen[hashlib.sha256(connection.getpeercert(True)).hexdigest()] += 1
    except Exception as error:
        failed[repr(error)] += 1
    if turn == 1:
        print("begun", flush=True)
print(json.dumps([seen, failed]))
"""


def test_no_handshake_fails_while_a_certificate_is_replaced(lab: Lab) -> None:
    lab.service.start()
    lab.wait_for("*.ct.example")
    first = fingerprint(lab.cli("issue", BRANDED))
    # Renewed before any client asked for it: no worker has it loaded.
    second = fingerprint(lab.cli("renew", BRANDED))
    assert eventually(lambda: shown(lab) == second, 60)
    root = lab.service.directory / "root.pem"
    root.write_bytes(lab.ca.root_pem)
    edge = lab.service.config.edge.https
    stop = lab.service.directory / "stop"
    arguments = [edge.host, str(edge.port), BRANDED, str(root), str(stop)]
    begun = time.monotonic()
    clients = [
        subprocess.Popen(
            [sys.executable, "-c", CLIENT, *arguments, str(LONGEST), str(PER_SECOND / CLIENTS)],
            stdout=subprocess.PIPE,
        )
        for _ in range(CLIENTS)
    ]
    for client in clients:
        assert client.stdout is not None
        assert client.stdout.readline() == b"begun\n"
    time.sleep(AFTER)
    third = fingerprint(lab.cli("renew", BRANDED))
    # The other worker takes it when it looks next.
    assert eventually(lambda: shown(lab) == third, 60)
    time.sleep(AFTER)
    stop.touch()
    seen: dict[str, int] = {}
    for client in clients:
        mine, failed = json.loads(client.communicate()[0])
        assert failed == {}
        for each, count in mine.items():
            seen[each] = seen.get(each, 0) + count
    seconds = time.monotonic() - begun
    total = sum(seen.values())
    print(
        f"{total} handshakes in {seconds:.0f} s, {total / seconds:.0f} a second, "
        f"{list(seen.values())} a certificate, none failed"
    )
    # The renewal before the clients may still be on its way to a worker when they begin.
    assert seen.keys() <= {first, second, third}, seen
    assert min(seen[second], seen[third]) > CLIENTS


def fingerprint(found: Any) -> str:
    (certificate,) = found["certificates"]
    return str(certificate["fingerprint"])


def shown(lab: Lab) -> str:
    """Return the fingerprint of what the edge shows for the branded name."""
    edge = lab.service.config.edge.https
    context = ssl.create_default_context(cadata=lab.ca.root_pem.decode())
    try:
        with (
            socket.create_connection((edge.host, edge.port), 10) as plain,
            context.wrap_socket(plain, server_hostname=BRANDED) as connection,
        ):
            return hashlib.sha256(connection.getpeercert(binary_form=True) or b"").hexdigest()
    except ssl.SSLError as error:
        return str(error.reason)
