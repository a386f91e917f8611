"""What was done to a message, link by link, and why not: plain values."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class LinkOutcome(enum.StrEnum):
    """What became of a link."""

    SEALED = "sealed"
    OPT_OUT = "opt_out"
    SCHEME = "scheme"
    RELATIVE = "relative"
    PLACEHOLDER = "placeholder"
    UNPARSABLE = "unparsable"
    TOO_LONG = "too_long"
    ALREADY_OURS = "already_ours"
    OVER_LIMIT = "over_limit"
    OFF = "off"
    CONDITIONAL = "conditional"


class Reason(enum.StrEnum):
    """Why a message or a part of it passes untouched."""

    NO_HEADERS = "no_headers"
    AMBIGUOUS_HEADERS = "ambiguous_headers"
    DKIM_SIGNED = "dkim_signed"
    SIGNED = "signed"
    DIGESTED = "digested"
    ENCRYPTED = "encrypted"
    NO_BOUNDARY = "no_boundary"
    UNTERMINATED = "unterminated"
    NESTED_TOO_DEEP = "nested_too_deep"
    TOO_MANY_PARTS = "too_many_parts"
    ENCODING_UNKNOWN = "encoding_unknown"
    ENCODING_BROKEN = "encoding_broken"
    CHARSET_UNKNOWN = "charset_unknown"
    CHARSET_BROKEN = "charset_broken"
    CHARSET_NOT_REVERSIBLE = "charset_not_reversible"
    NUL = "nul"
    LINE_TOO_LONG = "line_too_long"
    HTML_UNREADABLE = "html_unreadable"
    HTML_TOO_LARGE = "html_too_large"
    TYPE_UNCLEAR = "type_unclear"


@dataclass(frozen=True, slots=True)
class LinkRecord:
    """One link of one HTML part.

    Attributes:
        part: Where the part stands, as ``1.2``; ``1`` for a message of one part.
        number: The sealed link's number in the message, from 0; ``None`` for the others.
        url: The destination, as sealed; for links that were not sealed, as in the message.
        outcome: What was done, or why nothing was.
        universal: Whether its new path is one that apps may open.
    """

    part: str
    number: int | None
    url: str
    outcome: LinkOutcome
    universal: bool = False


@dataclass(frozen=True, slots=True)
class PartRecord:
    """A part that passed untouched although it might hold links.

    Attributes:
        part: Where it stands.
        reason: Why.
    """

    part: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class Instrumented:
    """A message after instrumentation, and the record of it.

    Attributes:
        message: The message to pass on; the very object handed in when nothing changed.
        links: Every link of every HTML part, in document order; after them those of the
            part that only some programs show (``conditional``).
        parts: Parts that passed untouched for a reason.
        untouched: Why the whole message passed untouched; ``None`` when it did not.
        pixel_part: The part that got the open pixel; ``None`` when none did.
    """

    message: bytes
    links: tuple[LinkRecord, ...] = ()
    parts: tuple[PartRecord, ...] = ()
    untouched: Reason | None = None
    pixel_part: str | None = None

    @property
    def sealed(self) -> dict[int, str]:
        """Destination by number, of the links that were sealed."""
        return {link.number: link.url for link in self.links if link.number is not None}
