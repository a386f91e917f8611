"""When live domains are looked at, how deeply, and what follows from what is found."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkseal.domains.base import DomainState
from linkseal.domains.checks import CHECKS
from linkseal.domains.watching import (
    LEVELS,
    WHOLE,
    Blame,
    Course,
    Outcome,
    Rules,
    Scope,
    Sight,
    checks_of,
    ending,
    is_broken,
    level_of,
    levels_of,
    next_regular,
    phases_of,
    scope_of,
    take_up,
)

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
RULES = Rules(interval=60.0, retry=20.0, failures=3, recoveries=2)
NOON = 1_795_521_600.0
PHASES = (0.25, 0.5, 0.1, 0.7, 0.3, 0.9)
WELL = Course(Scope.SSL, broken=False, phases=PHASES, looked_at=NOON, whole_at=NOON)


def fails(course: Course, *checks: str, at: float = NOON) -> tuple[Course, Outcome]:
    level = course.level_at(at, RULES)
    return course.failed(checks, level=level, at=at, rules=RULES)


def passes(course: Course, at: float = NOON) -> tuple[Course, Outcome]:
    return course.passed(level=course.level_at(at, RULES), at=at, rules=RULES)


def broken(level: float) -> Course:
    return replace(WELL, broken=True, failures=3, failing_since=NOON, level=level)


def test_the_levels_are_the_intervals_of_the_table() -> None:
    assert LEVELS == (MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, DAY, 7 * DAY)
    assert levels_of(Scope.SSL) == LEVELS
    assert levels_of(Scope.DNS) == (5 * MINUTE, HOUR, 7 * DAY)


def test_a_look_asks_the_checks_of_its_interval_and_of_shorter_ones() -> None:
    assert checks_of(MINUTE, Scope.SSL) == {"TLS-01", "HTTP-02"}
    five = {"DNS-01", "TLS-02", "TLS-03", "HTTP-03", "HTTP-05", "HTTP-13"}
    assert checks_of(5 * MINUTE, Scope.SSL) == five | checks_of(MINUTE, Scope.SSL)
    assert checks_of(5 * MINUTE, Scope.DNS) == {"DNS-01"}
    asked = checks_of(LEVELS[-1], Scope.SSL)
    assert asked == {name for name, check in CHECKS.items() if check.every is not None}
    assert "DNS-04" in asked
    assert "DNS-04" not in checks_of(DAY, Scope.SSL)
    assert (level_of(["TLS-01", "HTTP-06"]), level_of([])) == (15 * MINUTE, 0.0)


@pytest.mark.parametrize(
    ("state", "dns_valid", "failing", "scope"),
    [
        (DomainState.SSL_ENABLED, True, False, Scope.SSL),
        (DomainState.SSL_DEGRADED, True, True, Scope.SSL),
        (DomainState.DNS_VALID, True, False, Scope.DNS),
        (DomainState.SSL_REQUESTED, True, False, Scope.DNS),
        (DomainState.REJECTED, True, False, Scope.DNS),
        (DomainState.REJECTED, False, False, None),
        (DomainState.CLAIMED, False, True, Scope.DNS),
        (DomainState.CLAIMED, False, False, None),
        (DomainState.RELEASED, False, True, None),
    ],
)
def test_every_domain_with_links_of_its_own_is_watched(
    state: DomainState, *, dns_valid: bool, failing: bool, scope: Scope | None
) -> None:
    assert scope_of(state, dns_valid=dns_valid, failing=failing) is scope
    assert is_broken(state) is (state in {DomainState.CLAIMED, DomainState.SSL_DEGRADED})


@given(st.floats(0, 4e9), st.floats(0, 1, exclude_max=True), st.sampled_from([1.0, *LEVELS]))
def test_the_next_regular_look_is_later_and_no_more_than_an_interval_away(
    after: float, phase: float, every: float
) -> None:
    found = next_regular(after, phase, every)
    assert after < found <= after + 2 * every
    assert abs((found / every - phase) - round(found / every - phase)) < 1e-3
    # Whoever starts anew between two looks finds the same one next.
    between = (after + found) / 2
    if between < found:
        assert abs(next_regular(between, phase, every) - found) < 1e-3 * every


def test_ten_thousand_domains_are_looked_at_evenly_and_deeply_too() -> None:
    """At any second there are some 167 looks, and not so many more deep ones than there must."""
    rules = Rules(60.0, 20.0, 3, 2)
    looks, deep = Counter[int](), Counter[int]()
    for number in range(10_000):
        phases = phases_of(f"links.c{number}.example", "here")
        course = Course(Scope.SSL, broken=False, phases=phases, looked_at=NOON, whole_at=NOON)
        for _ in range(3):
            due = course.due_at(rules)
            looks[int(due - NOON)] += 1
            deep[int(due - NOON)] += course.level_at(due, rules) >= 15 * MINUTE
            course, _ = course.passed(level=course.level_at(due, rules), at=due, rules=rules)
    seconds = range(60, 120)
    assert min(looks[each] for each in seconds) > 100
    assert max(looks[each] for each in seconds) < 230
    assert sum(looks[each] for each in seconds) == 10_000
    assert max(deep[each] for each in seconds) < 35
    assert 500 < sum(deep[each] for each in seconds) < 850


def test_another_installation_looks_at_another_time() -> None:
    assert phases_of("links.acme.example", "here") != phases_of("links.acme.example", "there")
    assert phases_of("links.acme.example", "here") == phases_of("links.acme.example", "here")


def test_a_look_is_as_deep_as_what_came_due_since_the_last() -> None:
    due = WELL.due_at(RULES)
    assert NOON < due <= NOON + MINUTE
    assert WELL.level_at(due, RULES) == MINUTE
    quarter = next_regular(NOON, WELL.phases[2], 15 * MINUTE)
    assert WELL.level_at(quarter, RULES) == 15 * MINUTE
    # A service that was down for long looks at everything once.
    assert WELL.level_at(NOON + 30 * DAY, RULES) == 7 * DAY
    assert Rules(1.0, 1.0, 3, 2).seconds(HOUR) == 60.0


def test_a_domain_breaks_at_the_last_of_so_many_failures_in_a_row() -> None:
    course, at = WELL, NOON + MINUTE
    for number in (1, 2, 3):
        course, outcome = course.failed(["HTTP-02"], level=MINUTE, at=at + 5, rules=RULES)
        assert (course.failures, course.failing_since) == (number, NOON + MINUTE + 5)
        assert outcome is (Outcome.BREAKS if number == 3 else Outcome.NOTHING)
        assert course.due_at(RULES) == at + 5 + RULES.retry
        at = course.due_at(RULES)
    # Until it is put on record that it is broken, each further failure says so again.
    course, outcome = fails(course, "HTTP-02", at=at)
    assert outcome is Outcome.BREAKS
    assert course.settled(broken=True).broken


def test_a_good_look_ends_the_row() -> None:
    once, _ = fails(WELL, "HTTP-02")
    again, _ = fails(once, "HTTP-02")
    whole, outcome = passes(again, NOON + 20)
    assert (whole, outcome) == (replace(WELL, looked_at=NOON + 20), Outcome.NOTHING)


def test_a_lighter_fault_in_the_way_does_not_mend_the_deeper_one() -> None:
    """A cached redirect is not mended by a port that opens, nor by one that was closed."""
    course, _ = fails(WELL, "HTTP-06")
    course, _ = fails(course, "TLS-01", "HTTP-02")
    assert (course.failures, sorted(course.missed)) == (2, ["HTTP-02", "HTTP-06", "TLS-01"])
    assert course.level_at(course.due_at(RULES), RULES) == 15 * MINUTE
    broken_now = replace(course.settled(broken=True), failures=3)
    assert broken_now.level_at(NOON, RULES) == 15 * MINUTE


def test_what_failed_has_to_pass_and_not_to_be_skipped() -> None:
    course, _ = fails(WELL, "HTTP-06")
    assert course.proves({"TLS-01", "HTTP-02", "HTTP-06"}, 15 * MINUTE)
    assert not course.proves({"TLS-01", "HTTP-02"}, 15 * MINUTE)
    # A check that does not apply any more: SSL is approved on a look at everything.
    assert course.proves({"TLS-01", "HTTP-02"}, WHOLE)
    assert WELL.proves((), MINUTE)


def test_what_is_broken_is_looked_at_each_minute_or_each_five() -> None:
    for level, pause in ((MINUTE, 1), (5 * MINUTE, 1), (15 * MINUTE, 5), (HOUR, 5), (WHOLE, 5)):
        assert broken(level).due_at(RULES) == NOON + pause * MINUTE
    once, outcome = passes(broken(HOUR))
    assert (once.due_at(RULES), outcome) == (NOON + RULES.retry, Outcome.NOTHING)
    twice, outcome = passes(once)
    assert outcome is Outcome.RECOVERS
    assert twice.settled(broken=False) == replace(WELL, looked_at=NOON)


def test_a_name_without_ssl_comes_back_after_looks_at_everything_only() -> None:
    """It may be somebody else's by now: that it resolves again proves nothing."""
    course, _ = fails(replace(WELL, scope=Scope.DNS), "DNS-01")
    assert course.level_at(NOON, RULES) == 5 * MINUTE
    gone = course.settled(broken=True)
    assert "DNS-04" in checks_of(gone.level_at(NOON, RULES), Scope.DNS)
    once, outcome = passes(gone)
    assert (once.level_at(NOON, RULES), outcome) == (WHOLE, Outcome.NOTHING)


def test_a_failure_among_good_looks_begins_the_recovery_anew() -> None:
    once, _ = passes(broken(MINUTE))
    failed, outcome = fails(once, "HTTP-02")
    assert (failed.good, failed.broken, outcome) == (0, True, Outcome.NOTHING)


def test_a_look_that_says_nothing_counts_for_nothing_and_is_made_again() -> None:
    course, _ = fails(WELL, "HTTP-02")
    blind = course.unseen(NOON + 5, level=MINUTE)
    assert (blind.failures, blind.due_at(RULES)) == (1, NOON + 5 + RULES.retry)
    # Where there is no row to end, it is not made more often than any other.
    assert WELL.unseen(NOON, level=MINUTE).due_at(RULES) == NOON + MINUTE
    assert WELL.unseen(NOON, level=WHOLE).due_at(RULES) == NOON + 5 * MINUTE


@given(st.lists(st.sampled_from(["good", "fails", "unseen"]), max_size=60))
def test_links_leave_after_failures_in_a_row_only_and_come_back_after_good_looks_only(
    looks: list[str],
) -> None:
    course, row, good = WELL, 0, 0
    for at, look in enumerate(looks):
        now = NOON + 100.0 * at
        if look == "unseen":
            course = course.unseen(now, level=MINUTE)
            continue
        row, good = (row + 1, 0) if look == "fails" else (0, good + 1)
        was = course.broken
        if look == "fails":
            course, outcome = fails(course, "HTTP-02", at=now)
        else:
            course, outcome = passes(course, now)
        assert (outcome is Outcome.BREAKS) == (not was and row >= RULES.failures)
        assert (outcome is Outcome.RECOVERS) == (was and good >= RULES.recoveries)
        if outcome is not Outcome.NOTHING:
            course = course.settled(broken=outcome is Outcome.BREAKS)
            row = good = 0
        assert course.due_at(RULES) > now


def taken_up(
    state: DomainState, looked_at: float | None = None, scope: Scope = Scope.SSL
) -> Course:
    return take_up(
        "links.acme.example",
        "here",
        state,
        scope=scope,
        looked_at=looked_at,
        now=NOON,
        rules=RULES,
    )


@pytest.mark.parametrize(
    ("state", "scope"),
    [(DomainState.SSL_DEGRADED, Scope.SSL), (DomainState.CLAIMED, Scope.DNS)],
)
def test_after_a_start_what_is_broken_is_asked_everything(state: DomainState, scope: Scope) -> None:
    course = taken_up(state, scope=scope)
    assert course.due_at(RULES) <= NOON
    level = course.level_at(NOON, RULES)
    assert checks_of(level, scope) == checks_of(LEVELS[-1], scope)
    # A start is no reason to look more often; nor does a clock that was wrong put it off.
    assert taken_up(state, NOON - 10, scope).due_at(RULES) == NOON - 10 + 5 * MINUTE
    assert taken_up(state, NOON + DAY, scope).due_at(RULES) == NOON + 5 * MINUTE


def test_after_a_start_a_row_of_failures_begins_anew() -> None:
    course = taken_up(DomainState.SSL_ENABLED, NOON - 3 * DAY)
    assert (course.failures, course.failing_since, course.level) == (0, None, 0.0)
    assert NOON < course.due_at(RULES) <= NOON + MINUTE


def test_what_fell_due_while_nobody_looked_comes_with_the_next_look_at_everything() -> None:
    """And not at once: else all domains would be looked at whole in the minute of a start."""
    course = taken_up(DomainState.SSL_ENABLED, NOON - 30 * DAY)
    levels = []
    while course.looked_at < NOON + HOUR:
        due = course.due_at(RULES)
        levels.append(course.level_at(due, RULES))
        course, _ = course.passed(level=levels[-1], at=due, rules=RULES)
    assert levels.count(WHOLE) == 1
    assert levels.count(MINUTE) > 40
    # Of one that was looked at a moment ago nothing is made up for.
    recent = taken_up(DomainState.SSL_ENABLED, NOON - 10)
    assert recent.whole_at == NOON - 10 - HOUR


ALL_FAIL = Sight(
    reached=True,
    certain=False,
    others=True,
    others_good=False,
    others_failing=3,
    whole_round=True,
)


def test_nothing_is_blamed_on_a_domain_while_no_reference_is_reached() -> None:
    for certain in (True, False):
        seen = replace(ALL_FAIL, reached=False, certain=certain, others_good=True)
        assert seen.blame is Blame.OURS


def test_where_all_fail_at_once_only_a_reference_outside_blames_the_domains() -> None:
    assert ALL_FAIL.blame is Blame.OURS
    assert replace(ALL_FAIL, certain=True).blame is Blame.DOMAIN
    assert replace(ALL_FAIL, others_good=True).blame is Blame.DOMAIN
    assert replace(ALL_FAIL, others_failing=2).blame is Blame.DOMAIN
    assert replace(ALL_FAIL, others=False, others_failing=0).blame is Blame.DOMAIN


def test_until_the_others_had_their_turn_it_is_not_decided() -> None:
    seen = replace(ALL_FAIL, whole_round=False, others_failing=0)
    assert seen.blame is Blame.UNDECIDED
    assert replace(seen, others_good=True).blame is Blame.DOMAIN
    assert replace(seen, others=False).blame is Blame.DOMAIN


@pytest.mark.parametrize(
    ("left", "life", "days"),
    [
        (31, 90, None),
        (30, 90, 30),
        (14.5, 90, 30),
        (14, 90, 14),
        (7, 90, 7),
        (1, 90, 1),
        (0.1, 90, 1),
        (0, 90, 0),
        (-3, 90, 0),
        # Of a short life a month, or a week, is more than a third: nothing is late yet.
        (30, 47, None),
        (14, 47, 14),
        (5, 6, None),
        (1, 6, 1),
        (0.5, 2, 1),
    ],
)
def test_the_end_of_a_foreign_certificate_is_told_at_four_times(
    left: float, life: float, days: int | None
) -> None:
    assert ending(NOON + left * DAY, life * DAY, NOON) == days
