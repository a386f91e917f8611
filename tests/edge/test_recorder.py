"""Recipients do not wait for a disk that hangs, and their hits are written when it is back."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from linkseal.config import JournalConfig
from support.edge import Edge

PATIENCE = 2.0
"""Seconds: more than an answer takes that waits for nothing."""

# Stops one thread of another process until its input ends, as a disk that hangs would.
HOLD = """
import ctypes, os, sys
SEIZE, INTERRUPT = 0x4206, 0x4207
tid = int(sys.argv[1])
ptrace = ctypes.CDLL(None, use_errno=True).ptrace
for request in (SEIZE, INTERRUPT):
    if ptrace(request, tid, None, None):
        print(os.strerror(ctypes.get_errno()), flush=True)
        sys.exit()
os.waitpid(tid, 0x40000000)
print("held", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def held(thread: threading.Thread) -> Iterator[None]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(thread.native_id)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        said = process.stdout.readline().strip()
        if said != "held":
            pytest.skip(f"threads cannot be stopped here: {said}")
        try:
            yield
        finally:
            process.stdin.close()
            process.wait(10)


def test_recipients_wait_for_a_write_that_hangs_only_so_long(
    make_edge: Callable[..., Edge],
) -> None:
    edge = make_edge(journal=JournalConfig(patience_seconds=PATIENCE))
    assert edge.get(edge.token_path(link=0)).status == 302
    (writer,) = (thread for thread in threading.enumerate() if thread.name == "journal")
    with held(writer):
        started = time.monotonic()
        assert edge.get(edge.token_path(link=1)).status == 302
        assert PATIENCE <= time.monotonic() - started < PATIENCE + 10
        started = time.monotonic()
        assert edge.get(edge.token_path(link=2)).status == 302
        assert time.monotonic() - started < PATIENCE
        assert [hit.link for hit in edge.hits()] == [0]
    deadline = time.monotonic() + 20
    while len(edge.hits()) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [hit.link for hit in edge.hits()] == [0, 1, 2]
    edge.stop()
    assert [hit.link for hit in edge.hits()] == [0, 1, 2]
