"""A small DNS server for tests: zones as text, faults by name, UDP and TCP on one port.

Asked to recurse, it follows CNAMEs through all its zones as a public resolver does; not asked
to, it answers for its zones as their authoritative server. Not for more: no DNSSEC, no
wildcards.
"""

from __future__ import annotations

import contextlib
import enum
import socketserver
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.zone

from linkseal.testing.programs import free_port

_MOST_HOPS = 16


class Fault(enum.StrEnum):
    """What goes wrong with a name.

    ``BOGUS`` is a failure that asking with CD=1 passes over; ``CUT`` answers whole over TCP only.
    """

    SERVFAIL = "servfail"
    BOGUS = "bogus"
    REFUSED = "refused"
    SILENT = "silent"
    GARBAGE = "garbage"
    CUT = "cut"


@dataclass
class DNSServer:
    """A running server.

    Attributes:
        host: Where it listens.
        port: For UDP and TCP.
        zones: By origin.
        faults: By name, lower case without a last dot.
        asked: Name and type of each question.
    """

    host: str
    port: int
    zones: dict[dns.name.Name, dns.zone.Zone]
    faults: dict[str, Fault] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def publish(self, origin: str, lines: Sequence[str]) -> None:
        """Serve a zone, in place of the one of that name.

        Args:
            origin: Its name.
            lines: As in a zone file. It gets an SOA, and without an NS line of its own ``NS ns``
                with this server's address.
        """
        text = ["$TTL 60", "@ SOA ns hostmaster 1 3600 600 86400 60", *lines]
        if not any(" NS " in f" {line} " for line in lines):
            text += ["@ NS ns", f"ns A {self.host}"]
        zone = dns.zone.from_text("\n".join(text), origin=f"{origin}.", relativize=False)
        self.zones[dns.name.from_text(origin)] = zone

    def answer(self, wire: bytes, *, tcp: bool) -> bytes | None:
        """Return the answer to a question as bytes; ``None`` for silence."""
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        self.asked.append((name, dns.rdatatype.to_text(question.rdtype)))
        fault = self.faults.get(name)
        if fault is Fault.BOGUS and query.flags & dns.flags.CD:
            fault = None
        reply = dns.message.make_response(query)
        if fault is Fault.SILENT:
            return None
        if fault is Fault.GARBAGE:
            return wire[:2] + b"\xff" * 20
        if fault is Fault.CUT and not tcp:
            reply.flags |= dns.flags.TC
        elif fault in {Fault.SERVFAIL, Fault.BOGUS}:
            reply.set_rcode(dns.rcode.SERVFAIL)
        elif fault is Fault.REFUSED:
            reply.set_rcode(dns.rcode.REFUSED)
        else:
            self._fill(reply, question.name, question.rdtype, bool(query.flags & dns.flags.RD))
        return reply.to_wire()

    def _fill(
        self, reply: dns.message.Message, name: dns.name.Name, kind: Any, recurse: bool
    ) -> None:
        reply.flags |= dns.flags.RA if recurse else dns.flags.AA
        for _ in range(_MOST_HOPS):
            origin = next((each for each in _parents(name) if each in self.zones), None)
            if origin is None:
                if not reply.answer:
                    reply.set_rcode(dns.rcode.NXDOMAIN if recurse else dns.rcode.REFUSED)
                return
            zone = self.zones[origin]
            below = any(each.is_subdomain(name) for each in zone.nodes)
            for wanted in (kind, dns.rdatatype.CNAME):
                found = zone.get_rdataset(name, wanted)
                if found is not None:
                    reply.answer.append(dns.rrset.from_rdata_list(name, 60, list(found)))
                    break
            else:
                reply.set_rcode(dns.rcode.NOERROR if below else dns.rcode.NXDOMAIN)
                soa = zone.get_rdataset(origin, dns.rdatatype.SOA)
                reply.authority.append(dns.rrset.from_rdata_list(origin, 60, list(soa or ())))
                return
            if wanted == kind:
                return
            name = cast("Any", reply.answer[-1][0]).target
            if not recurse and not name.is_subdomain(origin):
                return
        reply.answer.clear()
        reply.set_rcode(dns.rcode.SERVFAIL)


@contextlib.contextmanager
def running_dns(
    zones: Mapping[str, Sequence[str]],
    *,
    faults: Mapping[str, Fault] | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
) -> Iterator[DNSServer]:
    """Serve zones until the block ends.

    Args:
        zones: Lines as in a zone file, by zone, as :meth:`DNSServer.publish` takes them.
        faults: By name.
        host: Where to listen.
        port: 0 is a free one.
    """
    port = port or free_port(host)
    server = DNSServer(host, port, {}, dict(faults or {}))
    for origin, lines in zones.items():
        server.publish(origin, lines)

    class UDP(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            wire, socket = self.request
            said = server.answer(wire, tcp=False)
            if said is not None:
                socket.sendto(said, self.client_address)

    class TCP(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            wire = self.rfile.read(int.from_bytes(self.rfile.read(2)))
            said = server.answer(wire, tcp=True) if wire else None
            if said is not None:
                self.wfile.write(len(said).to_bytes(2) + said)

    with (
        socketserver.ThreadingUDPServer((host, port), UDP) as udp,
        socketserver.ThreadingTCPServer((host, port), TCP) as tcp,
    ):
        threads = [threading.Thread(target=each.serve_forever, args=(0.02,)) for each in (udp, tcp)]
        for thread in threads:
            thread.start()
        try:
            yield server
        finally:
            for each in (udp, tcp):
                each.shutdown()
            for thread in threads:
                thread.join()


def _parents(name: dns.name.Name) -> Iterator[dns.name.Name]:
    while True:
        yield name
        if name == dns.name.root:
            return
        name = name.parent()
