"""The nonce of a probe, and the edge's signature under what it answers. Pure.

A probe of a branded domain asks for ``/.well-known/ct-probe/<nonce>/<variant>``, and only
our edge, reached through whatever stands in front, can answer: it alone has the probe key.
The nonce keeps strangers from asking: what it names is no secret, it only cannot be made up.

Layout: ``v1.<host>.<expiry>.<uses>.<random>.<MAC>``, all of it characters that no proxy has
a reason to encode (RFC 3986 §2.3). The MAC is HMAC-SHA-256 of what stands before it, cut to
128 bits; the signature is Ed25519 (RFC 8032). Both keys are made from the probe key.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linkseal.errors import TokenError

PROBE_KEY_BYTES: Final = 32
ENTROPY_BYTES: Final = 16
MAX_USES: Final = 16
MAX_LIFE: Final = 900
"""Seconds a nonce may be good for: so long the edge has to remember that it was used."""

_MAC_BYTES: Final = 16
_FOR_NONCES: Final = b"linkseal probe nonce v1"
_FOR_ECHOES: Final = b"linkseal probe echo v1"
_HOST: Final = r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?"
_TEXT: Final = re.compile(
    rf"(v1\.({_HOST})\.([0-9]{{1,11}})\.([0-9]{{1,2}})\.([A-Za-z0-9_-]{{22}}))\.([A-Za-z0-9_-]{{22}})"
)


class Nonce(msgspec.Struct, frozen=True):
    """What a nonce says.

    Attributes:
        host: The branded domain it was made for.
        expires_at: Unix seconds.
        uses: How often it is answered: once, or as often as a check asks for one URL to see
            whether the answer comes out of a cache.
        random: Which one it is.
    """

    host: str
    expires_at: int
    uses: int
    random: str


def make_nonce(host: str, *, expires_at: int, entropy: bytes, key: bytes, uses: int = 1) -> str:
    """Return a nonce as text.

    Args:
        host: The branded domain, lower-case A-labels.
        expires_at: Unix seconds, at most :data:`MAX_LIFE` from now.
        entropy: 16 random bytes, of no other nonce.
        key: The probe key.
        uses: 1 … :data:`MAX_USES`.

    Raises:
        ValueError: An argument is not as it has to be.
    """
    if len(entropy) != ENTROPY_BYTES or not 1 <= uses <= MAX_USES:
        raise ValueError(f"{ENTROPY_BYTES} random bytes and 1…{MAX_USES} uses make a nonce")
    body = f"v1.{host}.{expires_at}.{uses}.{_text(entropy)}"
    text = f"{body}.{_mac(body, key)}"
    if _TEXT.fullmatch(text) is None:
        raise ValueError(f"no nonce can be made for {host!r} until {expires_at}")
    return text


def open_nonce(text: str, *, now: float, key: bytes) -> Nonce:
    """Read a nonce.

    Args:
        text: As it stands in the path.
        now: Unix seconds.
        key: The probe key.

    Raises:
        TokenError: Always this one type, whatever is wrong with it.
        ValueError: The key is none.
    """
    match = _TEXT.fullmatch(text)
    if match is None:
        raise TokenError
    body, host, expires_at, uses, random, mac = match.groups()
    if not hmac.compare_digest(mac, _mac(body, key)):
        raise TokenError
    nonce = Nonce(host, int(expires_at), int(uses), random)
    if not now < nonce.expires_at <= now + MAX_LIFE:
        raise TokenError
    return nonce


def sign(data: bytes, key: bytes) -> str:
    """Return the edge's signature of an answer: base64url, 86 characters.

    Raises:
        ValueError: The key is none.
    """
    return _text(_signing_key(key).sign(data))


def verify(data: bytes, signature: str, key: bytes) -> None:
    """Check a signature of the edge.

    Raises:
        TokenError: It is not the edge's, or not of this data.
        ValueError: The key is none.
    """
    public = _signing_key(key).public_key()
    try:
        public.verify(urlsafe_b64decode(signature + "=="), data)
    except (InvalidSignature, ValueError):
        raise TokenError from None


def _signing_key(key: bytes) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(_derived(key, _FOR_ECHOES))


def _mac(body: str, key: bytes) -> str:
    mac = hmac.digest(_derived(key, _FOR_NONCES), body.encode(), hashlib.sha256)
    return _text(mac[:_MAC_BYTES])


def _derived(key: bytes, purpose: bytes) -> bytes:
    if len(key) != PROBE_KEY_BYTES:
        raise ValueError(f"a probe key has {PROBE_KEY_BYTES} bytes")
    return hmac.digest(key, purpose, hashlib.sha256)


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
