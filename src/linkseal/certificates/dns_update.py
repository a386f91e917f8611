"""Write challenge values by DNS UPDATE, and ask one DNS server one thing.

Everything here blocks.
Standards: RFC 2136 (dynamic update), RFC 8945 (TSIG).
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.tsig
import dns.update
from dns.rdtypes.ANY.TXT import TXT

from linkseal.config import Address
from linkseal.errors import CertificateError

ALGORITHMS = ("hmac-sha256", "hmac-sha384", "hmac-sha512", "hmac-sha224", "hmac-sha1")
"""TSIG algorithms of RFC 8945 §6 without MD5, which must not be used."""
_UNVERIFIED: Any = False
"""Lets dnspython keep a TSIG unjudged: judging, it drops an unsigned refusal and its reason."""
_UDP_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class TSIGKey:
    """A shared key that signs updates (RFC 8945).

    Attributes:
        name: Its name, the same on both sides.
        secret: Base64, as ``tsig-keygen`` and ``keymgr -t`` print it.
        algorithm: One of :data:`ALGORITHMS`.
    """

    name: str
    secret: str = field(repr=False)
    algorithm: str = ALGORITHMS[0]


class DynamicUpdate:
    """Writes by DNS UPDATE, signed with TSIG (RFC 2136, RFC 8945).

    UDP first; TCP when the answer is cut short, or none comes.

    A server takes an update of a name that holds a CNAME and does nothing (RFC 2136
    §3.4.2.2): give the name that :func:`~linkseal.certificates.dns01.challenge_owner` found.

    Args:
        host: The zone's primary server, an address or a name.
        port: Its port.
        key: Signs the updates.
        zone: The zone; empty asks the server for the one that holds the name.
        ttl: Of the records, seconds.
        timeout: Seconds for each question at each address of the server.

    Raises:
        CertificateError: The key is not usable, or the zone is no name.
    """

    def __init__(
        self,
        host: str,
        port: int = 53,
        *,
        key: TSIGKey,
        zone: str = "",
        ttl: int = 60,
        timeout: float = 10.0,
    ) -> None:
        self._host = host
        self._port = port
        self._key = _tsig(key)
        self._zone = parse_name(zone) if zone else None
        self._ttl = ttl
        self._timeout = timeout

    def publish(self, name: str, value: str) -> None:
        """Add the value; one that is there stays as it is (RFC 2136 §3.4.2.2)."""
        owner = parse_name(name)
        update = self._update(owner)
        update.add(owner, self._ttl, _txt(value))
        self._exchange(update, f"the update of {name}")

    def withdraw(self, name: str, value: str) -> None:
        """Delete the value from its set, and leave the others (RFC 2136 §2.5.4)."""
        owner = parse_name(name)
        update = self._update(owner)
        update.delete(owner, _txt(value))
        self._exchange(update, f"the update of {name}")

    def _update(self, owner: dns.name.Name) -> dns.update.UpdateMessage:
        zone = self._zone or self._find_zone(owner)
        update = dns.update.UpdateMessage(zone)
        update.use_tsig(self._key)
        return update

    def _find_zone(self, owner: dns.name.Name) -> dns.name.Name:
        """Ask the server itself: it knows its zones, also those the public cannot see."""
        query = dns.message.make_query(owner, dns.rdatatype.SOA)
        query.use_tsig(self._key)
        what = f"the question for the zone of {name_text(owner)}"
        answer = self._exchange(query, what, dns.rcode.NXDOMAIN)
        # RFC 2308 §3: an answer without the record carries the zone's SOA as authority.
        for records in (*answer.answer, *answer.authority):
            if records.rdtype == dns.rdatatype.SOA and owner.is_subdomain(records.name):
                return records.name
        raise CertificateError(
            f"the DNS server {self._where} has no zone for {name_text(owner)}",
            code="dns-update-refused",
            hint="name the zone in the settings, and the server that is its primary",
        )

    @property
    def _where(self) -> Address:
        return Address(self._host, self._port)

    def _exchange(
        self, query: dns.message.Message, what: str, *fine: dns.rcode.Rcode
    ) -> dns.message.Message:
        """Return the server's answer, once it says yes and has signed it."""
        wire = query.to_wire()
        answer = self._send(query, wire)
        # RFC 8945 §5.2: a fault of the signature stands in the TSIG, beside NOTAUTH.
        verdict = dns.rcode.Rcode.make(answer.tsig_error or answer.rcode())
        if verdict not in (dns.rcode.NOERROR, *fine):
            passing = verdict == dns.rcode.SERVFAIL
            said = dns.rcode.to_text(verdict, tsig=bool(answer.tsig_error))
            raise CertificateError(
                f"the DNS server {self._where} refused {what}: {said}",
                code="dns-update-failed" if passing else "dns-update-refused",
                hint=_HINTS.get(verdict, "the log of the DNS server says why"),
                retryable=passing,
            )
        try:
            # RFC 8945 §5.3: a yes without our signature may be anybody's.
            return dns.message.from_wire(
                answer.wire or b"", keyring=self._key, request_mac=query.mac
            )
        except dns.exception.DNSException as fault:
            raise CertificateError(
                f"the answer of the DNS server {self._where} is not signed as it must be",
                code="dns-update-failed",
                hint="check the TSIG key and the clocks; something on the way may change answers",
                retryable=True,
            ) from fault

    def _send(self, query: dns.message.Message, wire: bytes) -> dns.message.Message:
        try:
            places = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError) as fault:
            raise self._unreachable(fault) from fault
        last: Exception = OSError("it has no address")
        for family, _, _, _, place in places:
            try:
                return ask(query, wire, family, place, self._timeout)
            except (OSError, EOFError, dns.exception.DNSException) as fault:
                last = fault
        raise self._unreachable(last) from last

    def _unreachable(self, fault: Exception) -> CertificateError:
        return CertificateError(
            f"the DNS server {self._where} does not answer: {reason(fault)}",
            code="dns-update-failed",
            hint="check its address, and that UDP and TCP to this port are open from here",
            retryable=True,
        )


_HINTS: Mapping[int, str] = MappingProxyType(
    {
        dns.rcode.NOTAUTH: "the key or the zone is wrong: the server must be the zone's primary",
        dns.rcode.REFUSED: "it has no such zone, or its update policy forbids this key the name",
        dns.rcode.NOTZONE: "the name is not in this zone: name the zone that holds it",
        dns.rcode.BADTIME: "the clocks differ by over 5 minutes: set both by NTP",
        dns.rcode.BADSIG: "the TSIG secret differs from the server's: copy it again",
        dns.rcode.BADKEY: "it does not know this TSIG key and algorithm, or allows them nothing",
        dns.rcode.SERVFAIL: "the server failed, it is tried again; its log says why",
    }
)


def _tsig(key: TSIGKey) -> dns.tsig.Key:
    algorithm = key.algorithm.lower().rstrip(".")
    try:
        secret = base64.b64decode(key.secret, validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if not secret or algorithm not in ALGORITHMS:
        what = (
            f"algorithm is not one of {', '.join(ALGORITHMS)}" if secret else "secret is not base64"
        )
        raise CertificateError(
            f"the TSIG key {key.name} cannot be used: its {what}",
            code="dns-key-unusable",
            hint="copy name, algorithm and secret from the DNS server's key clause",
        )
    return dns.tsig.Key(parse_name(key.name), secret, algorithm)


def _txt(value: str) -> TXT:
    return TXT(dns.rdataclass.IN, dns.rdatatype.TXT, [value.encode()])


# Shared with what waits for the value


def ask(
    query: dns.message.Message,
    wire: bytes,
    family: int,
    place: tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes],
    seconds: float,
) -> dns.message.Message:
    """Ask one server by UDP; by TCP when that answer is cut short or missing.

    Args:
        query: The question.
        wire: The same, ready to send.
        family: Of the server's address.
        place: The address, as :func:`socket.getaddrinfo` gives it.
        seconds: Until it is given up.

    Returns:
        The answer to this question. Its TSIG is not verified.

    Raises:
        OSError: The server cannot be reached, or not in time.
        EOFError: The server closed the connection.
        dns.exception.DNSException: No answer in time, or none that can be read.
    """
    until = time.time() + seconds
    answer: dns.message.Message
    with (
        contextlib.suppress(dns.message.Truncated, dns.exception.Timeout, OSError),
        socket.socket(family, socket.SOCK_DGRAM) as udp,
    ):
        # Connected, so that only this server is heard and a closed port is told at once.
        udp.settimeout(0)
        udp.connect(place)
        patience = time.time() + min(_UDP_SECONDS, seconds / 2)
        dns.query.send_udp(udp, wire, None, patience)
        answer = dns.query.receive_udp(
            udp,
            expiration=patience,
            keyring=_UNVERIFIED,
            raise_on_truncation=True,
            ignore_errors=True,
            query=query,
        )[0]
        return answer
    with socket.socket(family, socket.SOCK_STREAM) as tcp:
        tcp.settimeout(max(until - time.time(), 0.1))
        tcp.connect(place)
        tcp.settimeout(0)
        dns.query.send_tcp(tcp, wire, until)
        answer = dns.query.receive_tcp(tcp, until, keyring=_UNVERIFIED)[0]
    if not query.is_response(answer):
        raise dns.query.BadResponse
    return answer


def parse_name(text: str) -> dns.name.Name:
    """Read an absolute name.

    Raises:
        CertificateError: ``dns-name-invalid``.
    """
    try:
        return dns.name.from_text(text)
    except (dns.exception.DNSException, UnicodeError) as fault:
        raise CertificateError(
            f"{text!r} is not a DNS name: {reason(fault)}",
            code="dns-name-invalid",
            hint="write it as in links.example.com",
        ) from fault


def plain_name(name: str) -> str:
    """Return it in lower case, without the dot at its end."""
    return name.lower().removesuffix(".")


def name_text(name: dns.name.Name) -> str:
    """Return a name as people write it: :func:`plain_name`."""
    return plain_name(name.to_text())


def reason(fault: Exception) -> str:
    """Say in few words why the network, the server or the system failed."""
    if isinstance(fault, TimeoutError | dns.exception.Timeout):
        return "timeout"
    if isinstance(fault, EOFError):
        return "it closed the connection"
    if isinstance(fault, OSError) and fault.strerror:
        return fault.strerror.lower()
    return " ".join(str(fault).split()) or type(fault).__name__
