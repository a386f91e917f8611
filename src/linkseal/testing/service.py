"""``linkseal up`` as a process of its own, for tests, scripts and the demo."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from linkseal.config import Address, Config, load
from linkseal.errors import ServiceError
from linkseal.testing.programs import Running

START_TIMEOUT = 60.0
STOP_TIMEOUT = 60.0
COMMAND_TIMEOUT = 120.0
COMMAND = (str(Path(sys.executable).parent / "linkseal"),)
"""The installed command's words."""


def linkseal(
    *words: str, stdin: bytes | None = None, timeout: float = COMMAND_TIMEOUT
) -> subprocess.CompletedProcess[str]:
    """Run the installed command to its end, as a person would, and return what it said.

    Raises:
        subprocess.TimeoutExpired: It did not end in so many seconds, and is killed.
    """
    done = subprocess.run(
        [*COMMAND, *words],
        input=stdin,
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


class ServiceProcess(Running):
    """Runs ``linkseal up`` with a config file of its own folder.

    A context manager: started on entry, stopped on exit. The process has a session of
    its own, so Ctrl-C on a terminal reaches the caller only.

    Args:
        directory: Holds ``linkseal.toml``; the log goes there too.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config_file = directory / "linkseal.toml"
        self.log_file = directory / "service.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> Config:
        """The configuration, with the ports really bound once it is started."""
        config = load(self.config_file).config
        try:
            where = json.loads(config.service_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return config
        edge = config.edge.model_copy(
            update={key: Address.parse(where[key]) for key in ("http", "https", "ops")}
        )
        smtp = config.smtp
        if where["smtp"]:
            smtp = smtp.model_copy(update={"listen": Address.parse(where["smtp"])})
        return config.model_copy(update={"edge": edge, "smtp": smtp})

    @property
    def ca_file(self) -> Path:
        """The local CA to verify the edge with."""
        return self.config.data_dir / "tls" / "ca.pem"

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, and wait until it is ready.

        Raises:
            ServiceError: It did not get ready; the message ends with its last words.
        """
        service_file = load(self.config_file).config.service_file
        service_file.unlink(missing_ok=True)
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "linkseal", "--config", str(self.config_file), "up"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT
        while not service_file.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                words = self.log_file.read_text(encoding="utf-8", errors="replace").strip()
                raise ServiceError(
                    f"the service did not start: {words[-800:] or 'it said nothing'}",
                    code="service-not-started",
                    hint=f"the whole log is {self.log_file}",
                )
            time.sleep(0.02)

    def stop(self) -> int:
        """Stop it cleanly and return its exit code; safe to call twice.

        Raises:
            subprocess.TimeoutExpired: It did not leave; it is killed then.
        """
        process = self._process
        if process is None:
            return 0
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            return process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.kill_everything()
            raise

    def log(self) -> list[dict[str, Any]]:
        """Return the log's events so far; a line that is being written is none yet."""
        text = self.log_file.read_text(encoding="utf-8", errors="replace")
        return [json.loads(line) for line in text.split("\n")[:-1] if line.startswith("{")]

    def pids(self) -> dict[str, int]:
        """Return the process id of each part, as last started."""
        return {line["part"]: line["pid"] for line in self.log() if line["event"] == "part started"}

    def kill(self, part: str) -> None:
        """SIGKILL one part."""
        os.kill(self.pids()[part], signal.SIGKILL)

    def kill_everything(self) -> None:
        """SIGKILL the supervisor and every part at once, as a power cut would."""
        assert self._process is not None
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
