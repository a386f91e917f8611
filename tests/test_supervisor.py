"""The supervisor: a process of its own over small parts, which are killed as it stops."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PARTS = """
import os, select, signal, sys
import structlog
from linkseal.stopping import stop_signal
from linkseal.supervisor import Part, Supervisor

structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

def take(stop_fd):
    stopped = stop_signal()
    say("taking", os.getpid())
    select.select([stopped], [], [])
    say("leaving", os.getpid())
    sys.stdin.readline()

def store(stop_fd):
    stopped = stop_signal()
    say("storing", os.getpid())
    select.select([stopped], [], [])
    if sys.argv[1] == "killed as it stores" and not os.path.exists("killed"):
        os.mknod("killed")
        os.kill(os.getpid(), signal.SIGKILL)
    say("stored", os.getpid())

def ready():
    # Somebody who waits for just this may be as quick as that.
    if sys.argv[1]:
        os.kill(os.getpid(), signal.SIGTERM)

Supervisor(
    [Part("taker", take), Part("storer", store, stage=1)], lambda asked: None, lambda pid: None
).run(ready)
"""


class Supervised:
    """A supervisor under way, its parts' process ids known."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.pids = dict(self.says() for _ in range(2))

    def says(self) -> tuple[str, int]:
        """Return the next word a part says, and its process id."""
        assert self._process.stdout is not None
        assert select.select([self._process.stdout], [], [], 20)[0], "no part says more"
        word, pid = self._process.stdout.readline().decode().split()
        return word, int(pid)

    def signal(self, number: signal.Signals) -> None:
        """Send the supervisor a signal."""
        self._process.send_signal(number)

    def let_go(self) -> list[str]:
        """Let the taker leave; return all that is said until everything is gone."""
        said, _ = self._process.communicate(b"\n", timeout=20)
        assert self._process.returncode == 0
        return said.decode().splitlines()


@contextmanager
def supervised() -> Iterator[Supervised]:
    with subprocess.Popen(
        [sys.executable, "-c", PARTS, ""],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # Nothing lies in a buffer of ours where select() does not see it.
        bufsize=0,
    ) as process:
        yield Supervised(process)


def test_what_takes_in_is_gone_before_what_stores_is_told_to_stop() -> None:
    with supervised() as service:
        service.signal(signal.SIGTERM)
        assert service.says() == ("leaving", service.pids["taking"])
        assert service.let_go() == [f"stored {service.pids['storing']}"]


def test_what_stores_is_started_once_more_when_killed_with_the_order_to_stop() -> None:
    with supervised() as service:
        # The supervisor finds both signals waiting, and takes the order to stop first.
        service.signal(signal.SIGSTOP)
        os.kill(service.pids["storing"], signal.SIGKILL)
        service.signal(signal.SIGTERM)
        service.signal(signal.SIGCONT)
        assert service.says() == ("leaving", service.pids["taking"])
        storing, stored = service.let_go()
        assert storing.startswith("storing ")
        assert stored == storing.replace("storing", "stored")


def test_what_stores_is_started_once_more_when_killed_while_others_stop() -> None:
    with supervised() as service:
        service.signal(signal.SIGTERM)
        assert service.says() == ("leaving", service.pids["taking"])
        os.kill(service.pids["storing"], signal.SIGKILL)
        storing, stored = service.let_go()
        assert storing.startswith("storing ")
        assert stored == storing.replace("storing", "stored")


def words(how: str, directory: Path) -> list[str]:
    """Return what is said by parts that are told to stop as soon as they are there."""
    done = subprocess.run(
        [sys.executable, "-c", PARTS, how],
        cwd=directory,
        input=b"\n",
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0
    return sorted(line.split()[0] for line in done.stdout.decode().splitlines())


def test_told_to_stop_in_the_moment_it_is_ready_it_stops_as_ever(tmp_path: Path) -> None:
    assert words("stopped at once", tmp_path) == ["leaving", "stored", "storing", "taking"]


def test_what_stores_is_started_once_more_when_killed_while_it_stores(tmp_path: Path) -> None:
    said = words("killed as it stores", tmp_path)
    assert said == ["leaving", "stored", "storing", "storing", "taking"]
