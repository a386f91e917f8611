"""SIGTERM as a descriptor: in processes of their own, as the service's parts use it."""

import select
import signal
import subprocess
import sys

TAKES_IT = """
import os, select, signal
from linkseal.stopping import stop_signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
"""


def run(code: str) -> str:
    """Return what the process printed; it must have ended by itself."""
    ended = subprocess.run(
        [sys.executable, "-c", TAKES_IT + code], capture_output=True, text=True, timeout=20
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


def test_it_is_readable_once_sigterm_has_come() -> None:
    printed = run("""
stopped = stop_signal()
print(select.select([stopped], [], [], 0)[0] == [])
os.kill(os.getpid(), signal.SIGTERM)
print(select.select([stopped], [], [], 10)[0] == [stopped])
""")
    assert printed.split() == ["True", "True"]


def test_a_sigterm_that_came_while_it_was_blocked_is_not_lost() -> None:
    printed = run("""
os.kill(os.getpid(), signal.SIGTERM)
stopped = stop_signal()
print(select.select([stopped], [], [], 10)[0] == [stopped])
""")
    assert printed.split() == ["True"]


def test_more_signals_than_a_pipe_holds_do_no_harm() -> None:
    printed = run("""
stopped = stop_signal()
for _ in range(70_000):
    signal.raise_signal(signal.SIGTERM)
print(select.select([stopped], [], [], 10)[0] == [stopped])
""")
    assert printed.split() == ["True"]


def test_it_wakes_a_process_that_waits() -> None:
    code = (
        TAKES_IT
        + """
stopped = stop_signal()
print("waiting", flush=True)
print(select.select([stopped], [], [], 15)[0] == [stopped])
"""
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as part:
        assert part.stdout is not None
        assert select.select([part.stdout], [], [], 15)[0]
        assert part.stdout.readline() == "waiting\n"
        part.send_signal(signal.SIGTERM)
        assert part.communicate(timeout=10)[0] == "True\n"
