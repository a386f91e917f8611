"""Run the demo: start the real service, send newsletters through it, read them, watch.

Nothing is simulated but the people: the service is ``linkseal up`` as a process of its
own on loopback, mail goes in by SMTP, the next hop is a mail server that keeps what it
gets, and the recipient's requests go over verified TLS.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import aiosmtplib

from linkseal.config import Address, Config
from linkseal.demo.newsletters import Letter, letters
from linkseal.demo.recipient import Recipient, Seen, read_message
from linkseal.errors import ServiceError
from linkseal.seal import PATH_OF_KIND, Kind
from linkseal.store import Event, EventFilter, Store
from linkseal.testing.mailbox import Mailbox
from linkseal.testing.service import ServiceProcess

EVENT_TIMEOUT = 30.0
CLICKS = 4
"""Links the recipient follows in each message, besides opening it."""

_CUSTOMERS = ("acme", "northwind", "lumen", "harbor", "quill")
_CONFIG = """\
# Made by `linkseal demo`.
data_dir = "data"

[edge]
http = "{http}"
https = "{https}"
ops = "{ops}"

[smtp]
listen = "{smtp}"
next_hop = "{next_hop}"

[log]
format = "json"
"""


@dataclass(frozen=True, slots=True)
class Delivered:
    """A newsletter on its way: as sent, as the next hop got it, and what was done with it."""

    letter: Letter
    received: bytes
    before: Seen
    after: Seen


async def start_mailbox() -> Mailbox:
    """Start the next hop."""
    mailbox = Mailbox()
    await mailbox.start()
    return mailbox


def write_config(
    directory: Path,
    next_hop: Address,
    ports: Callable[[Address], Address],
    more: Callable[[Address, Address], str],
) -> Path:
    """Write the demo's config file.

    Args:
        directory: Where.
        next_hop: Where mail goes.
        ports: May change an address whose port is taken.
        more: Returns what else it says, given where the edge will listen: http, then https.
    """
    default = Config()
    http, https = ports(default.edge.http), ports(default.edge.https)
    file = directory / "linkseal.toml"
    file.write_text(
        _CONFIG.format(
            http=http,
            https=https,
            ops=ports(default.edge.ops),
            smtp=ports(default.smtp.listen),
            next_hop=next_hop,
        )
        + more(http, https),
        encoding="utf-8",
    )
    return file


def add_customers(config: Config) -> None:
    """Add the senders to a new store: three of newsletters, and two more with domains."""
    with Store.open(config.store_url) as store:
        known = {customer.name for customer in store.customers.all()}
        for name in _CUSTOMERS:
            if name not in known:
                store.customers.add(name, from_domains=(f"{name}.example",))


async def deliver(service: ServiceProcess, mailbox: Mailbox) -> list[Delivered]:
    """Send the newsletters through the proxy, and pair each with what the next hop got."""
    smtp = service.config.smtp.listen
    sent = letters()
    for letter in sent:
        async with aiosmtplib.SMTP(hostname=smtp.host, port=smtp.port, timeout=30) as client:
            await client.sendmail(
                letter.sender, [letter.recipient], letter.message, mail_options=["BODY=8BITMIME"]
            )
    received = await mailbox.wait_for(len(sent), EVENT_TIMEOUT)
    by_recipient = {message.recipients[0]: message.content for message in received}
    return [
        Delivered(
            letter,
            by_recipient[letter.recipient],
            read_message(letter.message),
            read_message(by_recipient[letter.recipient]),
        )
        for letter in sent
    ]


def is_tracking(service: ServiceProcess, url: str, kind: Kind) -> bool:
    """Whether a URL is one of the service's, of this kind."""
    return url.startswith(service.config.shared_base + PATH_OF_KIND[kind])


def visit(
    service: ServiceProcess, message: Delivered, roots: Path, tell: Callable[[str, str], None]
) -> int:
    """Open a message and follow some of its links; return the number of requests answered.

    Args:
        service: Whose links they are.
        message: What the recipient got.
        roots: What the recipient trusts.
        tell: Called with what was done and what came of it.

    Raises:
        ServiceError: A link led elsewhere than in the message as it was sent.
        OSError: The edge was not reached, or its certificate did not verify.
    """
    recipient = Recipient(service.config.edge.https, roots)
    requests = 0
    for image in message.after.images:
        if is_tracking(service, image, Kind.OPEN):
            answer = recipient.fetch(image)
            _expect(answer.status == 200 and answer.content_type == "image/gif", image)
            tell(f"opened {message.letter.subject}", f"{answer.status} {answer.content_type}")
            requests += 1
    followed = [
        (before, after)
        for before, after in zip(message.before.links, message.after.links, strict=True)
        if is_tracking(service, after, Kind.CLICK)
    ]
    for before, after in followed[:: max(1, len(followed) // CLICKS)][:CLICKS]:
        answer = recipient.fetch(after)
        _expect(answer.status == 302, after)
        # A link that was not a URL to the letter (spaces, other scripts) leads to its encoded form.
        _expect(answer.location == before or not _is_uri(before), after)
        tell(f"clicked {answer.location}", f"{answer.status} redirect")
        requests += 1
    return requests


def _is_uri(url: str) -> bool:
    return url.isascii() and url.isprintable() and " " not in url


def _expect(held: bool, url: str) -> None:
    if not held:
        raise ServiceError(f"the edge answered {url} wrongly", code="demo-wrong-answer")


async def watch(
    config: Config, count: int | None, seen: Callable[[Event], None], after: int = 0
) -> list[Event]:
    """Follow the store's events until ``count`` came or time is up; ``None`` follows for ever.

    Args:
        config: Whose store.
        count: How many to wait for.
        seen: Called with each as it comes.
        after: Skip events up to this sequence number.
    """
    found: list[Event] = []
    deadline = time.monotonic() + EVENT_TIMEOUT
    with Store.open(config.store_url, migrate=False) as store:
        while count is None or (len(found) < count and time.monotonic() < deadline):
            for event in store.events.list(EventFilter(after=after)):
                after = event.seq
                seen(event)
                if count is not None:
                    found.append(event)
            await asyncio.sleep(0.1)
    return found
