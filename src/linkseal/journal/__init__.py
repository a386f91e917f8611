"""The journal: the durable local log the edge writes before it answers."""

from linkseal.journal.hit import Hit, decode_batch, encode_batch
from linkseal.journal.segment import (
    Row,
    SegmentName,
    SegmentWriter,
    event_id,
    list_segments,
    read_rows,
    remove_segment,
)

__all__ = [
    "Hit",
    "Row",
    "SegmentName",
    "SegmentWriter",
    "decode_batch",
    "encode_batch",
    "event_id",
    "list_segments",
    "read_rows",
    "remove_segment",
]
