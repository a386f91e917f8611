"""Connections on their way in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import trustme

from linkseal.edge.snapshot import save_snapshot
from support.edge import SHARED, VAULT, Edge, files_in, read_reply, request, snapshot

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
