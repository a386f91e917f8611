"""What is planned for a zone at Cloudflare, from what it has."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkseal.domains.guides import guide
from linkseal.domains.guides.applying import (
    Change,
    Doing,
    Found,
    Zone,
    ZoneRecord,
    ZoneRule,
    notes,
    plan,
)
from linkseal.domains.guides.cloudflare import NOT_ON_FREE, PHASES, Phase, Rule, rules
from linkseal.errors import DomainError

HOST = "links.acme.example"
TARGET = "t-k3vq2zr5ma7h4wxy.ct.example.net"
OWNERSHIP = "ct-verify=ab23cd45ef67gh2a"
TXT = f"_ct-challenge.{HOST}"
ZONE = Zone("z1", "acme.example")
CONFIG, CACHE, REDIRECT = rules(HOST)
CNAME = ZoneRecord("r1", "CNAME", HOST, TARGET, proxied=True)
PROOF = ZoneRecord("r2", "TXT", TXT, f'"{OWNERSHIP}"')


def planned(**values: Any) -> list[Change]:
    return list(plan(HOST, TARGET, OWNERSHIP, Found(**({"zone": ZONE} | values))))


def doings(**values: Any) -> list[str]:
    return [each.doing.value for each in planned(**values)]


def test_an_empty_zone_gets_everything_the_name_last() -> None:
    changes = planned()
    assert [(each.doing, each.what) for each in changes] == [
        (Doing.CREATE, f"configuration rule for {HOST}"),
        (Doing.CREATE, f"cache rule for {HOST}"),
        (Doing.CREATE, f"redirect rule for {HOST}"),
        (Doing.CREATE, f"TXT {TXT}"),
        (Doing.CREATE, f"CNAME {HOST}"),
    ]
    assert changes[-1].record == replace(CNAME, id="")
    assert changes[-2].record == replace(PROOF, id="")
    assert changes[0].rule == ZoneRule("", CONFIG)
    assert CONFIG.parameters["ssl"] == "strict"


def test_what_was_planned_and_done_needs_nothing_more() -> None:
    made = tuple(ZoneRule(f"i{number}", rule) for number, rule in enumerate(rules(HOST)))
    assert doings(records=(CNAME, PROOF), rules=made) == ["keep"] * 5


def test_what_is_told_is_what_the_guide_and_its_terraform_say() -> None:
    made = guide(HOST, TARGET, OWNERSHIP, "cloudflare", "ct.example.net")
    terraform = made.files[0].content
    for rule in rules(HOST):
        assert f'"{rule.ref}"' in terraform
        assert f'"{rule.description}"' in terraform
        assert f'"{rule.action}"' in terraform
        assert rule.expression.replace('"', '\\"') in terraform
    for name, value in CONFIG.parameters.items():
        shown = str(value).lower() if isinstance(value, bool) else f'"{value}"'
        unless = "var.free_plan ? null : " if name in NOT_ON_FREE else ""
        words = f"{name} = {unless}{shown}".split()
        assert any(line.split() == words for line in terraform.splitlines())
    for said in ("SSL: Full (strict)", "Email Obfuscation off", "Rocket Loader off"):
        assert said in made.text()


def test_a_grey_cloud_is_turned_orange_and_a_name_that_leads_elsewhere_is_asked_about() -> None:
    grey = planned(records=(replace(CNAME, proxied=False),))[-1]
    assert (grey.doing, grey.record) == (Doing.CHANGE, CNAME)
    assert grey.now == f"{TARGET}, DNS only"
    away = planned(records=(replace(CNAME, content="shop.example.org"),))[-1]
    assert (away.doing, away.record) == (Doing.REPLACE, CNAME)
    assert away.now == "shop.example.org, proxied"
    assert planned(records=(replace(CNAME, content=f"{TARGET.upper()}."),))[-1].doing is Doing.KEEP


@pytest.mark.parametrize(
    ("record", "shown"),
    [
        (ZoneRecord("x", "A", HOST, "192.0.2.7"), f"{HOST} A 192.0.2.7"),
        (ZoneRecord("x", "AAAA", HOST, "2001:db8::7"), f"{HOST} AAAA 2001:db8::7"),
        (ZoneRecord("x", "NS", HOST, "ns.example.org"), f"{HOST} NS ns.example.org"),
        (ZoneRecord("x", "CNAME", TXT, "x.example.org"), f"{TXT} CNAME x.example.org"),
    ],
)
def test_what_is_in_the_way_is_named(record: ZoneRecord, shown: str) -> None:
    with pytest.raises(DomainError) as caught:
        planned(records=(record,))
    assert caught.value.code == "cloudflare-record-conflict"
    assert shown in caught.value.message
    assert "delete them" in caught.value.hint


def test_records_that_may_stand_beside_it_are_left() -> None:
    others = (ZoneRecord("x", "TXT", HOST, '"v=spf1 -all"'), ZoneRecord("y", "MX", HOST, "mx"))
    assert doings(records=others)[-1] == "create"


@pytest.mark.parametrize(
    ("content", "doing"),
    [
        (f'"{OWNERSHIP}"', "keep"),
        (OWNERSHIP, "keep"),
        (f'"{OWNERSHIP[:7]}" "{OWNERSHIP[7:]}"', "keep"),
        ('"ct-verify=another"', "create"),
        ("", "create"),
    ],
)
def test_the_proof_is_found_however_it_is_written(content: str, doing: str) -> None:
    change = planned(records=(ZoneRecord("x", "TXT", TXT, content),))[-2]
    assert change.doing == doing
    if change.record is not None:
        assert change.record.id == "", "another value is left beside it"


def test_a_rule_of_ours_is_changed_where_it_stands_and_keeps_what_they_added() -> None:
    parameters = {**CONFIG.parameters, "ssl": "full", "fonts": False}
    theirs = ZoneRule("i0", Rule(CONFIG.phase, "t", "x", "true", "set_config", {"ssl": "off"}))
    ours = ZoneRule("i1", replace(CONFIG, parameters=parameters))
    change = planned(rules=(theirs, ours, theirs), rulesets={CONFIG.phase: "s1"})[0]
    assert (change.doing, change.ruleset) == (Doing.CHANGE, "s1")
    assert change.rule is not None
    assert (change.rule.id, change.rule.enabled) == ("i1", True)
    assert change.rule.rule.parameters == {**CONFIG.parameters, "fonts": False}
    assert "ssl=full" in change.now
    assert "ssl=strict" in change.then


def test_a_rule_of_ours_that_is_disabled_is_enabled() -> None:
    change = planned(rules=(ZoneRule("i1", CACHE, enabled=False),))[1]
    assert (change.doing, change.now) == (Doing.CHANGE, "cache=false, disabled")
    assert change.rule == ZoneRule("i1", CACHE)


def test_what_they_gave_a_rule_of_ours_to_match_is_shown_and_asked_about() -> None:
    wider = f'(http.host in {{"{HOST}" "go.acme.example"}})'
    ours = ZoneRule("i1", replace(CACHE, expression=wider), enabled=False)
    change = planned(rules=(ours,))[1]
    assert (change.doing, change.now, change.then) == (
        Doing.REPLACE,
        f"cache=false, for {wider}, disabled",
        f"cache=false, for {CACHE.expression}",
    )
    assert change.rule == ZoneRule("i1", CACHE)
    # As the dashboard writes it.
    same = replace(CACHE, expression=CACHE.expression[1:-1], parameters={"cache": True})
    change = planned(rules=(ZoneRule("i1", same),))[1]
    assert (change.doing, change.now) == (Doing.CHANGE, "cache=true")


def test_one_without_our_ref_is_known_by_its_description_and_keeps_its_ref() -> None:
    old = ZoneRule("i1", replace(CACHE, ref="i1", parameters={"cache": True}))
    change = planned(rules=(old,))[1]
    assert change.rule is not None
    assert (change.doing, change.rule.rule.ref) == (Doing.CHANGE, "i1")


@pytest.mark.parametrize(
    ("expression", "parameters", "doing"),
    [
        ('(http.host eq "links.acme.example")', {"cache": False}, "keep"),
        ('http.host  eq "links.acme.example"', {"cache": False}, "keep"),
        ('(http.host eq "links.acme.example")', {"cache": True}, "create"),
        ('(http.host eq "www.acme.example")', {"cache": False}, "create"),
        ("true", {"cache": False}, "create"),
    ],
)
def test_their_own_rule_is_left_to_do_it_if_it_does(
    expression: str, parameters: dict[str, object], doing: str
) -> None:
    their = Rule(CACHE.phase, "t", "Mine", expression, CACHE.action, parameters)
    change = planned(rules=(ZoneRule("i1", their),))[1]
    assert change.doing == doing
    if doing == "keep":
        assert change.now == "your rule 'Mine'"
    else:
        assert change.rule == ZoneRule("", CACHE)


def their(wanted: Rule, expression: str, **parameters: object) -> ZoneRule:
    rule = replace(wanted, ref="t", description="Mine", expression=expression)
    return ZoneRule("t1", replace(rule, parameters=parameters))


OURS = tuple(ZoneRule(f"i{number}", each) for number, each in enumerate(rules(HOST)))


@pytest.mark.parametrize(
    ("wanted", "expression", "parameters", "told"),
    [
        (CACHE, "true", {"cache": True}, "sets cache=true"),
        (CACHE, 'http.host ne "www.acme.example"', {"cache": True}, "sets cache=true"),
        (CACHE, 'not http.host eq "www.acme.example"', {"cache": True}, "sets cache=true"),
        (CACHE, f'http.host eq "{HOST.upper()}" and ssl', {"cache": True}, "sets cache=true"),
        (CACHE, f'http.host in {{"a.acme.example" "{HOST}"}}', {"cache": True}, "cache=true"),
        (CACHE, 'ssl or http.host eq "www.acme.example"', {"cache": True}, "sets cache=true"),
        (CONFIG, "ssl", {"ssl": "flexible", "bic": False}, "sets ssl=flexible:"),
        (CACHE, 'http.host eq "www.acme.example"', {"cache": True}, ""),
        (CACHE, '(http.host eq "www.acme.example" and ssl)', {"cache": True}, ""),
        (CACHE, 'ssl && http.host in {"www.acme.example" "acme.example"}', {"cache": True}, ""),
        (CACHE, '(http.host eq "a.example") or (http.host eq "b.example")', {"cache": True}, ""),
        (CACHE, 'http.host eq "a.example" xor ip.src.country eq "GB"', {"cache": True}, "cache"),
        (CACHE, '(http.host eq "a.example") or (ssl)', {"cache": True}, "sets cache=true"),
        (CACHE, '(http.host eq "a.example" or ssl) and ssl', {"cache": True}, "cache=true"),
        (CACHE, "true", {"cache": False}, ""),
        (CACHE, "true", {"edge_ttl": {"mode": "respect_origin"}}, ""),
    ],
)
def test_a_later_rule_of_theirs_that_would_win_is_told(
    wanted: Rule, expression: str, parameters: dict[str, object], told: str
) -> None:
    late = their(wanted, expression, **parameters)
    assert notes(HOST, Found(ZONE, rules=(late, *OURS))) == ()
    assert notes(HOST, Found(ZONE, rules=(*OURS, replace(late, enabled=False)))) == ()
    # One of ours that is not there yet comes last.
    assert notes(HOST, Found(ZONE, rules=(late,))) == ()
    said = notes(HOST, Found(ZONE, rules=(*OURS, late)))
    assert bool(said) == bool(told)
    for note in said:
        assert told in note
        assert f"'Mine' ({expression}) comes later" in note


def test_a_later_rule_wins_over_one_of_theirs_that_is_kept_as_well() -> None:
    kept = their(CACHE, CACHE.expression, cache=False)
    late = their(CACHE, "true", cache=True)
    assert notes(HOST, Found(ZONE, rules=(kept, late, kept))) == ()
    assert len(notes(HOST, Found(ZONE, rules=(kept, late)))) == 1


@pytest.mark.parametrize("first", [True, False])
def test_a_redirect_of_theirs_that_may_take_links_elsewhere_is_told(first: bool) -> None:
    to_www = {"from_value": {"target_url": {"value": "https://www.acme.example/"}}}
    away, other = (
        their(REDIRECT, expression, **to_www)
        for expression in ("true", 'http.host eq "acme.example"')
    )
    theirs = (away, other, their(REDIRECT, REDIRECT.expression, **REDIRECT.parameters))
    (said,) = notes(HOST, Found(ZONE, rules=(*theirs, *OURS) if first else (*OURS, *theirs)))
    assert "redirect rule 'Mine' (true) may take links" in said


def test_always_use_https_spares_the_redirect() -> None:
    changes = planned(always_https=True)
    assert [each.doing for each in changes[:3]] == [Doing.CREATE, Doing.CREATE, Doing.KEEP]
    assert changes[2].now == "the zone has Always Use HTTPS"


def test_a_free_zone_is_not_told_of_what_it_has_not() -> None:
    change = planned(zone=replace(ZONE, free=True))[0]
    assert change.rule is not None
    assert set(CONFIG.parameters) - set(change.rule.rule.parameters) == {"polish", "mirage"}


def test_a_partial_zone_has_its_proof_and_its_way_elsewhere() -> None:
    zone = replace(ZONE, partial=True)
    assert [each.what for each in planned(zone=zone)][3:] == [f"CNAME {HOST}"]
    (said,) = notes(HOST, Found(zone))
    assert f"{HOST}.cdn.cloudflare.net" in said
    assert TXT in said


def test_notes_tell_of_deep_names_and_of_the_zones_own_mode() -> None:
    assert notes(HOST, Found(ZONE, ssl="strict")) == ()
    assert "own SSL mode is flexible" in notes(HOST, Found(ZONE, ssl="flexible"))[0]
    assert "Advanced Certificate" in notes("a.links.acme.example", Found(ZONE))[0]


LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
NAME = st.lists(LABEL, min_size=2, max_size=5).map(".".join)


@given(NAME, NAME)
def test_no_two_names_have_the_same_ref(one: str, other: str) -> None:
    assert (rules(one)[0].ref == rules(other)[0].ref) == (one == other)


THEIRS = st.builds(
    ZoneRule,
    st.uuids().map(str),
    st.builds(
        Rule,
        st.sampled_from(PHASES),
        st.uuids().map(str),
        st.sampled_from(["", "Mine", CACHE.description, f"{HOST}: http to https"]),
        st.sampled_from(["true", CACHE.expression, REDIRECT.expression]),
        st.sampled_from(["set_config", "set_cache_settings", "redirect"]),
        st.dictionaries(st.sampled_from(["cache", "ssl", "bic"]), st.booleans()),
    ),
    st.booleans(),
)


@given(st.lists(THEIRS, max_size=6), st.booleans())
def test_a_second_run_has_nothing_to_do_and_the_first_moves_nothing(
    theirs: list[ZoneRule], https: bool
) -> None:
    found = Found(ZONE, rules=tuple(theirs), always_https=https)
    changes = plan(HOST, TARGET, OWNERSHIP, found)
    after: list[ZoneRule] = list(theirs)
    records: list[ZoneRecord] = []
    for change in changes:
        if change.record is not None:
            records.append(replace(change.record, id="new"))
        if change.rule is None:
            continue
        if change.rule.id:
            place = [each.id for each in after].index(change.rule.id)
            after[place] = change.rule
        else:
            after.append(replace(change.rule, id="new"))
    assert [each.id for each in after][: len(theirs)] == [each.id for each in theirs]
    again = plan(
        HOST, TARGET, OWNERSHIP, replace(found, rules=tuple(after), records=tuple(records))
    )
    assert {each.doing for each in again} == {Doing.KEEP}


def test_every_phase_has_one_rule() -> None:
    found: list[Phase] = [each.phase for each in rules(HOST)]
    assert sorted(found) == sorted(PHASES)
