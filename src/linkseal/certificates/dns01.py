"""DNS-01: where a challenge value belongs in DNS, and whether the world sees it.

Two providers write: :class:`~linkseal.certificates.dns_update.DynamicUpdate` to any server
that takes signed updates, and :class:`~linkseal.certificates.dns_hook.ExecHook` to everything
else. :func:`challenge_owner` finds the name to write to, :func:`wait_until_visible` asks the
authoritative servers before the CA does.

Everything here blocks: it runs in the process that orders certificates.
Standards: RFC 8555 §8.4 (the challenge).
"""

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import dns.exception
import dns.message
import dns.name
import dns.nameserver
import dns.rcode
import dns.rdatatype
import dns.resolver
from dns.rdtypes.ANY.TXT import TXT

from linkseal.certificates.addresses import is_public
from linkseal.certificates.dns_update import ask, name_text, parse_name, plain_name, reason
from linkseal.config import Address
from linkseal.domains.caa import CAAAnswer, CAARecord
from linkseal.errors import CertificateError

__all__ = [
    "CHALLENGE_LABEL",
    "MAX_CNAMES",
    "DNSProvider",
    "Resolver",
    "challenge_owner",
    "wait_until_visible",
]

CHALLENGE_LABEL = "_acme-challenge"
MAX_CNAMES = 8
_ASK_SECONDS = 3.0
_LABEL = re.compile(r"[a-z0-9_][a-z0-9_-]*", re.IGNORECASE | re.ASCII)


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
        found = self._lookup(parse_name(name), dns.rdatatype.CNAME, self.timeout)
        return None if found is None else name_text(found[0].target)

    def addresses(self, name: str) -> list[str]:
        """Return the IPv6 addresses of a host, then its IPv4 ones: as a CA tries them.

        Raises:
            CertificateError: ``dns-lookup-failed``: DNS did not say.
        """
        found = []
        for kind in (dns.rdatatype.AAAA, dns.rdatatype.A):
            records = self._lookup(parse_name(name), kind, self.timeout)
            found += [str(record.address) for record in records or ()]
        return found

    def caa(self, name: str) -> CAAAnswer:
        """Return the CAA records at a name, or what went wrong."""
        try:
            records = self._lookup(parse_name(name), dns.rdatatype.CAA, self.timeout) or ()
        except CertificateError as error:
            return CAAAnswer(name, error=error.message)
        return CAAAnswer(
            name,
            tuple(
                CAARecord(
                    record.flags, record.tag.decode("latin-1"), record.value.decode("latin-1")
                )
                for record in records
            ),
        )

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
                parse_name(owner), resolver=self._stub(), lifetime=self._seconds(deadline)
            )
        found: set[str] = set()
        for host in self._lookup(zone, dns.rdatatype.NS, self._seconds(deadline)) or ():
            for kind in (dns.rdatatype.A, dns.rdatatype.AAAA):
                with contextlib.suppress(CertificateError):
                    records = self._lookup(host.target, kind, self._seconds(deadline))
                    found.update(record.address for record in records or ())
        allowed = {address for address in found if self.private_networks or is_public(address)}
        servers = [(address, self.authority_port) for address in sorted(allowed)]
        routed = [server for server in servers if _has_route(*server)]
        if not routed:
            why = "on private addresses only" if found and not allowed else "out of reach from here"
            raise CertificateError(
                f"the servers of the zone {name_text(zone)} are "
                f"{why if found else 'not to be found'}",
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
        with _lookup_errors(f"{dns.rdatatype.to_text(kind)} of {name_text(name)}"):
            try:
                return list(self._stub().resolve(name, kind, lifetime=seconds))
            except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
                return None

    def _stub(self) -> dns.resolver.Resolver:
        stub = dns.resolver.Resolver(configure=not self.nameservers)
        if self.nameservers:
            stub.nameservers = [dns.nameserver.Do53Nameserver(*each) for each in self.nameservers]
        return stub


def challenge_owner(
    name: str, resolve: Callable[[str], str | None], allowed: Sequence[str] | None = None
) -> str:
    """Return the name at which the TXT for ``name`` must be published.

    That is ``_acme-challenge.<name>``, or where its CNAMEs lead: the way to validate a
    branded name whose zone is the customer's.

    Args:
        name: The name to validate; a wildcard is validated at its parent (RFC 8555 §8.4).
        resolve: Gives a name's CNAME target or None; :meth:`Resolver.cname`.
        allowed: Names that a delegation must lead below; None is any.

    Raises:
        CertificateError: ``dns-delegation-broken``: a loop, or over 8 CNAMEs.
            ``dns-delegation-refused``: it leads to a name that is not written.
    """
    start = owner = f"{CHALLENGE_LABEL}.{plain_name(name).removeprefix('*.')}"
    seen = [owner]
    while (target := resolve(owner)) is not None:
        owner = plain_name(target)
        if owner in seen:
            raise CertificateError(
                f"the CNAMEs at {start} lead back to {owner}",
                code="dns-delegation-broken",
                hint=f"let {start} be one CNAME, straight to the name given for it",
            )
        if len(seen) > MAX_CNAMES:
            raise CertificateError(
                f"the CNAMEs at {start} are more than {MAX_CNAMES}",
                code="dns-delegation-broken",
                hint=f"let {start} be one CNAME, straight to the name given for it",
            )
        seen.append(owner)
    if owner != start:
        _check_target(start, owner, allowed)
    return owner


def _check_target(start: str, owner: str, allowed: Sequence[str] | None) -> None:
    """Refuse a target that could mean something else to a hook, or is not ours to write.

    Where a delegation leads is the customer's to say, and DNS takes any byte in a name.
    """
    why = ""
    if not all(_LABEL.fullmatch(label) for label in owner.split(".")):
        why = "a name of other than letters, digits, - and _"
    elif allowed is not None and not any(
        owner.endswith(f".{plain_name(suffix)}") for suffix in allowed
    ):
        why = f"{owner}, which is not below {' or '.join(allowed)}"
    if why:
        raise CertificateError(
            f"the CNAME at {start} leads to {why}",
            code="dns-delegation-refused",
            hint=f"let {start} be one CNAME, straight to the name given for it",
        )


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
    name = parse_name(owner)
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
        answer = ask(query, query.to_wire(), family, place, seconds)
    except (OSError, EOFError, dns.exception.DNSException) as fault:
        return reason(fault)
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


@contextlib.contextmanager
def _lookup_errors(what: str) -> Iterator[None]:
    try:
        yield
    except (dns.exception.DNSException, OSError) as fault:
        raise CertificateError(
            f"DNS did not give the {what}: {reason(fault)}",
            code="dns-lookup-failed",
            hint="check the resolver this machine uses, and that the zone's servers answer",
            retryable=True,
        ) from fault


def _has_route(address: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        # Connecting UDP sends nothing: it only asks the routing table.
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, port))
    except OSError:
        return False
    return True
