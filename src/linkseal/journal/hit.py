"""A hit: one request for a sealed link, as the edge saw it and before any judgement.

Hits travel in batches. A batch is one journal row: MessagePack of
``[FORMAT, [hit, …]]``, each hit an array in the field order below. Fields are only
ever added at the end, with a default. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

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


class _Batch(msgspec.Struct, array_like=True, frozen=True):
    format: int
    hits: list[Hit]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Batch)


def encode_batch(hits: Sequence[Hit]) -> bytes:
    """Return the journal row for some hits."""
    return _encoder.encode((FORMAT, hits))


def decode_batch(row: bytes) -> list[Hit]:
    """Return the hits of a journal row.

    Raises:
        JournalError: ``journal-row-damaged`` when the row is not a batch.
    """
    try:
        batch = _decoder.decode(row)
    except msgspec.MsgspecError as error:
        raise _damaged(str(error)) from error
    if batch.format != FORMAT:
        raise _damaged(f"format {batch.format}, this version reads {FORMAT}")
    return batch.hits


def _damaged(why: str) -> JournalError:
    return JournalError(
        f"a journal row cannot be read: {why}",
        code="journal-row-damaged",
        retryable=False,
        hint="the row is kept aside; other rows go on",
    )
