"""A hit: one request for a sealed link, as the edge saw it and before any judgement.

Hits travel in batches. A batch is one journal row: MessagePack of
``[FORMAT, origin, [hit, …]]``, each hit an array in the field order below. Fields are
only ever added at the end, with a default. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from linkseal.errors import JournalError

FORMAT = 1


class Hit(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One answered request for a sealed link.

    Attributes:
        kind: 1 click, 2 open (:class:`linkseal.seal.Kind`).
        at_ms: When the request was read, Unix milliseconds.
        customer: The customer's number, out of the token.
        message: The message id, 12 bytes, out of the token.
        link: The link's number in its message.
        destination: Where the click leads; empty for an open.
        host: The Host the recipient used, lower case, without port.
        secure: Whether the request came over TLS.
        method: ``GET`` or ``HEAD``.
        address: The client's address as text.
        user_agent: The User-Agent, Latin-1, cut at 512 characters; empty when absent.
    """

    kind: int
    at_ms: int
    customer: int
    message: bytes
    link: int
    destination: str
    host: str
    secure: bool
    method: str
    address: str
    user_agent: str


class Batch(msgspec.Struct, frozen=True):
    """Hits that are written together.

    Attributes:
        origin: Where the batch was first to be written, 24 hexadecimal digits: segment uid
            and row. It stays when a failed write is repeated elsewhere, so a row that
            reached the disk all the same becomes the same events, not more.
        hits: In the order they came.
    """

    origin: str
    hits: Sequence[Hit]

    def event_id(self, index: int) -> str:
        """Return the id of the event the hit at ``index`` becomes, however often it is read."""
        return f"{self.origin}{index:04x}"


class _Row(msgspec.Struct, array_like=True, frozen=True):
    format: int
    origin: Annotated[str, msgspec.Meta(min_length=24, max_length=24)]
    hits: list[Hit]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Row)


def encode_batch(batch: Batch) -> bytes:
    """Return the journal row for a batch."""
    return _encoder.encode((FORMAT, batch.origin, batch.hits))


def decode_batch(row: bytes) -> Batch:
    """Return the batch in a journal row.

    Raises:
        JournalError: ``journal-row-damaged`` when the row is not a batch.
    """
    try:
        read = _decoder.decode(row)
    except msgspec.MsgspecError as error:
        raise _damaged(str(error)) from error
    if read.format != FORMAT:
        raise _damaged(f"format {read.format}, this version reads {FORMAT}")
    return Batch(read.origin, read.hits)


def _damaged(why: str) -> JournalError:
    return JournalError(
        f"a journal row cannot be read: {why}",
        code="journal-row-damaged",
        retryable=False,
        hint="the row is kept aside; other rows go on",
    )
