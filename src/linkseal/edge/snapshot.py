"""The snapshot: all that an edge worker knows, in one sealed file.

The service writes it, whole and atomically; workers read it and look each second whether
it is another one. So the edge needs no database, and every worker agrees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from linkseal.errors import VaultError
from linkseal.seal import Keyring
from linkseal.vault import Vault, write_private

FORMAT = 1
_PURPOSE = "edge-snapshot"


class SnapshotCertificate(msgspec.Struct, frozen=True):
    """What to show for some names.

    Attributes:
        names: DNS names, lower case; ``*.`` stands for one label.
        files: Ids of certificates (:class:`linkseal.edge.certificates.CertificateFiles`), of
            which a client gets the first of a kind it understands.
    """

    names: tuple[str, ...]
    files: tuple[str, ...]


class _File(msgspec.Struct):
    format: int
    keys: dict[int, bytes]
    active: int
    base_domain: str
    shared_host: str
    hosts: dict[str, int]
    certificates: list[SnapshotCertificate]
    challenges: dict[str, str]
    ticket_secret: bytes


class Snapshot:
    """What a worker serves by. Not changed once made.

    Attributes:
        keyring: Opens the tokens.
        base_domain: Ours.
        shared_host: The shared tracking domain: every customer's links are good there.
        hosts: Branded and target hosts, each with the only customer whose links are good.
        certificates: What to show for which name.
        challenges: What to answer a CA, by token (RFC 8555 §8.3).
        ticket_secret: What session tickets are sealed with, 32 bytes.
    """

    __slots__ = (
        "base_domain",
        "certificates",
        "challenges",
        "hosts",
        "keyring",
        "shared_host",
        "ticket_secret",
    )

    def __init__(
        self,
        *,
        keyring: Keyring,
        base_domain: str,
        shared_host: str,
        hosts: Mapping[str, int],
        certificates: Sequence[SnapshotCertificate],
        challenges: Mapping[str, str],
        ticket_secret: bytes,
    ) -> None:
        self.keyring = keyring
        self.base_domain = base_domain
        self.shared_host = shared_host
        self.hosts = dict(hosts)
        self.certificates = tuple(certificates)
        self.challenges = dict(challenges)
        self.ticket_secret = ticket_secret


def save_snapshot(path: Path, snapshot: Snapshot, vault: Vault) -> None:
    """Write a snapshot.

    Raises:
        VaultError: It could not be written; the old one is as it was.
    """
    file = _File(
        format=FORMAT,
        keys=dict(snapshot.keyring.keys),
        active=snapshot.keyring.active,
        base_domain=snapshot.base_domain,
        shared_host=snapshot.shared_host,
        hosts=dict(snapshot.hosts),
        certificates=list(snapshot.certificates),
        challenges=dict(snapshot.challenges),
        ticket_secret=snapshot.ticket_secret,
    )
    write_private(path, vault.seal(msgspec.msgpack.encode(file), _PURPOSE))


def load_snapshot(path: Path, vault: Vault) -> Snapshot:
    """Read a snapshot.

    Raises:
        VaultError: It is missing, damaged, sealed under another key, or of another format.
    """
    try:
        file = msgspec.msgpack.decode(vault.open(path.read_bytes(), _PURPOSE), type=_File)
    except OSError as error:
        raise VaultError(
            f"cannot read the snapshot {path}: {error.strerror}",
            code="snapshot-unreadable",
            hint="the service writes it when it starts: restart it",
        ) from error
    except msgspec.MsgspecError as error:
        raise _foreign(path) from error
    if file.format != FORMAT:
        raise _foreign(path)
    return Snapshot(
        keyring=Keyring(file.keys, file.active),
        base_domain=file.base_domain,
        shared_host=file.shared_host,
        hosts=file.hosts,
        certificates=file.certificates,
        challenges=file.challenges,
        ticket_secret=file.ticket_secret,
    )


def _foreign(path: Path) -> VaultError:
    return VaultError(
        f"the snapshot {path} is of another version",
        code="snapshot-foreign",
        hint="restart the service: it writes a new one",
    )
