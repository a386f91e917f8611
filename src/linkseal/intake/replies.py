"""What the proxy refuses by itself, and in which words: our errors as SMTP replies."""

from __future__ import annotations

import re
from typing import Final

import structlog

from linkseal.errors import IntakeError, LinksealError
from linkseal.intake.next_hop import Features, Reply

_BARE_LINE_END = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_NOT_ASCII = re.compile(rb"[\x80-\xff]")

log = structlog.get_logger("smtp")


def check_content(content: bytes, features: Features) -> None:
    """Refuse what could not be passed on byte for byte.

    Raises:
        IntakeError: Bare line ends, or eight bits the next hop does not take.
    """
    # RFC 5321 §2.3.8: CR and LF only ever together. What one server takes for the end of a
    # line and another does not is how mail is smuggled.
    if _BARE_LINE_END.search(content):
        raise IntakeError(
            "the message has a bare CR or LF",
            code="bare-line-end",
            hint="end every line with CR LF",
        )
    if not features.eight_bit and _NOT_ASCII.search(content):
        raise IntakeError(
            "the message has 8-bit characters, and the next hop takes 7-bit mail only",
            code="eight-bit-refused",
            hint="encode it as quoted-printable or base64",
        )


OUR_FAILURE: Final = "451 4.3.0 it could not be done, try again later"
"""Where our own code failed."""

_TEMPORARY = {
    "next-hop-unreachable": "4.4.1",
    "next-hop-refused": "4.4.0",
    "next-hop-lost": "4.4.2",
}
_PERMANENT = {
    "customer-unknown": "550 5.7.1",
    "bare-line-end": "550 5.6.0",
    "eight-bit-refused": "554 5.6.1",
}
"""What the sender did; for all else the mail waits until we are mended."""


def refusal(error: LinksealError) -> str:
    """Say why the message is not taken, and what would help, or to try again later."""
    status = _PERMANENT.get(error.code)
    return f"{status} {error.message}; {error.hint}" if status else temporary(error)


def temporary(error: LinksealError) -> str:
    """Say that the sender should keep the message and try again; detail goes to the log."""
    log.error("mail deferred", **error.as_dict())
    public = {
        "next-hop-unreachable": "the next hop cannot be reached",
        "next-hop-refused": error.message,
        "next-hop-lost": "the next hop did not answer",
    }.get(error.code, "temporary local problem")
    status = _TEMPORARY.get(error.code, "4.3.0")
    return str(Reply(451, f"{status} {public}, try again later"))
