"""The local CA: a certificate for the shared domain on a machine that has none.

A private root signs one leaf for the shared name, the base domain and ``*.<base>``.
The root is constrained to the base domain (RFC 5280 §4.2.1.10), so whoever trusts it
trusts it for nothing else. Both keys are sealed at rest.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from linkseal.certificates.pem import Certificate, parse_certificate
from linkseal.errors import CertificateError
from linkseal.vault import Vault, write_private

CA_LIFE = timedelta(days=3650)
LEAF_LIFE = timedelta(days=90)
_BACKDATE = timedelta(hours=1)
_CA_PURPOSE = "local-ca-key"
_LEAF_PURPOSE = "local-leaf-key"
SEALED_FILES = {"ca.key.sealed": _CA_PURPOSE, "shared.key.sealed": _LEAF_PURPOSE}
"""Its sealed files, and what they are sealed for."""


class LocalCA:
    """The local CA in a directory, made there when missing.

    Args:
        directory: Where its files are.
        vault: Seals its keys.
        base_domain: The only domain it may sign for.
    """

    def __init__(self, directory: Path, vault: Vault, base_domain: str) -> None:
        self._directory = directory
        self._vault = vault
        self._base = base_domain
        self.file = directory / "ca.pem"
        self._key_file = directory / "ca.key.sealed"
        self._leaf_file = directory / "shared.pem"
        self._leaf_key_file = directory / "shared.key.sealed"

    def certificate(self, host: str, now: datetime) -> Certificate:
        """Return a leaf for ``host`` and ``*.<base>``, renewed at one third of life left.

        Raises:
            CertificateError: The files here belong together no longer.
            VaultError: They cannot be opened or written.
        """
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = self._kept(host, now)
        if kept is not None:
            return kept
        root, root_key = self._root(now)
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName(name) for name in (host, f"*.{self._base}", self._base)]
        leaf = (
            _builder(host, root.subject, key, now, min(now + LEAF_LIFE, root.not_valid_after_utc))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()),
                critical=False,
            )
            .sign(root_key, hashes.SHA256())
        )
        key_pem = _key_pem(key)
        # The key first: a leaf that does not fit its key is made anew, one without a key is lost.
        write_private(self._leaf_key_file, self._vault.seal(key_pem, _LEAF_PURPOSE))
        chain = leaf.public_bytes(serialization.Encoding.PEM)
        write_private(self._leaf_file, chain)
        return parse_certificate(chain, key_pem, source=str(self._leaf_file))

    def _kept(self, host: str, now: datetime) -> Certificate | None:
        if not (self._leaf_file.exists() and self._leaf_key_file.exists() and self.file.exists()):
            return None
        key = self._vault.open(self._leaf_key_file.read_bytes(), _LEAF_PURPOSE)
        try:
            kept = parse_certificate(self._leaf_file.read_bytes(), key, source=str(self._leaf_file))
        except CertificateError:
            return None
        fresh = kept.expires_at - now > LEAF_LIFE / 3
        return kept if fresh and kept.covers(host) and f"*.{self._base}" in kept.names else None

    def _root(self, now: datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        if self.file.exists() and self._key_file.exists():
            root = x509.load_pem_x509_certificate(self.file.read_bytes())
            pem = self._vault.open(self._key_file.read_bytes(), _CA_PURPOSE)
            key = serialization.load_pem_private_key(pem, None)
            if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != (
                root.public_key()
            ):
                raise CertificateError(
                    f"the local CA in {self._directory} does not fit its key",
                    code="local-ca-damaged",
                    hint="move the directory away: a new CA is made, and must be trusted anew",
                )
            constraints = root.extensions.get_extension_for_class(x509.NameConstraints).value
            if constraints.permitted_subtrees == [x509.DNSName(self._base)]:
                return root, key
        key = ec.generate_private_key(ec.SECP256R1())
        name = f"Linkseal local CA for {self._base}"
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
        root = (
            _builder(name[:64], subject, key, now, now + CA_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(
                x509.NameConstraints([x509.DNSName(self._base)], excluded_subtrees=None),
                critical=True,
            )
            .add_extension(_CA_USAGE, critical=True)
            .sign(key, hashes.SHA256())
        )
        write_private(self._key_file, self._vault.seal(_key_pem(key), _CA_PURPOSE))
        write_private(self.file, root.public_bytes(serialization.Encoding.PEM))
        self.file.chmod(0o644)
        return root, key


_CA_USAGE = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def _builder(
    name: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
