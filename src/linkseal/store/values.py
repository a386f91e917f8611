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


class NameKind(enum.StrEnum):
    """Whose a name with a certificate is."""

    SHARED = "shared"
    TARGETS = "targets"
    BRANDED = "branded"


class CertificateRoute(enum.StrEnum):
    """How a name's certificates come to us."""

    ACME = "acme"
    UPLOADED = "uploaded"


class Challenge(enum.StrEnum):
    """How a CA is shown that a name leads to us (RFC 8555 §8)."""

    HTTP_01 = "http-01"
    DNS_01 = "dns-01"


class CertificateStatus(enum.StrEnum):
    """Whether a stored certificate is in use."""

    CURRENT = "current"
    REPLACED = "replaced"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class CertificateName:
    """A name certificates are held for.

    Attributes:
        name: The host, or ``*.`` and the base domain.
        kind: Whose it is.
        customer_id: The customer of a branded name.
        route: How its certificates come.
        challenge: What the CA is shown; of no meaning for uploaded ones.
        due_at: When something is to be done for it; ``None``: nothing is, by itself.
        failures: Tries that failed since the last certificate.
        problem: Why the last try failed; ``None`` if it did not.
        waiting: What it waits for, in words; empty when for nothing.
        renewal: What the CA said of the renewal of the one in use.
        sealed_order: An order in flight.
        leased_until: Until when a worker has it to itself.
    """

    name: str
    kind: NameKind
    customer_id: int | None
    route: CertificateRoute
    challenge: Challenge
    due_at: datetime | None
    failures: int
    problem: Mapping[str, str] | None
    waiting: str
    renewal: Mapping[str, str] | None
    sealed_order: bytes | None
    leased_until: datetime | None


@dataclass(frozen=True, slots=True)
class NewCertificate:
    """A certificate to store.

    Attributes:
        key_type: As ``p256`` or ``rsa2048``: a name has at most one in use of each.
        chain: PEM, leaf first.
        sealed_key: Its key, sealed.
        fingerprint: SHA-256 of the leaf, hexadecimal.
        issuer: Who issued it, as the issuer's directory; ``uploaded`` when it came so.
        origin_ca: Whether only Cloudflare trusts it.
        starts_at: Its validity.
        ends_at: Its validity.
    """

    key_type: str
    chain: str
    sealed_key: bytes = field(repr=False)
    fingerprint: str
    issuer: str
    origin_ca: bool
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class StoredCertificate(NewCertificate):
    """A certificate in the store."""

    id: int
    name: str
    status: CertificateStatus
    stored_at: datetime


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """Something that happened to a name's certificates."""

    seq: int
    name: str
    at: datetime
    what: str
    detail: Mapping[str, str]
