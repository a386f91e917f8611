"""What goes into the store and comes out of it: plain values."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from linkseal.domains.base import SendingIP, SSLPolicy


@dataclass(frozen=True, slots=True)
class Customer:
    """A tenant whose mail is tracked."""

    id: int
    name: str
    sending_ip: SendingIP
    ssl: SSLPolicy
    from_domains: tuple[str, ...]
    smtp_users: tuple[str, ...]
    created_at: datetime


class MessageState(enum.StrEnum):
    """What became of a message: recorded, then taken or refused by the next hop."""

    PENDING = "pending"
    SENT = "sent"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Message:
    """A message that was instrumented.

    Attributes:
        id: Text form of its message id.
        customer_id: Whose it is.
        recipient: Envelope recipients, joined by ``, ``.
        subject: Decoded.
        sent_at: When it was handed in, aware UTC.
        base: Scheme and authority its links got.
        base_why: Why that base.
        links: Destination by link number.
        categories: As the sender gave them.
        custom_args: As the sender gave them.
        state: What became of it.
    """

    id: str
    customer_id: int
    recipient: str
    subject: str
    sent_at: datetime
    base: str
    base_why: str
    links: Mapping[int, str] = field(default_factory=dict)
    categories: tuple[str, ...] = ()
    custom_args: Mapping[str, str] = field(default_factory=dict)
    state: MessageState = MessageState.PENDING


@dataclass(frozen=True, slots=True)
class NewEvent:
    """A hit on its way into the store; see :class:`linkseal.journal.Hit` for the fields."""

    id: str
    kind: str
    at_ms: int
    customer_id: int
    message_id: str
    link: int
    destination: str
    host: str
    secure: bool
    method: str
    address: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class Event:
    """A stored event, with what is known of its message.

    Attributes:
        seq: Rises in the order events were stored: the cursor to follow them by.
        id: Unique, the same however often a journal is read.
        kind: ``click`` or ``open``.
        at: When, aware UTC.
        customer: The customer's name; its number as text when it is not in the store.
        message: Text form of the message id.
        link: The link's number in the message.
        destination: Where a click led; empty for an open.
        host: The host the recipient used.
        secure: Whether over TLS.
        method: ``GET`` or ``HEAD``.
        address: The recipient's address.
        user_agent: The recipient's User-Agent.
        recipient: Whom the message was to; empty when the message is not in the store.
        subject: The message's subject; empty when the message is not in the store.
    """

    seq: int
    id: str
    kind: str
    at: datetime
    customer: str
    message: str
    link: int
    destination: str
    host: str
    secure: bool
    method: str
    address: str
    user_agent: str
    recipient: str
    subject: str


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events to list.

    Attributes:
        customer: Only this customer's, by name.
        message: Only this message's, text form.
        since: Only those at or after this instant, aware.
        after: Only those stored after this sequence number.
        limit: At most so many, the latest; ``None`` for all.
    """

    customer: str | None = None
    message: str | None = None
    since: datetime | None = None
    after: int | None = None
    limit: int | None = 1000


@dataclass(frozen=True, slots=True)
class Position:
    """How far a journal segment is stored: what is before byte ``position``."""

    segment_uid: str
    file_name: str
    position: int
