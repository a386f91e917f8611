"""Checks of the way of a request and of redirects: does a click reach us and come back. Pure."""

from __future__ import annotations

from datetime import timedelta

from linkseal.domains.checks.chains import is_taken
from linkseal.domains.checks.looking import (
    MODERN,
    NO_REQUEST,
    REDIRECTS,
    bare_host,
    busy_addresses,
    is_acme,
    is_challenged,
    is_https,
    is_our_redirect,
    is_v6,
    line,
    refused_agents,
    secure,
    server_of,
    split_url,
    turns_back,
)
from linkseal.domains.checks.model import (
    BLOCKS,
    WARNS,
    Finding,
    Passed,
    Problem,
    Skipped,
    View,
    check,
)
from linkseal.domains.hsts import binds_below, is_preloaded
from linkseal.domains.observation import Exchange

_LASTING = frozenset({301, 308})
_MAX_REDIRECTS = 2
_BUSY = Skipped("our edge had no room for the question: try again in two minutes")
_AT_PORT_80 = "our answer, or 301 to the same URL on https"


@check(
    "HTTP-01",
    "Port 80",
    severity=WARNS,
    every=timedelta(hours=1),
    why="Links in mail you sent before SSL was enabled begin with http, and must go on working.",
    messages={
        "forced": "Browsers turn http links of `{host}` into https ({reason}): "
        "they do not open unless SSL is enabled.",
        "broken": "Old http links break: port 80 {symptom}.",
        "temporary": "Port 80 redirects to https with {status}, which is temporary: browsers ask "
        "by http again every time.",
    },
)
def port_80(view: View) -> Finding:
    """Http reaches us, or is redirected to the same URL on https; browsers ask for http at all."""
    seen = view.seen
    reason = _https_because(view)
    # Links that are https are what browsers make of them anyway.
    if reason and not seen.https_links:
        return Problem("forced", "https only", "http as well", {"reason": reason}, [reason])
    plain = [each for each in seen.exchanges if not is_https(each) and not is_acme(each)]
    closed = [each for each in seen.reached if each.port == 80 and each.error]
    if not plain and closed:
        symptom = f"does not answer ({closed[0].error})"
        lines = [f"{each.address} port 80: {each.error}" for each in closed]
        return Problem("broken", symptom, "an answer", {"symptom": symptom}, lines)
    if not plain:
        return Skipped("nothing was asked over http")
    lines = [line(each) for each in plain]
    refused = refused_agents(view)
    judged = [each for each in plain if not is_challenged(each) and each.user_agent not in refused]
    if not judged:
        return Skipped("machines are kept off, which HTTP-12 judges")
    for each in judged:
        symptom = _symptom(each)
        if symptom:
            return Problem("broken", symptom, _AT_PORT_80, {"symptom": symptom}, lines)
    for each in judged:
        if _leads_to_https(each) and each.status not in _LASTING:
            status = str(each.status)
            return Problem("temporary", status, _AT_PORT_80, {"status": status}, lines)
    redirected = any(each.echo is None for each in judged)
    return Passed("redirected to https" if redirected else "answered by us", lines)


def https_only(view: View) -> bool | None:
    """Whether browsers never ask for the host over http; ``None`` where it was not seen."""
    if _https_because(view):
        return True
    parents = view.seen.parents
    return False if parents and all(each.status for each in parents) else None


def _https_because(view: View) -> str:
    """Return why browsers turn http links of the host into https; empty where they do not."""
    seen = view.seen
    if is_preloaded(seen.host):
        return f".{seen.host.rpartition('.')[2]} is https only on the list of every browser"
    for each in seen.parents:
        # RFC 6797 §8.1: a policy that comes with a bad certificate is not taken up.
        if binds_below(each.policy) and is_taken(each.chain, each.name, view.roots, seen.at):
            return f"{each.name} sends Strict-Transport-Security: {each.policy}"
    return ""


def _symptom(exchange: Exchange) -> str:
    if exchange.echo is not None or is_our_redirect(exchange):
        return ""
    if not exchange.status:
        return f"does not answer ({exchange.error or 'no answer'})"
    location = exchange.headers.get("location", "")
    if exchange.status not in REDIRECTS:
        return f"answers {exchange.status}"
    return "" if _leads_to_https(exchange) else f"redirects to {location}"


def _leads_to_https(exchange: Exchange) -> bool:
    """Whether the answer is a redirect to the same URL on https, path and query kept."""
    if exchange.status not in REDIRECTS or is_our_redirect(exchange):
        return False
    _, host, target = split_url(exchange.url)
    scheme, there, path = split_url(exchange.headers.get("location", ""))
    return scheme == "https" and bare_host(there) == bare_host(host) and path == target


@check(
    "HTTP-02",
    "Challenge",
    severity=BLOCKS,
    every=timedelta(minutes=1),
    why="It shows that a click on your name arrives at our servers and nowhere else.",
    messages={
        "elsewhere": "Request did not reach us: got {status} from {server}.",
        "silent": "Request did not reach us: {address} gives no answer ({error}).",
    },
)
def challenge(view: View) -> Finding:
    """Through every address that answers, the signed answer of our edge comes back."""
    found = secure(view)
    busy = busy_addresses(view)
    if not found and not busy:
        return Skipped("nothing was asked over https")
    lines: list[str] = []
    reasons: list[str] = []
    for address in dict.fromkeys(each.address for each in found):
        exchanges = [each for each in found if each.address == address]
        lines.append(line(exchanges[0]))
        # Anybody can send our redirect; only our edge can sign an echo.
        if address in busy or any(each.echo for each in exchanges):
            continue
        if _is_dead_beside_v4(view, address):
            continue
        if not any(each.status for each in exchanges) and _tls_fails(view, address):
            reasons.append("no TLS connection could be made, which TLS-01 and TLS-05 judge")
            continue
        if any(turns_back(each) for each in exchanges) or _circle(exchanges):
            reasons.append("the redirects run in a circle, which HTTP-13 judges")
            continue
        if any(map(is_challenged, exchanges)):
            reasons.append("a bot challenge is in the way, which HTTP-12 judges")
            continue
        answered = next((each for each in exchanges if each.status), None)
        if answered is None:
            error = exchanges[0].error or "nothing"
            values: dict[str, object] = {"address": address, "error": error}
            return Problem("silent", error, "our signed answer", values, lines)
        status, server = answered.status, server_of(answered)
        values = {"status": status, "server": server}
        return Problem("elsewhere", f"{status} from {server}", "our signed answer", values, lines)
    through = [each.address for each in found if each.echo]
    if busy.difference(through):
        return _BUSY
    if reasons:
        return Skipped(reasons[0])
    if not through:
        return Skipped("no TLS connection could be made, which TLS-01 and TLS-05 judge")
    return Passed(f"our signed answer through {', '.join(dict.fromkeys(through))}", lines)


def _is_dead_beside_v4(view: View, address: str) -> bool:
    """Whether an IPv6 address takes no connection and an IPv4 one does: DNS-06 judges that."""
    tried = [each for each in view.seen.reached if each.port == 443]
    v4_works = any(not each.error and not is_v6(each.address) for each in tried)
    return is_v6(address) and v4_works and any(e.error for e in tried if e.address == address)


def _tls_fails(view: View, address: str) -> bool:
    """Whether an address refuses what a browser offers, or does not take a connection."""
    shakes = [each for each in view.seen.handshakes if each.address == address]
    modern = [each for each in shakes if each.offered in MODERN]
    tried = [each for each in view.seen.reached if each.port == 443 and each.address == address]
    if shakes:
        return all(each.error for each in modern or shakes)
    return bool(tried) and all(each.error for each in tried)


@check(
    "HTTP-05",
    "Redirect",
    severity=BLOCKS,
    every=timedelta(minutes=5),
    why="A click is a redirect: it must reach the recipient's browser exactly as we send it.",
    messages={
        "followed": "{cdn} followed our redirect: the answer is {status}, not 302.",
        "rewritten": "{cdn} rewrote our redirect ({loc}).",
        "status": "Our redirect arrives with status {status}, not 302.",
        "lost": "Our redirect does not arrive: got {status} from {server}.",
    },
)
def redirect(view: View) -> Finding:
    """The 302 arrives with its Location unchanged; what HEAD gets is HTTP-10's."""
    refused = refused_agents(view)
    found = [
        each
        for each in secure(view)
        if each.expected_location and each.method == "GET" and each.status
    ]
    judged = [each for each in found if each.user_agent not in refused and not turns_back(each)]
    if not judged:
        return Skipped("no redirect was asked for, or none was answered")
    if not any(each.echo or is_our_redirect(each) for each in secure(view)):
        return NO_REQUEST
    lines = [f"{line(each)} {each.headers.get('location', '')}".strip() for each in judged]
    for each in judged:
        location = each.headers.get("location", "")
        values = {
            "cdn": view.cdn_first,
            "status": each.status,
            "loc": location or "no Location",
            "server": server_of(each),
        }
        if each.status not in REDIRECTS:
            shape = "followed" if each.status < 400 else "lost"
        elif location != each.expected_location:
            shape = "rewritten"
        elif each.status != 302:
            shape = "status"
        else:
            continue
        seen = f"{each.status} {location}".strip()
        return Problem(shape, seen, f"302 {each.expected_location}", values, lines)
    return Passed("302 with its Location unchanged", lines)


@check(
    "HTTP-13",
    "Loops",
    severity=BLOCKS,
    every=timedelta(minutes=5),
    why="A browser that is sent in a circle gives up and shows an error.",
    messages={
        "loop": "Redirect loop (Flexible SSL?): {url} leads to {loc}.",
        "long": "More than {most} redirects before an answer: the last leads to {loc}.",
    },
)
def loops(view: View) -> Finding:
    """At most two redirects lie before our answer, and none leads back."""
    found = [each for each in view.seen.exchanges if not is_acme(each) and each.status]
    if not found:
        return Skipped("nothing was answered")
    back = next((each for each in found if turns_back(each)), None)
    if back is not None:
        return _loop("loop", back, [back])
    walked = _circle(found)
    if walked:
        shape = "long" if len({each.url for each in walked}) == len(walked) else "loop"
        return _loop(shape, walked[-1], walked)
    return Passed("no redirect leads back")


def _circle(exchanges: list[Exchange]) -> list[Exchange]:
    """Return the redirects walked where they lead back or are too many; else nothing."""
    following = {
        each.url: each
        for each in exchanges
        if each.status in REDIRECTS and not is_our_redirect(each) and not each.expected_location
    }
    for start in following.values():
        walked = [start]
        while True:
            after = following.get(walked[-1].headers.get("location", ""))
            if after is None:
                break
            if after in walked:
                return [*walked, after]
            walked.append(after)
        if len(walked) > _MAX_REDIRECTS:
            return walked
    return []


def _loop(shape: str, last: Exchange, walked: list[Exchange]) -> Problem:
    location = last.headers.get("location", "")
    values = {"url": last.url, "loc": location, "most": _MAX_REDIRECTS}
    lines = [f"{line(each)} {each.headers.get('location', '')}" for each in walked]
    return Problem(shape, location, f"at most {_MAX_REDIRECTS} redirects", values, lines)
