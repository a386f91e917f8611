"""A whole run, over real sockets."""

from __future__ import annotations

import asyncio
import time

import trustme

from linkseal.config import Address
from linkseal.domains.observation import load_observation, save_observation
from linkseal.edge.probe import Asked
from linkseal.prober import probe
from linkseal.testing.dns_server import Fault
from prober.lab import HOST, TARGET, Origin, look, request, settings, zones

AUTHORITY = trustme.CA()


async def test_a_domain_in_order_passes_every_check_that_is_not_skipped() -> None:
    seen = await look(Origin(), authority=AUTHORITY)
    found = seen.observation
    assert seen.verdicts() == {}
    assert [(hop.name, hop.target) for hop in found.chain] == [(HOST, TARGET)]
    assert (found.own_addresses, found.egress) == (("127.0.0.1",), ("127.0.0.1",))
    assert {(each.port, each.error) for each in found.reached} == {(80, ""), (443, "")}
    assert all(each.echo for each in found.exchanges)
    assert load_observation(save_observation(found)) == found


async def test_progress_is_told_of_each_part_and_ends_at_its_end() -> None:
    seen = await look(Origin(), authority=AUTHORITY)
    for part in ("dns", "tls", "http"):
        told = [each for each in seen.progress if each.part == part]
        assert [each.done for each in told] == list(range(1, len(told) + 1))
        assert told[-1].done == told[-1].of
    assert seen.progress[-1].part in {"tls", "http"}


async def test_a_server_that_takes_connections_and_says_nothing_costs_one_timeout() -> None:
    began = time.monotonic()
    origin = Origin(lambda _asked, _answer: None)
    seen = await look(origin, authority=AUTHORITY, timeout=0.5)
    assert {each.error for each in seen.observation.exchanges} == {"timeout"}
    assert len(seen.observation.exchanges) == 2
    assert time.monotonic() - began < 10
    assert "gives no answer (timeout)" in seen.verdicts()["HTTP-02"]


async def test_a_run_ends_in_its_time_with_what_it_has() -> None:
    async def late(_asked: Asked, answer: bytes) -> bytes:
        await asyncio.sleep(1.5)
        return answer

    began = time.monotonic()
    # All of them would take more than ten.
    seen = await look(Origin(late), authority=AUTHORITY, seconds=5, timeout=30.0)
    assert time.monotonic() - began < 10
    errors = [each.error for each in seen.observation.exchanges]
    assert "" in errors
    assert "timeout" in errors


async def test_a_server_that_falls_silent_after_its_first_answers_is_left_in_time() -> None:
    began = time.monotonic()
    origin = Origin(lambda _asked, answer: answer if len(origin.asked) <= 2 else None)
    seen = await look(origin, authority=AUTHORITY, seconds=4, timeout=30.0)
    assert time.monotonic() - began < 15
    assert sum(each.error == "timeout" for each in seen.observation.exchanges) > 30
    assert all(each.status or each.error for each in seen.observation.exchanges)


async def test_dns_that_never_answers_is_told_of_and_bounded() -> None:
    began = time.monotonic()
    names = ("links.acme.example", "acme.example", "example", "_ct-challenge.links.acme.example")
    with zones(faults=dict.fromkeys(names, Fault.SILENT)) as dns:
        found = await probe(request(), settings(dns, timeout=30.0), seconds=3)
    assert time.monotonic() - began < 15
    assert {each.error for each in found.dns if each.name == HOST} == {"timeout"}
    assert (found.reached, found.exchanges) == ((), ())


async def test_a_run_can_be_cancelled() -> None:
    with zones(faults={HOST: Fault.SILENT}) as dns:
        task = asyncio.create_task(probe(request(), settings(dns, timeout=30.0)))
        await asyncio.sleep(0.3)
        task.cancel()
        began = time.monotonic()
        await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    assert time.monotonic() - began < 10
    assert len(asyncio.all_tasks()) == 1


async def test_a_resolver_that_is_not_there_is_an_observation() -> None:
    with zones() as dns:
        gone = settings(dns, public_resolvers=(Address("127.0.0.1", 1),), timeout=0.5)
        found = await probe(request(), gone)
    of_host = [each for each in found.dns if each.name == HOST and not each.authoritative]
    assert {each.error for each in of_host} == {"timeout"}
