"""Checks of names: does it resolve, where does it lead, whose is it. Pure."""

from __future__ import annotations

from datetime import timedelta

from linkseal.domains.checks.looking import (
    addresses,
    answers,
    chain_end,
    failure,
    is_bogus,
    is_v6,
    same_address,
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
from linkseal.domains.observation import Answer, Observation

_MAX_HOPS = 8
_BROKEN = Skipped("the CNAME chain breaks, which DNS-02 judges")
_STRAY = Skipped("the chain leads to another name of ours, which DNS-03 judges")


def _lines(found: list[Answer]) -> list[str]:
    return [
        f"{each.server}: {each.name} {each.type} "
        f"{failure(each) or ', '.join(each.values) or each.rcode}"
        for each in found
    ]


@check(
    "DNS-01",
    "Resolves",
    severity=BLOCKS,
    every=timedelta(minutes=5),
    why="A name without an address opens for nobody: every link of your mail is dead.",
    messages={
        "gone": "`{host}` does not resolve ({rcode}).",
        "partly": (Severity.WARNS, "`{host}` does not resolve everywhere: {server} says {rcode}."),
    },
)
def resolves(view: View) -> Finding:
    """Every server that is asked gives an address; a public resolver's word counts most."""
    seen = view.seen
    found = answers(seen, seen.host, "A", "AAAA")
    resolvers = [each for each in found if not each.authoritative]
    asked = resolvers or found
    if not asked:
        return Skipped("no address was asked for")
    if is_bogus(seen):
        return Skipped("DNSSEC fails, which DNS-07 judges")
    if _strays(seen):
        return _STRAY
    if _broken_chain(seen):
        return _BROKEN
    by_server: dict[str, list[Answer]] = {}
    for each in asked:
        by_server.setdefault(each.server, []).append(each)
    failing = [each for each in by_server.values() if not any(one.values for one in each)]
    if not failing:
        return Passed(", ".join(addresses(seen)), _lines(asked))
    # A family that fails says less than a clear answer for the other.
    worst = max(failing[0], key=lambda each: (bool(failure(each)), each.rcode == "NXDOMAIN"))
    rcode = failure(worst) or ("NXDOMAIN" if worst.rcode == "NXDOMAIN" else "no address")
    shape = "gone" if len(failing) == len(by_server) else "partly"
    values = {"rcode": rcode, "server": worst.server}
    return Problem(shape, rcode, "an A or AAAA record", values, _lines(asked))


def _strays(seen: Observation) -> bool:
    """Whether the chain leads to a name of ours that is not this claim's target."""
    names = {hop.target.lower() for hop in seen.chain}
    return seen.target not in names and any(
        name.endswith(f".{seen.base_domain}") for name in names if seen.base_domain
    )


def _broken_chain(seen: Observation) -> tuple[str, str, str] | None:
    """Return shape, name and what is wrong with the CNAME chain."""
    names = [seen.host]
    for hop in seen.chain:
        if hop.rcode not in {"NOERROR", ""}:
            return "breaks", hop.name, hop.rcode
        if not hop.target:
            continue
        name = hop.target.lower()
        if name in names:
            return "loop", name, "loop"
        names.append(name)
    if len(names) - 1 > _MAX_HOPS:
        return "long", names[-1], str(len(names) - 1)
    found = answers(seen, seen.host, "A", "AAAA")
    resolvers = [each for each in found if not each.authoritative]
    dangling = len(names) > 1 and resolvers and not any(each.values for each in found)
    if dangling and not any(failure(each) for each in resolvers):
        gone = any(each.rcode == "NXDOMAIN" for each in resolvers)
        return "breaks", names[-1], "NXDOMAIN" if gone else "no address"
    return None


@check(
    "DNS-02",
    "CNAME chain",
    severity=BLOCKS,
    every=timedelta(hours=1),
    why="A chain that loops, ends nowhere or is too long resolves for some people and not others.",
    messages={
        "breaks": "CNAME chain breaks at `{name}`: {rcode}.",
        "loop": "CNAME chain runs in a circle: it comes back to `{name}`.",
        "long": f"CNAME chain has {{rcode}} steps; resolvers give up after {_MAX_HOPS}.",
    },
)
def chain(view: View) -> Finding:
    """The chain ends, in at most eight steps, at a name that has addresses."""
    seen = view.seen
    if not seen.chain and not answers(seen, seen.host, "A", "AAAA", "CNAME"):
        return Skipped("no CNAME was asked for")
    lines = [f"{hop.name} CNAME {hop.target or '(none)'} {hop.rcode}" for hop in seen.chain]
    broken = _broken_chain(seen)
    if broken is not None and _strays(seen):
        return _STRAY
    if broken is None:
        steps = " -> ".join([seen.host, *(hop.target for hop in seen.chain if hop.target)])
        return Passed(steps if seen.chain else "no CNAME", lines)
    shape, name, rcode = broken
    expected = f"at most {_MAX_HOPS} steps to a name with an address"
    return Problem(shape, f"{name}: {rcode}", expected, {"name": name, "rcode": rcode}, lines)


@check(
    "DNS-03",
    "Target",
    severity=BLOCKS | dict.fromkeys(("cdn", "proxy"), Severity.WARNS),
    every=timedelta(hours=1),
    why="Clicks reach us only if the name leads to your target, straight or through your CDN.",
    messages={
        "unknown": "`{host}` points to `{end}`, neither your target `{target}` nor a known CDN.",
        "other": (
            Severity.BLOCKS,
            "`{host}` points to `{end}`, which is not your target: yours is `{target}`.",
        ),
        "cdn": "`{host}` points to {cdn}, but on route {route} it must point to your target "
        "`{target}`.",
    },
)
def target(view: View) -> Finding:
    """The chain leads to the claim's own target, to our addresses, or to a known CDN."""
    seen = view.seen
    found, end = addresses(seen), chain_end(seen)
    if not found and not end:
        return Skipped("the name does not resolve")
    lines = [f"{hop.name} CNAME {hop.target}" for hop in seen.chain] + [f"{one}" for one in found]
    end = end or ", ".join(found)
    values = {"end": end, "target": seen.target, "cdn": view.cdn_name, "route": seen.route}
    names = {hop.target.lower() for hop in seen.chain}
    if seen.target in names:
        return Passed(f"your target {seen.target}", lines)
    if _strays(seen):
        return Problem("other", end, seen.target, values, lines)
    if _broken_chain(seen):
        return _BROKEN
    if found and all(any(same_address(a, ours) for ours in seen.own_addresses) for a in found):
        return Passed("our addresses, without a CNAME", lines)
    if view.cdn is not None and (view.cdn.cname_suffixes or view.cdn.networks):
        if seen.route == "acme" and not seen.acme_delegation:
            return Problem("cdn", end, seen.target, values, lines)
        return Passed(f"{view.cdn.name}: {end}", lines)
    # A proxy of the customer's own is at an address nobody knows: the signed answer proves it.
    if seen.route in {"", "proxy"} and any(each.echo for each in seen.exchanges):
        return Passed(f"a server that leads to us: {end}", lines)
    return Problem("unknown", end, f"{seen.target}, or a CDN", values, lines)


@check(
    "DNS-04",
    "Ownership",
    severity=BLOCKS,
    every=timedelta(days=7),
    why="It proves the name is yours: without it a stranger could claim it and send under it.",
    messages={
        "missing": "Ownership token missing: `{name}` has no TXT record.",
        "different": "Ownership token different: TXT at `{name}` is `{found}`.",
        "partly": "Ownership token missing on some of your name servers: {servers}.",
        "unread": "Ownership token cannot be read: TXT at `{name}` answers {error}.",
    },
)
def ownership(view: View) -> Finding:
    """Every authoritative server (else every resolver) has the TXT record of this claim."""
    seen = view.seen
    name = f"_ct-challenge.{seen.host}"
    found = answers(seen, name, "TXT")
    asked = [each for each in found if each.authoritative] or found
    if not asked:
        return Skipped(f"TXT of {name} was not asked for")
    expected = f'{name} TXT "{seen.ownership}"'
    lines = _lines(asked)
    # Whoever gives no answer says nothing of the record: DNS-06 tells of them.
    readable = [each for each in asked if not failure(each)]
    without = [each for each in readable if seen.ownership not in each.values]
    if readable and not without:
        return Passed(seen.ownership, lines)
    if readable and len(without) < len(readable):
        servers = ", ".join(each.server for each in without)
        return Problem("partly", servers, expected, {"servers": servers}, lines)
    texts = [value for each in asked for value in each.values]
    if texts:
        values = {"name": name, "found": texts[0]}
        return Problem("different", texts[0], expected, values, lines)
    if readable:
        return Problem("missing", readable[0].rcode, expected, {"name": name}, lines)
    error = failure(asked[0])
    return Problem("unread", error, expected, {"name": name, "error": error}, lines)


@check(
    "DNS-05",
    "Doubled name",
    severity=WARNS,
    every=None,
    why="Many DNS panels append the zone by themselves, so the record stands at a doubled name.",
    messages={
        "doubled": "Your DNS provider appended the zone twice: enter `{label}`, not `{entered}`."
    },
)
def doubled(view: View) -> Finding:
    """No record of this claim stands at ``name.zone.zone``; wildcards are no sign of it."""
    seen = view.seen
    asked = False
    for entered in (seen.host, f"_ct-challenge.{seen.host}"):
        for each in seen.dns:
            if not each.name.startswith(f"{entered}."):
                continue
            asked = True
            targets = {value.lower() for value in each.values if each.type == "CNAME"}
            if seen.target not in targets and seen.ownership not in each.values:
                continue
            zone = each.name.removeprefix(f"{entered}.")
            values = {"label": entered.removesuffix(f".{zone}"), "entered": entered}
            return Problem("doubled", each.name, entered, values, _lines([each]))
    return Passed("no record at a doubled name") if asked else Skipped("it was not asked for")


@check(
    "DNS-06",
    "Consistency",
    severity=WARNS | {"acme": Severity.BLOCKS},
    every=timedelta(hours=1),
    why="If your name servers disagree, or IPv6 is published and dead, some recipients wait or "
    "fail, and certificates are refused.",
    messages={
        "disagree": "Your name servers disagree on `{host}`: {server} says {found}, {other} says "
        "{instead}.",
        "lame": (Severity.WARNS, "Name server {server} does not answer for `{host}` ({error})."),
        "dead": "AAAA {address} does not answer on port {port} ({error}); Let's Encrypt prefers "
        "IPv6.",
    },
)
def consistency(view: View) -> Finding:
    """All authoritative servers say the same, and every IPv6 address answers."""
    seen = view.seen
    of_zone = [each for each in answers(seen, seen.host, "A", "CNAME") if each.authoritative]
    sound = [each for each in of_zone if not failure(each)]
    first_of: dict[str, Answer] = {}
    for each in sound:
        first = first_of.setdefault(each.type, each)
        if _says(first) != _says(each):
            return _disagreement(first, each, _lines(of_zone))
    dead = _dead_v6(seen)
    if dead is not None:
        return dead
    lame = next((each for each in of_zone if failure(each)), None)
    if lame is not None and sound:
        values = {"server": lame.server, "error": failure(lame)}
        return Problem("lame", failure(lame), "an answer", values, _lines(of_zone))
    tried = [each for each in seen.reached if is_v6(each.address) and not each.error]
    if len({each.server for each in sound}) > 1 or tried:
        return Passed("name servers agree, and what IPv6 there is answers", _lines(of_zone))
    return Skipped("neither two name servers nor an IPv6 address were asked")


def _disagreement(one: Answer, other: Answer, lines: list[str]) -> Problem:
    found, instead = _says(one), _says(other)
    values = {"server": one.server, "found": found, "other": other.server, "instead": instead}
    return Problem("disagree", f"{found}; {instead}", "one answer", values, lines)


def _says(answer: Answer) -> str:
    # Addresses behind a CDN differ from server to server, and may; names may not.
    if answer.type == "CNAME" and answer.values:
        return ", ".join(sorted(answer.values)).lower()
    return "an address" if answer.values else answer.rcode


def _dead_v6(seen: Observation) -> Problem | None:
    if not any(is_v6(address) for address in seen.egress):
        return None  # The probe itself has no IPv6.
    for each in seen.reached:
        if is_v6(each.address) and each.error:
            values = {"address": each.address, "port": each.port, "error": each.error}
            line = f"{each.address} port {each.port}: {each.error}"
            return Problem("dead", each.error, "a connection", values, [line])
    return None


@check(
    "DNS-07",
    "DNSSEC",
    severity=BLOCKS,
    every=timedelta(hours=1),
    why="Resolvers that check DNSSEC, as the largest do, give no address for a name that fails it.",
    messages={"bogus": "DNSSEC validation fails for `{host}`."},
)
def dnssec(view: View) -> Finding:
    """No resolver says SERVFAIL with checking and answers without."""
    seen = view.seen
    found = [each for each in answers(seen, seen.host, "A", "AAAA") if not each.authoritative]
    if is_bogus(seen):
        lines = _lines([each for each in seen.dns if each.name == seen.host])
        return Problem("bogus", "SERVFAIL, but an answer with checking off", "an answer", {}, lines)
    if any(not failure(each) for each in found):
        return Passed("resolvers that check answer", _lines(found))
    return Skipped("no resolver answered")
