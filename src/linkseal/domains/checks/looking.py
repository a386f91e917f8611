"""Reading an observation: the questions that several checks ask of it. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import Final

from linkseal.domains.checks.model import Skipped, View
from linkseal.domains.echo import PROBE_PATH
from linkseal.domains.observation import Answer, Echo, Exchange, Observation
from linkseal.domains.well_known import CHALLENGE_PATH

NO_REQUEST: Final = Skipped("no request reached us")
MODERN: Final = ("1.3", "1.2")
"""The versions of TLS that browsers speak."""
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
REFUSALS: Final = frozenset({403, 429, 503})
"""Statuses of who keeps machines off."""
_ORDINARY_URL: Final = 1500
_CHALLENGE_HEADERS: Final = ("cf-mitigated", "x-datadome", "x-amzn-waf-action", "x-px-block")
_CHALLENGE_MARKS: Final = (b"captcha", b"/cdn-cgi/challenge-platform", b"_incapsula_resource")


def answers(seen: Observation, name: str, *types: str) -> list[Answer]:
    """Return what DNS said of a name, without the answers that were not checked (CD=1)."""
    return [
        each for each in seen.dns if each.name == name and each.type in types and not each.unchecked
    ]


def addresses(seen: Observation) -> list[str]:
    """Return what the host resolves to, as any server said, each once."""
    found = (value for each in answers(seen, seen.host, "A", "AAAA") for value in each.values)
    return list(dict.fromkeys(found))


def chain_end(seen: Observation) -> str:
    """Return the last name of the CNAME chain; empty without a CNAME."""
    return next((hop.target for hop in reversed(seen.chain) if hop.target), "")


def failure(answer: Answer) -> str:
    """Return why an answer cannot be believed; empty for NOERROR and NXDOMAIN."""
    if answer.error:
        return answer.error
    return "" if answer.rcode in {"NOERROR", "NXDOMAIN"} else answer.rcode or "no answer"


def is_bogus(seen: Observation) -> bool:
    """Whether a server refuses the host only because DNSSEC fails: with CD=1 it answers."""
    checked = [each for each in answers(seen, seen.host, "A", "AAAA") if not each.authoritative]
    unchecked = [each for each in seen.dns if each.name == seen.host and each.unchecked]
    return any(each.rcode == "SERVFAIL" for each in checked) and any(
        each.rcode in {"NOERROR", "NXDOMAIN"} for each in unchecked
    )


def is_https(exchange: Exchange) -> bool:
    """Whether the request went over TLS."""
    return exchange.url.lower().startswith("https://")


def split_url(url: str) -> tuple[str, str, str]:
    """Return scheme, host with port (both lower case), and the request target, byte for byte.

    Not ``urlsplit``: it decodes, strips and raises, and targets are compared byte for byte.
    """
    scheme, _, rest = url.partition("://")
    ends = [place for place in (rest.find(mark) for mark in "/?#") if place >= 0]
    end = min(ends, default=len(rest))
    target = rest[end:].partition("#")[0]
    if not target.startswith("/"):
        target = f"/{target}"
    return scheme.lower(), rest[:end].lower(), target


def bare_host(authority: str) -> str:
    """Return a Host field's name: lower case, without its port or last dot."""
    host = authority.lower()
    if not host.endswith("]"):
        name, colon, port = host.rpartition(":")
        host = name if colon and port.isdigit() else host
    return host.rstrip(".")


def variant(exchange: Exchange) -> str:
    """Return which of the probe's answers was asked, as ``echo`` or ``pixel.gif``."""
    path = split_url(exchange.url)[2].partition("?")[0]
    if not path.startswith(PROBE_PATH):
        return exchange.purpose
    return path.removeprefix(PROBE_PATH).partition("/")[2] or exchange.purpose


def secure(view: View) -> list[Exchange]:
    """Return the requests that the checks of HTTP judge.

    Those over https; before a route is chosen, there may be none, and then all of them. Those our
    edge had no room for say nothing of who is in front: none of these.
    """
    exchanges = [each for each in view.seen.exchanges if not is_acme(each)]
    found = [each for each in exchanges if is_https(each)]
    answered = any(each.status for each in found)
    judged = found if view.seen.route or answered else exchanges
    return [each for each in judged if not is_busy(each)]


def busy_addresses(view: View) -> set[str]:
    """Return where a request over https reached our edge, and it had no room for the question."""
    asked = (each for each in view.seen.exchanges if is_https(each) and not is_acme(each))
    return {each.address for each in asked if is_busy(each)}


def is_busy(exchange: Exchange) -> bool:
    """Whether the request reached our edge, and it had no room for the question."""
    return exchange.echo is not None and exchange.echo.busy


def is_acme(exchange: Exchange) -> bool:
    """Whether the request was for the path of ACME's challenges, or of the canary."""
    return CHALLENGE_PATH in exchange.url or exchange.purpose.startswith("canary")


def echoes(exchanges: Iterable[Exchange]) -> Iterator[tuple[Exchange, Echo]]:
    """Yield the requests that reached our edge, with what it saw."""
    for each in exchanges:
        if each.echo is not None:
            yield each, each.echo


def is_challenged(exchange: Exchange) -> bool:
    """Whether the answer is a bot challenge by its own marks."""
    if exchange.echo is not None or exchange.status == 0:
        return False
    if any(name in exchange.headers for name in _CHALLENGE_HEADERS):
        return True
    body = exchange.body.lower()
    return exchange.status in REFUSALS and any(mark in body for mark in _CHALLENGE_MARKS)


def refused_agents(view: View) -> frozenset[str]:
    """Return the User-Agents that are challenged, or refused what others are given.

    HTTP-12 judges that, and the other checks pass over their requests.
    """
    asked = [each for each in secure(view) if each.method == "GET" and not each.forged]
    given = {variant(each) for each in asked if each.echo or is_our_redirect(each)}
    return frozenset(
        each.user_agent
        for each in asked
        if is_challenged(each) or (is_refused(each) and variant(each) in given)
    )


def is_refused(exchange: Exchange) -> bool:
    """Whether a request of ordinary length is kept off, by its status alone."""
    ours = exchange.echo is not None or is_our_redirect(exchange)
    return not ours and exchange.status in REFUSALS and len(exchange.url) < _ORDINARY_URL


def is_our_redirect(exchange: Exchange) -> bool:
    """Whether the answer is the redirect that our edge was asked for."""
    wanted = exchange.expected_location
    return bool(wanted) and exchange.headers.get("location") == wanted


def turns_back(exchange: Exchange) -> bool:
    """Whether an https request is sent to its own URL again, or to the same over http."""
    if exchange.status not in REDIRECTS or is_our_redirect(exchange) or not is_https(exchange):
        return False
    _, host, target = split_url(exchange.url)
    location = exchange.headers.get("location", "")
    scheme, there, path = split_url(location) if "://" in location else ("", host, location)
    same = bare_host(there) == bare_host(host)
    return same and (scheme == "http" or path.partition("#")[0] == target)


def line(exchange: Exchange) -> str:
    """Return an exchange as one line of evidence."""
    answer = str(exchange.status) if exchange.status else exchange.error or "no answer"
    return f"{exchange.method} {exchange.url} at {exchange.address}: {answer}"


def server_of(exchange: Exchange) -> str:
    """Return who says it answered."""
    return exchange.headers.get("server", "") or exchange.address or "an unknown server"


def parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return an address; ``None`` for anything else."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def same_address(one: str, other: str) -> bool:
    """Whether two texts are one address, however they are written."""
    parsed = parse_address(one)
    return parsed == parse_address(other) if parsed else one == other


def is_v6(text: str) -> bool:
    """Whether a text is an IPv6 address."""
    address = parse_address(text)
    return address is not None and address.version == 6
