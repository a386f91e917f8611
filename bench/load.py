"""A client that opens a fresh TLS 1.3 connection for every click, and never resumes one.

wrk resumes TLS sessions silently, so what it calls a new connection costs the server half.
This one makes a whole handshake each time, looks at ``session_reused``, and counts only
answers it has read and found to be redirects.
``python -m bench.load HOST PORT SECONDS CLIENTS NAMES_FILE REQUESTS_FILE`` prints the counts of
so many clients together as JSON. Each is a process, forked when all is imported and read, so
that none of the time goes into starting. The names, one a line, are asked for in an order of
the process's own.
"""

from __future__ import annotations

import json
import random
import socket
import ssl
import sys
import time
from collections import Counter
from multiprocessing import get_context
from pathlib import Path

SEPARATOR = b"\n\x00\n"
"""Stands between requests in the file."""


def fresh_clicks(
    address: tuple[str, int], names: list[str], requests: list[bytes], seconds: float
) -> Counter[str]:
    """Click for some seconds, each click on a connection of its own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    random.seed()
    counts: Counter[str] = Counter()
    end = time.monotonic() + seconds
    turn = 0
    while time.monotonic() < end:
        turn += 1
        with (
            socket.create_connection(address, 10) as plain,
            context.wrap_socket(plain, server_hostname=random.choice(names)) as connection,
        ):
            if connection.session_reused or connection.version() != "TLSv1.3":
                counts["resumed"] += 1
            connection.sendall(requests[turn % len(requests)])
            answer = connection.recv(65536)
            while answer and b"\r\n\r\n" not in answer:
                answer += connection.recv(65536)
        counts["redirects" if answer.startswith(b"HTTP/1.1 302 ") else "other"] += 1
    return counts


def main() -> None:
    """Run by the arguments and print the counts."""
    host, port, seconds, clients, names, file = sys.argv[1:]
    requests = Path(file).read_bytes().split(SEPARATOR)
    asked = Path(names).read_text().split()
    arguments = ((host, int(port)), asked, requests, float(seconds))
    with get_context("fork").Pool(int(clients)) as pool:
        counts = pool.starmap(fresh_clicks, [arguments] * int(clients), chunksize=1)
    print(json.dumps(sum(counts, Counter())))


if __name__ == "__main__":
    main()
