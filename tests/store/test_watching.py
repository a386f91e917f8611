"""What the watch keeps: its last looks, and the alerts of what it found."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from linkseal.domains.base import DomainState
from linkseal.domains.lifecycle import Action, Route, Step
from linkseal.errors import DomainError
from linkseal.store import AlertKind, AlertSeverity, Look, Store

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOST = "links.acme.example"
REASONS = ("HTTP-02: Request did not reach us: got 502 from cloudflare.",)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/linkseal.db") as opened:
        opened.customers.add("acme")
        yield opened


def claim(store: Store, host: str, tag: str) -> None:
    store.domains.claim(
        host,
        customer_id=1,
        target=f"t-{tag}.ct.example.net",
        ownership=tag,
        delegation=tag,
        who="ann",
        now=NOW,
    )


def enable(store: Store, host: str = HOST, tag: str = "1") -> None:
    claim(store, host, tag)
    target = store.domains.get(host).target
    store.domains.apply_dns(host, target=target, passed=True, who="check", now=NOW)
    store.domains.apply(host, Step(Action.REQUEST_SSL, "ann", route=Route.CDN), NOW)
    report: dict[str, object] = {"verdicts": []}
    assert store.domains.save_report(
        host, report, target=target, route=Route.CDN, blocks=False, now=NOW
    )
    store.domains.apply(host, Step(Action.APPROVE, "ann"), NOW)


def test_a_step_that_takes_links_away_is_an_alert_and_so_is_the_way_back(store: Store) -> None:
    enable(store)
    store.domains.count(HOST, 1, NOW)
    store.domains.apply(HOST, Step(Action.DEGRADE, "watch", REASONS), NOW + SECOND)
    assert store.domains.get(HOST).failures == 1
    store.domains.apply(HOST, Step(Action.RECOVER, "watch"), NOW + 2 * SECOND)
    found = store.alerts.list()
    assert [(each.at, each.host, each.kind, each.severity) for each in found] == [
        (NOW + SECOND, HOST, AlertKind.DEGRADED, AlertSeverity.CRITICAL),
        (NOW + 2 * SECOND, HOST, AlertKind.RECOVERED, AlertSeverity.INFO),
    ]
    assert found[0].detail == {"who": "watch", "reasons": list(REASONS)}
    assert (store.domains.get(HOST).failures, store.domains.get(HOST).failing_since) == (0, None)


def test_a_step_that_is_refused_is_no_alert(store: Store) -> None:
    claim(store, HOST, "1")
    with pytest.raises(DomainError):
        store.domains.apply(HOST, Step(Action.DEGRADE, "watch", REASONS), NOW)
    assert store.alerts.list() == []


def test_dns_that_fails_takes_http_links_away_and_is_watched_until_it_is_back(
    store: Store,
) -> None:
    claim(store, HOST, "1")
    target = store.domains.get(HOST).target
    assert store.watching.domains() == []
    store.domains.apply_dns(HOST, target=target, passed=True, who="check", now=NOW)
    assert [each.host for each in store.watching.domains()] == [HOST]
    store.domains.count(HOST, 1, NOW)
    store.domains.apply_dns(
        HOST, target=target, passed=False, who="watch", now=NOW, reasons=REASONS
    )
    assert [each.kind for each in store.alerts.list()] == [AlertKind.DNS_FAILED]
    (watched,) = store.watching.domains()
    assert (watched.state, watched.failing_since) == (DomainState.CLAIMED, NOW)
    store.domains.apply_dns(HOST, target=target, passed=True, who="watch", now=NOW)
    (watched,) = store.watching.domains()
    assert (watched.state, watched.failing_since) == (DomainState.DNS_VALID, None)


def test_what_was_seen_of_another_state_or_claim_takes_no_step(store: Store) -> None:
    enable(store)
    seen = store.domains.get(HOST)
    degrade = Step(Action.DEGRADE, "watch", REASONS)
    store.domains.apply(HOST, Step(Action.RELEASE, "ann"), NOW + SECOND)
    enable(store, tag="2")
    with pytest.raises(DomainError) as refused:
        store.domains.apply(HOST, degrade, NOW + 2 * SECOND, seen=seen)
    assert refused.value.code == "domain-changed"
    now = store.domains.get(HOST)
    assert now.state is DomainState.SSL_ENABLED
    after = store.domains.apply(HOST, degrade, NOW + 2 * SECOND, seen=now)
    assert after.state is DomainState.SSL_DEGRADED
    with pytest.raises(DomainError, match="changed meanwhile"):
        store.domains.apply(HOST, Step(Action.RECOVER, "watch"), NOW + 3 * SECOND, seen=now)


def test_the_watch_is_blind_until_it_is_told_that_it_sees(store: Store) -> None:
    def tell(kind: AlertKind, why: str) -> None:
        store.alerts.add("", kind, AlertSeverity.INFO, {"why": why}, NOW)

    assert store.alerts.blindness() is None
    tell(AlertKind.WATCH_BLIND, "no network")
    store.alerts.add(HOST, AlertKind.CERTIFICATE_ENDS, AlertSeverity.INFO, {"days": 7}, NOW)
    blind = store.alerts.blindness()
    assert blind is not None
    assert blind.detail == {"why": "no network"}
    tell(AlertKind.WATCH_SEES, "network")
    assert store.alerts.blindness() is None


def test_what_is_told_once_is_told_once(store: Store) -> None:
    def tell(once: str) -> bool:
        kind, severity = AlertKind.CERTIFICATE_ENDS, AlertSeverity.WARNING
        return store.alerts.add(HOST, kind, severity, {"days": 30}, NOW, once=once)

    assert [tell("a"), tell("a"), tell("b"), tell("a")] == [True, False, True, False]
    assert len(store.alerts.list()) == 2


def test_alerts_are_read_on_from_where_one_was(store: Store) -> None:
    for number in range(5):
        host = HOST if number % 2 else ""
        detail = {"why": str(number)}
        store.alerts.add(host, AlertKind.WATCH_BLIND, AlertSeverity.CRITICAL, detail, NOW)

    def whys(**how: object) -> list[str]:
        return [each.detail["why"] for each in store.alerts.list(**how)]  # type: ignore[arg-type]

    assert whys() == ["0", "1", "2", "3", "4"]
    assert whys(limit=2) == ["3", "4"]
    assert whys(after=1, limit=2) == ["1", "2"]
    assert whys(host=HOST) == ["1", "3"]
    assert whys(after=5) == []


def test_the_last_look_takes_the_place_of_the_one_before(store: Store) -> None:
    enable(store)
    enable(store, "go.acme.example", "2")
    first = Look(HOST, NOW, NOW + SECOND, 60, REASONS)
    other = Look("go.acme.example", NOW, NOW + SECOND, 3600, ends_at=NOW + 90 * SECOND)
    store.watching.keep([first, other])
    assert store.watching.looks() == {HOST: first, "go.acme.example": other}
    later = Look(HOST, NOW + SECOND, NOW + 2 * SECOND, 300, good=1)
    store.watching.keep([later])
    store.watching.keep([])
    assert store.watching.looks(HOST) == {HOST: later}


def test_the_mark_moves_with_states_and_not_with_looks(store: Store) -> None:
    enable(store)
    mark = store.watching.mark()
    store.watching.keep([Look(HOST, NOW, NOW, 60)])
    store.domains.count(HOST, 1, NOW)
    assert store.watching.mark() == mark
    store.domains.apply(HOST, Step(Action.DEGRADE, "watch", REASONS), NOW)
    assert store.watching.mark() != mark
    # With a report, if it finds a broken domain mended.
    target = store.domains.get(HOST).target
    marks = []
    for at, blocks in ((1, True), (2, True), (3, False)):
        now = NOW + at * SECOND
        store.domains.save_report(HOST, {}, target=target, route=Route.CDN, blocks=blocks, now=now)
        marks.append(store.watching.mark())
    assert marks[0] == marks[1] != marks[2]
    (domain,) = store.watching.domains()
    assert (domain.state, domain.report) == (DomainState.SSL_DEGRADED, None)
    counts = store.watching.counts()
    assert {state: count for state, count in counts.items() if count} == {
        DomainState.SSL_DEGRADED: 1
    }
    assert len(counts) == len(DomainState)
