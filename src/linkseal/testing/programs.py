"""Real programs of the system's as parts of a test: found or installed, on free ports, stopped."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from linkseal.errors import ServiceError

STOP_TIMEOUT = 10.0
INSTALL_TIMEOUT = 300.0
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


def installed(name: str) -> str | None:
    """Return the path of a program, if it is there."""
    return shutil.which(name, path=os.environ.get("PATH", "") + os.pathsep + _SBIN)


def find_program(name: str, package: str) -> str:
    """Return the path of a program; as root on Debian, install its package if it is missing.

    Raises:
        ServiceError: ``program-missing``: it is not there and cannot be had.
    """
    found, apt = installed(name), installed("apt-get")
    if found is None and apt is not None and os.geteuid() == 0:
        wait = ["-o", f"DPkg::Lock::Timeout={INSTALL_TIMEOUT:.0f}"]
        for words in (["update"], ["install", "--yes", "--no-install-recommends", package]):
            with contextlib.suppress(subprocess.TimeoutExpired):
                subprocess.run(
                    [apt, *wait, *words],
                    env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
                    capture_output=True,
                    timeout=INSTALL_TIMEOUT,
                    check=False,
                )
        found = installed(name)
    if found is None:
        raise ServiceError(
            f"{name} is not installed",
            code="program-missing",
            hint=f"install the package {package}",
        )
    return found


def free_port(host: str) -> int:
    """Return a port that is free for UDP and for TCP, and stays so until it is bound.

    It is none that the system gives to who asks for any, and no other process of the same user
    gets it from here while this one lives.
    """
    while True:
        port = secrets.choice(_ports())
        if port in _mine or not _reserve(port):
            continue
        with (
            contextlib.suppress(OSError),
            socket.create_server((host, port)),
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        ):
            udp.bind((host, port))
            _mine.add(port)
            return port


_mine: set[int] = set()


@functools.cache
def _ports() -> list[int]:
    """Return the ports that are nobody's unless they are asked for by number."""
    low, high = 32768, 60999
    with contextlib.suppress(OSError):
        low, high = map(int, _EPHEMERAL.read_text(encoding="ascii").split())
    every = range(10_000, 65_536)
    return [port for port in every if not low <= port <= high] or list(every)


def _reserve(port: int) -> bool:
    """Whether nobody else has the port reserved: now it is this process's, until it ends."""
    try:
        fcntl.lockf(_reservations(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


@functools.cache
def _reservations() -> int:
    """Return a file of which one byte a port is locked; it is never closed, nor written to."""
    file = Path(tempfile.gettempdir()) / f"linkseal-ports-{os.getuid()}"
    return os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)


class Running(ABC):
    """What runs for the time of a ``with`` block."""

    @abstractmethod
    def start(self) -> None:
        """Start it."""

    @abstractmethod
    def stop(self) -> object:
        """Stop it."""

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.stop()


def launch(
    command: Sequence[str], log_file: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a program in the log's folder, with a log begun anew and a session of its own.

    Without an environment it has that of this process.
    """
    with log_file.open("wb") as log:
        return subprocess.Popen(
            command,
            cwd=log_file.parent,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def end(process: subprocess.Popen[bytes]) -> None:
    """Stop a program, by force if it does not leave; nothing if it has ended."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def not_started(name: str, log_file: Path) -> ServiceError:
    """Return the error of a program that did not start, with the last words of its log."""
    words = log_file.read_text(encoding="utf-8", errors="replace").strip()
    return ServiceError(
        f"{name} did not start: {words[-800:] or 'it said nothing'}",
        code="service-not-started",
        hint=f"the whole log is {log_file}",
    )
