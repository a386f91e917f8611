"""Linkseal: self-hosted, SSL-enabled click and open tracking of email.

As a library, three names do the work: an :class:`Instrumenter` seals the links of a
message under a :class:`Keyring`, for a :class:`MessageID`; :func:`open_url` reads a
sealed link back.
"""

from linkseal.errors import LinksealError, SealError, TokenError
from linkseal.mail import Instrumented, Instrumenter, MailOptions
from linkseal.seal import Keyring, Kind, MessageID, Sealed, open_url, sealed_url

__version__ = "0.1.0"

__all__ = [
    "Instrumented",
    "Instrumenter",
    "Keyring",
    "Kind",
    "LinksealError",
    "MailOptions",
    "MessageID",
    "SealError",
    "Sealed",
    "TokenError",
    "__version__",
    "open_url",
    "sealed_url",
]
