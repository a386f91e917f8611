"""Every problem a CA can have is told with what to do about it."""

from __future__ import annotations

import pytest

from linkseal.certificates.advice import PREFIX, Whose, understand

# RFC 8555 §6.7, all but those about subproblems, and RFC 9773 §7.4.
TYPES = """
accountDoesNotExist alreadyRevoked badCSR badNonce badPublicKey caa connection dns
externalAccountRequired incorrectResponse invalidContact malformed orderNotReady rateLimited
rejectedIdentifier serverInternal tls unauthorized unsupportedContact unsupportedIdentifier
userActionRequired alreadyReplaced orderInvalid caaUnreadable
"""


@pytest.mark.parametrize("kind", TYPES.split())
def test_every_type_has_advice(kind: str) -> None:
    problem = understand(PREFIX + kind, "detail", "a CA")
    assert (problem.type, problem.detail, problem.issuer) == (kind, "detail", "a CA")
    assert problem.advice != understand("somethingNew", "").advice


@pytest.mark.parametrize(
    ("kind", "detail", "whose", "word"),
    [
        ("connection", "2001:db8::7: Connection refused", Whose.NAME, "AAAA"),
        ("connection", "http://a:80/ at ::1: Connection refused", Whose.NAME, "AAAA"),
        ("connection", "Fetching http://a/: Timeout during connect", Whose.NAME, "firewall"),
        ("connection", "192.0.2.7: Connection refused", Whose.NAME, "listens"),
        ("dns", "DNS problem: NXDOMAIN looking up A for a", Whose.NAME, "publish"),
        ("dns", "DNS problem: SERVFAIL looking up A", Whose.NAME, "DNSSEC"),
        ("caa", "CAA record for a prevents issuance", Whose.NAME, "CAA"),
        ("rateLimited", "too many certificates", Whose.ISSUER, "another CA"),
        ("externalAccountRequired", "", Whose.OURS, "eab_kid"),
        ("somethingNew", "", Whose.ISSUER, "the CA's words"),
    ],
)
def test_the_detail_sharpens_the_advice(kind: str, detail: str, whose: Whose, word: str) -> None:
    problem = understand(kind, detail)
    assert problem.whose is whose
    assert word in problem.advice
