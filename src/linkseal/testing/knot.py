"""A real Knot DNS on free loopback ports, without root: zones that take signed updates."""

from __future__ import annotations

import base64
import secrets
import subprocess
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.DNSKEY
import dns.rdtypes.dnskeybase

from linkseal.certificates.dns_update import TSIGKey
from linkseal.testing.programs import Running, end, find_program, free_port, launch, not_started

START_TIMEOUT = 30.0
_ATTEMPTS = 5

_CONFIG = """\
server:
    rundir: "{run}"
    listen: {host}@{port}
    identity: "{identity}"
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: info
database:
    storage: "."
key:
  - id: {key.name}
    algorithm: {key.algorithm}
    secret: {key.secret}
  - id: {stranger.name}
    algorithm: {stranger.algorithm}
    secret: {stranger.secret}
acl:
  - id: updates
    key: {key.name}
    action: update
    update-type: [TXT]
template:
  - id: default
    storage: "."
    zonefile-sync: -1
    journal-content: none
    acl: updates
policy:
  - id: signed
    algorithm: ecdsap256sha256
zone:
"""
_SIGNED = """\
    dnssec-signing: on
    dnssec-policy: signed
"""
_ZONE = """\
$ORIGIN {zone}.
$TTL 60
@ SOA ns.{zone}. hostmaster.{zone}. 1 3600 600 86400 60
@ NS ns.{zone}.
ns A {host}
"""


def find_knotd() -> str:
    """Return the path of ``knotd``; as root on Debian, install it if it is missing.

    Raises:
        ServiceError: ``program-missing``: it is not there and cannot be had.
    """
    return find_program("knotd", "knot")


class Knot(Running):
    """Runs ``knotd`` with zones of its own; updates live in memory only.

    A context manager: started on entry, stopped on exit.

    Args:
        directory: For its configuration, zones and log; made when missing.
        zones: Zone names, each with more lines of its zone file, relative to the zone.
        signed: Those that it signs (DNSSEC), with keys that it makes when it starts.

    Attributes:
        host: Its address.
        port: Its port, for UDP and TCP; a free one, known once it is started.
        key: May change TXT records in every zone.
        stranger: A key the server knows and allows nothing.
    """

    host = "127.0.0.1"

    def __init__(
        self,
        directory: Path,
        zones: Mapping[str, Sequence[str]],
        *,
        signed: Collection[str] = (),
    ) -> None:
        self.port = 0
        self.key = TSIGKey("linkseal", _secret())
        self.stranger = TSIGKey("stranger", _secret())
        self._directory = directory
        self._zones = zones
        self._signed = signed
        self._log_file = directory / "knot.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._run: tempfile.TemporaryDirectory[str] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers on both protocols.

        Raises:
            ServiceError: It did not start; the message ends with its last words.
        """
        knotd = find_knotd()
        self._directory.mkdir(parents=True, exist_ok=True)
        for zone, lines in self._zones.items():
            text = _ZONE.format(zone=zone, host=self.host) + "".join(f"{line}\n" for line in lines)
            (self._directory / f"{zone}.zone").write_text(text, encoding="utf-8")
        for _ in range(_ATTEMPTS):
            if self._try_to_start(knotd):
                return
            # Somebody may have taken the port between the look and the start.
            self.stop()
        raise not_started("knotd", self._log_file)

    def stop(self) -> None:
        """Stop it; safe to call twice."""
        process, self._process = self._process, None
        if process is None:
            return
        end(process)
        if self._run is not None:
            self._run.cleanup()

    def values(self, name: str) -> set[str]:
        """Return the TXT values it serves at ``name``.

        Raises:
            dns.exception.DNSException: It does not answer.
            OSError: It cannot be reached.
        """
        query = dns.message.make_query(name, dns.rdatatype.TXT)
        answer = dns.query.tcp(query, self.host, timeout=5.0, port=self.port)
        return {
            b"".join(record.strings).decode()
            for records in answer.answer
            if records.rdtype == dns.rdatatype.TXT
            for record in records
        }

    def signing_keys(self, zone: str) -> list[dns.rdtypes.ANY.DNSKEY.DNSKEY]:
        """Return the keys that a signed zone's DS records are made of.

        Raises:
            dns.exception.DNSException: It does not answer.
            OSError: It cannot be reached.
        """
        query = dns.message.make_query(zone, dns.rdatatype.DNSKEY)
        answer = dns.query.tcp(query, self.host, timeout=5.0, port=self.port)
        return [
            key
            for records in answer.answer
            if records.rdtype == dns.rdatatype.DNSKEY
            for key in records
            if key.flags & dns.rdtypes.dnskeybase.Flag.SEP
        ]

    def _try_to_start(self, knotd: str) -> bool:
        self.port = free_port(self.host)
        identity = secrets.token_hex(8)
        # Not in the directory: the path of the control socket there must be short (108 bytes).
        self._run = tempfile.TemporaryDirectory(prefix="knot-")
        config = _CONFIG.format(
            run=self._run.name,
            host=self.host,
            port=self.port,
            identity=identity,
            key=self.key,
            stranger=self.stranger,
        )
        for zone in self._zones:
            config += f'  - domain: {zone}\n    file: "{zone}.zone"\n'
            config += _SIGNED if zone in self._signed else ""
        file = self._directory / "knot.conf"
        file.touch(mode=0o600)
        file.write_text(config, encoding="utf-8")
        self._process = launch([knotd, "-c", file.name], self._log_file)
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and self._process.poll() is None:
            if self._answers_as(identity):
                return True
            time.sleep(0.02)
        return False

    def _answers_as(self, identity: str) -> bool:
        """Whether it is this server that answers, not another one on the same port."""
        query = dns.message.make_query("id.server", dns.rdatatype.TXT, dns.rdataclass.CH)
        try:
            answers = [
                ask(query, self.host, timeout=0.5, port=self.port).answer
                for ask in (dns.query.tcp, dns.query.udp)
            ]
        except (OSError, EOFError, dns.exception.DNSException):
            return False
        return all(identity in str(answer) for answer in answers)


def _secret() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()
