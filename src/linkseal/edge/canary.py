"""A wrong certificate shown on purpose, to see whether a CDN looks at ours.

For a minute at most, and before any https link is made on a name, connections for it and for
its target get a self-signed certificate: a CDN that verifies refuses it, one that does not
asks on. No session is resumed, for then no certificate would be shown at all.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LIFE: Final = 60
"""Seconds a wrong certificate is shown at most, whatever the snapshot says."""


def is_on(until: Mapping[str, int], name: str) -> bool:
    """Whether a name is to be shown a wrong certificate now.

    Args:
        until: Names, and until when, in Unix seconds.
        name: Lower case.
    """
    return 0 < until.get(name, 0) - time.time() <= LIFE


class Canary:
    """Chooses the wrong certificate while it is to be shown.

    Args:
        make_context: Makes a context that serves by a PEM chain and key, without resumption.
    """

    def __init__(self, make_context: Callable[[bytes], ssl.SSLContext]) -> None:
        self._make_context = make_context
        self._until: Mapping[str, int] = {}
        self._context: ssl.SSLContext | None = None

    def use(self, until: Mapping[str, int]) -> None:
        """Take what a snapshot says: names, and until when, in Unix seconds."""
        self._until = until
        if not until:
            self._context = None

    def context_for(self, name: str) -> ssl.SSLContext | None:
        """Return the context to show a name's clients; ``None`` for the usual one."""
        if not self._until or not is_on(self._until, name.lower().rstrip(".")):
            return None
        if self._context is None:
            self._context = self._make_context(_self_signed(tuple(self._until)))
        return self._context

    def is_shown_by(self, context: ssl.SSLContext | None) -> bool:
        """Whether a context shows the wrong certificate."""
        return context is not None and context is self._context


def _self_signed(names: tuple[str, ...]) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Linkseal canary, not valid")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
