"""Checks of the leg between a CDN or proxy and us. Pure."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from linkseal.domains.checks.looking import (
    NO_REQUEST,
    echoes,
    is_acme,
    is_https,
    line,
    parse_address,
    secure,
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
    only_on,
)
from linkseal.domains.observation import Echo, Exchange

REFUSALS: Final = frozenset({502, 503, 525, 526})
"""How CDNs and proxies say that they do not take our certificate."""
_MODERN = frozenset({"TLSv1.2", "TLSv1.3"})
_SHIELDED = {"fastly": 2}
"""CDNs that go through themselves: Fastly's shield is a second hop of its own."""
_RENEWED_BEFORE = timedelta(days=14)


@check(
    "ORG-01",
    "Encrypted",
    severity=BLOCKS,
    every=timedelta(minutes=15),
    why="A padlock means little if the second half of the way, from the CDN to us, is plain http.",
    messages={
        "plain": "{cdn} talks plain http to us.",
        "old": "{cdn} talks {version} to us; TLS 1.2 is the least.",
        "follows": "{cdn} talks plain http to us when the visitor comes by http.",
    },
)
def encrypted(view: View) -> Finding:
    """Requests over https arrive here over TLS 1.2 or 1.3, and behind a CDN all of them."""
    every = [each for each in view.seen.exchanges if not is_acme(each)]
    found = list(echoes(each for each in every if is_https(each)))
    if not found:
        return Skipped("no request over https reached us")
    values = {"cdn": view.cdn_first}
    for exchange, echo in found:
        version = echo.tls_version
        if version in _MODERN:
            continue
        lines = [f"{line(exchange)}: arrived over {version or 'plain http'}"]
        shape = "old" if version else "plain"
        values["version"] = version
        return Problem(shape, version or "plain http", "TLS 1.2 or 1.3", values, lines)
    if view.seen.route in {"cdn", "proxy"}:
        for exchange, echo in echoes(each for each in every if not is_https(each)):
            if not echo.tls_version:
                lines = [f"{line(exchange)}: arrived over plain http"]
                return Problem("follows", "plain http", "TLS 1.2 or 1.3", values, lines)
    return Passed(", ".join(sorted({echo.tls_version for _, echo in found})))


@check(
    "ORG-02",
    "SNI",
    severity=WARNS,
    every=timedelta(hours=1),
    why="Without the name in the TLS handshake we cannot show the certificate that is wanted.",
    messages={
        "none": "No SNI on the origin leg.",
        "other": "SNI on the origin leg is `{sni}`, neither `{host}` nor `{target}`.",
    },
)
def sni(view: View) -> Finding:
    """The handshake names the branded domain or its target."""
    seen = view.seen
    found = [pair for pair in echoes(secure(view)) if pair[1].tls_version]
    if not found:
        return Skipped("no request over TLS reached us")
    expected = f"{seen.host} or {seen.target}"
    for exchange, echo in found:
        if echo.sni.lower() not in {seen.host, seen.target} or not echo.sni:
            lines = [f"{line(exchange)}: SNI {echo.sni or '(none)'}"]
            values = {"sni": echo.sni, "target": seen.target}
            shape = "other" if echo.sni else "none"
            return Problem(shape, echo.sni or "none", expected, values, lines)
    return Passed(", ".join(sorted({echo.sni.lower() for _, echo in found})))


@check(
    "ORG-03",
    "Strict",
    severity=only_on("cdn", "proxy", severity=Severity.WARNS),
    every=None,
    why="If your CDN takes any certificate from us, somebody between can read and change clicks.",
    messages={"full": "{cdn} does not verify the origin certificate (Full, not strict)."},
)
def strict(view: View) -> Finding:
    """While a wrong certificate is shown to the CDN on purpose, nothing gets through."""
    found = [each for each in view.seen.exchanges if each.purpose == "canary"]
    after = [each for each in view.seen.exchanges if each.purpose == "canary-end"]
    if not found:
        return Skipped("no wrong certificate was shown on purpose; it is done on demand only")
    lines = [line(each) for each in found]
    if any(echo.canary for _, echo in echoes(found)):
        values = {"cdn": view.cdn_first}
        return Problem("full", "requests get through", "a refusal", values, lines)
    if any(each.echo is None for each in after):
        return Skipped("requests are refused with the right certificate too")
    if all(each.echo is None and each.status in REFUSALS for each in found):
        # An edge that was away for a moment looks the same from outside.
        look = (each for each in view.seen.exchanges if not each.purpose.startswith("canary"))
        if _refused(after) > _refused(look):
            return Passed("a wrong certificate is refused", lines)
        return Skipped("requests were refused, but our edge saw nobody refuse the certificate")
    if found[-1].echo is not None:
        return Skipped("all requests came by connections that were made before")
    return Skipped("the answers to the wrong certificate say neither")


def _refused(exchanges: Iterable[Exchange]) -> int:
    return max((echo.canary_refused for _, echo in echoes(exchanges)), default=0)


@check(
    "ORG-04",
    "Peer",
    severity=only_on("cdn", severity=Severity.WARNS),
    every=timedelta(hours=1),
    why="We believe the client's address only from your CDN; another peer's word is ignored.",
    messages={"other": "Request came from {ip}, not {cdn}."},
)
def peer(view: View) -> Finding:
    """Who connects to us is in the CDN's published ranges."""
    found = list(echoes(secure(view)))
    if view.cdn is None:
        return Skipped("the CDN is not known")
    networks = _networks(view.cdn.networks)
    if not networks:
        return Skipped(f"{view.cdn_first} publishes no addresses that we hold")
    if not found:
        return NO_REQUEST
    for exchange, echo in found:
        address = parse_address(echo.peer)
        if address is None or not any(address in network for network in networks):
            values = {"ip": echo.peer, "cdn": view.cdn.name}
            lines = [f"{line(exchange)}: peer {echo.peer}"]
            return Problem("other", echo.peer, f"an address of {view.cdn.name}", values, lines)
    return Passed(f"{', '.join(sorted({echo.peer for _, echo in found}))}: {view.cdn.name}")


def _networks(texts: Sequence[str]) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    return [ipaddress.ip_network(text, strict=False) for text in texts]


@check(
    "ORG-05",
    "CDN loop",
    severity=BLOCKS,
    every=timedelta(minutes=15),
    why="A CDN that calls itself multiplies each click until it gives up.",
    messages={"loop": "CDN loop: {value}."},
)
def cdn_loop(view: View) -> Finding:
    """No CDN stands twice in CDN-Loop (RFC 8586) or Via (RFC 9110 §7.6.3)."""
    found = list(echoes(secure(view)))
    if not found:
        return NO_REQUEST
    for exchange, echo in found:
        value = _looping(echo)
        if value:
            return Problem("loop", value, "each once", {"value": value}, [line(exchange), value])
    return Passed("each once")


def _looping(echo: Echo) -> str:
    fields = {name.lower(): value for name, value in echo.forwarded.items()}
    loop = fields.get("cdn-loop", "")
    ids = Counter(part.partition(";")[0].strip().lower() for part in loop.split(","))
    if any(count > _SHIELDED.get(name, 1) for name, count in ids.items() if name):
        return f"CDN-Loop: {loop}"
    via = fields.get("via", "")
    hops = Counter(part.strip().lower() for part in via.split(","))
    # Twice can be a shield; a pseudonym says no more.
    if any(count > 2 for name, count in hops.items() if name):
        return f"Via: {via}"
    return ""


@check(
    "ORG-06",
    "Client certificate",
    severity=only_on("cdn", "proxy", severity=Severity.WARNS),
    every=timedelta(hours=1),
    why="With a certificate of its own, your CDN can show us that it is the one. We ask for it, "
    "and never refuse a click for want of it.",
    messages={
        "none": "{cdn} shows no client certificate.",
        "foreign": "The client certificate `{subject}`, issued by `{issuer}`, is not of the CA "
        "`{authority}`.",
        "expired": "The client certificate `{subject}` expired on {until}.",
        "refused": "The client certificate `{subject}` cannot be trusted: {why}.",
        "soon": "The client certificate `{subject}` expires on {until}.",
    },
)
def client_certificate(view: View) -> Finding:
    """Who was asked for a certificate shows one of the CA that is set up, for 14 days or more.

    Of one that lives less than 42 days, a third of that is enough.
    """
    seen = view.seen
    if not seen.client_authority:
        return Skipped(
            "no CA is set up to know its certificate by; if it shows one: "
            f"linkseal domain client-ca {seen.host} --ca FILE"
        )
    if not any(True for _ in echoes(secure(view))):
        return NO_REQUEST
    asked = [
        pair
        for pair in echoes(secure(view))
        # In a handshake for another name it is that name's CA that was asked for.
        if pair[1].client_asked and pair[1].sni.lower().rstrip(".") in {seen.host, seen.target}
    ]
    if not asked:
        return Skipped(
            "our edge asked nobody for a certificate: it does once it knows of the CA, in "
            "handshakes that name the branded domain or its target"
        )
    for exchange, echo in asked:
        problem = _shown(view, echo)
        if problem is not None:
            return replace(problem, evidence=[f"{line(exchange)}: {problem.seen}"])
    return Passed(", ".join(sorted({_told(echo) for _, echo in asked})))


def _shown(view: View, echo: Echo) -> Problem | None:
    """Return what is wrong with what one peer showed."""
    shown, authority = echo.client_certificate, view.seen.client_authority
    expected = f"a certificate of {authority}"
    if shown is None:
        return Problem("none", "no certificate", expected, {"cdn": view.cdn_first})
    until = f"{shown.not_after:%Y-%m-%d %H:%M} UTC" if shown.not_after else "a day not known"
    values = {
        "subject": shown.subject,
        "issuer": shown.issuer,
        "until": until,
        "why": shown.why,
        "authority": authority,
    }
    shape = shown.problem
    if not shape and shown.not_after:
        lives = shown.not_after - shown.not_before if shown.not_before else timedelta.max
        if shown.not_after - view.seen.at < min(_RENEWED_BEFORE, lives / 3):
            shape = "soon"
    if not shape:
        return None
    shape = shape if shape in {"expired", "foreign", "soon"} else "refused"
    return Problem(shape, _told(echo), expected, values)


def _told(echo: Echo) -> str:
    shown = echo.client_certificate
    if shown is None:
        return "no certificate"
    until = f", until {shown.not_after:%Y-%m-%d}" if shown.not_after else ""
    return f"{shown.subject}, issued by {shown.issuer}{until}, SHA-256 {shown.fingerprint[:16]}…"
