"""Messages that were instrumented, and their links."""

from __future__ import annotations

import sqlalchemy as sa

from linkseal.errors import StoreError
from linkseal.store.database import Database
from linkseal.store.schema import message_links, messages
from linkseal.store.times import from_ms, to_ms
from linkseal.store.values import Message, MessageState


class Messages:
    """Queries about messages."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, message: Message) -> None:
        """Record a message and its links, all or nothing.

        Raises:
            StoreError: ``database-unavailable``, or ``store-refused`` when its customer is not
                there or the message already is; nothing was recorded.
        """
        with self._database.transaction() as connection:
            connection.execute(
                messages.insert().values(
                    id=message.id,
                    customer_id=message.customer_id,
                    recipient=message.recipient,
                    subject=message.subject,
                    categories=list(message.categories),
                    custom_args=dict(message.custom_args),
                    sent_at_ms=to_ms(message.sent_at),
                    state=message.state.value,
                    base=message.base,
                    base_why=message.base_why,
                )
            )
            if message.links:
                connection.execute(
                    message_links.insert(),
                    [
                        {"message_id": message.id, "number": number, "url": url}
                        for number, url in message.links.items()
                    ],
                )

    def settle(self, message_id: str, state: MessageState) -> None:
        """Note what became of a message."""
        with self._database.transaction() as connection:
            connection.execute(
                messages.update().where(messages.c.id == message_id).values(state=state.value)
            )

    def get(self, message_id: str) -> Message:
        """Return a message by the text form of its id.

        Raises:
            StoreError: ``message-missing``.
        """
        with self._database.reading() as connection:
            row = connection.execute(
                sa.select(
                    messages.c.customer_id,
                    messages.c.recipient,
                    messages.c.subject,
                    messages.c.categories,
                    messages.c.custom_args,
                    messages.c.sent_at_ms,
                    messages.c.state,
                    messages.c.base,
                    messages.c.base_why,
                ).where(messages.c.id == message_id)
            ).one_or_none()
            if row is None:
                raise StoreError(
                    f"there is no message {message_id}",
                    code="message-missing",
                    hint="take the id from `linkseal event list`",
                )
            links = connection.execute(
                sa.select(message_links.c.number, message_links.c.url)
                .where(message_links.c.message_id == message_id)
                .order_by(message_links.c.number)
            )
            return Message(
                id=message_id,
                customer_id=row.customer_id,
                recipient=row.recipient,
                subject=row.subject,
                sent_at=from_ms(row.sent_at_ms),
                base=row.base,
                base_why=row.base_why,
                links=dict(links.all()),
                categories=tuple(row.categories),
                custom_args=row.custom_args,
                state=MessageState(row.state),
            )
