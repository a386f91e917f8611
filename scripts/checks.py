"""Write ``docs/reference/checks.md`` from the register of checks; ``--check`` only compares."""

from __future__ import annotations

import sys
from datetime import timedelta

from linkseal.domains.checks import CHECKS, Check, Severity
from linkseal.domains.checks.model import ROUTES, Message
from linkseal.domains.profiles import PROFILES
from linkseal.testing.broken import BROKEN, Broken
from scripts.publishing import publish
from scripts.reference import NOTE, REFERENCE

PAGE = REFERENCE / "checks.md"
_FRONTS = {name: profile.name for name, profile in PROFILES.items()} | {"proxy": "Your own proxy"}


def page() -> str:
    """Return the page of every check."""
    lines = ["# Checks of a branded domain", "", NOTE]
    lines += [
        "A check looks at what a probe saw from outside and says pass, warn, fail or skipped: what",
        "was not seen is skipped, never passed. Checking only reads; it cannot break what works.",
        "SSL is enabled only while no check fails. *Every* is how often the watch asks of a live",
        "domain; where it is empty, the check is asked once, before an order, or on demand.",
        "",
        "| check | what | a problem | every |",
        "|---|---|---|---|",
    ]
    for each in CHECKS.values():
        lines.append(f"| {each.id} | {each.title} | {_severities(each)} | {_every(each.every)} |")
    for each in CHECKS.values():
        lines += ["", f"## {each.id}: {each.title}", "", each.why, ""]
        if each.messages:
            lines += ["| shape | message |", "|---|---|"]
            lines += [f"| {shape} | {_message(said)} |" for shape, said in each.messages.items()]
        else:
            why = " ".join((each.find.__doc__ or "").partition(":")[2].split())
            lines += [f"Always skipped: {why}"]
    lines += ["", "## Broken set-ups", ""]
    lines += [
        f"Each of these {len(BROKEN)} has one mistake, is built by the tests and probed over real",
        "sockets: the one check named here says so, no other fails, and the fix is the one that is",
        "shown. It is told in the words of who is in front, where somebody is. `…` differs by run.",
        "",
        "| mistake | check | result | message | fix |",
        "|---|---|---|---|---|",
    ]
    lines += [_broken(each) for each in BROKEN]
    return "\n".join(lines) + "\n"


def _broken(each: Broken) -> str:
    also = "".join(f"; {check} warns too: {why}" for check, why in each.also.items())
    result = ("warns" if each.warns else "fails") + also
    front = f"{_FRONTS[each.front]}: " if each.front else ""
    return f"| {each.mistake} | {each.check} | {result} | {each.message} | {front}{each.fix} |"


def _severities(check: Check) -> str:
    """Return what a problem does, by route where the routes differ."""
    severities = {route: check.severity[route] for route in ROUTES}
    if len(set(severities.values())) == 1:
        return str(severities[""])
    by_severity: dict[Severity, list[str]] = {}
    for route, severity in severities.items():
        if severity is not Severity.NOT_ASKED:
            by_severity.setdefault(severity, []).append(route or "no route yet")
    return "; ".join(f"{each} ({', '.join(routes)})" for each, routes in by_severity.items())


def _every(interval: timedelta | None) -> str:
    if interval is None:
        return ""
    minutes = round(interval.total_seconds() / 60)
    for size, unit in ((1440, "d"), (60, "h")):
        if minutes % size == 0:
            return f"{minutes // size} {unit}"
    return f"{minutes} min"


def _message(message: Message) -> str:
    text = message.text.replace("|", "\\|")
    return f"{text} (always {message.severity})" if message.severity else text


if __name__ == "__main__":
    sys.exit(publish({PAGE: page()}))
