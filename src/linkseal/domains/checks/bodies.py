"""Checks of the answers as they come back: cached, altered, challenged, slow. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta

import msgspec

from linkseal.domains.checks.looking import (
    NO_REQUEST,
    echoes,
    is_challenged,
    is_our_redirect,
    is_refused,
    line,
    secure,
    server_of,
    split_url,
    variant,
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
from linkseal.domains.observation import AppFile, Exchange

_CACHE_FIELDS = ("cf-cache-status", "x-cache", "cdn-cache", "x-cache-status", "x-proxy-cache")
_FROM_CACHE = ("hit", "stale", "updating", "revalidated")
_TYPES = {"pixel": "image/gif", "pixel.gif": "image/gif", "html": "text/html"}
_LARGEST_APP_FILE = 128 * 1024
_FEWEST_TIMED = 10
_SLOW_HALF, _SLOW_MOST = 0.5, 1.5
"""Seconds of the median and of the 95th percentile."""
_UNTIMED = frozenset({"slow", "big", "canary"})


@check(
    "HTTP-06",
    "Not cached",
    severity=BLOCKS,
    every=timedelta(minutes=15),
    why="An answer out of a cache never reaches us: that click or open is not counted.",
    messages={
        "cached": "{path} is cached by {cdn} ({header}).",
        "collapsed": "{path}: {count} requests at once are merged into {answers} by {cdn}.",
    },
)
def not_cached(view: View) -> Finding:
    """The same URL asked again is answered anew, also when asked at the same time."""
    found = [each for each in secure(view) if each.method == "GET" and each.status]
    if not any(each.echo or is_our_redirect(each) for each in found):
        return NO_REQUEST
    groups: dict[str, list[Exchange]] = {}
    for each in found:
        groups.setdefault(each.url, []).append(each)
    expected = "an answer of its own for each request"
    for each in found:
        header = _cache_header(each)
        if header:
            values = {"path": f"/{variant(each)}", "cdn": view.cdn_name, "header": header}
            return Problem("cached", header, expected, values, [line(each), header])
    asked_twice = 0
    for same in groups.values():
        serials = [(echo.node, echo.serial) for _, echo in echoes(same)]
        if len(serials) < 2:
            continue
        asked_twice += 1
        different = len(set(serials))
        if different == len(serials):
            continue
        values = {"path": f"/{variant(same[0])}", "cdn": view.cdn_name, "header": "the same answer"}
        values |= {"count": str(len(serials)), "answers": str(different)}
        lines = [f"{line(one)}: {echo.node} {echo.serial}" for one, echo in echoes(same)]
        burst = any("burst" in each.purpose for each in same)
        seen = f"{different} answers to {len(serials)} requests"
        return Problem("collapsed" if burst else "cached", seen, expected, values, lines)
    if not asked_twice:
        return Skipped("no URL was asked twice")
    return Passed(f"{asked_twice} URLs asked again, answered anew")


def _cache_header(exchange: Exchange) -> str:
    """Return the field that says the answer comes out of a cache."""
    age = exchange.headers.get("age", "")
    if age.isdecimal() and age.strip("0"):
        return f"Age: {age}"
    for name in _CACHE_FIELDS:
        value = exchange.headers.get(name, "")
        words = value.lower().replace(",", " ").split()
        if any(word.startswith(_FROM_CACHE) for word in words):
            return f"{name}: {value}"
    return ""


@check(
    "HTTP-07",
    "Cache key",
    severity=BLOCKS,
    every=timedelta(hours=1),
    why="If the query does not count, one recipient is given another's link.",
    messages={"ignored": "Query string ignored in cache key."},
)
def cache_key(view: View) -> Finding:
    """URLs that differ in the query get different answers."""
    asked = [each for each in secure(view) if each.method == "GET"]
    answered: dict[tuple[str, int], str] = {}
    queries: dict[str, set[str]] = {}
    for exchange, echo in echoes(asked):
        url = exchange.url
        path, _, query = split_url(url)[2].partition("?")
        queries.setdefault(path, set()).add(query)
        other = answered.setdefault((echo.node, echo.serial), url)
        if other != url and other.partition("?")[0] == url.partition("?")[0]:
            lines = [f"{other}: {echo.node} {echo.serial}", f"{url}: {echo.node} {echo.serial}"]
            return Problem("ignored", "one answer", "one for each query", {}, lines)
    if not queries:
        return NO_REQUEST
    if not any(len(each) > 1 for each in queries.values()):
        return Skipped("no two queries were asked of one path")
    return Passed("each query has its own answer")


@check(
    "HTTP-11",
    "Body",
    severity=WARNS,
    every=timedelta(hours=1),
    why="What changes our answers can break the pixel or put a script before the recipient.",
    messages={
        "altered": "Body altered: {diff} (optimizer/obfuscation/injection).",
        "type": "Content-Type of {path} arrives as `{seen}`.",
        "cache-control": "Cache-Control arrives as `{seen}`.",
    },
)
def body(view: View) -> Finding:
    """Body, content type and Cache-Control arrive as we sent them."""
    found = [
        (exchange, echo)
        for exchange, echo in echoes(secure(view))
        if exchange.method == "GET" and echo.sent_body and exchange.body_sha256
    ]
    if not found:
        return Skipped("no answer with a body of ours was seen")
    for exchange, echo in found:
        name = variant(exchange)
        if exchange.body_sha256.lower() != echo.sent_body.lower():
            diff = _difference(exchange)
            lines = [line(exchange), f"sha256 {exchange.body_sha256}, sent {echo.sent_body}"]
            values = {"diff": f"/{name} {diff}"}
            return Problem("altered", diff, "the body as sent", values, lines)
        kind = exchange.headers.get("content-type", "")
        if name in _TYPES and kind.partition(";")[0].strip().lower() != _TYPES[name]:
            values = {"path": f"/{name}", "seen": kind or "none"}
            return Problem("type", kind or "none", _TYPES[name], values, [line(exchange)])
        rule = exchange.headers.get("cache-control", "")
        if "no-store" not in rule.lower():
            values = {"seen": rule or "none"}
            return Problem("cache-control", rule or "none", "no-store", values, [line(exchange)])
    return Passed(f"{len(found)} answers as we sent them")


def _difference(exchange: Exchange) -> str:
    text = exchange.body.lower()
    if b"/cdn-cgi/l/email-protection" in text:
        return "has its email addresses replaced"
    if b"/cdn-cgi/" in text:
        return "has a script put in"
    return "is not what we sent"


@check(
    "HTTP-12",
    "Bots",
    severity=BLOCKS,
    every=timedelta(minutes=15),
    why="Mail providers fetch links and images by machine: who challenges machines loses opens, "
    "and recipients behind scanners.",
    messages={"challenged": "Clicks are challenged: {vendor} for UA {ua}."},
)
def bots(view: View) -> Finding:
    """Browsers, image proxies, scanners and an empty User-Agent get the same answer."""
    found = [each for each in secure(view) if each.method == "GET" and not each.forged]
    reached = [each for each in found if each.echo or is_our_redirect(each)]
    # Where no redirect comes back, whoever asks, HTTP-05 says so.
    redirects = any(each.expected_location for each in reached)
    for each in found:
        kept_off = reached and is_refused(each) and (redirects or not each.expected_location)
        if is_challenged(each) or kept_off:
            vendor = view.cdn.name if view.cdn else server_of(each)
            agent = f"`{each.user_agent}`" if each.user_agent else "(empty)"
            values = {"vendor": vendor, "ua": agent}
            seen = f"{each.status} from {vendor}"
            return Problem("challenged", seen, "our answer", values, [line(each)])
    if not reached:
        return NO_REQUEST
    agents = {each.user_agent for each in found if each.echo}
    if len(agents) < 2:
        return Skipped("only one User-Agent was tried")
    return Passed(f"{len(agents)} User-Agents are answered alike")


@check(
    "HTTP-14",
    "Well-known files",
    severity=BLOCKS,
    every=timedelta(hours=1),
    why="Phones open your app from a link only if these files come without a redirect.",
    messages={"broken": "{file}: {problem}."},
)
def well_known(view: View) -> Finding:
    """The files that are set up answer 200 with JSON, without a redirect."""
    if not view.seen.app_files:
        return Skipped("none is set up for this domain")
    lines = [f"{each.name}: {each.status} {each.content_type}" for each in view.seen.app_files]
    for each in view.seen.app_files:
        problem = _problem(each)
        if problem:
            values = {"file": each.name, "problem": problem}
            return Problem("broken", problem, "200 application/json", values, lines)
    return Passed(", ".join(each.name for each in view.seen.app_files), lines)


def _problem(file: AppFile) -> str:
    if file.error or not file.status:
        return file.error or "no answer"
    if 300 <= file.status < 400:
        return f"redirected ({file.status}), which phones refuse"
    if file.status != 200:
        return f"answers {file.status}"
    kind = file.content_type.partition(";")[0].strip().lower()
    if kind != "application/json":
        return f"is {kind or 'of no type'}, not application/json"
    if len(file.body) > _LARGEST_APP_FILE:
        return "is larger than 128 KiB"
    try:
        msgspec.json.decode(file.body)
    except (msgspec.DecodeError, RecursionError):
        return "is no JSON"
    return ""


@check(
    "HTTP-15",
    "Latency",
    severity=WARNS,
    every=timedelta(hours=1),
    why="Recipients wait for the redirect before their page begins to load.",
    messages={
        "slow": "Slow: half the answers take {half} ms or more, one in twenty {most} ms.",
        "added": "Slow: {cdn} adds {half} ms or more to half the answers, {most} ms to one in "
        "twenty.",
    },
)
def latency(view: View) -> Finding:
    """The median is under 500 ms and the 95th percentile under 1500 ms.

    What our edge takes when it is asked straight is not held against who stands in front.
    """
    times = sorted(
        exchange.seconds
        for exchange, _ in echoes(secure(view))
        if variant(exchange) not in _UNTIMED and math.isfinite(exchange.seconds)
    )
    if len(times) < _FEWEST_TIMED:
        return Skipped(f"fewer than {_FEWEST_TIMED} answers were timed")
    direct = sorted(each for each in view.seen.direct_seconds if math.isfinite(each))
    without = _quantile(direct, 0.5) if direct else 0.0
    half, most = (max(_quantile(times, part) - without, 0.0) for part in (0.5, 0.95))
    shape = "added" if direct else "slow"
    seen = f"{half * 1000:.0f} ms, 95 % within {most * 1000:.0f} ms"
    if direct:
        seen += f", besides our own {without * 1000:.0f} ms"
    if half < _SLOW_HALF and most < _SLOW_MOST:
        return Passed(seen)
    values = {"cdn": view.cdn_name, "half": f"{half * 1000:.0f}", "most": f"{most * 1000:.0f}"}
    expected = f"{_SLOW_HALF * 1000:.0f} ms, 95 % within {_SLOW_MOST * 1000:.0f} ms"
    return Problem(shape, seen, expected, values, [f"{len(times)} answers"])


def _quantile(times: Sequence[float], part: float) -> float:
    """Return the nearest-rank quantile of sorted times."""
    return times[max(math.ceil(part * len(times)) - 1, 0)]
