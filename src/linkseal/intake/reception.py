"""Take one message in: whose it is, which base its links get, instrument, record.

Blocking, one call a message; the proxy calls it in a thread. No decision is taken
here that has a room of its own: the base is chosen in ``domains``, links in ``mail``.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import structlog

from linkseal.config import Config
from linkseal.errors import IntakeError
from linkseal.intake.base import base_of_mail
from linkseal.intake.headers import Headers, domain_of, read_headers
from linkseal.mail import Instrumented, Instrumenter, MailOptions
from linkseal.seal import RANDOM_BYTES, Keyring, MessageID
from linkseal.store import Customer, Domain, Message, MessageState
from linkseal.vault import Vault, load_keyring

log = structlog.get_logger("smtp")


class CustomerQueries(Protocol):
    """Whose mail is it."""

    def get(self, name: str) -> Customer:
        """Return a customer by name; raises ``StoreError`` when missing."""

    def for_from_domain(self, domain: str) -> Customer | None:
        """Return whose mail from a domain is."""

    def for_login(self, user: str, password: str) -> Customer | None:
        """Return whose login it is."""


class MessageQueries(Protocol):
    """What was instrumented."""

    def add(self, message: Message) -> None:
        """Record a message; raises ``StoreError`` when the database is down."""

    def settle(self, message_id: str, state: MessageState) -> None:
        """Note what became of it."""


class DomainQueries(Protocol):
    """Which branded domains a customer has."""

    def of_customer(self, customer_id: int, *, reports: bool) -> list[Domain]:
        """Return them, with their reports or without; raises ``StoreError`` as above."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message ready for the next hop.

    Attributes:
        content: What to send.
        message_id: Text form; ``None`` when it passes untracked.
        customer: The customer's name; empty when it has none.
        done: The instrumentation's record; ``None`` when it passes untracked.
        base: Scheme and host that its links were to get; ``None`` when it passes untracked.
        why: The sentence that says why that one; likewise.
    """

    content: bytes
    message_id: str | None
    customer: str
    done: Instrumented | None = None
    base: str | None = None
    why: str | None = None


class Reception:
    """Takes messages in.

    Args:
        config: Base domain, mail options, what to do with unknown customers.
        vault: Opens the keyring, which is read anew when its file changes.
        customers: Finds whose mail it is.
        messages: Records it.
        domains: Whose names its links may have.
    """

    def __init__(
        self,
        config: Config,
        vault: Vault,
        customers: CustomerQueries,
        messages: MessageQueries,
        domains: DomainQueries,
    ) -> None:
        self._config = config
        self._vault = vault
        self._customers = customers
        self._messages = messages
        self._domains = domains
        self._options = MailOptions(
            track_clicks=config.mail.track_clicks,
            track_opens=config.mail.track_opens,
            pixel_tag=config.mail.pixel_tag,
            max_links=config.mail.max_links,
            max_html_bytes=config.mail.max_html_bytes,
        )
        self._keyring: Keyring | None = None
        self._keyring_seen = 0

    def log_in(self, user: str, password: str) -> Customer | None:
        """Return whose login this is."""
        return self._customers.for_login(user, password)

    def customer(self, name: str) -> Customer:
        """Return a customer by name.

        Raises:
            StoreError: ``customer-missing``, or the database cannot be used.
        """
        return self._customers.get(name)

    def receive(
        self,
        content: bytes,
        sender: str,
        recipients: list[str],
        customer_name: str | None,
        limit: int,
    ) -> Received:
        """Instrument a message and record it as pending.

        Args:
            content: The message, CRLF line ends.
            sender: Envelope sender.
            recipients: Envelope recipients the next hop accepted.
            customer_name: Who logged in, or whose listener it came in by; ``None``: nobody, and
                everybody's.
            limit: The largest message the next hop takes; 0 for any.

        Raises:
            IntakeError: ``customer-unknown``, and unknown customers are refused.
            StoreError: The database cannot be used, or has no customer ``customer_name``; nothing
                was recorded.
        """
        headers = read_headers(content)
        from_domain = headers.from_domain or domain_of(sender)
        # Read for each message, since what is set of a customer may change at any time.
        customer: Customer | None = None
        if customer_name is not None:
            customer = self.customer(customer_name)
        elif from_domain:
            customer = self._customers.for_from_domain(from_domain)
        if customer is None:
            if self._config.smtp.unknown_customer == "pass":
                return Received(content, None, "")
            raise IntakeError(
                f"no customer sends from {from_domain or 'an empty address'}",
                code="customer-unknown",
                hint=f"linkseal customer add NAME --from-domain {from_domain or 'DOMAIN'}",
            )
        return self._instrument(content, recipients, customer, from_domain, headers, limit)

    def settle(self, message_id: str, *, accepted: bool) -> None:
        """Note whether the next hop took a message."""
        self._messages.settle(message_id, MessageState.SENT if accepted else MessageState.REFUSED)

    def _instrument(
        self,
        content: bytes,
        recipients: list[str],
        customer: Customer,
        from_domain: str,
        headers: Headers,
        limit: int,
    ) -> Received:
        config = self._config
        now = datetime.now(UTC)
        message_id = MessageID.make(now, secrets.token_bytes(RANDOM_BYTES))
        domains = self._domains.of_customer(customer.id, reports=False)
        chosen = base_of_mail(config, customer, domains, from_domain)
        behind = any(each.host == chosen.host and each.is_fronted for each in domains)
        base = config.base(chosen.scheme, chosen.host, fronted=behind)
        try:
            done = Instrumenter(self._current_keyring(), self._options).instrument(
                content,
                base=base,
                customer=customer.id,
                message_id=message_id,
                own_hosts=[config.shared_host, *(domain.host for domain in domains)],
            )
        except Exception:
            # Ours to mend; the sender's mail must not wait for it.
            log.exception("message not instrumented, it passes untouched", customer=customer.name)
            done = Instrumented(content)
        if 0 < limit < len(done.message) and len(content) <= limit:
            log.warning("message would grow too large, it passes untouched", limit=limit)
            done = Instrumented(content)
        self._messages.add(
            Message(
                id=str(message_id),
                customer_id=customer.id,
                recipient=", ".join(recipients),
                subject=headers.subject,
                sent_at=now,
                base=base,
                base_why=chosen.why,
                links=done.sealed,
                categories=headers.categories,
                custom_args=headers.custom_args,
            )
        )
        return Received(done.message, str(message_id), customer.name, done, base, chosen.why)

    def _current_keyring(self) -> Keyring:
        seen = self._config.keyring_file.stat().st_mtime_ns
        if self._keyring is None or seen != self._keyring_seen:
            self._keyring = load_keyring(self._config.keyring_file, self._vault)
            self._keyring_seen = seen
        return self._keyring
