"""May a CA issue for a name: Certification Authority Authorization, judged in pure code.

The caller asks DNS for the CAA records of the name and of each of its parents; this
module decides as the CA will, so that an order which must fail is not sent, and the
customer is told which record forbids it.

Standards: RFC 8659 (records, tree climbing), RFC 8657 (``accounturi`` and
``validationmethods``). As Let's Encrypt does, an error met before the first non-empty
answer forbids: a resolver that fails could be hiding a record (fail closed).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

_KNOWN_TAGS = frozenset({"issue", "issuewild", "iodef", "issuemail", "issuevmc", "contactemail"})
_CRITICAL = 0x80 | 0x01
"""Bit 128 is the standard's critical flag; CAs also honour the widespread mistake of 1."""


@dataclass(frozen=True, slots=True)
class CAARecord:
    """One CAA record as DNS gave it."""

    flags: int
    tag: str
    value: str


@dataclass(frozen=True, slots=True)
class CAAAnswer:
    """What DNS said for one name.

    Attributes:
        name: The name asked.
        records: Its CAA records; empty when it has none.
        error: What went wrong, as ``SERVFAIL`` or ``timeout``; empty when nothing did.
    """

    name: str
    records: tuple[CAARecord, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class IssuerIdentity:
    """How a CA, and our account there, appear in CAA records.

    Attributes:
        domains: The CA's issuer domain names, as ``letsencrypt.org``.
        account_uri: Our ACME account, to meet an ``accounturi``; empty when not known yet.
        method: The validation method we use, as ``http-01``.
    """

    domains: frozenset[str]
    account_uri: str
    method: str


class CAAOutcome(enum.StrEnum):
    """The decision."""

    ALLOWED = "allowed"
    FORBIDDEN = "forbidden"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class CAAVerdict:
    """Whether the CA may issue, where that was decided, and why in one sentence."""

    outcome: CAAOutcome
    at: str
    why: str


KNOWN_ISSUERS: Mapping[str, str] = {
    "acme-v02.api.letsencrypt.org": "letsencrypt.org",
    "acme-staging-v02.api.letsencrypt.org": "letsencrypt.org",
    "acme.zerossl.com": "sectigo.com",
    "dv.acme-v02.api.pki.goog": "pki.goog",
}
"""What well-known CAs call themselves in CAA records, by the host of their directory.

An order asks the CA itself (RFC 8555 §7.1.1, ``caaIdentities``); a look asks no CA.
"""


def known_identities(directories: Iterable[str]) -> tuple[str, ...]:
    """Return what CAs call themselves; empty unless all of them are known."""
    hosts = [each.partition("://")[2].partition("/")[0].lower() for each in directories]
    found = [KNOWN_ISSUERS.get(host, "") for host in hosts]
    return tuple(dict.fromkeys(found)) if all(found) else ()


def names_to_ask(name: str) -> Iterator[str]:
    """Yield the name and each parent, the order CAA climbs in (RFC 8659 §3)."""
    labels = name.removeprefix("*.").rstrip(".").split(".")
    for start in range(len(labels)):
        yield ".".join(labels[start:])


def judge_caa(name: str, answers: Sequence[CAAAnswer], issuer: IssuerIdentity) -> CAAVerdict:
    """Decide whether ``issuer`` may issue for ``name``.

    Args:
        name: The name of the certificate; a leading ``*.`` asks for a wildcard.
        answers: In the order of :func:`names_to_ask`.
        issuer: The CA, our account and method.
    """
    for answer in answers:
        if answer.error:
            return CAAVerdict(
                CAAOutcome.UNKNOWN,
                answer.name,
                f"CAA of {answer.name} cannot be read ({answer.error}), and CAs take that as a no",
            )
        if answer.records:
            return _judge_set(name, answer, issuer)
    return CAAVerdict(CAAOutcome.ALLOWED, "", "no CAA record stands anywhere above the name")


def parse_issue(value: str) -> tuple[str, Mapping[str, str]] | None:
    """Read an ``issue`` value into its issuer and parameters (RFC 8659 §4.2).

    Returns ``None`` when it is malformed, which forbids: no issuer matches it.
    """
    issuer, *parts = (part.strip() for part in value.split(";"))
    if any(char.isspace() for char in issuer):
        return None
    parameters: dict[str, str] = {}
    for part in parts:
        if not part:
            continue
        tag, equals, text = part.partition("=")
        if not equals or not tag.strip().isalnum():
            return None
        parameters[tag.strip().lower()] = text.strip()
    return issuer.lower().rstrip("."), parameters


def _judge_set(name: str, answer: CAAAnswer, issuer: IssuerIdentity) -> CAAVerdict:
    def verdict(outcome: CAAOutcome, why: str) -> CAAVerdict:
        return CAAVerdict(outcome, answer.name, why)

    for record in answer.records:
        if record.flags & _CRITICAL and record.tag.lower() not in _KNOWN_TAGS:
            return verdict(
                CAAOutcome.FORBIDDEN,
                f"CAA at {answer.name} has a critical tag that CAs do not know: {record.tag}",
            )
    relevant = _relevant(name, answer.records)
    if not relevant:
        return verdict(CAAOutcome.ALLOWED, f"CAA at {answer.name} restricts nothing here")
    refusals: list[str] = []
    for record in relevant:
        parsed = parse_issue(record.value)
        refusal = "malformed" if parsed is None else _refusal(*parsed, issuer)
        if not refusal:
            return verdict(
                CAAOutcome.ALLOWED, f'CAA at {answer.name} allows it: {record.tag} "{record.value}"'
            )
        refusals.append(f'"{record.value}" ({refusal})')
    return verdict(CAAOutcome.FORBIDDEN, f"CAA at {answer.name} allows only {', '.join(refusals)}")


def _relevant(name: str, records: Sequence[CAARecord]) -> list[CAARecord]:
    """Return the records that count: ``issuewild`` replaces ``issue`` for a wildcard (§4.3)."""
    by_tag = {
        tag: [record for record in records if record.tag.lower() == tag]
        for tag in ("issue", "issuewild")
    }
    if name.startswith("*.") and by_tag["issuewild"]:
        return by_tag["issuewild"]
    return by_tag["issue"]


def _refusal(domain: str, parameters: Mapping[str, str], issuer: IssuerIdentity) -> str:
    """Say why an ``issue`` record does not let the issuer in; empty when it does."""
    if domain not in issuer.domains:
        return "another CA" if domain else "no CA at all"
    # RFC 8657 §3: an account that is not known yet cannot be the one named.
    account = parameters.get("accounturi")
    if account is not None and account != issuer.account_uri:
        return "another account"
    # RFC 8657 §4.
    methods = parameters.get("validationmethods")
    if methods is not None and issuer.method not in {item.strip() for item in methods.split(",")}:
        return f"another method than {issuer.method}"
    return ""
