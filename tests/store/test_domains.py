"""Branded domains in the store: whose a name is for ever, and how it came where it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from linkseal.domains.base import BrandedDomain, DomainState
from linkseal.domains.lifecycle import Action, Route, Step
from linkseal.errors import DomainError, StoreError
from linkseal.store import Domain, Store

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOST = "links.acme.example"
REPORT: dict[str, object] = {"verdicts": []}
OTHER = "go.acme.example"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store.open(url) as opened:
        assert [opened.customers.add(name).id for name in ("acme", "rival")] == [1, 2]
        yield opened


def claim(
    store: Store,
    host: str = HOST,
    *,
    customer_id: int = 1,
    tag: str = "1",
    default: bool = False,
    from_domains: tuple[str, ...] | None = None,
) -> bool:
    return store.domains.claim(
        host,
        customer_id=customer_id,
        target=f"t-{tag}.ct.example.net",
        ownership=f"ct-verify={tag}",
        delegation=f"{tag}.acme.ct.example.net",
        who="ann",
        now=NOW,
        default=default,
        from_domains=from_domains,
    )


def dns(store: Store, *, passed: bool = True, tag: str = "1") -> DomainState:
    return store.domains.apply_dns(
        HOST,
        target=f"t-{tag}.ct.example.net",
        passed=passed,
        who="watch",
        reasons=() if passed else ("TXT missing",),
        now=NOW,
    ).state


def report(store: Store, *, route: Route | None = Route.CDN, blocks: bool = False) -> bool:
    return store.domains.save_report(
        HOST, REPORT, target="t-1.ct.example.net", route=route, blocks=blocks, now=NOW
    )


def apply(
    store: Store, action: Action, *reasons: str, route: Route | None = None, now: datetime = NOW
) -> Domain:
    return store.domains.apply(HOST, Step(action, "ann", reasons, route), now)


def enable(store: Store) -> None:
    claim(store)
    dns(store)
    apply(store, Action.REQUEST_SSL, route=Route.CDN)
    report(store)
    apply(store, Action.APPROVE)


def code(call: object) -> str:
    with pytest.raises((StoreError, DomainError)) as refusal:
        call()  # type: ignore[operator]
    assert refusal.value.hint
    return refusal.value.code


def test_a_claim_is_stored_as_it_was_made(store: Store) -> None:
    assert claim(store, default=True, from_domains=("acme.example", "acme.test", "acme.test"))
    assert store.domains.get(HOST) == Domain(
        host=HOST,
        customer_id=1,
        customer="acme",
        state=DomainState.CLAIMED,
        since=NOW,
        reasons=(
            "claimed",
            "for mail from acme.example, acme.test too",
            "the customer's default",
        ),
        target="t-1.ct.example.net",
        ownership="ct-verify=1",
        delegation="1.acme.ct.example.net",
        default=True,
        from_domains=("acme.example", "acme.test"),
        dns_valid=False,
        route=None,
        cdn="",
        own_networks=(),
        https_only=False,
        failures=0,
        failing_since=None,
        report=None,
        report_at=None,
        report_blocks=False,
        claimed_at=NOW,
    )
    assert store.domains.get(HOST).branded() == BrandedDomain(
        HOST, DomainState.CLAIMED, ("acme.example", "acme.test"), default=True
    )
    assert [each.value for each in store.domains.get(HOST).records()] == [
        "t-1.ct.example.net",
        "ct-verify=1",
        "1.acme.ct.example.net",
    ]


def test_claiming_again_keeps_the_claim_and_takes_up_what_is_new(store: Store) -> None:
    claim(store, from_domains=("acme.test",))
    dns(store)
    before = store.domains.get(HOST)
    revision = store.certificates.revision()
    assert not claim(store, tag="2")
    assert store.domains.get(HOST) == before
    assert not claim(store, tag="3", default=True, from_domains=("acme.org",))
    after = store.domains.get(HOST)
    assert (after.target, after.state) == (before.target, DomainState.DNS_VALID)
    assert (after.default, after.from_domains) == (True, ("acme.org",))
    assert store.certificates.revision() == revision
    assert [step.action for step in store.domains.history(HOST)] == ["claim", "dns-passed", "claim"]


def test_a_customer_has_several_domains_and_one_default(store: Store) -> None:
    claim(store, default=True)
    claim(store, OTHER, tag="2", default=True)
    claim(store, "links.rival.example", tag="3", customer_id=2, default=True)
    assert [each.default for each in store.domains.of_customer(1)] == [True, False]
    assert [each.default for each in store.domains.of_customer(2)] == [True]
    assert [each.host for each in store.domains.all()] == [OTHER, HOST, "links.rival.example"]
    assert not claim(store, default=True)
    assert not apply(store, Action.RELEASE).default
    assert not any(each.default for each in store.domains.of_customer(1))


def test_reports_are_left_out_where_they_are_not_asked_for(store: Store) -> None:
    claim(store)
    assert report(store, route=None)
    (whole,) = store.domains.all()
    assert whole.report == REPORT
    assert store.domains.of_customer(1) == [whole]
    without = [replace(whole, report=None)]
    assert store.domains.all(reports=False) == without
    assert store.domains.of_customer(1, reports=False) == without


def test_a_released_name_is_claimed_anew_with_everything_to_be_proven_again(store: Store) -> None:
    enable(store)
    store.domains.set_cdn(HOST, "cloudflare", ("203.0.113.7/32",), who="ann", now=NOW)
    assert store.domains.get(HOST).own_networks == ("203.0.113.7/32",)
    apply(store, Action.RELEASE)
    assert claim(store, tag="2")
    found = store.domains.get(HOST)
    assert (found.state, found.dns_valid) == (DomainState.CLAIMED, False)
    assert (found.target, found.ownership) == ("t-2.ct.example.net", "ct-verify=2")
    assert (found.route, found.cdn, found.report, found.report_at) == (None, "", None, None)
    assert found.own_networks == ()
    # What was seen of the old claim proves nothing of the new one.
    assert dns(store, tag="1") is DomainState.CLAIMED
    assert not report(store, route=None)
    assert dns(store, tag="2") is DomainState.DNS_VALID


def test_links_of_every_target_there_ever_was_are_known(store: Store) -> None:
    claim(store)
    apply(store, Action.RELEASE)
    claim(store, tag="2")
    claim(store, "links.rival.example", tag="3", customer_id=2)
    assert store.domains.hosts() == {
        HOST: 1,
        "t-1.ct.example.net": 1,
        "t-2.ct.example.net": 1,
        "links.rival.example": 2,
        "t-3.ct.example.net": 2,
    }


@pytest.mark.parametrize(("host", "customer_id"), [(HOST, 1), ("links.rival.example", 2)])
def test_a_target_is_never_used_again(store: Store, host: str, customer_id: int) -> None:
    claim(store)
    apply(store, Action.RELEASE)
    again = code(lambda: claim(store, host, customer_id=customer_id, tag="1"))
    assert again == "domain-target-used"
    assert store.domains.get(HOST).state is DomainState.RELEASED


def test_a_claim_for_a_customer_that_is_not_there_leaves_nothing(store: Store) -> None:
    assert code(lambda: claim(store, customer_id=9)) == "store-refused"
    assert store.domains.all() == []
    assert store.domains.hosts() == {}


def test_the_edge_is_told_of_each_new_host_and_of_nothing_else(store: Store) -> None:
    begin = store.certificates.revision()
    enable(store)
    assert store.certificates.revision() == begin + 1
    apply(store, Action.RELEASE)
    assert store.certificates.revision() == begin + 1
    claim(store, tag="2")
    assert store.certificates.revision() == begin + 2
    store.domains.set_cdn(HOST, "fastly", who="ann", now=NOW)
    assert store.certificates.revision() == begin + 3


def test_every_step_is_on_record_with_who_when_and_why(store: Store) -> None:
    enable(store)
    apply(store, Action.DEGRADE, "expired", "502 from the CDN", now=NOW + HOUR)
    apply(store, Action.RECOVER)
    apply(store, Action.DISABLE_SSL, "moves house")
    found = store.domains.history(HOST)
    assert [
        (each.action.value, each.before, each.after, each.who, each.reasons) for each in found
    ] == [
        ("claim", None, "claimed", "ann", ("claimed",)),
        ("dns-passed", "claimed", "dns_valid", "watch", ("ownership and DNS checks pass",)),
        ("request-ssl", "dns_valid", "ssl_requested", "ann", ("SSL requested, route cdn",)),
        ("approve", "ssl_requested", "ssl_enabled", "ann", ("approved",)),
        ("degrade", "ssl_enabled", "ssl_degraded", "ann", ("expired", "502 from the CDN")),
        ("recover", "ssl_degraded", "ssl_enabled", "ann", ("the checks pass again",)),
        ("disable-ssl", "ssl_enabled", "dns_valid", "ann", ("moves house",)),
    ]
    assert [each.at for each in found[3:6]] == [NOW, NOW + HOUR, NOW]
    assert store.domains.history(OTHER) == []


def test_a_refused_step_changes_nothing(store: Store) -> None:
    claim(store)
    before, steps = store.domains.get(HOST), store.domains.history(HOST)
    assert code(lambda: apply(store, Action.APPROVE)) == "domain-action-refused"
    assert (store.domains.get(HOST), store.domains.history(HOST)) == (before, steps)


@pytest.mark.parametrize("action", [Action.CLAIM, Action.DNS_PASSED, Action.ENROL])
def test_a_proof_is_not_taken_as_a_plain_step(store: Store, action: Action) -> None:
    claim(store)
    with pytest.raises(ValueError, match="claim"):
        apply(store, action, "so it is")


def test_dns_that_fails_takes_a_waiting_request_back_and_the_reason_is_kept(store: Store) -> None:
    claim(store)
    assert dns(store) is DomainState.DNS_VALID
    assert store.domains.get(HOST).dns_valid
    assert dns(store) is DomainState.DNS_VALID
    apply(store, Action.REQUEST_SSL, route=Route.PROXY)
    assert store.domains.get(HOST).dns_valid
    assert dns(store, passed=False) is DomainState.CLAIMED
    found = store.domains.get(HOST)
    assert (found.dns_valid, found.reasons, found.route) == (False, ("TXT missing",), Route.PROXY)
    assert len(store.domains.history(HOST)) == 4


def test_a_rejected_domain_keeps_its_dns_and_may_ask_again(store: Store) -> None:
    claim(store)
    dns(store)
    apply(store, Action.REQUEST_SSL, route=Route.CDN)
    found = apply(store, Action.REJECT, "clicks are cached")
    assert (found.dns_valid, found.reasons) == (True, ("clicks are cached",))
    assert apply(store, Action.REQUEST_SSL, route=Route.ACME).route is Route.ACME


def test_broken_ssl_that_is_disabled_has_its_dns_to_prove_again(store: Store) -> None:
    enable(store)
    apply(store, Action.DEGRADE, "gone")
    found = apply(store, Action.DISABLE_SSL, "gone for good")
    assert (found.state, found.dns_valid) == (DomainState.CLAIMED, False)


def test_ssl_is_approved_only_on_a_report_of_this_route(store: Store) -> None:
    claim(store)
    dns(store)
    assert report(store, route=None)
    apply(store, Action.REQUEST_SSL, route=Route.CDN)

    def approve() -> Domain:
        return apply(store, Action.APPROVE)

    assert code(approve) == "domain-report-missing"
    assert not report(store, route=Route.PROXY)
    assert code(approve) == "domain-report-missing"
    assert report(store, blocks=True)
    assert code(approve) == "domain-report-blocks"
    assert report(store)
    late = NOW + 25 * HOUR
    assert code(lambda: apply(store, Action.APPROVE, now=late)) == "domain-report-old"
    assert apply(store, Action.APPROVE).state is DomainState.SSL_ENABLED
    found = store.domains.get(HOST)
    assert (found.report, found.report_at, found.report_blocks) == (REPORT, NOW, False)


def test_another_route_needs_another_report_and_the_same_does_not(store: Store) -> None:
    enable(store)
    apply(store, Action.DISABLE_SSL, "a try")
    assert apply(store, Action.REQUEST_SSL, route=Route.CDN).report_at == NOW
    apply(store, Action.DISABLE_SSL, "another")
    assert apply(store, Action.REQUEST_SSL, route=Route.PROXY).report_at is None


def test_the_watch_counts_failures_in_a_row(store: Store) -> None:
    claim(store)
    for failures, since in ((1, NOW), (2, NOW), (0, None)):
        store.domains.count(HOST, failures, since)
        found = store.domains.get(HOST)
        assert (found.failures, found.failing_since) == (failures, since)


def test_the_queue_is_what_waits_the_longest_first(store: Store) -> None:
    claim(store, OTHER, tag="0")
    claim(store)
    claim(store, "x.acme.example", tag="2")
    for host, tag, hours in ((OTHER, "0", 2), (HOST, "1", 1)):
        store.domains.apply_dns(
            host, target=f"t-{tag}.ct.example.net", passed=True, who="watch", now=NOW
        )
        step = Step(Action.REQUEST_SSL, "ann", route=Route.CDN)
        store.domains.apply(host, step, NOW + hours * HOUR)
    assert [each.host for each in store.domains.queue()] == [HOST, OTHER]


def test_what_is_not_claimed_is_told(store: Store) -> None:
    domains = store.domains
    for call in (
        lambda: domains.get(HOST),
        lambda: apply(store, Action.RELEASE),
        lambda: dns(store),
        lambda: domains.set_cdn(HOST, "fastly", who="ann", now=NOW),
        lambda: domains.count(HOST, 1, NOW),
    ):
        assert code(call) == "domain-missing"
    assert not report(store)


def test_an_enrolment_is_on_record_once_and_changes_no_state(store: Store) -> None:
    enable(store)
    before = store.domains.get(HOST)
    revision = store.certificates.revision()
    for _ in range(2):
        store.domains.set_cdn(HOST, "proxy", ("203.0.113.7/32",), who="ben", now=NOW + HOUR)
    assert store.certificates.revision() == revision + 1
    store.domains.set_cdn(HOST, "", who="ben", now=NOW + HOUR)
    after = store.domains.get(HOST)
    assert (after.state, after.since, after.reasons) == (
        before.state,
        before.since,
        before.reasons,
    )
    assert [
        (each.action.value, each.before, each.after, each.who, each.at, each.reasons)
        for each in store.domains.history(HOST)[-2:]
    ] == [
        ("enrol", "ssl_enabled", "ssl_enabled", "ben", NOW + HOUR, (reason,))
        for reason in ("enrolled with proxy, 203.0.113.7/32", "enrolled with none")
    ]
    apply(store, Action.RELEASE)

    def again() -> None:
        store.domains.set_cdn(HOST, "fastly", who="ben", now=NOW)

    assert code(again) == "domain-released"


def test_of_two_looks_the_later_is_kept_whichever_took_longer(store: Store) -> None:
    claim(store)
    assert report(store, route=None, blocks=True)
    older = NOW - timedelta(seconds=30)
    for at, blocks, kept in ((older, False, False), (NOW, False, True), (NOW + HOUR, True, True)):
        assert (
            store.domains.save_report(
                HOST,
                {"at": at.isoformat()},
                target="t-1.ct.example.net",
                route=None,
                blocks=blocks,
                now=at,
            )
            is kept
        )
        found = store.domains.get(HOST)
        assert found.report_blocks is (blocks or not kept)
        assert found.report_at == max(at, NOW)
