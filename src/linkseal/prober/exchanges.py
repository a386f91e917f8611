"""The requests of a run, as recipients, image proxies, scanners and forgers would send them.

URLs are written as recipients have them, without a port, also where a lab uses others.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from linkseal.config import ProberConfig
from linkseal.domains.echo import PROBE_PATH, REDIRECT
from linkseal.domains.observation import AppFile, Exchange
from linkseal.domains.well_known import CHALLENGE_PATH
from linkseal.prober.client import MOST_BODY, Question, Reply, ask
from linkseal.prober.connect import client_context
from linkseal.prober.request import Budget, Part, ProbeRequest

BROWSER: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Safari/537.36"
)
AGENTS: Final = (
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6 like Mac OS X) AppleWebKit/605.1.15 "
        "(KHTML, like Gecko) Version/17.6 Mobile/15E148 Safari/604.1"
    ),
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
    "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; Win64; x64; ms-office; MSOffice 16)",
    "python-requests/2.32.3",
    "",
)
"""Besides a browser: a phone, Gmail's image proxy, Outlook, a scanner, and none."""
TARGETS: Final = (
    "?a=%2F&b=%2f&c=+%20&d=//x;y&e==&dup=1&dup=2&empty=&z",
    "?z=1&a=2&%7Etilde=~&utf8=%C3%BC&plus=a+b",
)
"""Queries that arrive changed where something decodes, sorts or drops."""
LONG: Final = (2048, 6144)
"""Characters of the whole URL of long links."""
_FORGED: Final = "192.0.2.66"  # RFC 5737: nobody's.
# Two requests: a CDN that refuses one that has its own field must not hide the rest.
FORGERIES: Final = (
    (("X-Forwarded-For", _FORGED), ("X-Real-IP", _FORGED), ("Forwarded", f"for={_FORGED}")),
    (
        ("CF-Connecting-IP", _FORGED),
        ("Fastly-Client-IP", _FORGED),
        ("True-Client-IP", _FORGED),
        ("X-Forwarded-For", _FORGED),
    ),
)
BURST: Final = 5
DIRECT: Final = 5
"""Requests straight to our edge, whose time is compared with that of the others."""
_PARALLEL: Final = 8
_LANGUAGE: Final = "de-CH,de;q=0.8,en;q=0.5"
_POSTED: Final = b"List-Unsubscribe=One-Click"  # RFC 8058 §3.1


@dataclass(slots=True)
class Exchanges:
    """The HTTP of one run.

    Args:
        request: What is looked at.
        config: Ports.
        budget: Of the run.

    Attributes:
        done: What came of it.
        chains: The certificates that each address sent first.
    """

    request: ProbeRequest
    config: ProberConfig
    budget: Budget
    done: list[Exchange] = field(default_factory=list)
    chains: dict[str, tuple[bytes, ...]] = field(default_factory=dict)
    _tls: ssl.SSLContext = field(default_factory=client_context)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_PARALLEL))

    async def run(self, secure: Sequence[str], plain: Sequence[str]) -> None:
        """Ask every address once, and one of each family what the request's parts ask.

        Args:
            secure: Addresses that take connections on https.
            plain: Those that do on http.
        """
        async with asyncio.TaskGroup() as group:
            for address in plain:
                group.create_task(self._get(address, "echo", scheme="http"))
                if self._uses_http_01():
                    group.create_task(self._challenge(address))
            asked = [group.create_task(self._get(address, "echo")) for address in secure]
        # What gave no answer at all would cost its whole time once more with each request.
        answering = [each.address for task in asked for each in task.result() if each.status]
        chosen = _one_of_each_family(answering)
        async with asyncio.TaskGroup() as group:
            for number, address in enumerate(chosen):
                for each in self._few(address) if number else self._all(address):
                    group.create_task(each)

    async def app_files(self, addresses: Sequence[str]) -> tuple[AppFile, ...]:
        """Fetch the well-known files that are set up, from one address of each family."""
        found = []
        for name in self.request.app_files if Part.REST in self.request.parts else ():
            question = Question("GET", self.request.known.host, f"/.well-known/{name}")
            for address in _one_of_each_family(addresses) or [""]:
                reply = Reply(error="no address to ask")
                if address:
                    reply = await self._ask(question, address, secure=True)
                kind = reply.headers.get("content-type", "")
                found.append(AppFile(name, reply.status, kind, reply.body, reply.error, address))
        return tuple(found)

    async def canary(self, address: str, purpose: str) -> Exchange:
        """Ask once while a wrong certificate may be shown, or after."""
        return await self._exchange(address, purpose, self.request.signer.sign(1), "echo")

    async def direct(self, addresses: Sequence[str]) -> tuple[float, ...]:
        """Return the seconds our edge takes when nothing stands in front of it.

        Args:
            addresses: Of the domain's target.
        """
        request = self.request
        found: list[float] = []
        # On the other routes every request goes straight to our edge.
        if Part.REST not in request.parts or request.known.route not in {"", "cdn", "proxy"}:
            return ()
        for address in _one_of_each_family(addresses)[:1]:
            for _ in range(DIRECT):
                nonce = request.signer.sign(1)
                question = Question("GET", request.known.target, f"{PROBE_PATH}{nonce}/echo")
                reply = await self._ask(question, address, secure=True)
                if request.signer.read_echo(reply.headers, reply.body, nonce) is None:
                    return ()
                found.append(reply.seconds)
        return tuple(found)

    def _all(self, address: str) -> list[Coroutine[Any, Any, object]]:
        parts = self.request.parts
        found: list[Coroutine[Any, Any, object]] = []
        if Part.REPEATS in parts:
            found += self._repeats(address)
        elif Part.REDIRECT in parts:
            found.append(self._get(address, "302"))
        return [*found, *self._rest(address)] if Part.REST in parts else found

    def _repeats(self, address: str) -> list[Coroutine[Any, Any, object]]:
        return [
            *(self._get(address, each, times=2) for each in ("302", "pixel", "pixel.gif")),
            *(self._get(address, "echo", agent=agent) for agent in AGENTS),
            *(self._get(address, "302", agent=agent) for agent in AGENTS),
            self._burst(address),
        ]

    def _rest(self, address: str) -> list[Coroutine[Any, Any, object]]:
        return [
            *(self._get(address, each) for each in ("html", "slow", "big")),
            *self._few(address),
            *(self._get(address, "echo", query=query) for query in TARGETS),
            *(self._get(address, "echo", length=length) for length in LONG),
            self._queries(address),
            self._get(address, "echo", method="HEAD"),
            self._get(address, "302", method="HEAD"),
            self._get(address, "echo", method="POST"),
        ]

    def _few(self, address: str) -> list[Coroutine[Any, Any, object]]:
        if Part.REST not in self.request.parts:
            return []
        return [self._get(address, "echo", forged=each) for each in FORGERIES]

    def _uses_http_01(self) -> bool:
        request = self.request
        http_01 = request.known.route == "acme" and not request.known.acme_delegation
        return http_01 and Part.REST in request.parts

    async def _challenge(self, address: str) -> None:
        """Ask where a CA would look for its token; a redirect to https is followed, as by CAs."""
        nonce = self.request.signer.sign(2)
        path = f"{CHALLENGE_PATH}{nonce}"
        said = await self._exchange(address, "acme", nonce, "", scheme="http", path=path)
        if said.headers.get("location", "") == f"https://{self.request.known.host}{path}":
            await self._exchange(address, "acme", nonce, "", path=path)

    async def _queries(self, address: str) -> None:
        """Ask one path with two queries, one after the other."""
        nonce = self.request.signer.sign(2)
        for query in ("?q=1", "?q=2"):
            await self._exchange(address, "key", nonce, "echo", query=query)

    async def _burst(self, address: str) -> None:
        """Ask one URL several times at once."""
        nonce = self.request.signer.sign(BURST)
        async with asyncio.TaskGroup() as group:
            for _ in range(BURST):
                group.create_task(self._exchange(address, "burst", nonce, "echo"))

    async def _get(
        self, address: str, variant: str, *, times: int = 1, **how: Any
    ) -> list[Exchange]:
        """Ask for a variant with a new nonce, one time after the other."""
        purpose = "redirect" if variant == "302" else how.get("method", variant).lower()
        nonce = self.request.signer.sign(times)
        return [await self._exchange(address, purpose, nonce, variant, **how) for _ in range(times)]

    async def _exchange(
        self,
        address: str,
        purpose: str,
        nonce: str,
        variant: str,
        *,
        scheme: str = "https",
        method: str = "GET",
        agent: str = BROWSER,
        query: str = "",
        length: int = 0,
        forged: tuple[tuple[str, str], ...] = (),
        path: str = "",
    ) -> Exchange:
        host = self.request.known.host
        target = path or f"{PROBE_PATH}{nonce}/{variant}{query}"
        if length:
            target += "?long="
            target += "x" * (length - len(f"{scheme}://{host}{target}"))
        agents = (("User-Agent", agent),) if agent else ()
        fields = (*agents, ("Accept", "*/*"), ("Accept-Language", _LANGUAGE), *forged)
        question = Question(method, host, target, fields, _POSTED if method == "POST" else b"")
        reply = await self._ask(question, address, secure=scheme == "https")
        found = Exchange(
            purpose=purpose,
            url=f"{scheme}://{host}{target}",
            method=method,
            address=address,
            user_agent=agent,
            status=reply.status,
            headers=reply.headers,
            seconds=reply.seconds,
            forged=bool(forged),
            body=reply.body[:MOST_BODY],
            body_sha256=hashlib.sha256(reply.body).hexdigest() if reply.whole else "",
            echo=self.request.signer.read_echo(reply.headers, reply.body, nonce),
            expected_location=REDIRECT if variant == "302" else "",
            error=reply.error,
            accept_language=_LANGUAGE,
        )
        self.done.append(found)
        return found

    async def _ask(self, question: Question, address: str, *, secure: bool) -> Reply:
        self.budget.expect("http")
        port = self.config.https_port if secure else self.config.http_port
        async with self._slots:
            reply = await ask(question, address, port, self._tls if secure else None, self.budget)
        if reply.chain:
            self.chains.setdefault(address, reply.chain)
        self.budget.finish("http")
        return reply


def _one_of_each_family(addresses: Sequence[str]) -> list[str]:
    """Return the first IPv4 address and the first IPv6 one."""
    first: dict[bool, str] = {}
    for each in addresses:
        first.setdefault(":" in each, each)
    return [first[family] for family in sorted(first)]
