"""Events: stored with the journal position they came from, listed with their message."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import sqlalchemy as sa

from linkseal.store.database import Database
from linkseal.store.schema import customers, events, journal_positions, messages
from linkseal.store.times import from_ms, to_ms
from linkseal.store.values import Event, EventFilter, NewEvent, Position

_CHUNK = 500


class Events:
    """Queries about events and journal positions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def store(self, batch: Sequence[NewEvent], position: Position) -> int:
        """Store events and how far their segment is read, in one transaction.

        An event whose id is there already is left out, so storing twice is storing once.

        Returns:
            How many were new.

        Raises:
            StoreError: ``database-unavailable``; neither events nor position were stored.
        """
        with self._database.transaction() as connection:
            stored = self._database.insert_ignoring(
                connection, events, [asdict(event) for event in batch]
            )
            known = sa.select(journal_positions.c.position).where(
                journal_positions.c.segment_uid == position.segment_uid
            )
            if connection.scalar(known) is None:
                connection.execute(journal_positions.insert().values(**asdict(position)))
            else:
                connection.execute(
                    journal_positions.update()
                    .where(journal_positions.c.segment_uid == position.segment_uid)
                    .values(position=position.position)
                )
            return stored

    def positions(self) -> dict[str, int]:
        """Return how far each journal segment is stored, by its uid."""
        with self._database.reading() as connection:
            rows = connection.execute(
                sa.select(journal_positions.c.segment_uid, journal_positions.c.position)
            )
            return dict(rows.all())

    def forget_segment(self, segment_uid: str) -> None:
        """Drop the position of a segment that is no longer there."""
        with self._database.transaction() as connection:
            connection.execute(
                journal_positions.delete().where(journal_positions.c.segment_uid == segment_uid)
            )

    def list(self, wanted: EventFilter) -> Iterator[Event]:
        """Yield events in the order they were stored, the latest ``limit`` of them."""
        query = (
            sa.select(
                events,
                customers.c.name.label("customer"),
                messages.c.recipient,
                messages.c.subject,
            )
            .select_from(events)
            .outerjoin(customers, customers.c.id == events.c.customer_id)
            .outerjoin(messages, messages.c.id == events.c.message_id)
            .where(*_conditions(wanted))
        )
        if wanted.limit is None:
            query = query.order_by(events.c.seq)
        else:
            latest = query.order_by(events.c.seq.desc()).limit(wanted.limit).subquery()
            query = sa.select(latest).order_by(latest.c.seq)
        with self._database.reading() as connection:
            for row in connection.execute(query, execution_options={"yield_per": _CHUNK}):
                yield Event(
                    seq=row.seq,
                    id=row.id,
                    kind=row.kind,
                    at=from_ms(row.at_ms),
                    customer=row.customer or str(row.customer_id),
                    message=row.message_id,
                    link=row.link,
                    destination=row.destination,
                    host=row.host,
                    secure=row.secure,
                    method=row.method,
                    address=row.address,
                    user_agent=row.user_agent,
                    recipient=row.recipient or "",
                    subject=row.subject or "",
                )


def _conditions(wanted: EventFilter) -> Iterator[sa.ColumnElement[bool]]:
    if wanted.customer is not None:
        one = sa.select(customers.c.id).where(customers.c.name == wanted.customer)
        yield events.c.customer_id == one.scalar_subquery()
    if wanted.message is not None:
        yield events.c.message_id == wanted.message
    if wanted.since is not None:
        yield events.c.at_ms >= to_ms(wanted.since)
    if wanted.after is not None:
        yield events.c.seq > wanted.after
