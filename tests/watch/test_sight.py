"""What the watch cannot see is blamed on nobody: by name, by all at once, and over a start."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

from prometheus_client import REGISTRY

from linkseal.config import Address
from linkseal.domains.base import DomainState
from linkseal.edge.probe import Asked
from linkseal.testing.dns_server import Fault
from linkseal.testing.programs import free_port
from prober.lab import BASE
from watch.lab import SHARED, claim, live_domains, looks, name_of, until, zones_of

ENABLED, DEGRADED = DomainState.SSL_ENABLED, DomainState.SSL_DEGRADED


def blind() -> bool:
    return REGISTRY.get_sample_value("linkseal_watch_blind", {}) == 1


def looked(result: str) -> float:
    return REGISTRY.get_sample_value("linkseal_watch_looks_total", {"result": result}) or 0.0


async def test_while_no_resolver_answers_no_domain_is_blamed_for_its_names(tmp_path: Path) -> None:
    """A reference by number that is reached says nothing of them."""
    server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0)
    reference = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, live_domains(tmp_path, 4, reference=reference) as found:
        nobody = (Address("127.0.0.1", free_port("127.0.0.1")),)
        prober = found.config.prober.model_copy(update={"public_resolvers": nobody, "timeout": 0.3})
        well = found.config
        found.config = well.model_copy(update={"prober": prober})
        async with found.watching():
            await until(lambda: found.kinds() == ["watch-blind"])
            why = f"resolvers give no address for {SHARED} either"
            assert found.alerts()[0].detail["why"] == why
            failing = looked("unseen")
            await until(lambda: looked("unseen") > failing + 8)
            look = found.store.watching.looks()[name_of(0)]
            assert look.problems[0] == f"not counted: {why}"
        assert {found.state(each) for each in range(4)} == {ENABLED}
        assert {found.domain(each).failures for each in range(4)} == {0}
        found.config = well
        async with found.watching():
            await until(lambda: found.kinds() == ["watch-blind", "watch-sees"])
        assert found.alerts()[1].detail["why"] == f"it sees again; was: {why}"


async def test_a_name_is_blamed_while_ours_resolves(tmp_path: Path) -> None:
    async with live_domains(tmp_path) as found, found.watching():
        assert found.dns is not None
        await looks(found, 2)
        found.dns.faults[name_of(0)] = Fault.SERVFAIL
        await until(lambda: found.state() is DEGRADED)
        assert found.domain().reasons[0].startswith("DNS-01: ")
        assert found.kinds() == ["degraded"]


async def test_a_domain_whose_names_alone_are_looked_at_does_not_show_that_requests_arrive(
    tmp_path: Path,
) -> None:
    async with live_domains(tmp_path, 5) as found:
        assert found.dns is not None
        claim(found.store, 5, ssl=False)
        for origin, lines in zones_of(6).items():
            found.dns.publish(origin, lines)
        async with found.watching():
            await looks(found, 10)
            found.broken.update(name_of(each) for each in range(5))
            await until(lambda: "watch-blind" in found.kinds())
            await looks(found, 50)
        assert {found.state(each) for each in range(5)} == {ENABLED}
        assert found.kinds() == ["watch-blind"]


async def test_a_start_while_blind_blames_nobody_and_tells_it_no_second_time(
    tmp_path: Path,
) -> None:
    async with live_domains(tmp_path, 5) as found:
        async with found.watching():
            await looks(found, 10)
            found.broken.update(name_of(each) for each in range(5))
            await until(lambda: "watch-blind" in found.kinds())
        async with found.watching():
            await looks(found, 60)
            assert {found.state(each) for each in range(5)} == {ENABLED}
            assert found.kinds() == ["watch-blind"]
            found.broken.clear()
            await until(lambda: found.kinds() == ["watch-blind", "watch-sees"])


async def test_a_look_that_began_while_blind_blames_nobody_though_it_ends_later(
    tmp_path: Path,
) -> None:
    async with live_domains(tmp_path, 5) as found:
        behave, late, held = found.origin.behave, asyncio.Event(), asyncio.Event()
        assert behave is not None

        async def slowly(asked: Asked, answer: bytes) -> Any:
            said = behave(asked, answer)
            if late.is_set() and asked.host == name_of(1) and not held.is_set():
                held.set()
                await until(lambda: not blind())
            return said

        async with found.watching():
            await looks(found, 10)
            found.origin.behave = slowly
            found.broken.update(name_of(each) for each in range(5))
            await until(blind)
            late.set()
            await held.wait()
            found.broken.clear()
            await until(lambda: "watch-sees" in found.kinds())
            await looks(found, 20)
        assert found.kinds() == ["watch-blind", "watch-sees"]


async def test_blindness_that_cannot_be_kept_is_told_later(tmp_path: Path) -> None:
    port = free_port("127.0.0.1")
    async with live_domains(tmp_path, 2, reference=f"127.0.0.1:{port}") as found:
        database = sqlite3.connect(tmp_path / "linkseal.db", isolation_level=None)
        async with found.watching():
            await looks(found, 4)
            database.execute("ALTER TABLE alerts RENAME TO away")
            found.broken.update(name_of(each) for each in range(2))
            await until(blind)
            await asyncio.sleep(0.2)
            database.execute("ALTER TABLE away RENAME TO alerts")
            await until(lambda: found.kinds() == ["watch-blind"])
            # The same on the way back: the watch goes on.
            database.execute("ALTER TABLE alerts RENAME TO away")
            server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", port)
            async with server:
                found.broken.clear()
                await until(lambda: not blind())
                database.execute("ALTER TABLE away RENAME TO alerts")
                await until(lambda: found.kinds() == ["watch-blind", "watch-sees"])
                await looks(found, 4)
        database.close()


async def test_a_dead_ipv6_address_beside_ipv4_is_no_reason_to_look_more_often(
    tmp_path: Path,
) -> None:
    async with live_domains(tmp_path, recoveries=1) as found:
        assert found.dns is not None
        lines = zones_of(1)[BASE]
        found.dns.publish(BASE, [*lines, "t-0 AAAA ::1"])
        before = looked("good"), looked("unseen")
        async with found.watching():
            await until(lambda: looked("good") > before[0] + 5)
            assert looked("unseen") == before[1]
            found.broken.add(name_of(0))
            await until(lambda: found.state() is DEGRADED)
            found.broken.clear()
            await until(lambda: found.state() is ENABLED, 20)
