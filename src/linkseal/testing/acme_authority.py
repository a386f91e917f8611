"""A certificate authority of an ACME server in memory: a root, an intermediate, leaves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_CA_LIFE = timedelta(days=3650)
_CA_USAGE, _LEAF_USAGE = (
    x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )
    for ca in (True, False)
)
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


class Authority:
    """A root and an intermediate, made anew."""

    def __init__(self) -> None:
        root_key, self._key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        root_name, self._name = (
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Linkseal test {what}")])
            for what in ("root", "intermediate")
        )
        root = self._sign(root_name, root_name, root_key.public_key(), root_key, _CA_LIFE)
        self._intermediate = self._sign(
            self._name, root_name, self._key.public_key(), root_key, _CA_LIFE
        )
        self.root_pem = root.public_bytes(serialization.Encoding.PEM)

    def issue(self, names: Sequence[x509.GeneralName], key: PublicKey, life: timedelta) -> bytes:
        """Return a chain for DNS names and IP addresses, PEM, leaf first."""
        leaf = self._sign(x509.Name([]), self._name, key, self._key, life, names)
        chain = leaf, self._intermediate
        return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain)

    def _sign(
        self,
        subject: x509.Name,
        issuer: x509.Name,
        key: PublicKey,
        issuer_key: ec.EllipticCurvePrivateKey,
        life: timedelta,
        names: Sequence[x509.GeneralName] = (),
    ) -> x509.Certificate:
        """Sign one certificate: a leaf if it has names, else an authority."""
        now = datetime.now(UTC)
        extensions: list[tuple[x509.ExtensionType, bool]] = [
            (x509.BasicConstraints(ca=not names, path_length=None), True),
            (x509.SubjectKeyIdentifier.from_public_key(key), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False),
            (_LEAF_USAGE if names else _CA_USAGE, True),
        ]
        if names:
            # RFC 5280 §4.2.1.6: critical, for the subject is empty.
            alternatives = x509.SubjectAlternativeName(names)
            purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
            extensions += [(alternatives, True), (purpose, False)]
        builder = x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number())
        builder = builder.not_valid_before(now).not_valid_after(now + life)
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(issuer_key, hashes.SHA256())
