"""The edge against nginx ``return 302``: clicks per second of server CPU.

One edge worker, one nginx worker, the same P-256 certificate, the same requests, in
interleaved rounds, both with the session tickets they give by default. The figure is the
redirects a client read, over user and system time of all the server's processes, from
``/proc``: on few cores a client cannot keep a TLS server busy, so requests per second
would measure the client. The edge does all its work: it opens the token, writes the hit
durably to the journal and answers after that; nginx says one fixed thing. After every
round the journal must hold what clients were answered.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bench.load import SEPARATOR
from bench.report import print_rows
from linkseal.certificates import Certificate, LocalCA
from linkseal.config import EdgeConfig, JournalConfig
from linkseal.edge.certificates import CertificateFiles
from linkseal.edge.snapshot import Snapshot, SnapshotCertificate, save_snapshot
from linkseal.edge.tls import ListeningTLS
from linkseal.edge.worker import WorkerSetup, run_worker
from linkseal.journal import decode_batch, list_segments, read_rows
from linkseal.seal import KEY_BYTES, Keyring, Kind, MessageID, Sealed, sealed_url
from linkseal.vault import MASTER_KEY_BYTES, Vault

BASE: Final = "ct.example.net"
HOST: Final = "localhost"
"""The shared tracking domain here: wrk resolves the name that it sends as SNI."""
TOKENS: Final = 400
CONNECTIONS: Final = 128
FRESH_CLIENTS: Final = 16
ROUNDS: Final = 5
SECONDS: Final = 3.0

_HEADERS = (
    f"Host: {HOST}\r\n"
    "User-Agent: Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    "Accept-Language: en-GB,en;q=0.9\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "Sec-Fetch-Dest: document\r\n"
    "Sec-Fetch-Mode: navigate\r\n"
    "Sec-Fetch-Site: none\r\n\r\n"
)
_PATHS = ("spring", "products/garden-chairs", "en/articles/how-to-read-a-bill", "a/b/c")


@dataclass(frozen=True, slots=True)
class Server:
    """A server to measure: its processes and where it listens."""

    pids: Sequence[int]
    http: int
    https: int
    journal: Path | None = None

    def cpu(self) -> float:
        """Return the seconds of CPU its processes took so far."""
        ticks = 0
        for pid in self.pids:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def hits(self) -> int:
        """Count the hits in its journal."""
        assert self.journal is not None
        return sum(
            len(decode_batch(row.data).hits)
            for name in list_segments(self.journal)
            for row in read_rows(self.journal, name, after=0, max_bytes=1 << 40, closed=False)
        )


def run() -> list[dict[str, Any]]:
    """Measure, and return one row a mode."""
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        keyring = write_requests(folder)
        vault = Vault(bytes(MASTER_KEY_BYTES))
        made = LocalCA(folder, vault, BASE).certificate(HOST, datetime.now(UTC))
        ours = stack.enter_context(running_edge(folder, keyring, [made], vault, cores[0]))
        peer = stack.enter_context(_nginx(folder, made, cores[0]))
        return [
            _row("TLS keep-alive", 0.5, ours, peer, lambda s: _wrk(s, folder, cores[-1], tls=True)),
            _row("fresh TLS 1.3", 0.65, ours, peer, lambda s: fresh(s, folder, cores[-1])),
            _row("plain keep-alive", None, ours, peer, lambda s: _wrk(s, folder, cores[-1])),
        ]


def _row(name: str, goal: float | None, ours: Server, peer: Server, load: Any) -> dict[str, Any]:
    rates: tuple[list[float], list[float]] = ([], [])
    answered = recorded = 0
    for _ in range(ROUNDS):
        for server, mine in ((ours, rates[0]), (peer, rates[1])):
            hits = server.hits() if server is ours else 0
            before = server.cpu()
            count, in_flight = load(server)
            mine.append(count / (server.cpu() - before))
            if server is ours:
                new = _settled(server, hits + count) - hits
                # wrk leaves requests in flight when its time is up: recorded, not counted.
                assert count <= new <= count + in_flight, (name, count, new)
                answered += count
                recorded += new
    medians = [statistics.median(each) for each in rates]
    spread = " ".join(f"{min(each):,.0f}…{max(each):,.0f}" for each in rates)
    return {
        "name": name,
        "unit": "clicks per CPU-second",
        "ours": round(medians[0]),
        "peer": round(medians[1]),
        "ratio": round(medians[0] / medians[1], 2),
        "goal": goal,
        "note": f"{ROUNDS} rounds, {spread}; {answered:,} redirects read, {recorded:,} journaled",
    }


def _settled(server: Server, least: int) -> int:
    """Return the hits in the journal once no more come."""
    last = -1
    while (now := server.hits()) < least or now != last:
        assert now != last, (now, least)
        last = now
        time.sleep(0.3)
    return now


def _wrk(server: Server, folder: Path, core: int, *, tls: bool = False) -> tuple[int, int]:
    port = server.https if tls else server.http
    url = f"{'https' if tls else 'http'}://{HOST}:{port}"
    command = ["taskset", "-c", str(core), "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS:.0f}s"]
    done = subprocess.run(
        [*command, "-s", str(folder / "clicks.lua"), url],
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"^counts (\d+) (\d+)$", done.stdout, re.MULTILINE)
    assert found, done.stdout
    assert int(found[2]) == 0, done.stdout
    return int(found[1]), CONNECTIONS


def fresh(server: Server, folder: Path, core: int, names: str = "names") -> tuple[int, int]:
    """Click from many clients, each click on a fresh connection; return how many, and 0."""
    command = ["taskset", "-c", str(core), sys.executable, "-m", "bench.load", "127.0.0.1"]
    command += [str(server.https), str(SECONDS), str(FRESH_CLIENTS)]
    command += [str(folder / names), str(folder / "clicks")]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    counts = json.loads(done.stdout)
    assert counts.keys() == {"redirects"}, counts
    return int(counts["redirects"]), 0


def write_requests(folder: Path) -> Keyring:
    """Write what clients send into a folder; return the keyring of the links in it."""
    keyring = Keyring({1: bytes(range(KEY_BYTES))}, 1)
    paths = _paths(keyring)
    (folder / "clicks").write_bytes(
        SEPARATOR.join(f"GET {path} HTTP/1.1\r\n{_HEADERS}".encode() for path in paths)
    )
    (folder / "clicks.lua").write_text(_lua(paths))
    (folder / "names").write_text(HOST)
    return keyring


def _paths(keyring: Keyring) -> list[str]:
    """Return the paths of links as newsletters have them: destinations of 40 to 200 bytes."""
    now = datetime.now(UTC)
    paths = []
    for number in range(TOKENS):
        destination = f"https://www.shop-{number % 7}.example/{_PATHS[number % 4]}"
        if number % 5:
            destination += f"?utm_source=newsletter&utm_medium=email&utm_campaign=w{number}"
        if number % 5 > 2:
            destination += f"&utm_content=card-{number}&subscriber={number * 7919:016x}"
        message = MessageID.make(now, number.to_bytes(8, "big"))
        sealed = Sealed(Kind.CLICK, 1 + number % 3, message, number % 60, destination)
        paths.append(sealed_url("", keyring, sealed))
    return paths


def _lua(paths: Sequence[str]) -> str:
    headers = _HEADERS.strip().split("\r\n")
    pairs = ", ".join(
        f"[{json.dumps(key)}] = {json.dumps(value)}"
        for key, value in (line.split(": ", 1) for line in headers)
    )
    return f"""
local headers = {{ {pairs} }}
local paths = {{ {", ".join(json.dumps(path) for path in paths)} }}
local requests, turn = {{}}, 0
init = function(args)
  for i, path in ipairs(paths) do requests[i] = wrk.format("GET", path, headers) end
end
request = function()
  turn = turn % #requests + 1
  return requests[turn]
end
done = function(summary)
  local e = summary.errors
  local failed = e.connect + e.read + e.write + e.status + e.timeout
  io.write(string.format("counts %d %d\\n", summary.requests, failed))
end
"""


@contextlib.contextmanager
def running_edge(
    folder: Path, keyring: Keyring, certificates: Sequence[Certificate], vault: Vault, core: int
) -> Iterator[Server]:
    """Run one edge worker on a core."""
    files = CertificateFiles(folder / "edge.certificates", vault)
    snapshot = Snapshot(
        keyring=keyring,
        base_domain=BASE,
        shared_host=HOST,
        hosts={},
        certificates=[
            SnapshotCertificate(each.names, (files.put(each.chain, each.key),))
            for each in certificates
        ],
        challenges={},
        ticket_secret=secrets.token_bytes(32),
    )
    save_snapshot(folder / "edge.snapshot", snapshot, vault)
    listeners = [socket.create_server(("127.0.0.1", 0), backlog=1024) for _ in range(2)]
    setup = WorkerSetup(
        slot=0,
        http=listeners[0],
        https=listeners[1],
        tls=ListeningTLS(snapshot, files, EdgeConfig().max_contexts),
        edge=EdgeConfig(),
        journal=JournalConfig(),
        journal_dir=folder / "journal",
        snapshot_file=folder / "edge.snapshot",
        vault=vault,
    )
    stop_read, stop_write = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.close(stop_write)
        os.sched_setaffinity(0, {core})
        code = 1
        try:
            run_worker(setup, stop_read)
            code = 0
        finally:
            os._exit(code)
    try:
        ports = [listener.getsockname()[1] for listener in listeners]
        yield Server((pid,), ports[0], ports[1], folder / "journal")
    finally:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
        os.close(stop_write)
        os.close(stop_read)
        for listener in listeners:
            listener.close()


@contextlib.contextmanager
def _nginx(folder: Path, certificate: Certificate, core: int) -> Iterator[Server]:
    (folder / "chain.pem").write_bytes(certificate.chain)
    (folder / "key.pem").write_bytes(certificate.key)
    ports = []
    for _ in range(2):
        with socket.create_server(("127.0.0.1", 0)) as free:
            ports.append(free.getsockname()[1])
    (folder / "nginx.conf").write_text(f"""
daemon off; worker_processes 1; error_log {folder}/error.log; pid {folder}/nginx.pid;
{"user root;" if os.geteuid() == 0 else ""}
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  ssl_certificate {folder}/chain.pem; ssl_certificate_key {folder}/key.pem;
  ssl_protocols TLSv1.2 TLSv1.3; ssl_session_tickets on;
  server {{
    listen 127.0.0.1:{ports[0]} backlog=1024;
    listen 127.0.0.1:{ports[1]} ssl backlog=1024;
    location / {{
      return 302 https://www.shop-1.example/spring?utm_source=newsletter&utm_medium=email&utm_id=1;
    }}
  }}
}}
""")
    command = ["taskset", "-c", str(core), "nginx", "-p", str(folder), "-c", "nginx.conf"]
    process = subprocess.Popen([*command, "-e", str(folder / "error.log")])
    try:
        pids = _family(process.pid)
        yield Server(pids, ports[0], ports[1])
    finally:
        process.terminate()
        process.wait()


def _family(master: int) -> list[int]:
    """Return nginx's master and its worker, once there is one."""
    children = Path(f"/proc/{master}/task/{master}/children")
    for _ in range(100):
        found = [int(pid) for pid in children.read_text().split()]
        if found:
            return [master, *found]
        time.sleep(0.05)
    raise RuntimeError("nginx did not start its worker")


if __name__ == "__main__":
    print_rows("The edge against nginx `return 302`, server CPU per click", run())
