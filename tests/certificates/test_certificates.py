"""Certificates: the local CA's verify, configured ones are checked before they are served."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from linkseal.certificates import Certificate, LocalCA, read_certificate
from linkseal.errors import CertificateError, VaultError
from linkseal.vault import Vault

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
VAULT = Vault(b"m" * 32)
HOST = "go.ct.example.net"


def verify(certificate: Certificate, ca_file: Path, host: str) -> None:
    leaf = x509.load_pem_x509_certificate(certificate.chain)
    root = x509.load_pem_x509_certificate(ca_file.read_bytes())
    verifier = (
        PolicyBuilder().store(Store([root])).time(NOW).build_server_verifier(x509.DNSName(host))
    )
    verifier.verify(leaf, [])


def local_ca(directory: Path, vault: Vault = VAULT, base: str = "ct.example.net") -> LocalCA:
    return LocalCA(directory / "tls", vault, base)


def test_a_local_certificate_verifies_for_the_shared_name_and_every_target(
    tmp_path: Path,
) -> None:
    ca = local_ca(tmp_path)
    certificate = ca.certificate(HOST, NOW)
    for host in (HOST, "t-abc.ct.example.net", "ct.example.net"):
        verify(certificate, ca.file, host)
    with pytest.raises(VerificationError):
        verify(certificate, ca.file, "deep.t-abc.ct.example.net")


def test_the_local_ca_is_good_for_its_base_domain_only(tmp_path: Path) -> None:
    local_ca(tmp_path).certificate(HOST, NOW)
    root = x509.load_pem_x509_certificate((tmp_path / "tls" / "ca.pem").read_bytes())
    constraints = root.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    assert constraints.value.permitted_subtrees == [x509.DNSName("ct.example.net")]


def test_no_key_lies_in_the_clear(tmp_path: Path) -> None:
    local_ca(tmp_path).certificate(HOST, NOW)
    for file in (tmp_path / "tls").iterdir():
        assert b"PRIVATE KEY" not in file.read_bytes()


def test_a_certificate_is_kept_and_renewed_under_the_same_ca_at_a_third_of_its_life(
    tmp_path: Path,
) -> None:
    first = local_ca(tmp_path).certificate(HOST, NOW)
    root = (tmp_path / "tls" / "ca.pem").read_bytes()
    assert local_ca(tmp_path).certificate(HOST, NOW + timedelta(days=59)).chain == first.chain
    renewed = local_ca(tmp_path).certificate(HOST, NOW + timedelta(days=61))
    assert renewed.chain != first.chain
    assert renewed.expires_at > first.expires_at
    assert (tmp_path / "tls" / "ca.pem").read_bytes() == root


def test_another_base_domain_gets_another_ca(tmp_path: Path) -> None:
    first = local_ca(tmp_path).certificate(HOST, NOW)
    other = local_ca(tmp_path, base="t.example.org")
    certificate = other.certificate("go.t.example.org", NOW)
    assert certificate.chain != first.chain
    verify(certificate, other.file, "go.t.example.org")


def test_a_leaf_whose_key_is_another_is_made_anew(tmp_path: Path) -> None:
    """What a crash between the two files leaves behind."""
    first = local_ca(tmp_path).certificate(HOST, NOW)
    stranger = local_ca(tmp_path / "b").certificate(HOST, NOW)
    (tmp_path / "tls" / "shared.pem").write_bytes(stranger.chain)
    again = local_ca(tmp_path).certificate(HOST, NOW)
    assert again.chain not in {first.chain, stranger.chain}


def test_another_master_key_is_an_error_not_a_new_ca(tmp_path: Path) -> None:
    local_ca(tmp_path).certificate(HOST, NOW)
    with pytest.raises(VaultError):
        local_ca(tmp_path, Vault(b"n" * 32)).certificate(HOST, NOW)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def write_pair(
    directory: Path, authority: trustme.CA, *names: str, expires_at: datetime | None = None
) -> tuple[Path, Path]:
    issued = authority.issue_cert(*names, not_after=expires_at)
    chain, key = directory / "chain.pem", directory / "key.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    return chain, key


def test_a_configured_certificate_is_read(tmp_path: Path, authority: trustme.CA) -> None:
    chain, key = write_pair(tmp_path, authority, HOST, "*.ct.example.net")
    certificate = read_certificate(chain, key, HOST, datetime.now(UTC))
    assert certificate.names == (HOST, "*.ct.example.net")
    assert certificate.covers("x.ct.example.net")
    assert not certificate.covers("a.x.ct.example.net")
    assert "PRIVATE" not in repr(certificate)


def test_a_certificate_for_another_name_is_refused(tmp_path: Path, authority: trustme.CA) -> None:
    chain, key = write_pair(tmp_path, authority, "www.example.net")
    with pytest.raises(CertificateError, match=r"www\.example\.net, not go") as refusal:
        read_certificate(chain, key, HOST, datetime.now(UTC))
    assert refusal.value.code == "certificate-name"


def test_an_expired_certificate_is_refused(tmp_path: Path, authority: trustme.CA) -> None:
    chain, key = write_pair(
        tmp_path, authority, HOST, expires_at=datetime.now(UTC) + timedelta(days=1)
    )
    with pytest.raises(CertificateError) as refusal:
        read_certificate(chain, key, HOST, datetime.now(UTC) + timedelta(days=2))
    assert refusal.value.code == "certificate-expired"


def test_a_foreign_missing_encrypted_or_weak_key_is_refused(
    tmp_path: Path, authority: trustme.CA
) -> None:
    chain, key = write_pair(tmp_path, authority, HOST)
    (tmp_path / "b").mkdir()
    _, foreign = write_pair(tmp_path / "b", authority, HOST)
    encrypted = tmp_path / "encrypted.pem"
    encrypted.write_bytes(
        serialization.load_pem_private_key(key.read_bytes(), None).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    weak = tmp_path / "weak.pem"
    weak.write_bytes(
        rsa.generate_private_key(65537, 1024).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    for file, code in (
        (foreign, "certificate-key-mismatch"),
        (encrypted, "certificate-key-unreadable"),
        (weak, "certificate-key-weak"),
        (chain, "certificate-key-unreadable"),
        (tmp_path / "missing.pem", "certificate-unreadable"),
    ):
        with pytest.raises(CertificateError) as refusal:
            read_certificate(chain, file, HOST, datetime.now(UTC))
        assert refusal.value.code == code
        assert refusal.value.hint


def test_a_half_written_file_is_refused(tmp_path: Path, authority: trustme.CA) -> None:
    chain, key = write_pair(tmp_path, authority, HOST)
    chain.write_bytes(chain.read_bytes()[:200])
    with pytest.raises(CertificateError) as refusal:
        read_certificate(chain, key, HOST, datetime.now(UTC))
    assert refusal.value.code == "certificate-unreadable"
