"""Write challenge values by a program of the operator, for every DNS without signed updates.

Everything here blocks.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from typing import IO

from linkseal.certificates.dns_update import reason
from linkseal.errors import CertificateError

_STDERR_TAIL = 4096
_LINE_LENGTH = 300


class ExecHook:
    """Writes by a program of the operator.

    It is run as ``argv… publish|withdraw NAME VALUE``, without a shell, with the same in
    ``LINKSEAL_DNS_ACTION``, ``LINKSEAL_DNS_NAME`` and ``LINKSEAL_DNS_VALUE``. A value may
    begin with a dash. No other variable of ours is handed on: they can hold secrets.
    Exit code 0 is success; the last line of its stderr tells a failure.

    Args:
        argv: The program and its first arguments.
        timeout: Seconds until it and everything it started in its group is killed.

    Raises:
        CertificateError: ``dns-hook-unusable``: there is no program.
    """

    def __init__(self, argv: Sequence[str], *, timeout: float = 120.0) -> None:
        if not argv:
            raise CertificateError(
                "the DNS hook has no program",
                code="dns-hook-unusable",
                hint="give the program and its arguments as a list",
            )
        self._argv = tuple(argv)
        self._timeout = timeout

    def publish(self, name: str, value: str) -> None:
        """Run the hook with ``publish``."""
        self._run("publish", name, value)

    def withdraw(self, name: str, value: str) -> None:
        """Run the hook with ``withdraw``."""
        self._run("withdraw", name, value)

    def _run(self, action: str, name: str, value: str) -> None:
        kept = {key: text for key, text in os.environ.items() if not key.startswith("LINKSEAL_")}
        ours = {"ACTION": action, "NAME": name, "VALUE": value}
        # A file, not a pipe: whatever the hook leaves running may keep a pipe open for ever.
        with tempfile.TemporaryFile() as stderr:
            try:
                process = subprocess.Popen(  # noqa: S603 - the operator's program, no shell
                    [*self._argv, action, name, value],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=stderr,
                    env=kept | {f"LINKSEAL_DNS_{key}": text for key, text in ours.items()},
                    start_new_session=True,
                )
            except (OSError, ValueError) as fault:
                raise CertificateError(
                    f"the DNS hook {self._argv[0]} cannot be run: {reason(fault)}",
                    code="dns-hook-unusable",
                    hint="give the full path of a program this user may run",
                ) from fault
            try:
                code = process.wait(self._timeout)
            except subprocess.TimeoutExpired as fault:
                raise CertificateError(
                    f"the DNS hook {self._argv[0]} did not {action} {name} "
                    f"in {self._timeout:g} s, and was killed",
                    code="dns-hook-timeout",
                    hint="run it by hand to see where it hangs, or allow it more time",
                    retryable=True,
                ) from fault
            finally:
                if process.returncode is None:
                    # Not reaped yet, so the group is still its own.
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
            if code != 0:
                said = _last_line(stderr) or f"it said nothing (exit code {code})"
                raise CertificateError(
                    f"the DNS hook {self._argv[0]} could not {action} {name}: {said}",
                    code="dns-hook-failed",
                    hint="run it by hand with the same arguments to see all it says",
                    retryable=True,
                )


def _last_line(stderr: IO[bytes]) -> str:
    """Return the last line that says something, made safe for a terminal."""
    stderr.seek(max(stderr.seek(0, os.SEEK_END) - _STDERR_TAIL, 0))
    lines = stderr.read().decode(errors="replace").strip().splitlines() or [""]
    line = "".join(each if each.isprintable() else " " for each in lines[-1])
    return line.strip()[:_LINE_LENGTH]
