"""nginx by a file of a customer's, in the test's own loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

from linkseal.testing.programs import find_program


@contextlib.asynccontextmanager
async def nginx(directory: Path, config: str, port: int) -> AsyncIterator[None]:
    (directory / "nginx.conf").write_text(
        f"daemon off; pid {directory}/nginx.pid; error_log stderr;\n"
        + ("user root;\n" if os.geteuid() == 0 else "")
        + "events {}\nhttp { access_log off;\n"
        # Where it writes when it is no root's.
        + f"proxy_temp_path {directory}/proxy; client_body_temp_path {directory}/body;\n"
        + f"proxy_cache_path {directory}/cache keys_zone=all:1m;\n{config}\n}}\n"
    )
    words = [find_program("nginx", "nginx-light"), "-p", str(directory)]
    process = subprocess.Popen(
        [*words, "-c", str(directory / "nginx.conf")], stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            assert process.poll() is None, "nginx did not start"
            assert time.monotonic() < deadline, "nginx does not listen"
            await asyncio.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()
