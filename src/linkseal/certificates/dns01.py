"""DNS-01: put challenge values into DNS, take them out, and see that the world sees them.

Two providers write: :class:`DynamicUpdate` to any server that takes signed updates, and
:class:`ExecHook` to everything else. :func:`challenge_owner` finds the name to write to,
:func:`wait_until_visible` asks the authoritative servers before the CA does.

Everything here blocks: it runs in the process that orders certificates.
Standards: RFC 8555 §8.4 (the challenge), RFC 2136 (dynamic update), RFC 8945 (TSIG).
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import ipaddress
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import IO, Any, Protocol

import dns.exception
import dns.message
import dns.name
import dns.nameserver
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.resolver
import dns.tsig
import dns.update
from dns.rdtypes.ANY.TXT import TXT

from linkseal.config import Address
from linkseal.errors import CertificateError

CHALLENGE_LABEL = "_acme-challenge"
MAX_CNAMES = 8
ALGORITHMS = ("hmac-sha256", "hmac-sha384", "hmac-sha512", "hmac-sha224", "hmac-sha1")
"""TSIG algorithms of RFC 8945 §6 without MD5, which must not be used."""
_UNVERIFIED: Any = False
"""Lets dnspython keep a TSIG unjudged: judging, it drops an unsigned refusal and its reason."""
_UDP_SECONDS = 2.0
_ASK_SECONDS = 3.0
_STDERR_TAIL = 4096
_LINE_LENGTH = 300


class DNSProvider(Protocol):
    """Writes challenge values. Every call blocks, and is idempotent.

    Several values under one name live side by side: a base domain and its wildcard are
    validated at the same name.
    """

    def publish(self, name: str, value: str) -> None:
        """Add one TXT value (at most 255 bytes) to ``name``; nothing if it is there.

        Raises:
            CertificateError: It was not written.
        """

    def withdraw(self, name: str, value: str) -> None:
        """Remove one TXT value from ``name``; nothing if it is not there.

        Raises:
            CertificateError: It was not removed.
        """


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
    §3.4.2.2): give the name that :func:`challenge_owner` found.

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
        self._zone = _name(zone) if zone else None
        self._ttl = ttl
        self._timeout = timeout

    def publish(self, name: str, value: str) -> None:
        """Add the value; one that is there stays as it is (RFC 2136 §3.4.2.2)."""
        owner = _name(name)
        update = self._update(owner)
        update.add(owner, self._ttl, _txt(value))
        self._exchange(update, f"the update of {name}")

    def withdraw(self, name: str, value: str) -> None:
        """Delete the value from its set, and leave the others (RFC 2136 §2.5.4)."""
        owner = _name(name)
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
        what = f"the question for the zone of {_text(owner)}"
        answer = self._exchange(query, what, dns.rcode.NXDOMAIN)
        # RFC 2308 §3: an answer without the record carries the zone's SOA as authority.
        for records in (*answer.answer, *answer.authority):
            if records.rdtype == dns.rdatatype.SOA and owner.is_subdomain(records.name):
                return records.name
        raise CertificateError(
            f"the DNS server {self._where} has no zone for {_text(owner)}",
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
                return _ask(query, wire, family, place, self._timeout)
            except (OSError, EOFError, dns.exception.DNSException) as fault:
                last = fault
        raise self._unreachable(last) from last

    def _unreachable(self, fault: Exception) -> CertificateError:
        return CertificateError(
            f"the DNS server {self._where} does not answer: {_reason(fault)}",
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
                    f"the DNS hook {self._argv[0]} cannot be run: {_reason(fault)}",
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


@dataclass(frozen=True, slots=True)
class Resolver:
    """Asks DNS for delegations and for the servers of a zone.

    Attributes:
        nameservers: Address and port of each resolver; empty uses the system's.
        timeout: Seconds for one question, retries included.
        authority_port: Port of the authoritative servers; 53 everywhere but in tests.
        private_networks: Whether authoritative servers may be on private or loopback
            addresses. A delegation is the customer's, so by default they may not.
    """

    nameservers: tuple[tuple[str, int], ...] = ()
    timeout: float = 5.0
    authority_port: int = 53
    private_networks: bool = False

    def cname(self, name: str) -> str | None:
        """Return the target of the CNAME at ``name``; None if there is none.

        Raises:
            CertificateError: ``dns-lookup-failed``: DNS did not say.
        """
        found = self._lookup(_name(name), dns.rdatatype.CNAME, self.timeout)
        return None if found is None else _text(found[0].target)

    def authorities(self, owner: str, *, deadline: float) -> list[tuple[str, int]]:
        """Return the addresses of all servers of the zone that holds ``owner``.

        Left out are servers without an address, and addresses of a family this machine
        has no route for.

        Args:
            owner: A name in the zone.
            deadline: When to give up, on :func:`time.monotonic`.

        Raises:
            CertificateError: ``dns-lookup-failed``: DNS did not say, or no server is left.
        """
        with _lookup_errors(f"zone of {owner}"):
            zone = dns.resolver.zone_for_name(
                _name(owner), resolver=self._stub(), lifetime=self._seconds(deadline)
            )
        found: set[str] = set()
        for host in self._lookup(zone, dns.rdatatype.NS, self._seconds(deadline)) or ():
            for kind in (dns.rdatatype.A, dns.rdatatype.AAAA):
                with contextlib.suppress(CertificateError):
                    records = self._lookup(host.target, kind, self._seconds(deadline))
                    found.update(record.address for record in records or ())
        allowed = {address for address in found if self.private_networks or _is_public(address)}
        servers = [(address, self.authority_port) for address in sorted(allowed)]
        routed = [server for server in servers if _has_route(*server)]
        if not routed:
            why = "on private addresses only" if found and not allowed else "out of reach from here"
            raise CertificateError(
                f"the servers of the zone {_text(zone)} are {why if found else 'not to be found'}",
                code="dns-lookup-failed",
                hint="check the NS records of the zone and their addresses, or name its servers",
                retryable=True,
            )
        return routed

    def _seconds(self, deadline: float) -> float:
        return max(min(self.timeout, deadline - time.monotonic()), 0.0)

    def _lookup(
        self, name: dns.name.Name, kind: dns.rdatatype.RdataType, seconds: float
    ) -> list[Any] | None:
        """Return the records, whose fields depend on ``kind``; None when there are none."""
        with _lookup_errors(f"{dns.rdatatype.to_text(kind)} of {_text(name)}"):
            try:
                return list(self._stub().resolve(name, kind, lifetime=seconds))
            except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
                return None

    def _stub(self) -> dns.resolver.Resolver:
        stub = dns.resolver.Resolver(configure=not self.nameservers)
        if self.nameservers:
            stub.nameservers = [dns.nameserver.Do53Nameserver(*each) for each in self.nameservers]
        return stub


def challenge_owner(name: str, resolve: Callable[[str], str | None]) -> str:
    """Return the name at which the TXT for ``name`` must be published.

    That is ``_acme-challenge.<name>``, or where its CNAMEs lead: the way to validate a
    branded name whose zone is the customer's.

    Args:
        name: The name to validate; a wildcard is validated at its parent (RFC 8555 §8.4).
        resolve: Gives a name's CNAME target or None; :meth:`Resolver.cname`.

    Raises:
        CertificateError: ``dns-delegation-broken``: a loop, or over 8 CNAMEs.
    """
    start = owner = f"{CHALLENGE_LABEL}.{_plain(name).removeprefix('*.')}"
    seen = [owner]
    while (target := resolve(owner)) is not None:
        owner = _plain(target)
        looped = owner in seen
        if looped or len(seen) > MAX_CNAMES:
            raise CertificateError(
                f"the CNAMEs at {start} "
                + (f"lead back to {owner}" if looped else f"are more than {MAX_CNAMES}"),
                code="dns-delegation-broken",
                hint=f"let {start} be one CNAME, straight to the name given for it",
            )
        seen.append(owner)
    return owner


def wait_until_visible(
    owner: str,
    value: str,
    *,
    deadline: float,
    servers: Sequence[tuple[str, int]] | None = None,
    resolver: Resolver | None = None,
    every: float = 1.0,
) -> None:
    """Wait until every authoritative server shows ``value`` at ``owner``.

    Args:
        owner: The name from :func:`challenge_owner`.
        value: The published TXT value.
        deadline: When to give up, on :func:`time.monotonic`.
        servers: Address and port of the servers to ask; None finds them.
        resolver: Finds them; None is the system's.
        every: Seconds between two rounds.

    Raises:
        CertificateError: ``dns-challenge-not-visible``: it names the servers that did not
            show it, and what each said. ``dns-lookup-failed``: the servers cannot be found.
    """
    name = _name(owner)
    if not servers:
        servers = (resolver or Resolver()).authorities(owner, deadline=deadline)
    missing = dict.fromkeys(servers, "not asked in time")
    while missing and time.monotonic() < deadline:
        for server in list(missing):
            # A hundred servers that do not answer must not cost more than the deadline.
            if (left := deadline - time.monotonic()) > 0:
                seconds = min(_ASK_SECONDS, left)
                missing[server] = _what_is_wrong(name, value, server, seconds)
        missing = {server: wrong for server, wrong in missing.items() if wrong}
        if missing:
            time.sleep(max(min(every, deadline - time.monotonic()), 0.0))
    if not missing:
        return
    told = ", ".join(f"{Address(*server)} ({wrong})" for server, wrong in missing.items())
    raise CertificateError(
        f"the challenge at {owner} is not shown by {told}",
        code="dns-challenge-not-visible",
        hint="check that the zone's other servers follow its primary within seconds",
        retryable=True,
    )


def _what_is_wrong(
    owner: dns.name.Name, value: str, server: tuple[str, int], seconds: float
) -> str:
    """Ask one server; return why it does not show the value, or nothing if it does."""
    query = dns.message.make_query(owner, dns.rdatatype.TXT)
    try:
        family, _, _, _, place = socket.getaddrinfo(*server, type=socket.SOCK_DGRAM)[0]
        answer = _ask(query, query.to_wire(), family, place, seconds)
    except (OSError, EOFError, dns.exception.DNSException) as fault:
        return _reason(fault)
    if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return dns.rcode.to_text(answer.rcode())
    values = [
        b"".join(record.strings)
        for records in answer.answer
        if records.name == owner
        for record in records
        if isinstance(record, TXT)
    ]
    if value.encode() in values:
        return ""
    return "it has other values" if values else "it has no value"


def _ask(
    query: dns.message.Message,
    wire: bytes,
    family: int,
    place: tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes],
    seconds: float,
) -> dns.message.Message:
    """Send by UDP; by TCP when that answer is cut short or missing. TSIG is not verified here."""
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
    return dns.tsig.Key(_name(key.name), secret, algorithm)


@contextlib.contextmanager
def _lookup_errors(what: str) -> Iterator[None]:
    try:
        yield
    except (dns.exception.DNSException, OSError) as fault:
        raise CertificateError(
            f"DNS did not give the {what}: {_reason(fault)}",
            code="dns-lookup-failed",
            hint="check the resolver this machine uses, and that the zone's servers answer",
            retryable=True,
        ) from fault


def _name(text: str) -> dns.name.Name:
    try:
        return dns.name.from_text(text)
    except (dns.exception.DNSException, UnicodeError) as fault:
        raise CertificateError(
            f"{text!r} is not a DNS name: {_reason(fault)}",
            code="dns-name-invalid",
            hint="write it as in links.example.com",
        ) from fault


def _plain(name: str) -> str:
    return name.lower().removesuffix(".")


def _text(name: dns.name.Name) -> str:
    return _plain(name.to_text())


def _txt(value: str) -> TXT:
    return TXT(dns.rdataclass.IN, dns.rdatatype.TXT, [value.encode()])


def _is_public(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    return parsed.is_global and not parsed.is_multicast


def _has_route(address: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        # Connecting UDP sends nothing: it only asks the routing table.
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, port))
    except OSError:
        return False
    return True


def _reason(fault: Exception) -> str:
    if isinstance(fault, TimeoutError | dns.exception.Timeout):
        return "timeout"
    if isinstance(fault, EOFError):
        return "it closed the connection"
    if isinstance(fault, OSError) and fault.strerror:
        return fault.strerror.lower()
    return " ".join(str(fault).split()) or type(fault).__name__


def _last_line(stderr: IO[bytes]) -> str:
    """Return the last line that says something, made safe for a terminal."""
    stderr.seek(max(stderr.seek(0, os.SEEK_END) - _STDERR_TAIL, 0))
    lines = stderr.read().decode(errors="replace").strip().splitlines() or [""]
    line = "".join(each if each.isprintable() else " " for each in lines[-1])
    return line.strip()[:_LINE_LENGTH]
