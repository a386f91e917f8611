"""The demo's script, scene by scene."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from pathlib import Path

from linkseal.config import Address, Config
from linkseal.demo.internet import FRONTS, Internet
from linkseal.demo.routes import Enabler, possible
from linkseal.demo.run import (
    Delivered,
    add_customers,
    deliver,
    is_tracking,
    start_mailbox,
    visit,
    watch,
    write_config,
)
from linkseal.demo.show import Stage
from linkseal.errors import ServiceError
from linkseal.seal import Kind
from linkseal.store import Event
from linkseal.testing.mailbox import Mailbox
from linkseal.testing.programs import free_port
from linkseal.testing.service import ServiceProcess


async def play(directory: Path, stage: Stage, *, once: bool) -> None:
    """Play the demo.

    Args:
        directory: An empty folder for everything the service keeps.
        stage: Prints.
        once: Leave when all was seen; otherwise stay up until interrupted.

    Raises:
        ServiceError: Something expected was not seen: the demo failed.
    """
    base_domain = Config().base_domain
    mailbox = await start_mailbox()
    try:
        with Internet(directory, base_domain) as internet:
            write_config(directory, mailbox.address, _free, internet.config)
            await _play(ServiceProcess(directory), internet, mailbox, stage, once=once)
    finally:
        await mailbox.stop()


async def _play(
    service: ServiceProcess, internet: Internet, mailbox: Mailbox, stage: Stage, *, once: bool
) -> None:
    stage.title("1. The service starts: edge, collector, SMTP proxy, certificates")
    await asyncio.to_thread(service.start)
    try:
        config = service.config
        internet.trust(service.ca_file)
        add_customers(config)
        stage.line(f"  links will be {config.shared_base}/c/…, its certificate by ACME")
        stage.line(f"  SMTP proxy on {config.smtp.listen}, next hop: a mailbox of the demo's")
        stage.title("2. Three newsletters go through the SMTP proxy")
        messages = await deliver(service, mailbox)
        for message in messages:
            stage.message(service, message)
        last = await _recipients(service, messages, internet.roots_file, stage)
        with contextlib.ExitStack() as fronts:
            enabler = Enabler(service, internet, mailbox, fronts, stage.line)
            left_out = await _branded(enabler, stage)
            if not once:
                example, branded = _example(service, messages), "links.lumen.example"
                stage.invitation(service, example, internet.roots_file, branded)
                await watch(config, None, stage.event, after=last)
            for each in left_out:
                stage.line(f"  left out: {each}")
    finally:
        service.stop()


async def _branded(enabler: Enabler, stage: Stage) -> list[str]:
    """Enable a domain a route, and diagnose a broken one; return what could not be shown."""
    routes, broken, left_out = possible()
    stage.title("5. Branded domains: a customer a route, from the claim to links that are https")
    for each in left_out:
        stage.line(f"  left out: {each}")
    try:
        async with asyncio.TaskGroup() as group:
            for route in routes:
                group.create_task(enabler.enable(route))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    names = ", ".join(route.name for route in routes)
    stage.title(f"{len(routes)} branded domains enabled, checked and clicked: {names}.")
    if broken is not None:
        stage.title("6. A mistake, and what `linkseal domain check` says of it")
        stage.quote(await enabler.diagnose(broken))
    return left_out


async def _recipients(
    service: ServiceProcess, messages: list[Delivered], roots: Path, stage: Stage
) -> int:
    """Read the messages, check the events, and return the last one's sequence number."""
    stage.title("3. The recipients open and click, over verified HTTPS")
    loop = asyncio.get_running_loop()

    def tell(what: str, answer: str) -> None:
        loop.call_soon_threadsafe(stage.line, f"  {answer:<14.14} {what}")

    requests = 0
    for message in messages:
        requests += await asyncio.to_thread(visit, service, message, roots, tell)
    await asyncio.sleep(0)
    stage.title("4. The events, as the collector stores them")
    events = await watch(service.config, requests, stage.event)
    _check(messages, events, requests)
    counts = Counter(event.kind for event in events)
    stage.title(
        f"{requests} requests answered, {len(events)} events stored: "
        f"{counts['open']} opens, {counts['click']} clicks. Nothing lost, nothing doubled."
    )
    return events[-1].seq


def _check(messages: list[Delivered], events: list[Event], requests: int) -> None:
    seen = {(event.message, event.kind, event.link) for event in events}
    opened = {event.message for event in events if event.kind == "open"}
    if len(events) != requests or len(seen) != requests or len(opened) != len(messages):
        raise ServiceError(
            f"expected {requests} events of {len(messages)} messages, saw {len(seen)} of "
            f"{len(opened)}",
            code="demo-events-missing",
            hint="the service's log says more; run `linkseal demo` to look around",
        )


def _example(service: ServiceProcess, messages: list[Delivered]) -> str:
    return next(link for link in messages[0].after.links if is_tracking(service, link, Kind.CLICK))


def _free(address: Address) -> Address:
    """Return the address, with another port when its own is taken, here or at a stand-in's."""
    port = address.port
    while not all(_is_free(host, port) for host in (address.host, *FRONTS)):
        port = free_port(address.host)
    return Address(address.host, port)


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True
