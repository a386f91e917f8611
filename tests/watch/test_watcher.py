"""The watch over live domains: whom it blames, what it tells, and what it puts on record."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from linkseal.domains.base import DomainState
from linkseal.domains.lifecycle import Action, Step
from linkseal.edge.probe import Asked
from linkseal.store import AlertSeverity
from linkseal.testing.programs import free_port
from watch.lab import SHARED, Live, live_domains, looks, name_of, until, zones_of

DEGRADED, ENABLED = DomainState.SSL_DEGRADED, DomainState.SSL_ENABLED


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def degraded(found: Live, number: int = 0) -> None:
    await until(lambda: found.state(number) is DEGRADED)


async def test_a_domain_that_breaks_is_left_alone_and_the_others_are_not(tmp_path: Path) -> None:
    # So slowly that each of the others has its turn between two looks at what fails.
    async with live_domains(tmp_path, 3, retry=1.0) as found, found.watching():
        await looks(found, 6)
        found.broken.add(name_of(1))
        await degraded(found, 1)
        domain = found.domain(1)
        assert domain.reasons == ("HTTP-02: Request did not reach us: got 502 from proxy.",)
        assert (domain.failures, domain.failing_since is not None) == (3, True)
        await looks(found, 12)
        assert (found.state(0), found.state(2)) == (ENABLED, ENABLED)
        found.broken.clear()
        await until(lambda: found.state(1) is ENABLED)
        assert found.domain(1).failures == 0
        assert found.kinds() == ["degraded", "recovered"]


async def test_a_failure_now_and_then_breaks_nothing(tmp_path: Path) -> None:
    def looked(result: str) -> float:
        return sample("linkseal_watch_looks_total", result=result)

    async def more(result: str, than: float) -> None:
        await until(lambda: looked(result) > than)

    async with live_domains(tmp_path, failures=2) as found:
        failed = looked("failed")
        plain = found.origin.behave
        assert plain is not None

        def behave(asked: Asked, answer: bytes) -> Any:
            # Broken until the one look has failed, so that the next is well again.
            if looked("failed") >= failed:
                found.broken.clear()
            return plain(asked, answer)

        found.origin.behave = behave
        async with found.watching():
            for _ in range(3):
                failed += 1
                found.broken.add(name_of(0))
                await more("failed", failed - 1)
                await more("good", looked("good"))
                await until(lambda: found.domain().failures == 0)
                assert looked("failed") == failed
        assert (found.state(), found.kinds()) == (ENABLED, [])


async def test_without_a_network_no_domain_is_blamed(tmp_path: Path) -> None:
    """The reference is not reached either: it is told once, and told when it is over."""
    port = free_port("127.0.0.1")
    async with live_domains(tmp_path, 2, reference=f"127.0.0.1:{port}") as found:
        async with found.watching():
            await looks(found, 4)
            found.broken.update(name_of(each) for each in range(2))
            await until(lambda: found.kinds() == ["watch-blind"])
            assert sample("linkseal_watch_blind") == 1
            (blind,) = found.alerts()
            assert (blind.host, blind.severity) == ("", AlertSeverity.CRITICAL)
            assert f"127.0.0.1:{port} cannot be reached either" in blind.detail["why"]
            asked = len(found.origin.asked)
            # Nothing is looked at while nothing can be seen.
            await asyncio.sleep(1.0)
            assert len(found.origin.asked) - asked <= 2
            assert (found.state(0), found.state(1)) == (ENABLED, ENABLED)
            assert found.domain(0).failures == 0
            server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", port)
            async with server:
                await degraded(found, 0)
                await degraded(found, 1)
        assert found.kinds() == ["watch-blind", "watch-sees", "degraded", "degraded"]
        assert sample("linkseal_watch_blind") == 0


async def test_while_our_own_name_does_not_answer_no_domain_is_blamed(tmp_path: Path) -> None:
    async with live_domains(tmp_path) as found, found.watching():
        await looks(found, 2)
        found.broken.update({name_of(0), SHARED})
        await until(lambda: found.kinds() == ["watch-blind"])
        found.broken.discard(SHARED)
        await degraded(found)
        assert found.kinds() == ["watch-blind", "watch-sees", "degraded"]


async def test_where_all_fail_at_once_none_is_blamed_unless_one_is_well(tmp_path: Path) -> None:
    async with live_domains(tmp_path, 5) as found, found.watching():
        await looks(found, 10)
        found.broken.update(name_of(each) for each in range(5))
        await until(lambda: "watch-blind" in found.kinds())
        assert "every domain fails at once" in found.alerts()[0].detail["why"]
        await looks(found, 20)
        assert {found.state(each) for each in range(5)} == {ENABLED}
        found.broken.discard(name_of(4))
        for number in range(4):
            await degraded(found, number)
        assert found.state(4) is ENABLED
        assert found.kinds()[:2] == ["watch-blind", "watch-sees"]


async def test_http_links_do_not_outlive_their_dns(tmp_path: Path) -> None:
    async with live_domains(tmp_path, ssl=False, interval=0.2) as found, found.watching():
        assert found.dns is not None
        for origin, lines in zones_of(1, gone=[0]).items():
            found.dns.publish(origin, lines)
        await until(lambda: found.state() is DomainState.CLAIMED)
        assert found.domain().reasons[0].startswith("DNS-01: ")
        assert found.kinds() == ["dns-failed"]
        for origin, lines in zones_of(1).items():
            found.dns.publish(origin, lines)
        await until(lambda: found.state() is DomainState.DNS_VALID)
        steps = found.store.domains.history(name_of(0))
        assert [(each.action, each.who) for each in steps[-2:]] == [
            (Action.DNS_FAILED, "watch"),
            (Action.DNS_PASSED, "watch"),
        ]
        # Our own name is asked whether the fault is here; theirs, whether it leads to us at all.
        theirs = [each for each in found.origin.asked if each.host != SHARED]
        assert {each.path.rpartition("/")[2] for each in theirs} == {"echo"}


async def test_the_end_of_a_certificate_that_is_not_ours_is_told_once(tmp_path: Path) -> None:
    async with live_domains(tmp_path, days=6.5) as found:
        for _ in range(2):
            async with found.watching():
                await looks(found, 3)
                await until(lambda: name_of(0) in found.store.watching.looks())
        (alert,) = found.alerts()
        assert (alert.kind, alert.host, alert.severity) == (
            "certificate-ends",
            name_of(0),
            AlertSeverity.CRITICAL,
        )
        assert alert.detail["days"] == 7
        assert alert.detail["issuer"].startswith("CN=") or "trustme" in alert.detail["issuer"]


async def test_looks_at_what_is_well_are_written_together(tmp_path: Path) -> None:
    async with live_domains(tmp_path, 20) as found:
        async with found.watching() as watcher:
            await looks(found, 60)
            await until(lambda: len(found.store.watching.looks()) == 20)
            await until(lambda: sample("linkseal_domains", state="ssl_enabled") == 20)
            assert watcher.now() - time.time() < 1
        for look in found.store.watching.looks().values():
            assert look.problems == ()
            assert look.due_at > look.at
        changes = sqlite3.connect(found.config.store_url.removeprefix("sqlite:///"))
        try:
            (count,) = changes.execute("select count(*) from domain_history").fetchone()
        finally:
            changes.close()
        assert count == 20 * 4  # As they were enabled.


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(tmp_path / "linkseal.db", isolation_level=None)
    yield connection
    connection.close()


async def test_looks_go_on_while_the_database_is_locked_and_links_follow_after(
    tmp_path: Path, lock: sqlite3.Connection
) -> None:
    async with live_domains(tmp_path, 2) as found, found.watching():
        # The first look at everything is kept at once; who waits for that looks at nothing.
        await until(lambda: len(found.store.watching.looks()) == 2)
        lock.execute("BEGIN IMMEDIATE")
        found.broken.add(name_of(0))
        await looks(found, 12)
        lock.execute("ROLLBACK")
        await degraded(found, 0)
        assert found.state(1) is ENABLED


async def test_what_an_operator_does_meanwhile_counts(tmp_path: Path) -> None:
    """Released while it fails: the watch lets it go, and says nothing more of it."""
    async with live_domains(tmp_path, 2, failures=1000) as found, found.watching():
        await looks(found, 4)
        found.broken.add(name_of(0))
        await until(lambda: found.domain().failures > 1)
        found.store.domains.apply(name_of(0), Step(Action.RELEASE, "ann"), found.domain().since)

        def recent() -> list[str]:
            return [each.host for each in found.origin.asked[-8:]]

        await until(lambda: len(recent()) == 8 and name_of(0) not in recent())
        assert (found.state(), found.kinds()) == (DomainState.RELEASED, [])
