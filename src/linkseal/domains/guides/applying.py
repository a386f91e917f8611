"""Applying the Cloudflare guide: from what a zone has to what it is to have. Pure.

Nothing of the customer's is deleted, nor put in another order: a rule of ours is added at the
end of its list, or changed where it stands; what they have that does the same is left to do it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from linkseal.domains.claim import CHALLENGE_LABEL
from linkseal.domains.guides.cloudflare import NOT_ON_FREE, Phase, Rule, rules
from linkseal.errors import DomainError

_BESIDE_NO_CNAME: Final = ("A", "AAAA", "NS")
"""What Cloudflare lets no CNAME stand beside."""

_MOST_SHOWN: Final = 120
"""Characters of an expression in a note."""
_OF_HOSTS: Final = re.compile(r'http\.host (?:eq "[^"]*"|in \{(?:\s*"[^"]*")+\s*\})')

_KINDS: Final[dict[Phase, str]] = {
    "http_config_settings": "configuration rule",
    "http_request_cache_settings": "cache rule",
    "http_request_dynamic_redirect": "redirect rule",
}


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone at Cloudflare.

    Attributes:
        id: Cloudflare's.
        name: Its apex.
        partial: Whether DNS is kept elsewhere (a CNAME set-up).
        free: Whether it is on the free plan.
    """

    id: str
    name: str
    partial: bool = False
    free: bool = False


@dataclass(frozen=True, slots=True)
class ZoneRecord:
    """A DNS record of a zone.

    Attributes:
        id: Cloudflare's; empty for one that is not there yet.
        type: ``CNAME``, ``TXT`` …
        name: Whole.
        content: Text with its quotation marks, if it is a TXT record.
        proxied: Whether Cloudflare stands in front.
    """

    id: str
    type: str
    name: str
    content: str
    proxied: bool = False


@dataclass(frozen=True, slots=True)
class ZoneRule:
    """A rule that a zone has.

    Attributes:
        id: Cloudflare's; empty for one that is not there yet.
        rule: What it does.
        enabled: Whether it does.
    """

    id: str
    rule: Rule
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Found:
    """What was found at Cloudflare.

    Attributes:
        zone: The zone of the name.
        records: Those of the name and of its TXT record's name.
        rulesets: Ids of the zone's lists of rules, by phase; one it never had is missing.
        rules: In their order.
        ssl: The zone's own SSL mode; empty if the token may not read it.
        always_https: Whether the whole zone is redirected to https; false if not known.
    """

    zone: Zone
    records: tuple[ZoneRecord, ...] = ()
    rulesets: Mapping[Phase, str] | None = None
    rules: tuple[ZoneRule, ...] = ()
    ssl: str = ""
    always_https: bool = False


class Doing(StrEnum):
    """What is done about one setting."""

    KEEP = "keep"
    CREATE = "create"
    CHANGE = "change"
    REPLACE = "replace"
    """Changes what somebody wants otherwise, a record that leads elsewhere or the requests that a
    rule of ours is for: not without their word."""


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a plan.

    Attributes:
        doing: What is done.
        what: Which setting.
        now: What is there; empty for nothing.
        then: What is to be there.
        record: The record to write, or None.
        rule: The rule to write, or None.
        ruleset: Id of its list; empty if the list is to be made.
    """

    doing: Doing
    what: str
    now: str
    then: str
    record: ZoneRecord | None = None
    rule: ZoneRule | None = None
    ruleset: str = ""


def plan(host: str, target: str, ownership: str, found: Found) -> tuple[Change, ...]:
    """Return what is to be done, in the order to do it in.

    Rules come first and the proxied CNAME last: the name never is at Cloudflare without them.

    Args:
        host: The branded domain, checked.
        target: Its target.
        ownership: The TXT value that proves whose it is.
        found: What is there.

    Raises:
        DomainError: ``cloudflare-record-conflict``: records are in the way that only their
            owner can take away.
    """
    _refuse_conflicts(host, found.records)
    changes = [_rule(host, wanted, found) for wanted in _wanted(host, found.zone)]
    if not found.zone.partial:
        changes.append(_ownership(f"{CHALLENGE_LABEL}.{host}", ownership, found.records))
    changes.append(_way(host, target, found.records))
    return tuple(changes)


def notes(host: str, found: Found) -> tuple[str, ...]:
    """Return what its owner should know of this zone, a sentence each."""
    said = []
    if found.zone.partial:
        said.append(
            f"{found.zone.name} is on a partial (CNAME) set-up: its own DNS also needs {host} "
            f"CNAME {host}.cdn.cloudflare.net, and the TXT record {CHALLENGE_LABEL}.{host}."
        )
    if host.removesuffix(found.zone.name).count(".") > 1:
        said.append(
            f"Universal SSL does not cover {host}, which is deeper than one label under "
            f"{found.zone.name}: get Advanced Certificate Manager or Total TLS."
        )
    if found.ssl and found.ssl not in {"strict", "origin_pull"}:
        said.append(f"The zone's own SSL mode is {found.ssl}; for this name alone it is strict.")
    return (*said, *_winning(host, found))


def _winning(host: str, found: Found) -> Iterator[str]:
    """Tell of rules of theirs that may do otherwise for this name, whatever ours say."""
    for wanted in _wanted(host, found.zone):
        there = [each for each in found.rules if each.rule.phase == wanted.phase]
        place = _place(there, wanted)
        for at, each in enumerate(there):
            if at == place or not each.enabled or not _may_match(each.rule.expression, host):
                continue
            their = f"Your {_KINDS[wanted.phase]} {each.rule.description!r}"
            their += f" ({_cut(each.rule.expression)})"
            if wanted.phase == "http_request_dynamic_redirect":
                # The first that matches redirects, and ours is for http alone.
                if not _does(each, wanted):
                    yield f"{their} may take links elsewhere: see that it leaves {host} out."
                continue
            # The last that sets a thing wins; one of ours that is to be made comes last.
            other = {
                key: value
                for key, value in each.rule.parameters.items()
                if key in wanted.parameters and value != wanted.parameters[key]
            }
            if other and place is not None and at > place:
                yield (
                    f"{their} comes later and sets {_told(other)}: where it matches {host}, it "
                    "wins. Move it up, or leave this name out of it."
                )


def _may_match(expression: str, host: str) -> bool:
    """Whether an expression may be true of requests for a name: not if it is of others alone."""
    # Of what is in parentheses still, or negated, nothing is said.
    return any(
        not any(
            _OF_HOSTS.fullmatch(part) and host not in _quoted(part)
            for part in re.split(r"\s(?:and|&&)\s", _plain(each))
        )
        for each in re.split(r"\s(?:or|\|\|)\s", _plain(expression))
    )


def _quoted(text: str) -> list[str]:
    return [each.lower() for each in re.findall(r'"([^"]*)"', text)]


def _cut(expression: str) -> str:
    text = " ".join(expression.split())
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"


def _refuse_conflicts(host: str, records: Sequence[ZoneRecord]) -> None:
    txt = f"{CHALLENGE_LABEL}.{host}"
    wrong = [
        each
        for each in records
        if (each.name == host and each.type in _BESIDE_NO_CNAME)
        or (each.name == txt and each.type in {"CNAME", "NS"})
    ]
    if not wrong:
        return
    shown = ", ".join(f"{each.name} {each.type} {each.content}" for each in wrong)
    raise DomainError(
        f"these records are in the way at Cloudflare: {shown}",
        code="cloudflare-record-conflict",
        hint="if nothing needs them any more, delete them there (DNS, Records), and run this "
        "again; if something does, claim another name for links",
    )


def _way(host: str, target: str, records: Sequence[ZoneRecord]) -> Change:
    what = f"CNAME {host}"
    wanted = ZoneRecord("", "CNAME", host, target, proxied=True)
    there = next((each for each in records if (each.name, each.type) == (host, "CNAME")), None)
    if there is None:
        return Change(Doing.CREATE, what, "", _led(wanted), wanted)
    same = there.content.rstrip(".").lower() == target
    if same and there.proxied:
        return Change(Doing.KEEP, what, _led(there), _led(wanted))
    record = ZoneRecord(there.id, "CNAME", host, target, proxied=True)
    doing = Doing.CHANGE if same else Doing.REPLACE
    return Change(doing, what, _led(there), _led(wanted), record)


def _led(record: ZoneRecord) -> str:
    return f"{record.content}, {'proxied' if record.proxied else 'DNS only'}"


def _ownership(name: str, value: str, records: Sequence[ZoneRecord]) -> Change:
    what, quoted = f"TXT {name}", f'"{value}"'
    for each in records:
        if each.name == name and each.type == "TXT" and _text(each.content) == value:
            return Change(Doing.KEEP, what, each.content, quoted)
    return Change(Doing.CREATE, what, "", quoted, ZoneRecord("", "TXT", name, quoted))


def _text(content: str) -> str:
    """Return a TXT record's text: of one string or of several, or as it was once kept, bare."""
    strings = re.findall(r'"([^"]*)"', content)
    return "".join(strings) if strings else content


def _wanted(host: str, zone: Zone) -> Iterator[Rule]:
    for rule in rules(host):
        left = {
            key: value
            for key, value in rule.parameters.items()
            if not (zone.free and key in NOT_ON_FREE)
        }
        yield _having(rule, rule.ref, left)


def _rule(host: str, wanted: Rule, found: Found) -> Change:
    what, then = f"{_KINDS[wanted.phase]} for {host}", _told(wanted.parameters)
    ruleset = (found.rulesets or {}).get(wanted.phase, "")
    there = [each for each in found.rules if each.rule.phase == wanted.phase]
    place = _place(there, wanted)
    standing = None if place is None else there[place]
    if standing is not None and _is_ours(standing.rule, wanted):
        now, off = _told(standing.rule.parameters), "" if standing.enabled else ", disabled"
        if _does(standing, wanted):
            return Change(Doing.KEEP, what, now, then)
        # What they added to it stays, and it goes on being known as it was.
        merged = _merged(standing.rule.parameters, wanted.parameters)
        rule = ZoneRule(standing.id, _having(wanted, standing.rule.ref, merged))
        doing = Doing.CHANGE
        if _plain(standing.rule.expression) != _plain(wanted.expression):
            doing = Doing.REPLACE
            now += f", for {standing.rule.expression}"
            then += f", for {wanted.expression}"
        return Change(doing, what, now + off, then, rule=rule, ruleset=ruleset)
    if standing is not None:
        return Change(Doing.KEEP, what, f"your rule {standing.rule.description!r}", then)
    if wanted.phase == "http_request_dynamic_redirect" and found.always_https:
        return Change(Doing.KEEP, what, "the zone has Always Use HTTPS", then)
    return Change(Doing.CREATE, what, "", then, rule=ZoneRule("", wanted), ruleset=ruleset)


def _place(there: Sequence[ZoneRule], wanted: Rule) -> int | None:
    """Return where the rule stands that is ours, or else the last of theirs that does the same."""
    ours = [at for at, each in enumerate(there) if _is_ours(each.rule, wanted)]
    same = [at for at, each in enumerate(there) if _does(each, wanted)]
    return next(iter(ours or same[-1:]), None)


def _having(rule: Rule, ref: str, parameters: Mapping[str, object]) -> Rule:
    return Rule(rule.phase, ref, rule.description, rule.expression, rule.action, parameters)


def _is_ours(rule: Rule, wanted: Rule) -> bool:
    # By its description, if it was made by hand from our Terraform of a time without refs.
    return rule.ref == wanted.ref or rule.description == wanted.description


def _does(there: ZoneRule, wanted: Rule) -> bool:
    return (
        there.enabled
        and there.rule.action == wanted.action
        and _plain(there.rule.expression) == _plain(wanted.expression)
        and _covers(there.rule.parameters, wanted.parameters)
    )


def _plain(expression: str) -> str:
    """Return an expression without what the dashboard may add or leave out around it."""
    text = expression.strip()
    if text.startswith("(") and text.endswith(")") and "(" not in text[1:]:
        text = text[1:-1]
    return " ".join(text.split())


def _covers(there: object, wanted: object) -> bool:
    if isinstance(there, Mapping) and isinstance(wanted, Mapping):
        return all(key in there and _covers(there[key], value) for key, value in wanted.items())
    return there == wanted


def _merged(there: Mapping[str, object], wanted: Mapping[str, object]) -> dict[str, object]:
    merged = dict(there)
    for key, value in wanted.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            merged[key] = _merged(old, value)
        else:
            merged[key] = value
    return merged


def _told(parameters: Mapping[str, object]) -> str:
    """Return settings in a line, as the API names them."""
    parts = []
    for key, value in parameters.items():
        if isinstance(value, Mapping):
            parts.append(_told(value))
        else:
            shown = str(value).lower() if isinstance(value, bool) else str(value)
            parts.append(f"{key}={shown}")
    return ", ".join(parts)
