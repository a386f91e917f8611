"""A private root that stands for the web PKI: what it signs, recipients and the prober trust."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from linkseal.testing.acme_authority import Authority

_LIFE = timedelta(days=90)


class WebPKI:
    """A root, an intermediate, and certificates for whatever name.

    Args:
        directory: For its files.

    Attributes:
        root_file: The root, PEM.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._authority = Authority()
        self.root_file = directory / "web-root.pem"
        self.root_file.write_bytes(self._authority.root_pem)

    @property
    def root_pem(self) -> bytes:
        """The root, PEM."""
        return self._authority.root_pem

    def issue(self, host: str) -> Path:
        """Return a file with a new key and the chain for one name, PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        chain = self._authority.issue([x509.DNSName(host)], key.public_key(), _LIFE)
        file = self._directory / f"{host}.pem"
        file.touch(mode=0o600)
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + chain
        )
        return file
