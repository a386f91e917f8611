"""ORG-06, by value: what a CDN shows of itself on the way to us."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from linkseal.domains.checks import Result
from linkseal.domains.fixes import fix
from linkseal.domains.observation import (
    ClientCertificate,
    load_observation,
    save_observation,
)
from support.checks import AT, CLOUDFLARE, HOST, TARGET, exchange, found, observed, verdict

CA = "CN=Origin pull CA"
SHOWN = ClientCertificate("CN=edge", CA, AT + timedelta(days=90), "ab" * 32)
PASS, WARN, SKIPPED = Result.PASS, Result.WARN, Result.SKIPPED


def judged(
    shown: ClientCertificate | None = SHOWN, *, route: str = "cdn", **changes: Any
) -> tuple[Result, str]:
    if shown is not None:
        shown = msgspec.structs.replace(shown, **changes)
    seen = exchange(seen={"client_asked": True, "client_certificate": shown})
    return found("ORG-06", CLOUDFLARE, exchanges=(seen,), client_authority=CA, route=route)


@pytest.mark.parametrize("route", ["cdn", "proxy"])
def test_one_of_the_ca_that_is_set_up_passes(route: str) -> None:
    assert judged(route=route) == (
        PASS,
        f"Client certificate: CN=edge, issued by {CA}, until 2027-02-22, SHA-256 {'ab' * 8}…",
    )


def test_it_is_asked_for_on_the_routes_with_something_in_front_only() -> None:
    assert judged(route="acme") == (SKIPPED, "not asked on route acme")


def test_none_is_told() -> None:
    assert judged(None) == (WARN, "Cloudflare shows no client certificate.")


def test_one_of_another_ca_is_told_with_its_subject_and_issuer() -> None:
    assert judged(issuer="CN=Stranger", problem="foreign") == (
        WARN,
        f"The client certificate `CN=edge`, issued by `CN=Stranger`, is not of the CA `{CA}`.",
    )


def test_one_that_expired_or_is_about_to_is_told_with_the_day() -> None:
    past, soon, later = (AT + timedelta(days=days, seconds=1) for days in (-1, 13, 14))
    assert judged(not_after=past, problem="expired") == (
        WARN,
        "The client certificate `CN=edge` expired on 2026-11-23 12:00 UTC.",
    )
    assert judged(not_after=soon) == (
        WARN,
        "The client certificate `CN=edge` expires on 2026-12-07 12:00 UTC.",
    )
    assert judged(not_after=later)[0] is PASS


@pytest.mark.parametrize(("days", "result"), [(6, PASS), (3.1, PASS), (2.9, WARN)])
def test_a_short_life_has_a_third_of_it_left(days: float, result: Result) -> None:
    ends = AT + timedelta(days=days)
    assert judged(not_after=ends, not_before=ends - timedelta(days=9))[0] is result


@pytest.mark.parametrize("problem", ["refused", "what a later version says"])
def test_whatever_else_is_wrong_is_told_with_why(problem: str) -> None:
    assert judged(problem=problem, why="it is not for clients", not_after=None) == (
        WARN,
        "The client certificate `CN=edge` cannot be trusted: it is not for clients.",
    )


def test_one_request_of_many_is_enough_to_be_told() -> None:
    good = exchange(seen={"client_asked": True, "client_certificate": SHOWN})
    none = exchange(seen={"client_asked": True})
    one = verdict("ORG-06", observed(exchanges=(good, none), client_authority=CA))
    assert (one.result, one.shape) == (WARN, "none")
    assert one.evidence[0].endswith(": no certificate")


def test_without_a_ca_it_is_skipped_and_says_how_to_set_one_up() -> None:
    result, message = found("ORG-06")
    assert result is SKIPPED
    assert f"linkseal domain client-ca {HOST} --ca FILE" in message


def test_nobody_who_was_not_asked_is_judged() -> None:
    assert found("ORG-06", client_authority=CA, exchanges=(exchange(seen=None),)) == (
        SKIPPED,
        "no request reached us",
    )
    result, message = found("ORG-06", client_authority=CA)
    assert result is SKIPPED
    assert "asked nobody" in message
    # A connection from before the CA was set up says nothing against those after it.
    after = exchange(seen={"client_asked": True, "client_certificate": SHOWN})
    assert found("ORG-06", client_authority=CA, exchanges=(exchange(), after))[0] is PASS


@pytest.mark.parametrize(("name", "result"), [(f"{TARGET.upper()}.", PASS), ("b.example", SKIPPED)])
def test_what_is_shown_in_a_handshake_for_another_name_says_nothing(
    name: str, result: Result
) -> None:
    """It was held against the CA of that name, which may be anybody's."""
    seen = exchange(seen={"client_asked": True, "client_certificate": SHOWN, "sni": name})
    assert found("ORG-06", client_authority=CA, exchanges=(seen,))[0] is result


def test_a_look_from_before_there_was_such_a_question_is_judged_again() -> None:
    document = msgspec.json.decode(save_observation(observed()))
    del document["client_authority"]
    for each in document["exchanges"]:
        del each["echo"]["client_asked"], each["echo"]["client_certificate"]
    old = load_observation(msgspec.json.encode(document))
    assert verdict("ORG-06", old).result is SKIPPED


def test_a_saved_look_keeps_what_was_shown() -> None:
    seen = exchange(seen={"client_asked": True, "client_certificate": SHOWN})
    look = observed(exchanges=(seen,), client_authority=CA)
    assert load_observation(save_observation(look)) == look


@pytest.mark.parametrize(
    ("front", "words"),
    [
        ("cloudflare", "Authenticated Origin Pulls"),
        ("cloudfront", "OriginMtlsConfig"),
        ("fastly", "ssl_client_cert"),
        ("nginx", "proxy_ssl_certificate"),
        ("haproxy", "`crt`"),
        ("caddy", "tls_client_auth"),
    ],
)
def test_the_fix_is_in_the_words_of_who_is_in_front(front: str, words: str) -> None:
    assert words in fix("ORG-06", front)
    assert "domain client-ca links.acme.example" in fix("ORG-06", front, "foreign", host=HOST)
