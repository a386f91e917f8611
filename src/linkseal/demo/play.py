"""The demo's script, scene by scene."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from pathlib import Path

from linkseal.config import Address
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
    mailbox = await start_mailbox()
    try:
        write_config(directory, mailbox.address, _free)
        service = ServiceProcess(directory)
        stage.title("1. The service starts: edge, collector, SMTP proxy")
        await asyncio.to_thread(service.start)
        try:
            config = service.config
            add_customers(config)
            stage.line(f"  links will be {config.shared_base}/c/…, certificate by a local CA")
            stage.line(f"  SMTP proxy on {config.smtp.listen}, next hop: a mailbox of the demo's")
            stage.title("2. Three newsletters go through the SMTP proxy")
            messages = await deliver(service, mailbox)
            for message in messages:
                stage.message(service, message)
            last = await _recipients(service, messages, stage)
            if not once:
                stage.invitation(service, _example(service, messages))
                await watch(config, None, stage.event, after=last)
        finally:
            service.stop()
    finally:
        await mailbox.stop()


async def _recipients(service: ServiceProcess, messages: list[Delivered], stage: Stage) -> int:
    """Read the messages, check the events, and return the last one's sequence number."""
    stage.title("3. The recipients open and click, over verified HTTPS")
    loop = asyncio.get_running_loop()

    def tell(what: str, answer: str) -> None:
        loop.call_soon_threadsafe(stage.line, f"  {answer:<14.14} {what}")

    requests = 0
    for message in messages:
        requests += await asyncio.to_thread(visit, service, message, tell)
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
    """Return the address, with a free port when its own is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
        except OSError:
            probe.bind((address.host, 0))
        return Address(address.host, probe.getsockname()[1])
