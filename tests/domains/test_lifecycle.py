"""A branded domain's life: the whole table by value, and what no sequence of steps can do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkseal.domains.base import DomainState
from linkseal.domains.lifecycle import (
    REPORT_LIFE,
    Action,
    Route,
    Step,
    advice,
    dns_action,
    meaning,
    next_state,
    possible,
    refuse_approval,
    refuse_released,
)
from linkseal.errors import DomainError

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)

EXPECTED = """
claimed        dns-passed   dns_valid
claimed        release      released
dns_valid      dns-failed   claimed
dns_valid      request-ssl  ssl_requested
dns_valid      release      released
ssl_requested  dns-failed   claimed
ssl_requested  approve      ssl_enabled
ssl_requested  request-ssl  ssl_requested
ssl_requested  reject       rejected
ssl_requested  disable-ssl  dns_valid
ssl_requested  release      released
rejected       dns-failed   claimed
rejected       request-ssl  ssl_requested
rejected       release      released
ssl_enabled    disable-ssl  dns_valid
ssl_enabled    degrade      ssl_degraded
ssl_enabled    release      released
ssl_degraded   disable-ssl  claimed
ssl_degraded   recover      ssl_enabled
ssl_degraded   release      released
released       claim        claimed
claimed        enrol        claimed
dns_valid      enrol        dns_valid
ssl_requested  enrol        ssl_requested
rejected       enrol        rejected
ssl_enabled    enrol        ssl_enabled
ssl_degraded   enrol        ssl_degraded
"""
ROWS = [tuple(line.split()) for line in EXPECTED.split("\n") if line]
LED = {(DomainState(before), Action(action)): DomainState(after) for before, action, after in ROWS}


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("state", DomainState)
def test_each_action_in_each_state(state: DomainState, action: Action) -> None:
    after = LED.get((state, action))
    if after is not None:
        assert next_state(state, action) is after
        return
    with pytest.raises(DomainError) as refusal:
        next_state(state, action)
    assert refusal.value.code == "domain-action-refused"
    assert meaning(state) in refusal.value.message
    assert advice(state)
    for each in advice(state):
        assert each in refusal.value.hint


def test_a_refusal_names_what_is_possible_now() -> None:
    with pytest.raises(DomainError) as refusal:
        next_state(DomainState.DNS_VALID, Action.APPROVE)
    assert refusal.value.message == (
        "approve is not possible: the domain has valid DNS, and no SSL yet"
    )
    assert refusal.value.hint == "what can be done now: request SSL; release it"


@given(st.lists(st.sampled_from(Action), max_size=40))
def test_ssl_is_enabled_only_after_dns_request_and_approval(actions: list[Action]) -> None:
    """What was shown is forgotten by whatever takes it back."""
    state, shown = DomainState.CLAIMED, set[Action]()
    for action in actions:
        if action not in possible(state):
            continue
        before, state = state, next_state(state, action)
        if before is DomainState.RELEASED:
            assert action is Action.CLAIM
            assert state is DomainState.CLAIMED
        if state is DomainState.CLAIMED:
            shown = set()
        if action in {Action.DISABLE_SSL, Action.REJECT}:
            shown -= {Action.REQUEST_SSL, Action.APPROVE}
        shown.add(action)
        if state in {DomainState.SSL_ENABLED, DomainState.SSL_DEGRADED}:
            assert shown >= {Action.DNS_PASSED, Action.REQUEST_SSL, Action.APPROVE}
        if state in {DomainState.DNS_VALID, DomainState.SSL_REQUESTED, DomainState.REJECTED}:
            assert Action.DNS_PASSED in shown


@pytest.mark.parametrize("state", DomainState)
def test_the_result_of_dns_checks_is_a_step_only_where_it_changes_something(
    state: DomainState,
) -> None:
    passed, failed = dns_action(state, passed=True), dns_action(state, passed=False)
    assert passed is (Action.DNS_PASSED if state is DomainState.CLAIMED else None)
    waits = {DomainState.DNS_VALID, DomainState.SSL_REQUESTED, DomainState.REJECTED}
    assert failed is (Action.DNS_FAILED if state in waits else None)


@pytest.mark.parametrize(
    ("step", "reasons"),
    [
        (Step(Action.APPROVE, "ann"), ("approved",)),
        (Step(Action.APPROVE, "ann", (" all well ", "")), ("all well",)),
        (Step(Action.REQUEST_SSL, "ann", route=Route.CDN), ("SSL requested, route cdn",)),
        (Step(Action.REJECT, "ann", ("cached", "no SNI")), ("cached", "no SNI")),
    ],
)
def test_every_step_has_a_reason(step: Step, reasons: tuple[str, ...]) -> None:
    assert step.reasons == reasons


@pytest.mark.parametrize(
    "action", [Action.REJECT, Action.DISABLE_SSL, Action.DEGRADE, Action.DNS_FAILED]
)
@pytest.mark.parametrize("reasons", [(), ("", "  ")])
def test_what_takes_something_away_needs_a_reason(action: Action, reasons: tuple[str, ...]) -> None:
    with pytest.raises(DomainError) as refusal:
        Step(action, "ann", reasons)
    assert (refusal.value.code, bool(refusal.value.hint)) == ("domain-reason-missing", True)


def test_a_request_needs_a_route() -> None:
    with pytest.raises(DomainError) as refusal:
        Step(Action.REQUEST_SSL, "ann")
    assert refusal.value.code == "domain-route-missing"


@pytest.mark.parametrize(
    ("report_at", "blocking", "code"),
    [
        (None, False, "domain-report-missing"),
        (NOW - REPORT_LIFE - timedelta(seconds=1), False, "domain-report-old"),
        (NOW, True, "domain-report-blocks"),
    ],
)
def test_ssl_that_is_not_proven_is_not_approved(
    report_at: datetime | None, blocking: bool, code: str
) -> None:
    with pytest.raises(DomainError) as refusal:
        refuse_approval(report_at=report_at, blocking=blocking, now=NOW)
    assert (refusal.value.code, bool(refusal.value.hint)) == (code, True)


def test_a_report_proves_ssl_for_a_day_and_not_a_moment_longer() -> None:
    proves = {}
    for age in (timedelta(0), REPORT_LIFE, REPORT_LIFE + timedelta(microseconds=1)):
        try:
            refuse_approval(report_at=NOW - age, blocking=False, now=NOW)
        except DomainError as refusal:
            proves[age] = refusal.code
        else:
            proves[age] = "approved"
    assert list(proves.values()) == ["approved", "approved", "domain-report-old"]


def test_nothing_is_set_up_on_a_released_domain() -> None:
    for state in DomainState:
        if state is DomainState.RELEASED:
            with pytest.raises(DomainError, match=r"links\.acme\.example is released") as refusal:
                refuse_released("links.acme.example", state)
            assert (refusal.value.code, "domain add" in refusal.value.hint) == (
                "domain-released",
                True,
            )
        else:
            refuse_released("links.acme.example", state)
