"""A certificate is renewed while a thousand clients a second connect: none may notice."""

from __future__ import annotations

import json
import subprocess
import sys
import time

from support.lab import BRANDED, Lab

LONGEST = 120
AFTER = 4
CLIENTS = 8
PER_SECOND = 1000

# Connects at its own pace, verifies, and says what went wrong and which certificates it saw.
CLIENT = """
import collections, json, os, socket, ssl, sys, time
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
                seen[connection.getpeercert()["serialNumber"]] += 1
    except Exception as error:
        failed[repr(error)] += 1
print(json.dumps([seen, failed]))
"""


def test_no_handshake_fails_while_a_certificate_is_replaced(lab: Lab) -> None:
    lab.service.start()
    lab.wait_for("*.ct.example")
    lab.cli("issue", BRANDED)
    # Renewed before any client asked for it: no worker has it loaded.
    lab.cli("renew", BRANDED)
    assert lab.eventually_shown(BRANDED)
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
    time.sleep(AFTER)
    lab.cli("renew", BRANDED)
    time.sleep(AFTER)
    stop.touch()
    seen: dict[str, int] = {}
    for client in clients:
        mine, failed = json.loads(client.communicate()[0])
        assert failed == {}
        for serial, count in mine.items():
            seen[serial] = seen.get(serial, 0) + count
    seconds = time.monotonic() - begun
    total = sum(seen.values())
    print(
        f"{total} handshakes in {seconds:.0f} s, {total / seconds:.0f} a second, "
        f"{list(seen.values())} a certificate, none failed"
    )
    # The renewal before the clients may still be on its way to the edge when they begin.
    assert len(seen) in {2, 3}, seen
    assert min(seen.values()) > CLIENTS
