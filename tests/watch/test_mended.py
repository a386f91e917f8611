"""What is broken comes back when all that failed is seen to be mended, and not before."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from linkseal.domains.base import DomainState
from linkseal.domains.lifecycle import Action, Route, Step
from prober.lab import BASE
from watch.lab import Live, live_domains, looks, name_of, until, zones_of

WHY = ("DNS-04: Ownership token missing",)


def publish(found: Live, *, token: bool) -> None:
    assert found.dns is not None
    lines = zones_of(1)["acme.example"]
    found.dns.publish("acme.example", [e for e in lines if token or "_ct-challenge" not in e])


def degrade(found: Live) -> None:
    now = datetime.now(UTC)
    found.store.domains.count(name_of(0), 3, now)
    found.store.domains.apply(name_of(0), Step(Action.DEGRADE, "watch", WHY), now)


async def whole_looks(found: Live, count: int) -> None:
    """Wait for so many looks at every check."""
    assert found.dns is not None
    asked = found.dns.asked

    def made() -> int:
        name = f"_ct-challenge.{name_of(0)}"
        return sum(1 for each in list(asked) if tuple(each)[:2] == (name, "TXT"))

    before = made()
    await until(lambda: made() >= before + count)


@pytest.mark.parametrize("ssl", [True, False])
async def test_after_a_start_it_does_not_come_back_without_its_proof(
    tmp_path: Path, *, ssl: bool
) -> None:
    async with live_domains(tmp_path, ssl=ssl) as found:
        publish(found, token=False)
        if ssl:
            degrade(found)
        else:
            now = datetime.now(UTC)
            found.store.domains.count(name_of(0), 3, now)
            target = found.domain().target
            found.store.domains.apply_dns(
                name_of(0), target=target, passed=False, who="watch", now=now, reasons=WHY
            )
        broken = found.state()
        async with found.watching():
            await whole_looks(found, 2)
            assert found.state() is broken
            publish(found, token=True)
            await until(lambda: found.state() is not broken)
        whole = DomainState.SSL_ENABLED if ssl else DomainState.DNS_VALID
        assert found.state() is whole


async def test_ssl_taken_from_a_broken_domain_leaves_no_http_links_without_its_proof(
    tmp_path: Path,
) -> None:
    async with live_domains(tmp_path) as found:
        publish(found, token=False)
        degrade(found)
        step = Step(Action.DISABLE_SSL, "ann", ("broken",))
        found.store.domains.apply(name_of(0), step, datetime.now(UTC))
        async with found.watching():
            await whole_looks(found, 2)
            assert found.state() is DomainState.CLAIMED


async def test_a_name_that_is_somebody_elses_by_now_stays_without_links(tmp_path: Path) -> None:
    async with live_domains(tmp_path, ssl=False, interval=0.1) as found, found.watching():
        assert found.dns is not None
        found.dns.publish("acme.example", ["other A 127.0.0.1"])
        await until(lambda: found.state() is DomainState.CLAIMED)
        found.dns.publish("acme.example", ["links0 A 192.0.2.77"])
        await whole_looks(found, 3)
        assert found.state() is DomainState.CLAIMED


async def test_a_deep_fault_is_not_mended_by_a_light_one_that_passes(tmp_path: Path) -> None:
    """A CDN that caches, and for a moment answers 502."""
    async with live_domains(tmp_path) as found, found.watching():
        kept: dict[tuple[str, bytes], bytes] = {}
        plain = found.origin.behave

        def cached(asked: object, answer: bytes) -> bytes:
            key = (asked.host, asked.target)  # type: ignore[attr-defined]
            return plain(asked, kept.setdefault(key, answer))  # type: ignore[misc, arg-type, return-value]

        found.origin.behave = cached
        await until(lambda: found.state() is DomainState.SSL_DEGRADED)
        assert any(each.startswith("HTTP-06: ") for each in found.domain().reasons)
        found.broken.add(name_of(0))
        await until(lambda: problem(found).startswith("HTTP-02: "))
        found.broken.clear()
        await until(lambda: problem(found).startswith("HTTP-06: "))
        assert found.kinds() == ["degraded"]
        found.origin.behave = plain
        await until(lambda: found.state() is DomainState.SSL_ENABLED)


def problem(found: Live) -> str:
    look = found.store.watching.looks().get(name_of(0))
    return next((each for each in look.problems if each.startswith("HTTP")), "") if look else ""


async def test_a_check_that_passes_wakes_the_watch(tmp_path: Path) -> None:
    async with live_domains(tmp_path, interval=60.0) as found:
        degrade(found)
        found.broken.add(name_of(0))
        async with found.watching():
            await looks(found, 2)
            found.broken.clear()
            found.store.domains.save_report(
                name_of(0),
                {"verdicts": []},
                target=f"t-0.{BASE}",
                route=Route.PROXY,
                blocks=False,
                now=datetime.now(UTC),
            )
            await until(lambda: found.state() is DomainState.SSL_ENABLED, 20)


async def test_failures_of_another_life_do_not_count_and_are_put_right(tmp_path: Path) -> None:
    async with live_domains(tmp_path) as found:
        found.store.domains.count(name_of(0), 2, datetime.now(UTC))
        async with found.watching():
            await until(lambda: found.domain().failures == 0)
        assert found.domain().failing_since is None
        found.store.domains.count(name_of(0), 2, datetime.now(UTC))
        found.broken.add(name_of(0))
        async with found.watching():
            await until(lambda: found.state() is DomainState.SSL_DEGRADED)
        assert found.domain().failures == 3


async def test_the_days_left_are_of_domains_that_are_watched(tmp_path: Path) -> None:
    def left() -> float | None:
        return REGISTRY.get_sample_value("linkseal_foreign_certificate_days_left")

    async with live_domains(tmp_path, days=6.5) as found, found.watching():
        await until(lambda: 6 < (left() or 0.0) < 7)
        step = Step(Action.RELEASE, "ann")
        found.store.domains.apply(name_of(0), step, datetime.now(UTC))
        await until(lambda: left() == math.inf)
