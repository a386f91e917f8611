"""Checks of TLS as a recipient's browser meets it. Pure.

Standards: RFC 5280 (chains), RFC 6125 §6.4 (names), RFC 8996 (TLS 1.0 and 1.1 are over).
"""

from __future__ import annotations

from datetime import timedelta

from cryptography import x509

from linkseal.domains.checks.chains import (
    Shown,
    covers,
    fault_in_chain,
    names_of,
    shown_chains,
    weakness,
)
from linkseal.domains.checks.looking import MODERN, is_v6
from linkseal.domains.checks.model import (
    BLOCKS,
    Finding,
    Passed,
    Problem,
    Severity,
    Skipped,
    View,
    check,
)
from linkseal.domains.observation import Handshake

_SHORT = timedelta(days=10)
_LAST_HOURS = timedelta(hours=72)
_NO_CHAIN = Skipped("no certificate was seen")


@check(
    "TLS-01",
    "Reach",
    severity=BLOCKS,
    every=timedelta(minutes=1),
    why="A browser that cannot connect to port 443 shows an error instead of the page.",
    messages={
        "closed": "Port 443 on {ip} closed ({error}).",
        "alert": "TLS handshake with {ip} fails: {alert}.",
    },
)
def reach(view: View) -> Finding:
    """Every address takes a connection and a handshake; a dead IPv6 beside IPv4 is DNS-06's."""
    seen = view.seen
    tried = [each for each in seen.reached if each.port == 443]
    if not tried and not seen.handshakes:
        return Skipped("no connection to port 443 was tried")
    lines = [f"{each.address} port 443: {each.error or 'open'}" for each in tried]
    v4_works = any(not each.error and not is_v6(each.address) for each in tried)
    for each in tried:
        if each.error and not (v4_works and is_v6(each.address)):
            values = {"ip": each.address, "error": each.error}
            return Problem("closed", each.error, "a connection", values, lines)
    spoken: dict[str, list[Handshake]] = {}
    for shake in seen.handshakes:
        spoken.setdefault(shake.address, []).append(shake)
    lines += [f"{one.address} TLS {one.offered}: {one.error or 'done'}" for one in seen.handshakes]
    for address, shakes in spoken.items():
        if (
            v4_works
            and is_v6(address)
            and any(one.error for one in tried if one.address == address)
        ):
            continue
        modern = [one for one in shakes if one.offered in MODERN] or shakes
        if all(one.error for one in shakes):
            values = {"ip": address, "alert": modern[0].error}
            return Problem("alert", modern[0].error, "a TLS handshake", values, lines)
    if not spoken:
        return Skipped("no TLS handshake was tried")
    return Passed(f"{len(spoken)} address{'es' if len(spoken) > 1 else ''}", lines)


@check(
    "TLS-02",
    "Chain",
    severity=BLOCKS,
    every=timedelta(minutes=5),
    why="A browser trusts the certificate only if all it is sent leads to a root it knows.",
    messages={
        "unreadable": "The certificate sent by {ip} cannot be read.",
        "self-signed": "The certificate is self-signed: nobody vouches for {subject}.",
        "staging": "The certificate is from a CA's staging server ({issuer}), which browsers do "
        "not trust.",
        "origin-ca": "A Cloudflare Origin CA certificate is shown to browsers: only Cloudflare "
        "trusts it.",
        "missing": "Intermediate missing: {issuer} issued {subject}, and its certificate is not "
        "sent.",
        "untrusted": "The chain ends at {issuer}, which is no root browsers trust.",
        "refused": "Browsers refuse the chain of {subject}: {problem}.",
    },
)
def chain(view: View) -> Finding:
    """The chain as sent leads to a trusted root; nothing is fetched."""
    chains = shown_chains(view.seen)
    if not chains:
        return _NO_CHAIN
    if not view.roots:
        return Skipped("no trusted roots were given")
    lines = [line for each in chains for line in each.lines()]
    if any(weakness(link) for each in chains for link in each.links):
        return Skipped("a key or signature is too weak, which TLS-06 judges")
    for each in chains:
        fault = fault_in_chain(each, view.roots, view.seen.at)
        if fault is not None:
            shape, values = fault
            return Problem(shape, each.title(), "a chain to a root browsers trust", values, lines)
    return Passed(f"{chains[0].title()} and {len(chains[0].links) - 1} above it", lines)


@check(
    "TLS-03",
    "Name",
    severity=BLOCKS,
    every=timedelta(minutes=5),
    why="A certificate for another name makes browsers show a full-page warning.",
    messages={"other": "Certificate is for {sans}, not `{host}`."},
)
def name(view: View) -> Finding:
    """The certificate's names cover the host (RFC 6125 §6.4)."""
    leaves = _leaves(view)
    if not leaves:
        return _NO_CHAIN
    for shown, leaf in leaves:
        names = names_of(leaf)
        if not any(covers(each, view.seen.host) for each in names):
            sans = ", ".join(names[:5]) or "no name"
            return Problem("other", sans, view.seen.host, {"sans": sans}, shown.lines())
    return Passed(", ".join(names_of(leaves[0][1])[:5]))


@check(
    "TLS-04",
    "Expiry",
    severity=BLOCKS,
    every=timedelta(hours=1),
    why="At an expired certificate browsers stop; a late renewal is the first sign of it.",
    messages={
        "expired": "Expired {date}.",
        "soon": "Expires {date}; renewal seems not to run.",
        "late": (Severity.WARNS, "Expires {date}; renewal seems not to run."),
        "early": "Not valid before {date}.",
    },
)
def expiry(view: View) -> Finding:
    """More than a third of the life is left (half, for one under 10 days).

    Fails under 72 hours, or under a quarter of a life so short that 72 hours are most of it.
    """
    leaves = _leaves(view)
    if not leaves:
        return _NO_CHAIN
    now = view.seen.at
    shown, leaf = min(leaves, key=lambda each: each[1].not_valid_after_utc)
    ends, begins = leaf.not_valid_after_utc, leaf.not_valid_before_utc
    life, left = ends - begins, ends - now
    if begins > now:
        date = f"{begins:%Y-%m-%d %H:%M} UTC"
        return Problem("early", date, "valid now", {"date": date}, shown.lines())
    date = f"{ends:%Y-%m-%d %H:%M} UTC"
    if left <= timedelta(0):
        shape = "expired"
    elif left < min(_LAST_HOURS, life / 4):
        shape = "soon"
    elif left < life / (2 if life < _SHORT else 3):
        shape = "late"
    else:
        return Passed(f"until {date}", shown.lines())
    return Problem(shape, date, "renewed by now", {"date": date}, shown.lines())


@check(
    "TLS-05",
    "Protocols",
    severity=BLOCKS,
    every=timedelta(days=1),
    why="Mail clients of the last ten years speak TLS 1.2; TLS 1.0 and 1.1 are not safe any more.",
    messages={
        "no-1.2": "TLS 1.2 not offered.",
        "no-1.3": (Severity.WARNS, "TLS 1.3 not offered."),
        "old": (Severity.WARNS, "TLS {versions} still accepted."),
    },
)
def protocols(view: View) -> Finding:
    """TLS 1.2 and 1.3 are spoken, 1.0 and 1.1 refused, on every address that speaks TLS."""
    by_address: dict[str, dict[str, bool]] = {}
    for each in view.seen.handshakes:
        by_address.setdefault(each.address, {})[each.offered] = not each.error
    speaking = {address: each for address, each in by_address.items() if any(each.values())}
    if not speaking:
        return Skipped("no TLS handshake succeeded")
    if not all("1.2" in each for each in speaking.values()):
        return Skipped("TLS 1.2 was not tried")
    lines = [
        f"{address} TLS {version}: {'accepted' if spoken else 'refused'}"
        for address, each in speaking.items()
        for version, spoken in each.items()
    ]
    if not all(each["1.2"] for each in speaking.values()):
        return Problem("no-1.2", "no TLS 1.2", "TLS 1.2 and 1.3", {}, lines)
    accepted = {v for each in speaking.values() for v, ok in each.items() if ok}
    old = sorted(accepted & {"1.0", "1.1"})
    if old:
        versions = " and ".join(old)
        return Problem("old", f"TLS {versions}", "TLS 1.2 and 1.3", {"versions": versions}, lines)
    if not all(each.get("1.3", True) for each in speaking.values()):
        return Problem("no-1.3", "no TLS 1.3", "TLS 1.2 and 1.3", {}, lines)
    return Passed(f"TLS {', '.join(sorted(accepted))}", lines)


@check(
    "TLS-06",
    "Keys",
    severity=BLOCKS,
    every=timedelta(days=1),
    why="Browsers refuse certificates with short keys or old signatures.",
    messages={"weak": "{subject}: {weakness}; RSA 2048, P-256 and SHA-256, or more, are needed."},
)
def keys(view: View) -> Finding:
    """Keys are RSA of 2048 bits or P-256 and more; signatures SHA-256 and more."""
    chains = shown_chains(view.seen)
    links = [(each, link) for each in chains for link in each.links]
    if not links:
        return _NO_CHAIN
    for shown, link in links:
        weak = weakness(link)
        if weak:
            subject = link.subject.rfc4514_string() or "the certificate"
            values = {"subject": subject, "weakness": weak}
            return Problem("weak", weak, "RSA 2048, P-256, SHA-256, or more", values, shown.lines())
    return Passed(f"{len(links)} certificate{'s' if len(links) > 1 else ''}")


def _leaves(view: View) -> list[tuple[Shown, x509.Certificate]]:
    return [(each, each.links[0]) for each in shown_chains(view.seen) if each.links]
