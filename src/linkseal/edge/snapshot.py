"""The snapshot: all that an edge worker knows, in one sealed file.

The service writes it, whole and atomically; workers read it and look each second whether
it is another one. So the edge needs no database, and every worker agrees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from linkseal.domains.app_links import AppFileKind
from linkseal.edge.client import ClientKind, ClientRule
from linkseal.errors import VaultError
from linkseal.seal import Keyring
from linkseal.vault import Vault, write_private

FORMAT = 5
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


class _Rule(msgspec.Struct, frozen=True):
    networks: tuple[str, ...]
    header: str
    kind: ClientKind


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
    probe_key: bytes
    # Thousands of hosts have one CDN: each rule once, and its number by host.
    rules: list[_Rule]
    clients: dict[str, int]
    app_files: dict[str, dict[AppFileKind, str]]
    canary: dict[str, int] = {}
    # As the rules: each set of CAs once, and its number by host.
    client_cas: list[tuple[bytes, ...]] = []
    asked: dict[str, int] = {}


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
        probe_key: Opens the nonces of probes, 32 bytes; empty: no probe is answered.
        clients: Whom to believe about the client's address, by host; where a host is not
            named the client is who connects.
        app_files: What phones ask for to see which app opens links: by host and kind the ids
            of files (:class:`linkseal.edge.app_files.AppFiles`).
        canary: Names that are shown a wrong certificate on purpose, until when (Unix seconds).
        client_cas: Names in whose handshakes the client is asked for a certificate, each with the
            CAs, DER, that it should be of.
    """

    __slots__ = (
        "app_files",
        "base_domain",
        "canary",
        "certificates",
        "challenges",
        "client_cas",
        "clients",
        "hosts",
        "keyring",
        "probe_key",
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
        probe_key: bytes = b"",
        clients: Mapping[str, ClientRule] | None = None,
        app_files: Mapping[str, Mapping[AppFileKind, str]] | None = None,
        canary: Mapping[str, int] | None = None,
        client_cas: Mapping[str, tuple[bytes, ...]] | None = None,
    ) -> None:
        self.keyring = keyring
        self.base_domain = base_domain
        self.shared_host = shared_host
        self.hosts = dict(hosts)
        self.certificates = tuple(certificates)
        self.challenges = dict(challenges)
        self.ticket_secret = ticket_secret
        self.probe_key = probe_key
        self.clients = dict(clients or {})
        self.app_files = {host: dict(files) for host, files in (app_files or {}).items()}
        self.canary = dict(canary or {})
        self.client_cas = dict(client_cas or {})


def save_snapshot(path: Path, snapshot: Snapshot, vault: Vault) -> None:
    """Write a snapshot.

    Raises:
        VaultError: It could not be written; the old one is as it was.
    """
    rules: dict[_Rule, int] = {}
    clients: dict[str, int] = {}
    for host, each in snapshot.clients.items():
        rule = _Rule(each.networks, each.header, each.kind)
        clients[host] = rules.setdefault(rule, len(rules))
    cas: dict[tuple[bytes, ...], int] = {}
    asked = {host: cas.setdefault(each, len(cas)) for host, each in snapshot.client_cas.items()}
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
        probe_key=snapshot.probe_key,
        rules=list(rules),
        clients=clients,
        app_files=snapshot.app_files,
        canary=dict(snapshot.canary),
        client_cas=list(cas),
        asked=asked,
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
    rules = [ClientRule(each.networks, each.header, each.kind) for each in file.rules]
    return Snapshot(
        keyring=Keyring(file.keys, file.active),
        base_domain=file.base_domain,
        shared_host=file.shared_host,
        hosts=file.hosts,
        certificates=file.certificates,
        challenges=file.challenges,
        ticket_secret=file.ticket_secret,
        probe_key=file.probe_key,
        clients={host: rules[number] for host, number in file.clients.items()},
        app_files=file.app_files,
        canary=file.canary,
        client_cas={host: file.client_cas[number] for host, number in file.asked.items()},
    )


def _foreign(path: Path) -> VaultError:
    return VaultError(
        f"the snapshot {path} is of another version",
        code="snapshot-foreign",
        hint="restart the service: it writes a new one",
    )
