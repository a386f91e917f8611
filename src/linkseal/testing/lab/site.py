"""A branded domain as the stand-in before it knows it, and the programs that a stand-in is."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from linkseal.config import Address
from linkseal.errors import ServiceError
from linkseal.testing.programs import end, find_program, free_port, launch, not_started

START_TIMEOUT: Final = 30.0


@dataclass(frozen=True, slots=True)
class Site:
    """What a stand-in stands before, and where.

    Attributes:
        directory: For its configuration, caches and logs.
        host: The branded domain.
        target: Its target.
        base_domain: Ours.
        ownership: The TXT value that proves the domain.
        certificate: Shown to recipients: key and chain in one PEM file.
        roots: What our edge's certificate is verified with, PEM file.
        http: Where recipients meet it in plain text.
        https: Where they meet it with TLS; at the same address.
        edge_http: Where our edge listens in plain text.
        edge_https: Where it listens with TLS.
        resolver: DNS server that knows the target, ``127.0.0.1:5353``: customers' proxies ask
            it. Empty when there is none to be asked.
        source: The address it connects to us from; empty: the one where recipients meet it.
    """

    directory: Path
    host: str
    target: str
    base_domain: str
    ownership: str
    certificate: Path
    roots: Path
    http: Address
    https: Address
    edge_http: Address
    edge_https: Address
    resolver: str = ""
    source: str = ""

    @property
    def connects_from(self) -> str:
        """The address it connects to us from."""
        return self.source or self.https.host

    def write(self, name: str, content: str) -> Path:
        """Write a file of the stand-in's, and return it."""
        self.directory.mkdir(parents=True, exist_ok=True)
        file = self.directory / name
        file.write_text(content, encoding="utf-8")
        return file

    def inner_port(self) -> int:
        """Return a free port for a leg inside of the stand-in."""
        return free_port("127.0.0.1")


@contextlib.contextmanager
def running(
    site: Site,
    words: Sequence[str],
    ready: Address,
    environment: Mapping[str, str] | None = None,
) -> Iterator[None]:
    """Run a program until the block ends, from when it takes connections on.

    Args:
        site: Whose folder it runs in.
        words: Its path and arguments.
        ready: Where it listens once it is ready.
        environment: Besides this process's own.

    Raises:
        ServiceError: It did not start; the message ends with its last words.
    """
    name = Path(words[0]).name
    log_file = site.write(f"{name}.log", "")
    process = launch(words, log_file, {**os.environ, **(environment or {})})
    try:
        deadline = time.monotonic() + START_TIMEOUT
        while not _listens(ready):
            if process.poll() is not None or time.monotonic() > deadline:
                raise not_started(name, log_file)
            time.sleep(0.02)
        yield
    finally:
        end(process)


def _listens(address: Address) -> bool:
    try:
        with socket.create_connection((address.host, address.port), 1.0):
            return True
    except OSError:
        return False


_HAPROXY = """\
global
    nbthread 1
    maxconn 256

defaults
    mode http
    retries 0
    timeout connect 5s
    timeout client 30s
    timeout server 30s

"""


def small_haproxy(
    site: Site, config: str, ready: Address
) -> contextlib.AbstractContextManager[None]:
    """Run HAProxy, as a stand-in needs it, with the frontends and backends of one."""
    return haproxy(site, _HAPROXY + config, ready)


def haproxy(site: Site, config: str, ready: Address) -> contextlib.AbstractContextManager[None]:
    """Run HAProxy with a configuration."""
    program = find_program("haproxy", "haproxy")
    file = site.write("haproxy.cfg", config)
    return running(site, [program, "-db", "-f", str(file)], ready)


def nginx(site: Site, http: str, ready: Address) -> contextlib.AbstractContextManager[None]:
    """Run nginx with what stands in its ``http`` block."""
    program, folder = find_program("nginx", "nginx-light"), site.directory
    kept = "".join(
        f"    {each}_temp_path {folder}/{each};\n"
        for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    file = site.write(
        "nginx.conf",
        f"daemon off;\npid {folder}/nginx.pid;\nerror_log stderr;\n"
        + ("user root;\n" if os.geteuid() == 0 else "")
        + f"events {{}}\nhttp {{\n    access_log off;\n{kept}"
        + f"    proxy_cache_path {folder}/cache keys_zone=lab:1m;\n{http}\n}}\n",
    )
    words = [program, "-e", "stderr", "-p", str(folder), "-c", str(file)]
    return running(site, words, ready)


def stunnel_program() -> str:
    """Return the path of stunnel.

    Raises:
        ServiceError: ``program-missing``: it is not there and cannot be had.
    """
    with contextlib.suppress(ServiceError):
        return find_program("stunnel4", "stunnel4")
    return find_program("stunnel", "stunnel4")
