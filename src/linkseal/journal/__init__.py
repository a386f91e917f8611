"""The journal: the durable local log the edge writes before it answers."""

from linkseal.journal.hit import Batch, Hit, decode_batch, encode_batch
from linkseal.journal.segment import (
    Row,
    SegmentName,
    SegmentWriter,
    is_closed,
    keep_aside,
    list_segments,
    read_rows,
    remove_segment,
)

__all__ = [
    "Batch",
    "Hit",
    "Row",
    "SegmentName",
    "SegmentWriter",
    "decode_batch",
    "encode_batch",
    "is_closed",
    "keep_aside",
    "list_segments",
    "read_rows",
    "remove_segment",
]
