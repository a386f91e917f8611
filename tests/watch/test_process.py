"""The watch as a process: stopped at any moment, killed at any moment."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from linkseal import datadir
from linkseal.domains.base import DomainState
from linkseal.vault import write_private
from prober.lab import BASE, KEY
from watch.lab import AUTHORITY, Live, live_domains, looks, name_of, until

WATCH = """
import os, sys
from pathlib import Path
from linkseal import datadir
from linkseal.config import load
from linkseal.watch.process import run_watch
config = load(Path(sys.argv[1])).config
run_watch(config, datadir.open_vault(config), os.pipe()[0])
os._exit(0)  # As the supervisor's children end: no thread is waited for.
"""
PATIENCE = 8.0
"""Seconds: less than a look that hangs may take, and than a locked database is waited for."""
CONFIG = """\
base_domain = "{base}"
data_dir = "."
[prober]
resolvers = ["{dns}"]
public_resolvers = ["{dns}"]
authority_port = {dns_port}
http_port = {prober.http_port}
https_port = {prober.https_port}
allow_private_addresses = true
extra_roots = ["root.pem"]
timeout = 20.0
[watch]
interval = 0.5
retry = {retry}
failures = 3
"""


def configure(found: Live, directory: Path, *, retry: float = 0.1) -> Path:
    assert found.dns is not None
    AUTHORITY.cert_pem.write_to_path(directory / "root.pem")
    file = directory / "linkseal.toml"
    dns = f"{found.dns.host}:{found.dns.port}"
    prober = found.config.prober
    text = CONFIG.format(base=BASE, dns=dns, dns_port=found.dns.port, prober=prober, retry=retry)
    file.write_text(text)
    datadir.prepare(found.config)
    sealed = datadir.open_vault(found.config).seal(KEY, datadir.PROBE_KEY)
    write_private(datadir.probe_key_file(found.config), sealed)
    return file


@contextlib.contextmanager
def watching(file: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", WATCH, str(file)])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def ended(process: subprocess.Popen[bytes]) -> float:
    """Return the seconds a process takes to leave."""
    began = time.monotonic()
    await asyncio.to_thread(process.wait, 20)
    return time.monotonic() - began


async def test_told_to_stop_it_leaves_although_a_look_hangs(tmp_path: Path) -> None:
    async with live_domains(tmp_path) as found:
        hangs = asyncio.Event()

        async def behave(_asked: object, answer: bytes) -> bytes:
            hangs.set()
            await asyncio.sleep(60)
            return answer

        with watching(configure(found, tmp_path)) as process:
            await looks(found, 2)
            found.origin.behave = behave
            await asyncio.wait_for(hangs.wait(), 20)
            process.send_signal(signal.SIGTERM)
            assert await ended(process) < PATIENCE
            assert process.returncode == 0


async def test_told_to_stop_it_does_not_wait_for_a_locked_database(tmp_path: Path) -> None:
    async with live_domains(tmp_path) as found:
        with (
            watching(configure(found, tmp_path)) as process,
            contextlib.closing(
                sqlite3.connect(tmp_path / "linkseal.db", isolation_level=None)
            ) as lock,
        ):
            await looks(found, 2)
            lock.execute("BEGIN IMMEDIATE")
            found.broken.add(name_of(0))
            await looks(found, 1)
            # By now it wants to write that the look failed.
            await asyncio.sleep(0.5)
            process.send_signal(signal.SIGTERM)
            assert await ended(process) < PATIENCE


async def test_killed_between_failures_it_goes_on_where_it_was(tmp_path: Path) -> None:
    async with live_domains(tmp_path) as found:
        # Slowly enough that it is killed after the first failure, and before the second.
        file = configure(found, tmp_path, retry=10)
        with watching(file) as process:
            await looks(found, 2)
            found.broken.add(name_of(0))
            await until(lambda: found.domain().failures == 1)
            process.kill()
            await ended(process)
        assert found.domain().failures == 1
        file = configure(found, tmp_path)
        with watching(file):
            await until(lambda: found.state() is DomainState.SSL_DEGRADED)
        assert found.domain().failures == 3
        found.broken.clear()
        with watching(file):
            await until(lambda: found.state() is DomainState.SSL_ENABLED)
        assert found.kinds() == ["degraded", "recovered"]
