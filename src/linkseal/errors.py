"""Every error a person can meet, and how it is told.

::

    LinksealError                 base: code, message, hint, retryable
    ├── ConfigError               a config key, file or environment variable is wrong
    ├── VaultError                a secret at rest cannot be opened or written
    ├── SealError                 this destination cannot be sealed
    ├── TokenError                this is not a token of ours; one type for every cause
    ├── JournalError              the journal cannot be written or read
    ├── StoreError                the database refuses, or an object is missing or exists
    ├── CertificateError          a certificate or key cannot be used
    ├── DomainError               a branded domain cannot be claimed, or that cannot be done with it
    ├── IntakeError               mail cannot be taken in or passed on
    └── ServiceError              the service cannot start or a part of it keeps failing

Faces map these to their own words: the CLI prints ``error:`` and ``hint:``, the
SMTP proxy a reply code, the edge a page that never shows detail.
"""

from __future__ import annotations


class LinksealError(Exception):
    """An error with a stable code, a message for people, and what to do next.

    Args:
        message: What went wrong, one sentence, naming the key, file or host.
        hint: What to do next; empty only when nothing can be done.
        code: Kebab-case and stable, documented in ``docs/reference/errors.md``.
        retryable: Whether the same call may succeed later without a change.
    """

    code: str = "error"
    retryable: bool = False

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        code: str | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code
        if retryable is not None:
            self.retryable = retryable

    def as_dict(self) -> dict[str, object]:
        """Return the error as plain values, for ``--json`` and the logs."""
        return {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "retryable": self.retryable,
        }


class ConfigError(LinksealError):
    """A config key, file or environment variable is wrong."""

    code = "config-invalid"


class VaultError(LinksealError):
    """A secret at rest cannot be opened or written."""

    code = "vault-unreadable"


class SealError(LinksealError):
    """This destination cannot be sealed."""

    code = "seal-refused"


class TokenError(LinksealError):
    """Not a token of ours: flipped, cut, foreign or not a token at all.

    The edge must not tell these apart, so there is one type and one message.
    """

    code = "token-invalid"

    def __init__(self) -> None:
        super().__init__(
            "not a valid token",
            hint="copy the whole link; if it is whole, it was sealed by another keyring",
        )


class JournalError(LinksealError):
    """The journal cannot be written or read."""

    code = "journal-unavailable"
    retryable = True


class StoreError(LinksealError):
    """The database refuses, or an object is missing or already there."""

    code = "store-refused"


class CertificateError(LinksealError):
    """A certificate or key cannot be used."""

    code = "certificate-unusable"


class DomainError(LinksealError):
    """A branded domain cannot be claimed, or something cannot be done with it now."""

    code = "domain-refused"


class IntakeError(LinksealError):
    """Mail cannot be taken in or passed on."""

    code = "intake-refused"


class ServiceError(LinksealError):
    """The service cannot start, or a part of it keeps failing."""

    code = "service-failed"
