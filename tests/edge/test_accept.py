"""Connections on their way in: without aiofastnet's direct engine, and when the worker ends."""

from __future__ import annotations

import gc
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from linkseal.edge.snapshot import save_snapshot
from support.edge import SHARED, VAULT, Edge, files_in, hello, read_reply, request, snapshot

MakeEdge = Callable[..., Edge]

# A Python that has OpenSSL linked in has no file of it, and aiofastnet then no direct engine.
SERVE_WITHOUT_ENGINE = """
import _ssl, asyncio, socket, sys
del _ssl.__file__
from pathlib import Path
import uvloop
from linkseal.config import EdgeConfig, JournalConfig
from linkseal.edge.certificates import CertificateFiles
from linkseal.edge.snapshot import load_snapshot
from linkseal.edge.tls import ListeningTLS
from linkseal.edge.worker import WorkerSetup, serve
from linkseal.vault import Vault
directory, vault = Path(sys.argv[1]), Vault(bytes.fromhex(sys.argv[2]))
files = CertificateFiles(directory / "edge.certificates", vault)
http, https = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
setup = WorkerSetup(
    slot=0,
    http=http,
    https=https,
    tls=ListeningTLS(load_snapshot(directory / "edge.snapshot", vault), files, 100),
    edge=EdgeConfig(),
    journal=JournalConfig(),
    journal_dir=directory / "journal",
    snapshot_file=directory / "edge.snapshot",
    vault=vault,
)
async def until_the_input_ends():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_reader(0, stop.set)
    print(https.getsockname()[1], flush=True)
    await serve(setup, stop)
with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(until_the_input_ends())
"""


def test_a_python_with_openssl_linked_in_serves_https_all_the_same(
    tmp_path: Path, authority: trustme.CA
) -> None:
    save_snapshot(tmp_path / "edge.snapshot", snapshot(files_in(tmp_path), authority), VAULT)
    with subprocess.Popen(
        [sys.executable, "-c", SERVE_WITHOUT_ENGINE, str(tmp_path), (b"m" * 32).hex()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        port = int(process.stdout.readline())
        nobody = ("127.0.0.1", 0)
        edge = Edge(tmp_path, authority, nobody, ("127.0.0.1", port), process.kill, tmp_path)
        try:
            for _ in range(3):
                with edge.connect(tls=SHARED) as connection:
                    connection.sendall(request("/robots.txt"))
                    assert read_reply(connection).status == 200
        finally:
            for each in edge.open_sockets:
                each.close()
            process.stdin.close()
            assert process.wait(20) == 0


@pytest.mark.parametrize("said", ["a hello", "half a hello", "nothing"])
def test_a_client_that_falls_silent_in_its_handshake_is_let_go_when_the_worker_ends(
    make_edge: MakeEdge, authority: trustme.CA, capfd: pytest.CaptureFixture[str], said: str
) -> None:
    edge = make_edge(drain_timeout=0.2, header_timeout=30)
    with socket.create_connection(edge.https, 10) as silent:
        sent = {"a hello": hello(authority), "half a hello": hello(authority)[:100], "nothing": b""}
        silent.sendall(sent[said])
        # The kernel keeps a client that says nothing for a while.
        time.sleep(0.3 if sent[said] else 2.5)
        edge.stop()
        gc.collect()
        silent.settimeout(5)
        try:
            while silent.recv(4096):
                pass
        except ConnectionResetError:
            pass
    assert "error" not in "".join(capfd.readouterr())
