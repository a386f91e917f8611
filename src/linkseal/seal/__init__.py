"""Seal destinations into tracking URLs, and open them again. Pure.

A tracking URL carries everything the redirect needs, encrypted and authenticated,
so the edge can answer with the database down, after a purge, for ever, and nobody
can make it redirect anywhere else.
"""

from linkseal.seal.keyring import KEY_BYTES, Keyring
from linkseal.seal.message_id import RANDOM_BYTES, MessageID
from linkseal.seal.token import MAX_DESTINATION, MAX_TOKEN, Kind, Sealed, check_destination
from linkseal.seal.url import PATH_OF_KIND, UNIVERSAL, open_path, open_url, sealed_url

__all__ = [
    "KEY_BYTES",
    "MAX_DESTINATION",
    "MAX_TOKEN",
    "PATH_OF_KIND",
    "RANDOM_BYTES",
    "UNIVERSAL",
    "Keyring",
    "Kind",
    "MessageID",
    "Sealed",
    "check_destination",
    "open_path",
    "open_url",
    "sealed_url",
]
