"""The signed echo: how it travels from the edge to the probe. Pure.

With the variants ``echo``, ``slow`` and POST the echo is the body, with the others and with
HEAD it is a header field, base64url without padding; the signature is always a field.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Final

import msgspec

from linkseal.domains.observation import Echo
from linkseal.errors import TokenError
from linkseal.seal.nonce import sign, verify

PROBE_PATH: Final = "/.well-known/ct-probe/"
"""``<nonce>/<variant>`` follows, and any query."""
VARIANTS: Final = ("echo", "302", "pixel", "pixel.gif", "html", "slow", "big")
REDIRECT: Final = (
    "https://www.example.com/ct%20probe/%C3%BCber?first=1&second=%2F&first=2&empty=#a%20part"
)
"""Where the variant ``302`` leads: a name that is reserved for examples (RFC 2606 §3)."""
ECHO_FIELD: Final = "linkseal-echo"
SIGNATURE_FIELD: Final = "linkseal-signature"


def sign_echo(echo: Echo, key: bytes) -> tuple[bytes, str]:
    """Return an echo as JSON, and the signature of exactly these bytes."""
    data = msgspec.json.encode(echo)
    return data, sign(data, key)


def field_text(data: bytes) -> str:
    """Return signed JSON as it stands in a header field."""
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def open_echo(data: bytes, signature: str, key: bytes) -> Echo:
    """Read an echo.

    Args:
        data: The JSON as it came.
        signature: Of these bytes.
        key: The probe key.

    Raises:
        TokenError: It is not our edge's, or was changed since.
    """
    verify(data, signature, key)
    try:
        return msgspec.json.decode(data, type=Echo)
    except msgspec.MsgspecError:
        raise TokenError from None


def find_echo(headers: Mapping[str, str], body: bytes, *, nonce: str, key: bytes) -> Echo | None:
    """Return the echo an answer carries; ``None`` when there is none that is ours.

    Args:
        headers: The answer's, names in lower case.
        body: The whole of it.
        nonce: What was asked with: an echo of another question is none.
        key: The probe key.
    """
    signature = headers.get(SIGNATURE_FIELD, "")
    field = headers.get(ECHO_FIELD)
    try:
        data = body if field is None else urlsafe_b64decode(field + "==")
        echo = open_echo(data, signature, key)
    except (TokenError, ValueError):
        return None
    return echo if nonce in echo.target else None
