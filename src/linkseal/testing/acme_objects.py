"""What an ACME server keeps of an order, and how it goes over the wire (RFC 8555 §7.1)."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509

_PENDING_LIFE = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem document (RFC 7807).

    Attributes:
        code: An ACME error (RFC 8555 §6.7) such as ``rateLimited``, or a whole URN.
        detail: The sentence for people.
        members: More members, such as ``subproblems``.
    """

    code: str
    detail: str
    members: Mapping[str, object] = field(default_factory=dict)

    def document(self, status: int) -> dict[str, object]:
        """Return it as it goes over the wire."""
        urn = self.code if ":" in self.code else f"urn:ietf:params:acme:error:{self.code}"
        return {"type": urn, "detail": self.detail, "status": status, **self.members}


def rfc3339(instant: datetime) -> str:
    """Return an aware instant as RFC 8555 writes it, in UTC and whole seconds."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _expires() -> str:
    return rfc3339(datetime.now(UTC) + _PENDING_LIFE)


@dataclass(slots=True)
class Authorization:
    """What stands between an account and one name; its challenges share the token."""

    place: str
    name: str
    wildcard: bool
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    status: str = "pending"
    tried: str = ""
    error: Problem | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """The challenges offered."""
        return ("dns-01",) if self.wildcard else ("http-01", "dns-01")

    def document(self, base: str) -> dict[str, object]:
        """Return it as it goes over the wire, from a server at ``base``."""
        document: dict[str, object] = {
            "identifier": {"type": "dns", "value": self.name},
            "status": "pending" if self.status == "processing" else self.status,
            "expires": _expires(),
            "challenges": [self.challenge_document(base, kind) for kind in self.kinds],
        }
        return {**document, "wildcard": True} if self.wildcard else document

    def challenge_document(self, base: str, kind: str) -> dict[str, object]:
        """Return one of its challenges likewise."""
        document: dict[str, object] = {
            "type": kind,
            "url": f"{base}/challenge/{self.place}/{kind}",
            "token": self.token,
            "status": self.status if self.tried == kind else "pending",
        }
        if self.tried == kind and self.status == "valid":
            document["validated"] = rfc3339(datetime.now(UTC))
        if self.tried == kind and self.error is not None:
            document["error"] = self.error.document(403)
        return document


@dataclass(slots=True)
class Order:
    """An order, as it stands now.

    Attributes:
        identifiers: DNS names.
        replaces: The ARI id of the certificate it replaces, or empty.
        profile: The profile asked for, or empty.
        status: As in RFC 8555 §7.1.6.
        certificate: PEM chain, leaf first; empty until it is issued.
    """

    number: int
    identifiers: tuple[str, ...]
    replaces: str
    profile: str
    account: str
    authorizations: tuple[Authorization, ...]
    status: str = "pending"
    error: Problem | None = None
    certificate: bytes = b""
    polls: int = 0

    def document(self, base: str) -> dict[str, object]:
        """Return it as it goes over the wire, from a server at ``base``."""
        document: dict[str, object] = {
            "status": self.status,
            "expires": _expires(),
            "identifiers": [{"type": "dns", "value": name} for name in self.identifiers],
            "authorizations": [f"{base}/authz/{one.place}" for one in self.authorizations],
            "finalize": f"{base}/finalize/{self.number}",
        }
        if self.status == "valid":
            document["certificate"] = f"{base}/certificate/{self.number}"
        if self.status == "invalid" and self.error is not None:
            document["error"] = self.error.document(403)
        # RFC 9773 §5: an accepted ``replaces`` is shown in the order.
        asked = {"replaces": self.replaces, "profile": self.profile}
        return {**document, **{name: value for name, value in asked.items() if value}}


def certificate_id(certificate: x509.Certificate) -> str:
    """Return the certificate's ARI id.

    RFC 9773 §4.1: base64url of the key identifier in authorityKeyIdentifier, a dot, and
    base64url of the serial's DER value, so with a zero octet before a set high bit.

    Raises:
        x509.ExtensionNotFound: It has no authorityKeyIdentifier.
    """
    extension = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    serial = certificate.serial_number
    parts = extension.value.key_identifier or b"", serial.to_bytes(serial.bit_length() // 8 + 1)
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
