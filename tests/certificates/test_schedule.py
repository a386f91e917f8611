"""When certificates are renewed, tried again and waited for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkseal.certificates.schedule import (
    LIMITS,
    Counted,
    Life,
    Limit,
    Spending,
    Spent,
    State,
    Window,
    backstop,
    must_wait,
    renew_at,
    state,
    try_again_after,
    warning,
)

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def life(from_days: float, to_days: float) -> Life:
    return Life(NOW + from_days * DAY, NOW + to_days * DAY)


@pytest.mark.parametrize(
    ("held", "failing", "revoked", "renewed", "expected"),
    [
        (None, False, False, True, State.PENDING),
        (None, True, False, True, State.FAILED),
        (life(-1, 89), False, False, True, State.VALID),
        (life(-1, 89), True, False, True, State.VALID),
        # Due for 5 days, which is less than a tenth of its life; then for 10.
        (life(-65, 25), False, False, True, State.VALID),
        (life(-65, 25), True, False, True, State.VALID),
        (life(-70, 20), False, False, True, State.EXPIRING),
        (life(-70, 20), True, False, True, State.EXPIRING),
        (life(-3.5, 2.5), False, False, True, State.VALID),
        (life(-3.6, 2.4), False, False, True, State.EXPIRING),
        (life(-70, 20), False, False, False, State.EXPIRING),
        (life(-1, 31), False, False, False, State.VALID),
        (life(-90, 0), False, False, True, State.EXPIRED),
        (life(-1, 89), False, True, True, State.REVOKED),
    ],
)
def test_the_state_of_a_name(
    held: Life | None, failing: bool, revoked: bool, renewed: bool, expected: State
) -> None:
    assert state(held, NOW, failing=failing, revoked=revoked, renewed=renewed) is expected


def test_without_a_word_of_the_ca_it_is_a_third_of_life_left_or_half_of_a_short_one() -> None:
    assert backstop(life(0, 90)) == NOW + 60 * DAY
    assert backstop(life(0, 6)) == NOW + 3 * DAY


@given(st.floats(0, 1))
def test_renewal_is_somewhere_in_the_window_of_the_ca(chance: float) -> None:
    window = Window(NOW + 50 * DAY, NOW + 52 * DAY)
    assert window.start <= renew_at(life(0, 90), window, chance) <= window.end


@pytest.mark.parametrize(
    "window",
    [
        None,
        Window(NOW + 52 * DAY, NOW + 50 * DAY),
        Window(NOW + 90 * DAY, NOW + 99 * DAY),
    ],
)
def test_a_window_that_makes_no_sense_is_not_believed(window: Window | None) -> None:
    assert renew_at(life(0, 90), window, 0.5) == NOW + 60 * DAY


def test_a_window_that_is_past_means_now_and_one_too_long_ends_with_the_certificate() -> None:
    assert renew_at(life(-9, 81), Window(NOW - 2 * DAY, NOW - DAY), 1) <= NOW
    young = renew_at(life(0, 90), Window(NOW - 2 * DAY, NOW - DAY), 1)
    assert young == NOW + timedelta(hours=1)
    assert renew_at(life(0, 90), Window(NOW + 80 * DAY, NOW + 200 * DAY), 1) == NOW + 90 * DAY


@given(st.integers(1, 200), st.floats(0, 1))
def test_tries_are_a_minute_to_six_hours_apart_and_never_closer_than_before(
    failures: int, chance: float
) -> None:
    wait = try_again_after(failures, chance)
    assert timedelta(seconds=48) <= wait <= timedelta(hours=6)
    assert try_again_after(failures + 1, chance) >= wait
    assert try_again_after(1, 0) == timedelta(minutes=1)
    assert try_again_after(99, 0) == timedelta(hours=6)


def spent(
    hours_ago: float, name: str = "a.acme.example", what: Spending = Spending.CERTIFICATE
) -> Spent:
    domain = ".".join(name.split(".")[-2:])
    return Spent(NOW - timedelta(hours=hours_ago), name, domain, what)


def test_limits_count_what_they_are_about() -> None:
    few = [
        Limit(Counted.ORDERS, 3, timedelta(hours=3)),
        Limit(Counted.NAME, 2, timedelta(days=7)),
        Limit(Counted.DOMAIN, 3, timedelta(days=7)),
        Limit(Counted.FAILURES, 1, timedelta(hours=1)),
    ]

    def wait(name: str, *what: Spent) -> timedelta | None:
        found = must_wait(name, "acme.example", what, NOW, few)
        return found.until - NOW if found else None

    def order(hours_ago: float) -> Spent:
        return spent(hours_ago, "x.other.example", Spending.ORDER)

    def failure(hours_ago: float) -> Spent:
        return spent(hours_ago, what=Spending.FAILURE)

    assert wait("a.acme.example", spent(1), order(2)) is None
    assert wait("a.acme.example", spent(1), spent(24)) == timedelta(days=6)
    assert wait("b.acme.example", spent(1), spent(24)) is None
    assert wait("b.acme.example", spent(1), spent(2), spent(24)) == timedelta(days=6)
    assert wait("b.acme.example", spent(1), spent(2), spent(24 * 8)) is None
    assert wait("a.acme.example", failure(0.25)) == timedelta(minutes=45)
    assert wait("a.acme.example", failure(1.5)) is None
    assert wait("b.acme.example", failure(0.25)) is None
    assert wait("a.acme.example", order(1), order(2), spent(1, "b.acme.example")) is None
    assert wait("a.acme.example", order(1), order(2), order(2.5)) == timedelta(minutes=30)


def test_a_wait_says_until_when_and_why() -> None:
    used_up = [spent(0, f"n{turn}.other.example", Spending.ORDER) for turn in range(270)]
    found = must_wait("a.acme.example", "acme.example", used_up, NOW)
    assert str(found) == (
        "waiting until 2026-11-24 11:00 UTC: the CA allows few orders (270 in 3 h are used up)"
    )


@given(st.lists(st.floats(0, 200), max_size=80))
def test_after_the_wait_the_limit_allows_another(hours: list[float]) -> None:
    used = [spent(each) for each in hours]
    found = must_wait("a.acme.example", "acme.example", used, NOW, LIMITS)
    if found:
        assert found.until > NOW
        assert must_wait("a.acme.example", "acme.example", used, found.until, [found.limit]) is None


@pytest.mark.parametrize(
    ("days", "expected"),
    [(31, None), (30, 30), (20, 30), (14, 14), (7, 7), (1.5, 7), (0.5, 1), (0, 0), (-3, 0)],
)
def test_warnings_come_at_thirty_fourteen_seven_and_one_day(
    days: float, expected: int | None
) -> None:
    assert warning(NOW + days * DAY, NOW) == expected
