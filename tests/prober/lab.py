"""A branded domain on loopback to be probed: its DNS, and servers that behave as told."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import trustme
from cryptography import x509

from linkseal.config import Address, ProberConfig
from linkseal.domains.checks import Report, Result, judge
from linkseal.domains.fixes import fix
from linkseal.domains.observation import Exchange, Observation
from linkseal.domains.profiles import detect, worded_for
from linkseal.edge.probe import Asked, Line, Probes
from linkseal.prober import KeySigner, ProbeRequest, Progress, probe
from linkseal.testing.broken import BROKEN
from linkseal.testing.dns_server import DNSServer, Fault, running_dns

HOST = "links.acme.example"
BASE = "ct.example.net"
TARGET = f"t-abc.{BASE}"
OWNERSHIP = "ct-verify=k4yq"
KEY = b"k" * 32
CUSTOMER = [f"links CNAME {TARGET}.", f"_ct-challenge.links TXT {OWNERSHIP}"]
ZONES = {
    "acme.example": CUSTOMER,
    BASE: ["@ A 127.0.0.1", "t-abc A 127.0.0.1", "t-other A 127.0.0.1"],
}


@contextlib.contextmanager
def zones(customer: Sequence[str] = CUSTOMER, **more: Any) -> Iterator[DNSServer]:
    with running_dns(ZONES | {"acme.example": customer}, **more) as server:
        yield server


def settings(server: DNSServer | None, **more: Any) -> ProberConfig:
    places: dict[str, Any] = {}
    if server is not None:
        place = (Address(server.host, server.port),)
        places = {"resolvers": place, "public_resolvers": place, "authority_port": server.port}
    return ProberConfig(**(places | {"allow_private_addresses": True, "timeout": 3.0} | more))


def request(**more: Any) -> ProbeRequest:
    """Return what is asked of :data:`HOST`: fields of the request, or of what is known."""
    asked = {each.name for each in dataclasses.fields(ProbeRequest)}
    known: dict[str, Any] = {
        "host": HOST,
        "target": TARGET,
        "ownership": OWNERSHIP,
        "base_domain": BASE,
        "route": "uploaded",
        "at": datetime.now(UTC),
    }
    known |= {name: value for name, value in more.items() if name not in asked}
    of_request = {name: value for name, value in more.items() if name in asked}
    made = ProbeRequest(Observation(**known), KeySigner(HOST, KEY))
    return dataclasses.replace(made, **of_request)


@dataclass
class Origin:
    """Answers as our edge does; ``behave`` comes first, and ``None`` from it is silence.

    Attributes:
        behave: Given the request and what the edge answers.
        rewrite: Changes a request before the edge sees it.
        asked: Every request.
    """

    behave: Callable[[Asked, bytes], Awaitable[bytes | None] | bytes | None] | None = None
    rewrite: Callable[[Asked], Asked] | None = None
    asked: list[Asked] = field(default_factory=list)
    probes: Probes = field(default_factory=lambda: Probes(0, KEY))
    open: set[asyncio.StreamWriter] = field(default_factory=set)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open.add(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
            method, target, _ = lines[0].split(b" ")
            pairs = [line.partition(b":") for line in lines[1:] if line]
            headers = [(name, value.strip()) for name, _, value in pairs]
            hosts = [value for name, value in headers if name.lower() == b"host"]
            asked = Asked(
                method=method.decode(),
                target=target,
                path=target.partition(b"?")[0].decode(),
                host=hosts[0].decode(),
                served=True,
                headers=headers,
                rule=None,
                came_by=Line(writer.transport, HOST, writer.get_extra_info("peername")[0]),
            )
            self.asked.append(asked)
            answer: Any = self.edge(self.rewrite(asked) if self.rewrite else asked)
            if self.behave is not None:
                answer = self.behave(asked, answer)
                if asyncio.iscoroutine(answer):
                    answer = await answer
            if answer is None:
                await reader.read()
            else:
                writer.write(answer)
                await writer.drain()
        writer.transport.abort()
        self.open.discard(writer)

    def edge(self, asked: Asked) -> bytes:
        reply = self.probes.reply(asked)
        if reply is None:
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        fields = reply.fields | {
            "Cache-Control": "private, no-store",
            "Content-Length": str(len(reply.body)),
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        body = b"" if asked.method == "HEAD" else reply.body
        return f"HTTP/1.1 {reply.status}\r\n{head}\r\n".encode() + body


def server_tls(certificate: trustme.LeafCert, *, whole: bool = True) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if whole:
        certificate.configure_cert(context)
        return context
    alone = certificate.private_key_pem.bytes() + certificate.cert_chain_pems[0].bytes()
    with trustme.Blob(alone).tempfile() as file:
        context.load_cert_chain(file)
    return context


@contextlib.asynccontextmanager
async def serving(
    origin: Origin, tls: ssl.SSLContext | None, host: str, port: int = 0
) -> AsyncIterator[int]:
    server = await asyncio.start_server(origin.handle, host, port, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in list(origin.open):
            writer.transport.abort()
        await asyncio.sleep(0.05)


@dataclass
class Seen:
    """What a run saw, and what it told on the way."""

    observation: Observation
    progress: list[Progress]
    roots: list[x509.Certificate]

    def exchanges(self, purpose: str) -> list[Exchange]:
        return [each for each in self.observation.exchanges if each.purpose == purpose]

    def report(self) -> Report:
        front = detect(self.observation).profile
        return judge(self.observation, roots=self.roots, cdn=front)

    def verdicts(self) -> dict[str, str]:
        """Messages of what does not pass, by check."""
        bad = {Result.WARN, Result.FAIL}
        return {each.check: each.message for each in self.report().verdicts if each.result in bad}


def assert_told(seen: Seen, name: str) -> None:
    """Assert that exactly the one check says the one mistake, and that its fix mends it.

    The fix is the one that is shown: of who is seen in front, or the domain is enrolled with.
    """
    (broken,) = (each for each in BROKEN if each.name == name)
    found = seen.verdicts()
    assert found.keys() == {broken.check, *broken.also}, found
    words = map(re.escape, broken.message.split("…"))
    assert re.fullmatch(".*".join(words), found[broken.check]), found
    verdicts = {each.check: each for each in seen.report().verdicts}
    told = verdicts[broken.check]
    assert told.result is (Result.WARN if broken.warns else Result.FAIL)
    assert {verdicts[each].result for each in broken.also} <= {Result.WARN}
    look = seen.observation
    front = worded_for(detect(look).profile, enrolled=broken.front, route=look.route)
    assert (front.id if front else "") == broken.front
    shown = fix(told.check, broken.front or None, told.shape)
    assert shown == broken.fix
    assert broken.remedy in shown, shown


async def look(
    origin: Origin,
    *,
    authority: trustme.CA,
    certificate: trustme.LeafCert | None = None,
    tls: ssl.SSLContext | None = None,
    plain: Origin | None = None,
    customer: Sequence[str] = CUSTOMER,
    faults: Mapping[str, Fault] | None = None,
    second: Sequence[str] | None = None,
    v6: Origin | None = None,
    seconds: float = 30.0,
    asking: ProbeRequest | None = None,
    **config: Any,
) -> Seen:
    """Probe a domain whose https is one origin and whose http is another, or the same.

    ``second`` is the customer's zone as a second name server on 127.0.0.2 has it; ``v6``
    answers at ::1, on https and http.
    """
    context = tls or server_tls(certificate or authority.issue_cert(HOST))
    progress: list[Progress] = []
    with zones(customer, faults=faults) as dns:
        other = zones(second, host="127.0.0.2", port=dns.port) if second else None
        async with contextlib.AsyncExitStack() as stack:
            https = await stack.enter_async_context(serving(origin, context, "127.0.0.1"))
            http = await stack.enter_async_context(serving(plain or origin, None, "127.0.0.1"))
            if v6 is not None:
                await stack.enter_async_context(serving(v6, context, "::1", https))
                await stack.enter_async_context(serving(v6, None, "::1", http))
            known = settings(dns, **({"http_port": http, "https_port": https} | config))
            with other or contextlib.nullcontext():
                observation = await probe(
                    asking or request(), known, progress.append, seconds=seconds
                )
    roots = x509.load_pem_x509_certificates(authority.cert_pem.bytes())
    return Seen(observation, progress, roots)
