"""Checks of the request as it arrives at our edge: is it what the recipient sent. Pure."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import unquote_to_bytes

from linkseal.domains.checks.looking import (
    NO_REQUEST,
    bare_host,
    echoes,
    is_challenged,
    is_our_redirect,
    is_v6,
    line,
    parse_address,
    refused_agents,
    same_address,
    secure,
    split_url,
)
from linkseal.domains.checks.model import (
    BLOCKS,
    WARNS,
    Finding,
    Passed,
    Problem,
    Severity,
    Skipped,
    View,
    check,
)
from linkseal.domains.observation import Echo, Exchange

_LONG = 1500
_LONGEST_LINK = 2200
"""Characters of a URL: no link of ours is longer, with some room."""
_REFUSED = frozenset({400, 413, 414, 431})


@check(
    "HTTP-03",
    "Host",
    severity=BLOCKS,
    every=timedelta(minutes=5),
    why="By the Host header we know that the click is yours; with another one it is refused.",
    messages={"other": "Host header arrives as `{seen}`."},
)
def host(view: View) -> Finding:
    """The Host field is the branded name."""
    found = list(echoes(secure(view)))
    if not found:
        return NO_REQUEST
    for exchange, echo in found:
        if bare_host(echo.host) != view.seen.host:
            lines = [f"{line(exchange)}: Host {echo.host}"]
            return Problem("other", echo.host, view.seen.host, {"seen": echo.host}, lines)
    return Passed(view.seen.host)


@check(
    "HTTP-04",
    "Target",
    severity=BLOCKS,
    every=timedelta(hours=1),
    why="The link carries its destination in the URL: if one character changes, it may not open.",
    messages={
        "dropped": "Query string was dropped.",
        "changed": "{part} was changed: `{sent}` arrives as `{seen}`.",
        "reordered": (Severity.WARNS, "Query string was reordered."),
        "decoded": (Severity.WARNS, "{part} was decoded: `{sent}` arrives as `{seen}`."),
        "refused": "A URL of {length} characters is refused ({status}).",
        "too-long": (Severity.WARNS, "A URL of {length} characters is refused ({status})."),
    },
)
def target(view: View) -> Finding:
    """Path and query arrive byte for byte, also long ones."""
    exchanges = secure(view)
    found = list(echoes(exchanges))
    if not found:
        return NO_REQUEST
    arrived = {
        (echo.node, echo.serial): echo.target
        for exchange, echo in found
        if echo.target == split_url(exchange.url)[2]
    }
    worst: Problem | None = None
    for exchange, echo in found:
        sent, seen = split_url(exchange.url)[2], echo.target
        shape, part = _difference(sent, seen)
        if not shape or (worst and shape in {"reordered", "decoded"}):
            continue
        # The answer to another request, out of a cache, says nothing of this one's way.
        if arrived.get((echo.node, echo.serial)) == seen:
            continue
        values = {"part": part, "sent": sent, "seen": seen}
        worst = Problem(shape, seen, sent, values, [f"{line(exchange)}: target {seen}"])
        if shape in {"dropped", "changed"}:
            return worst
    for exchange in exchanges:
        length = len(exchange.url)
        blocked = exchange.echo is None and exchange.status in _REFUSED
        if length > _LONG and blocked:
            shape = "refused" if length <= _LONGEST_LINK else "too-long"
            values = {"length": str(length), "status": str(exchange.status)}
            refused = Problem(shape, values["status"], "our answer", values, [line(exchange)])
            worst = refused if shape == "refused" else worst or refused
    if worst is not None:
        return worst
    if not any("?" in split_url(exchange.url)[2] for exchange, _ in found):
        return Skipped("no request with a query reached us")
    return Passed(f"{len(found)} targets, byte for byte")


def _difference(sent: str, seen: str) -> tuple[str, str]:
    """Return which message fits, and whether path or query is meant; empty when equal."""
    if sent == seen:
        return "", ""
    path, _, query = sent.partition("?")
    seen_path, _, seen_query = seen.partition("?")
    if query and not seen_query:
        return "dropped", "Query string"
    if query != seen_query:
        if Counter(query.split("&")) == Counter(seen_query.split("&")):
            return "reordered", "Query string"
        same = _decoded(query) == _decoded(seen_query)
        return "decoded" if same else "changed", "Query string"
    if path != seen_path:
        return "decoded" if _decoded(path) == _decoded(seen_path) else "changed", "Path"
    return "changed", "Query string"


def _decoded(text: str) -> bytes:
    return unquote_to_bytes(text.replace("+", "%20"))


@check(
    "HTTP-08",
    "Client address",
    severity=WARNS,
    every=timedelta(hours=1),
    why="From the address we tell people from machines, and countries; your CDN must pass it on.",
    messages={
        "lost": "Client IP not forwarded (we see {peer}).",
        "not-enrolled": "{field} tells the visitor's address, but is not believed: {host} is not "
        "enrolled with {cdn}.",
        "elsewhere": "{field} tells the visitor's address, but is not believed: {host} is not "
        "enrolled with {cdn} at {peer}.",
        "forged": "A forged client IP is believed (we see {peer}).",
    },
)
def client_address(view: View) -> Finding:
    """The address our edge works out is the probe's own, whatever the request claims."""
    egress = view.seen.egress
    found = list(echoes(secure(view)))
    if not egress:
        return Skipped("the addresses of the probe are not known")
    if not found:
        return NO_REQUEST
    for exchange, echo in sorted(found, key=lambda pair: pair[0].forged):
        of_family = [one for one in egress if is_v6(one) == is_v6(exchange.address)] or egress
        if not any(same_address(echo.client, address) for address in of_family):
            lines = [f"{line(exchange)}: peer {echo.peer}, client {echo.client}"]
            lines += [f"{name}: {value}" for name, value in echo.forwarded.items()]
            values = {"peer": echo.client, "cdn": view.cdn.name if view.cdn else "your proxy"}
            shape = "forged" if exchange.forged else "lost"
            if shape == "lost" and (field := _unbelieved(view, echo, of_family)):
                shape, values["field"] = _not_enrolled(view, echo), field
            return Problem(shape, echo.client, " or ".join(of_family), values, lines)
    seen = "the probe's own"
    if len({is_v6(exchange.address) for exchange, _ in found}) > 1:
        seen += " over IPv4 and IPv6"
    if any(exchange.forged for exchange, _ in found):
        seen += ", also when others are claimed"
    return Passed(seen)


def _unbelieved(view: View, echo: Echo, addresses: Sequence[str]) -> str:
    """Return the field that tells the visitor's address though our edge took the peer's."""
    field = view.cdn.client_header if view.cdn else "X-Forwarded-For"
    if not same_address(echo.client, echo.peer):
        return ""
    said = {name.lower(): value for name, value in echo.forwarded.items()}
    told = [each.strip() for each in said.get(field.lower(), "").split(",")]
    return field if any(same_address(one, each) for one in told for each in addresses) else ""


def _not_enrolled(view: View, echo: Echo) -> str:
    """Return the shape: at an address of the CDN, nothing but its enrolment can be missing."""
    peer = parse_address(echo.peer)
    networks = view.cdn.networks if view.cdn else ()
    known = (ipaddress.ip_network(each, strict=False) for each in networks)
    return "not-enrolled" if peer and any(peer in each for each in known) else "elsewhere"


@check(
    "HTTP-09",
    "User agent",
    severity=WARNS,
    every=timedelta(hours=1),
    why="From the User-Agent we tell opens by people from those by image proxies and scanners, and "
    "Accept-Language says what people read.",
    messages={
        "changed": "User-Agent arrives as `{seen}`.",
        "language": "Accept-Language arrives as `{language}`.",
        "both": "User-Agent arrives as `{seen}`, Accept-Language as `{language}`.",
    },
)
def user_agent(view: View) -> Finding:
    """User-Agent and Accept-Language arrive unchanged."""
    found = list(echoes(secure(view)))
    if not found:
        return NO_REQUEST
    agent, language = _Changed(), _Changed()
    for exchange, echo in found:
        agent.note(exchange, exchange.user_agent, echo.user_agent)
        # A look that was saved by a version before does not say what was sent.
        if exchange.accept_language is not None:
            language.note(exchange, exchange.accept_language, echo.accept_language)
    lines = [*agent.lines, *language.lines]
    values = {"seen": agent.seen, "language": language.seen}
    if agent.seen:
        shape = "both" if language.seen else "changed"
        return Problem(shape, agent.seen, agent.sent, values, lines)
    if language.seen:
        return Problem("language", language.seen, language.sent, values, lines)
    return Passed(f"{len({exchange.user_agent for exchange, _ in found})} arrive unchanged")


@dataclass(slots=True)
class _Changed:
    """The first request whose field did not arrive as it was sent; empty while all did."""

    sent: str = ""
    seen: str = ""
    lines: tuple[str, ...] = ()

    def note(self, exchange: Exchange, sent: str, seen: str) -> None:
        if sent != seen and not self.seen:
            self.sent, self.seen = sent or "(empty)", seen or "(empty)"
            self.lines = (f"{line(exchange)}: sent {self.sent}, arrived {self.seen}",)


@check(
    "HTTP-10",
    "Methods",
    severity=BLOCKS,
    every=timedelta(days=1),
    why="Mail scanners ask with HEAD, and one-click unsubscribe (RFC 8058) is a POST.",
    messages={
        "blocked": "{method} blocked ({status}).",
        "post": (Severity.WARNS, "POST blocked ({status})."),
        "changed": (Severity.WARNS, "{method} arrives as {seen}."),
    },
)
def methods(view: View) -> Finding:
    """HEAD and POST reach us as they are; GET is HTTP-02's."""
    refused = refused_agents(view)
    exchanges = [
        each
        for each in secure(view)
        if not is_challenged(each) and (each.echo or each.user_agent not in refused)
    ]
    if not any(each.echo or is_our_redirect(each) for each in exchanges):
        return NO_REQUEST
    asked = [each for each in exchanges if each.method in {"HEAD", "POST"}]
    if not asked:
        return Skipped("neither HEAD nor POST was asked")
    lines = [line(each) for each in asked]
    worst: Problem | None = None
    for each in asked:
        status = str(each.status) if each.status else each.error or "no answer"
        values = {"method": each.method, "status": status, "seen": ""}
        if each.echo is None and (each.method == "POST" or not 200 <= each.status < 400):
            if each.method == "HEAD":
                return Problem("blocked", status, "our answer", values, lines)
            worst = Problem("post", status, "our answer", values, lines)
        elif each.method == "POST" and each.echo and each.echo.method != "POST":
            values["seen"] = each.echo.method
            worst = worst or Problem("changed", each.echo.method, "POST", values, lines)
    return worst or Passed(", ".join(sorted({each.method for each in asked})), lines)
