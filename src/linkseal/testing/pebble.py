"""A real Pebble on free loopback ports: a CA that validates, delays, and rejects good nonces.

It sees the DNS of ``pebble-challtestsrv``, where every name without an address of its own is
at 127.0.0.1, unless it is given a DNS server::

    with Pebble(folder, http_port=port) as ca:
        ca.set_address("links.acme.example", "127.0.0.1")
        ...  # order at ca.url, which ca.ca_file verifies; ca.root_pem() verifies the chain

Both programs are in Debian's package ``pebble``. Pebble neither asks for CAA records nor
limits rates, and that of Debian 12 (2.4.0) has neither renewal information nor profiles;
:mod:`linkseal.testing.acme_directory` has both. It forgets everything when it stops.
"""

from __future__ import annotations

import ipaddress
import json
import os
import secrets
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rdatatype
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from linkseal.errors import ServiceError
from linkseal.testing.acme_authority import Authority
from linkseal.testing.programs import Running, end, find_program, free_port, launch, not_started

START_TIMEOUT = 30.0
REQUEST_TIMEOUT = 10.0
_HOST = "127.0.0.1"
_ATTEMPTS = 5
_PACKAGE = "pebble"
_API_LIFE = timedelta(days=30)
# Of the waits before a validation only the length is changed: under 2 s, not under 15 s.
_ENVIRONMENT = {"PEBBLE_VA_SLEEPTIME": "2"}


def find_pebble() -> tuple[str, str]:
    """Return the paths of ``pebble`` and ``pebble-challtestsrv``; as root, install them.

    Raises:
        ServiceError: ``program-missing``: they are not there and cannot be had.
    """
    return find_program("pebble", _PACKAGE), find_program("pebble-challtestsrv", _PACKAGE)


class Pebble(Running):
    """Runs ``pebble -strict``, and a DNS server for it to ask.

    A context manager: started on entry, stopped on exit.

    Args:
        directory: For its configuration, key and logs; made when missing.
        dns_server: ``host:port`` of the DNS server it asks instead, by UDP.
        http_port: Where it connects for HTTP-01; with 0 that always fails.
        tls_port: Likewise for TLS-ALPN-01.
        environment: ``PEBBLE_*`` variables. What is not set is as Pebble has it, so 5% of
            good nonces are rejected and half of the valid authorizations are used again;
            only ``PEBBLE_VA_SLEEPTIME`` is 2 (seconds, exclusive) instead of 15.

    Attributes:
        url: Its directory, known once it is started.
        management: The base URL of its management interface, likewise.
        dns_server: ``host:port`` of the DNS server it asks, likewise.
        ca_file: The root to verify both with.
    """

    def __init__(
        self,
        directory: Path,
        *,
        dns_server: str | None = None,
        http_port: int = 0,
        tls_port: int = 0,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.url = self.management = ""
        self.dns_server = dns_server or ""
        self.ca_file = directory / "pebble-ca.pem"
        self._directory = directory
        self._own_dns = dns_server is None
        self._ports = {"httpPort": http_port, "tlsPort": tls_port}
        self._environment = {
            **{name: value for name, value in os.environ.items() if name[:7] != "PEBBLE_"},
            **_ENVIRONMENT,
            **(environment or {}),
        }
        self._control = ""
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start it, and wait until its directory and its DNS server answer.

        Raises:
            ServiceError: It did not start; the message ends with its last words.
        """
        pebble, challtestsrv = find_pebble()
        self._directory.mkdir(parents=True, exist_ok=True)
        self._write_certificate()
        try:
            if self._own_dns:
                self._run(lambda: self._dns_command(challtestsrv), self._dns_answers)
            self._run(lambda: self._pebble_command(pebble), self._pebble_answers)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop it; safe to call twice."""
        while self._processes:
            end(self._processes.pop())

    def root_pem(self) -> bytes:
        """Return the root that its certificates verify against, PEM; new at every start.

        Raises:
            OSError: It does not answer.
        """
        return self._ask(f"{self.management}/roots/0")

    def set_address(self, name: str, ipv4: str) -> None:
        """Put a name at one IPv4 address.

        Like all of these, only for the DNS server of its own.

        Raises:
            ServiceError: ``no-challenge-dns``: it asks another DNS server.
            OSError: The DNS server does not answer.
        """
        self._tell("clear-a", name)
        self._tell("add-a", name, addresses=[ipv4])

    def set_cname(self, name: str, target: str) -> None:
        """Make a name another one's alias, for every type of record; raises as before."""
        self._tell("set-cname", name, target=_absolute(target))

    def set_txt(self, name: str, value: str) -> None:
        """Add a TXT value to a name, which may have several; raises as before."""
        self._tell("set-txt", name, value=value)

    def clear_txt(self, name: str) -> None:
        """Remove all TXT values of a name; raises as before."""
        self._tell("clear-txt", name)

    def _write_certificate(self) -> None:
        authority, key = Authority(), ec.generate_private_key(ec.SECP256R1())
        names = [x509.IPAddress(ipaddress.ip_address(_HOST)), x509.DNSName("localhost")]
        self.ca_file.write_bytes(authority.root_pem)
        chain = authority.issue(names, key.public_key(), _API_LIFE)
        (self._directory / "pebble-api.pem").write_bytes(chain)
        file = self._directory / "pebble-api.key"
        file.touch(mode=0o600)
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )

    def _run(self, command: Callable[[], list[str]], answers: Callable[[], bool]) -> None:
        for _ in range(_ATTEMPTS):
            words = command()
            name = Path(words[0]).name
            log_file = self._directory / f"{name}.log"
            process = launch(words, log_file, self._environment)
            self._processes.append(process)
            deadline = time.monotonic() + START_TIMEOUT
            while time.monotonic() < deadline and process.poll() is None:
                if answers():
                    return
                # Taken between the look and the start; pebble-challtestsrv goes on without.
                if b"address already in use" in log_file.read_bytes():
                    break
                time.sleep(0.02)
            end(self._processes.pop())
        raise not_started(name, log_file)

    def _dns_command(self, challtestsrv: str) -> list[str]:
        self.dns_server = f"{_HOST}:{free_port(_HOST)}"
        management = f"{_HOST}:{free_port(_HOST)}"
        self._control = f"http://{management}"
        options = {
            "dns01": self.dns_server,
            "management": management,
            "defaultIPv4": _HOST,
            "defaultIPv6": "",
            "http01": "",
            "https01": "",
            "tlsalpn01": "",
        }
        return [challtestsrv, *(f"-{name}={value}" for name, value in options.items())]

    def _dns_answers(self) -> bool:
        """Whether what is told to the one interface is seen at the other."""
        name, value = "linkseal.invalid.", secrets.token_hex(8)
        query = dns.message.make_query(name, dns.rdatatype.TXT)
        host, _, port = self.dns_server.rpartition(":")
        try:
            self.set_txt(name, value)
            answer = dns.query.udp(query, host, timeout=0.5, port=int(port)).answer
            self.clear_txt(name)
        except (OSError, dns.exception.DNSException):
            return False
        return value in str(answer)

    def _pebble_command(self, pebble: str) -> list[str]:
        api, management = (f"{_HOST}:{free_port(_HOST)}" for _ in range(2))
        self.url, self.management = f"https://{api}/dir", f"https://{management}"
        settings = {
            "listenAddress": api,
            "managementListenAddress": management,
            "certificate": "pebble-api.pem",
            "privateKey": "pebble-api.key",
            "ocspResponderURL": "",
            "externalAccountBindingRequired": False,
            **self._ports,
        }
        file = self._directory / "pebble.json"
        file.write_text(json.dumps({"pebble": settings}, indent=2), encoding="utf-8")
        return [pebble, "-strict", "-config", file.name, "-dnsserver", self.dns_server]

    def _pebble_answers(self) -> bool:
        """Whether both interfaces answer, with the certificate made for this one."""
        try:
            return b"newOrder" in self._ask(self.url) and b"BEGIN" in self.root_pem()
        except OSError:
            return False

    def _tell(self, what: str, name: str, **more: object) -> None:
        if not self._own_dns:
            raise ServiceError(
                f"Pebble asks the DNS server {self.dns_server}",
                code="no-challenge-dns",
                hint="set the records there",
            )
        document = {"host": _absolute(name), **more}
        self._ask(f"{self._control}/{what}", json.dumps(document).encode())

    def _ask(self, url: str, body: bytes | None = None) -> bytes:
        context = ssl.create_default_context(cafile=self.ca_file)
        # Whatever proxy the environment names, it is not for loopback.
        handlers = urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        opener = urllib.request.build_opener(*handlers)
        with opener.open(url, body, timeout=REQUEST_TIMEOUT) as answer:
            said: bytes = answer.read()
        return said


def _absolute(name: str) -> str:
    """Return a name as the DNS server keeps it: it tells capitals from small letters."""
    return f"{name.lower().rstrip('.')}."
