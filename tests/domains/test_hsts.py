"""HSTS of names above: which fields bind what is below, and which names are above."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkseal.domains.checks import Report, Result, judge
from linkseal.domains.hsts import PRELOADED, binds_below, is_preloaded, parents
from linkseal.domains.name import HOST as NAME
from linkseal.domains.observation import Parent
from support.checks import AT, HOST, ROOT, ROOT_KEY, V4, der, issue, key, observed

POLICY = "max-age=31536000; includeSubDomains"


def chain_for(name: str, signer: Any = ROOT_KEY, **more: Any) -> tuple[bytes, ...]:
    return (der(issue(name, key().public_key(), ROOT.subject, signer, names=[name], **more)),)


def port_80(report: Report) -> tuple[Result, str]:
    (verdict,) = (each for each in report.verdicts if each.check == "HTTP-01")
    return verdict.result, verdict.message


@pytest.mark.parametrize(
    ("policy", "binds"),
    [
        (POLICY, True),
        ("includesubdomains;Max-Age = 1 ; preload", True),
        ('max-age="31536000"; INCLUDESUBDOMAINS;', True),
        ("max-age=31536000", False),
        ("includeSubDomains", False),
        ("max-age=0; includeSubDomains", False),
        ("max-age=; includeSubDomains", False),
        ("max-age=1; max-age=2; includeSubDomains", False),
        ("max-age=1; includeSubDomainsToo", False),
        (f"max-age=1, {POLICY}", False),
        (f"{POLICY}, max-age=0", True),
        ("", False),
        (f"max-age={'9' * 5000}; includeSubDomains", True),
        (f"max-age={'0' * 5000}; includeSubDomains", False),
    ],
)
def test_which_fields_bind_the_names_below(policy: str, binds: bool) -> None:
    assert binds_below(policy) is binds


@given(st.text())
def test_any_field_is_read(policy: str) -> None:
    assert binds_below(policy) in {True, False}


def test_the_names_above_a_host() -> None:
    assert parents("links.acme.example", "acme.example") == ("acme.example",)
    assert parents("a.b.acme.co.uk", "acme.co.uk") == ("b.acme.co.uk", "acme.co.uk")
    assert parents("acme.example", "acme.example") == ()
    assert parents("links.notacme.example", "acme.example") == ()
    assert parents("links.acme.example", "") == ()


def test_top_level_domains_that_browsers_know() -> None:
    assert is_preloaded("links.acme.dev")
    assert not is_preloaded("links.dev.example")
    assert all(NAME.fullmatch(f"a.{each}") for each in PRELOADED)


def above(policy: str = POLICY, chain: tuple[bytes, ...] | None = None) -> Parent:
    sent = chain_for("acme.example") if chain is None else chain
    return Parent("acme.example", V4, 200, policy, sent)


def judged(*found: Parent, host: str = HOST) -> Report:
    seen = observed(parents=found, exchanges=())
    return judge(msgspec.structs.replace(seen, host=host), roots=[ROOT])


def test_a_parent_that_binds_the_host_is_told() -> None:
    report = judged(above())
    assert port_80(report) == (
        Result.WARN,
        (
            f"Browsers turn http links of `{HOST}` into https (acme.example sends "
            f"Strict-Transport-Security: {POLICY}): they do not open unless SSL is enabled."
        ),
    )
    assert report.https_only is True


def test_a_top_level_domain_that_browsers_know_is_told() -> None:
    report = judged(host="links.acme.dev")
    assert port_80(report)[1].startswith(
        "Browsers turn http links of `links.acme.dev` into https (.dev is https only"
    )
    assert report.https_only is True


@pytest.mark.parametrize(
    "parent",
    [
        above("max-age=31536000"),
        above(""),
        above(chain=chain_for("www.acme.example")),
        above(chain=chain_for("acme.example", end=AT - timedelta(days=1))),
        above(chain=chain_for("acme.example", key())),
        above(chain=(b"no certificate",)),
        above(chain=()),
    ],
    ids=["itself", "none", "another name", "expired", "untrusted", "unreadable", "none sent"],
)
def test_a_policy_that_browsers_do_not_take_up_for_the_host(parent: Parent) -> None:
    report = judged(parent)
    assert port_80(report)[0] is Result.SKIPPED
    assert report.https_only is False


def test_what_was_not_seen_of_a_parent_is_not_known() -> None:
    silent = Parent("acme.example", V4, error="timeout")
    assert judged(silent).https_only is None
    assert judged().https_only is None
    closest = Parent("b.acme.example", V4, error="timeout")
    assert judged(closest, above()).https_only is True
