"""A real Unbound on a free loopback port, without root: a resolver that validates DNSSEC."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import dns.exception
import dns.message
import dns.query

from linkseal.config import Address
from linkseal.testing.programs import end, find_program, free_port, launch, not_started

START_TIMEOUT: Final = 30.0
_CONFIG: Final = """\
server:
    directory: "{directory}"
    chroot: ""
    username: ""
    pidfile: ""
    use-syslog: no
    verbosity: 1
    num-threads: 1
    interface: {place.host}@{place.port}
    do-not-query-localhost: no
    do-ip6: no
    module-config: "validator iterator"
    val-log-level: 2
    local-zone: "." static
remote-control:
    control-enable: no
"""
_ZONE: Final = """\
server:
    local-zone: "{zone}." transparent
stub-zone:
    name: "{zone}."
    stub-addr: {server.host}@{server.port}
"""
_HOST: Final = "127.0.0.1"


@contextlib.contextmanager
def validating(
    directory: Path, zones: Mapping[str, Address], anchors: Sequence[str] = ()
) -> Iterator[Address]:
    """Run a resolver that knows some zones and no others; yield where it listens.

    Args:
        directory: For its configuration and log; made when missing.
        zones: The authoritative server of each.
        anchors: DS or DNSKEY records, as in a zone file: what is below one of them has to be
            signed by it. They stand for the DS records that the zones above publish.

    Raises:
        ServiceError: ``program-missing``; it did not start, with its last words.
    """
    program = find_program("unbound", "unbound")
    directory.mkdir(parents=True, exist_ok=True)
    place = Address(_HOST, free_port(_HOST))
    config = _CONFIG.format(directory=directory, place=place)
    config += "".join(_ZONE.format(zone=zone, server=server) for zone, server in zones.items())
    config += "server:\n" + "".join(f"    trust-anchor: '{each}'\n" for each in anchors)
    file, log_file = directory / "unbound.conf", directory / "unbound.log"
    file.write_text(config, encoding="utf-8")
    process = launch([program, "-d", "-c", str(file)], log_file)
    try:
        deadline = time.monotonic() + START_TIMEOUT
        while not _answers(place):
            if process.poll() is not None or time.monotonic() > deadline:
                raise not_started("unbound", log_file)
            time.sleep(0.02)
        yield place
    finally:
        end(process)


def _answers(place: Address) -> bool:
    query = dns.message.make_query("nobody.invalid", "A")
    try:
        dns.query.tcp(query, place.host, timeout=0.5, port=place.port)
    except (OSError, EOFError, dns.exception.DNSException):
        return False
    return True
