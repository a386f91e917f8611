"""Three newsletters for the demo: whole messages, as large and untidy as real ones.

``spring-sale.eml`` is a shop's, quoted-printable UTF-8; ``weekly-digest.eml`` a paper's,
base64 windows-1252 with an inline image and an attachment; ``statement.eml`` a notice in
7bit ASCII with a calendar entry and a forwarded message. Senders, recipients and every
link are under names reserved by RFC 2606 §2, so nothing real is ever reached.

The files keep CRLF line ends (RFC 5322 §2.1) and are read as bytes.
"""

from __future__ import annotations

import email.parser
import email.policy
from dataclasses import dataclass
from importlib import resources

NAMES = ("spring-sale", "weekly-digest", "statement")
"""The letters in the order they are sent, by file name without ``.eml``."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A newsletter and its envelope.

    Attributes:
        name: Its file name without ``.eml``.
        message: The whole message, CRLF line ends.
        recipient: The address in its To header.
        subject: Its subject, decoded.
        sender: The address in its From header.
    """

    name: str
    message: bytes
    recipient: str
    subject: str
    sender: str


def letters() -> tuple[Letter, ...]:
    """Return the newsletters, in the order they are sent."""
    return tuple(_read(name) for name in NAMES)


def _read(name: str) -> Letter:
    message = resources.files(__name__).joinpath(f"{name}.eml").read_bytes()
    headers = email.parser.BytesHeaderParser(policy=email.policy.default).parsebytes(message)
    return Letter(
        name=name,
        message=message,
        recipient=headers["To"].addresses[0].addr_spec,
        subject=str(headers["Subject"]),
        sender=headers["From"].addresses[0].addr_spec,
    )
