"""CAA, judged as a CA will (RFC 8659, RFC 8657)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkseal.domains.caa import (
    CAAAnswer,
    CAAOutcome,
    CAARecord,
    IssuerIdentity,
    judge_caa,
    known_identities,
    names_to_ask,
    parse_issue,
)

ACCOUNT = "https://acme.example/acct/7"
DIRECTORIES = ["https://acme-v02.api.letsencrypt.org/directory", "https://acme.zerossl.com/v2/DV90"]
ISSUER = IssuerIdentity(frozenset({"letsencrypt.org"}), ACCOUNT, "http-01")
NAME = "links.acme.example"


def records(*values: str, tag: str = "issue", flags: int = 0) -> tuple[CAARecord, ...]:
    return tuple(CAARecord(flags, tag, value) for value in values)


def judge(*found: CAARecord, name: str = NAME, at: str = "acme.example") -> tuple[CAAOutcome, str]:
    answers = [
        CAAAnswer(asked, tuple(found) if asked == at else ()) for asked in names_to_ask(name)
    ]
    verdict = judge_caa(name, answers, ISSUER)
    return verdict.outcome, verdict.why


def test_the_tree_is_climbed_from_the_name_to_the_top() -> None:
    assert list(names_to_ask(NAME)) == [NAME, "acme.example", "example"]
    assert next(iter(names_to_ask("*.ct.example.net."))) == "ct.example.net"


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        ((), CAAOutcome.ALLOWED),
        (records("letsencrypt.org"), CAAOutcome.ALLOWED),
        (records("LetsEncrypt.org"), CAAOutcome.ALLOWED),
        (records("other.example"), CAAOutcome.FORBIDDEN),
        (records("other.example", "letsencrypt.org"), CAAOutcome.ALLOWED),
        (records(";"), CAAOutcome.FORBIDDEN),
        (records(""), CAAOutcome.FORBIDDEN),
        (records("mailto:a@acme.example", tag="iodef"), CAAOutcome.ALLOWED),
        (records("other.example", tag="issuewild"), CAAOutcome.ALLOWED),
        (records("x", tag="tbs", flags=128), CAAOutcome.FORBIDDEN),
        (records("x", tag="tbs", flags=1), CAAOutcome.FORBIDDEN),
        (records("x", tag="tbs"), CAAOutcome.ALLOWED),
        (records("letsencrypt.org", tag="Issue", flags=128), CAAOutcome.ALLOWED),
        (records(f"letsencrypt.org; accounturi={ACCOUNT}"), CAAOutcome.ALLOWED),
        (records("letsencrypt.org; accounturi=https://other"), CAAOutcome.FORBIDDEN),
        (records("letsencrypt.org; validationmethods=http-01"), CAAOutcome.ALLOWED),
        (records("letsencrypt.org; validationmethods=dns-01,http-01"), CAAOutcome.ALLOWED),
        (records("letsencrypt.org; validationmethods=dns-01"), CAAOutcome.FORBIDDEN),
        (records("letsencrypt.org; %%%"), CAAOutcome.FORBIDDEN),
        (records("lets encrypt.org"), CAAOutcome.FORBIDDEN),
    ],
)
def test_one_set(found: tuple[CAARecord, ...], outcome: CAAOutcome) -> None:
    assert judge(*found)[0] is outcome


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        (records("letsencrypt.org"), CAAOutcome.ALLOWED),
        (records(";", tag="issuewild"), CAAOutcome.FORBIDDEN),
        (
            records("other.example") + records("letsencrypt.org", tag="issuewild"),
            CAAOutcome.ALLOWED,
        ),
        (
            records("letsencrypt.org") + records("other.example", tag="issuewild"),
            CAAOutcome.FORBIDDEN,
        ),
    ],
)
def test_a_wildcard_asks_issuewild_first(found: tuple[CAARecord, ...], outcome: CAAOutcome) -> None:
    assert judge(*found, name="*.ct.acme.example")[0] is outcome


def test_the_closest_set_decides() -> None:
    answers = [
        CAAAnswer(NAME, records("letsencrypt.org")),
        CAAAnswer("acme.example", records("other.example")),
        CAAAnswer("example"),
    ]
    verdict = judge_caa(NAME, answers, ISSUER)
    assert (verdict.outcome, verdict.at) == (CAAOutcome.ALLOWED, NAME)


def test_an_error_before_the_first_answer_fails_closed_and_after_it_does_not_matter() -> None:
    broken = CAAAnswer("acme.example", error="SERVFAIL")
    verdict = judge_caa(NAME, [CAAAnswer(NAME), broken, CAAAnswer("example")], ISSUER)
    assert verdict.outcome is CAAOutcome.UNKNOWN
    assert "SERVFAIL" in verdict.why
    found = CAAAnswer(NAME, records("letsencrypt.org"))
    assert judge_caa(NAME, [found, broken], ISSUER).outcome is CAAOutcome.ALLOWED


def test_a_refusal_names_the_record() -> None:
    assert judge(*records("other.example"))[1] == (
        'CAA at acme.example allows only "other.example" (another CA)'
    )


@given(st.text(max_size=80))
def test_any_value_is_read_or_refused(value: str) -> None:
    parsed = parse_issue(value)
    assert parsed is None or not any(char.isspace() for char in parsed[0])


def test_what_known_cas_call_themselves() -> None:
    assert known_identities(DIRECTORIES) == ("letsencrypt.org", "sectigo.com")
    # Where one is not known, nothing can be held against a record.
    assert known_identities([*DIRECTORIES, "https://ca.example/directory"]) == ()
    assert known_identities([]) == ()
