"""What domains are enrolled with is fetched daily, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from linkseal.cdn.daily import DailyRefresh
from linkseal.config import Config
from linkseal.domains.lifecycle import Action, Step
from linkseal.store import Store
from support.publishing import Published

BEGAN = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def enrol(store: Store, *cdns: str) -> None:
    customer = store.customers.add("acme")
    for number, cdn in enumerate(cdns):
        host = f"links{number}.acme.example"
        store.domains.claim(
            host,
            customer_id=customer.id,
            target=f"t{number}.ct.example",
            ownership=f"o{number}",
            delegation=f"d{number}.ct.example",
            who="test",
            now=BEGAN,
        )
        store.domains.set_cdn(host, cdn, who="test", now=BEGAN)


def test_only_cdns_in_use_are_fetched_daily_and_not_at_the_start(
    config: Config, store: Store, published: Published
) -> None:
    enrol(store, "bunny", "bunny", "proxy", "")
    daily = DailyRefresh(config, store, began=BEGAN, jitter=0.5)
    assert daily.look(BEGAN) == []
    fetched = BEGAN + HOUR / 2
    (bunny,) = daily.look(fetched)
    assert (bunny.cdn, bunny.added) == ("bunny", 4)
    assert daily.look(fetched + 24 * HOUR) == []
    # A restart does not fetch again either.
    again = DailyRefresh(config, store, began=fetched + HOUR, jitter=0.5)
    assert again.look(fetched + 2 * HOUR) == []
    assert published.asked == ["/bunny4", "/bunny6"]
    (bunny,) = again.look(fetched + 24.5 * HOUR)
    assert (bunny.cdn, bunny.added, bunny.removed) == ("bunny", 0, 0)


def test_what_failed_is_tried_again_in_an_hour_and_the_last_copy_stays(
    config: Config, store: Store, published: Published
) -> None:
    enrol(store, "bunny")
    daily = DailyRefresh(config, store, began=BEGAN, jitter=0.0)
    assert len(daily.look(BEGAN)) == 1
    published.status = 503
    tomorrow = BEGAN + 24 * HOUR
    for at, tries in ((tomorrow, 1), (tomorrow + HOUR / 2, 0), (tomorrow + HOUR, 1)):
        assert len(daily.look(at)) == tries
    assert len(store.cdn_ranges.networks()["bunny"]) == 4
    published.status = 200
    (bunny,) = daily.look(tomorrow + 2 * HOUR)
    assert bunny.error is None
    assert daily.look(tomorrow + 3 * HOUR) == []


def test_what_changed_by_itself_or_was_refused_is_an_alert(
    config: Config, store: Store, published: Published
) -> None:
    enrol(store, "bunny")
    daily = DailyRefresh(config, store, began=BEGAN, jitter=0.0)
    daily.look(BEGAN)
    (first,) = store.alerts.list()
    assert (first.host, first.kind, first.severity) == ("", "cdn-networks", "info")
    assert first.detail["reasons"] == [
        f"Bunny: new {', '.join(first.detail['new'][:3])} and 1 more"
    ]
    assert len(first.detail["new"]) == 4
    day = 24 * HOUR
    daily.look(BEGAN + day)
    assert len(store.alerts.list()) == 1
    published.publish("bunny4", "89.187.188.227\n203.0.113.7\n")
    daily.look(BEGAN + 2 * day)
    (change,) = store.alerts.list(after=first.seq)
    assert change.detail == {
        "cdn": "bunny",
        "new": ["203.0.113.7/32"],
        "gone": ["139.180.134.196/32"],
        "reasons": ["Bunny: new 203.0.113.7/32; gone 139.180.134.196/32"],
    }
    published.publish("bunny4", "\n".join(f"203.0.113.{each}" for each in range(1, 99, 2)))
    # It is tried hourly, and told once a day.
    for hours in (0, 1, 2):
        daily.look(BEGAN + 3 * day + hours * HOUR)
    (refused,) = store.alerts.list(after=change.seq)
    assert (refused.severity, refused.detail["cdn"]) == ("warning", "bunny")
    assert "more than twice the IPv4" in refused.detail["reasons"][0]
    # No server is no news of its networks.
    published.status = 503
    daily.look(BEGAN + 5 * day)
    assert store.alerts.list(after=refused.seq) == []


def test_what_only_released_domains_were_enrolled_with_is_not_in_use(
    config: Config, store: Store, published: Published
) -> None:
    enrol(store, "bunny", "google", "")
    begin = store.certificates.revision()
    for number, told in ((0, 1), (2, 1)):
        store.domains.apply(f"links{number}.acme.example", Step(Action.RELEASE, "test"), BEGAN)
        # The edge has to hear of it only where it believed somebody.
        assert store.certificates.revision() == begin + told
    assert store.cdn_ranges.enrolled() == {"google"}
    daily = DailyRefresh(config, store, began=BEGAN, jitter=0.0)
    assert [each.cdn for each in daily.look(BEGAN)] == ["google"]
    assert published.asked == []


def test_it_can_be_switched_off(config: Config, store: Store, published: Published) -> None:
    enrol(store, "bunny")
    off = config.model_copy(update={"cdn": config.cdn.model_copy(update={"refresh": False})})
    assert DailyRefresh(off, store, began=BEGAN, jitter=0.0).look(BEGAN + 99 * HOUR) == []
    assert published.asked == []
