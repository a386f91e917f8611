"""Instrument a message: seal its links, add its pixel, touch nothing else. Pure."""

from linkseal.mail.instrument import Instrumenter, MailOptions
from linkseal.mail.record import Instrumented, LinkOutcome, LinkRecord, PartRecord, Reason

__all__ = [
    "Instrumented",
    "Instrumenter",
    "LinkOutcome",
    "LinkRecord",
    "MailOptions",
    "PartRecord",
    "Reason",
]
