"""The register of checks, and the report made of their verdicts."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from linkseal.domains.checks import CHECKS, Check, Report, Result, Severity, Verdict, judge
from linkseal.domains.checks.model import ROUTES, shown
from support.checks import CLOUDFLARE, HOST, ROOT, exchange, observed, verdict

IDS = [
    *(f"DNS-{n:02}" for n in range(1, 10)),
    *(f"TLS-{n:02}" for n in range(1, 7)),
    *(f"HTTP-{n:02}" for n in range(1, 16)),
    *(f"ORG-{n:02}" for n in range(1, 7)),
    *(f"ACM-{n:02}" for n in range(1, 4)),
]


def test_every_check_is_there_in_its_order() -> None:
    assert list(CHECKS) == IDS
    assert [each.id for each in CHECKS.values()] == IDS


@pytest.mark.parametrize("one", CHECKS.values(), ids=IDS)
def test_a_check_is_whole(one: Check) -> None:
    assert set(one.severity) == set(ROUTES)
    assert one.title
    assert one.why.endswith(".")
    assert all(said.text.endswith(".") for said in one.messages.values())
    assert one.messages


@pytest.mark.parametrize(
    ("check", "route", "severity"),
    [
        ("DNS-03", "acme", Severity.BLOCKS),
        ("DNS-03", "cdn", Severity.WARNS),
        ("DNS-06", "acme", Severity.BLOCKS),
        ("DNS-06", "uploaded", Severity.WARNS),
        ("DNS-08", "acme", Severity.BLOCKS),
        ("DNS-08", "cdn", Severity.NOT_ASKED),
        ("HTTP-02", "", Severity.BLOCKS),
        ("ORG-03", "proxy", Severity.WARNS),
        ("ORG-03", "uploaded", Severity.NOT_ASKED),
        ("ACM-01", "acme", Severity.BLOCKS),
    ],
)
def test_what_a_problem_does_depends_on_the_route(
    check: str, route: str, severity: Severity
) -> None:
    assert CHECKS[check].severity[route] is severity


def test_a_domain_in_order_blocks_nothing() -> None:
    report = judge(observed(), roots=[ROOT], cdn=CLOUDFLARE)

    assert report.blocking == ()
    assert {each.result for each in report.verdicts} == {Result.PASS, Result.SKIPPED}


def test_one_mistake_makes_one_verdict_with_its_evidence() -> None:
    wrong = exchange(seen={"host": "d1.cloudfront.net"})
    report = judge(observed(exchanges=(wrong,)), roots=[ROOT])

    assert report.blocking == (
        Verdict(
            check="HTTP-03",
            result=Result.FAIL,
            seen="d1.cloudfront.net",
            expected=HOST,
            message="Host header arrives as `d1.cloudfront.net`.",
            evidence=(f"GET {wrong.url} at {wrong.address}: 200: Host d1.cloudfront.net",),
            shape="other",
        ),
    )


def test_the_worst_comes_first_and_else_the_order_is_kept() -> None:
    def one(check: str, result: Result) -> Verdict:
        return Verdict(check, result, "", "", "")

    given = (
        one("DNS-01", Result.PASS),
        one("DNS-02", Result.WARN),
        one("DNS-03", Result.FAIL),
        one("DNS-04", Result.SKIPPED),
        one("TLS-01", Result.FAIL),
        one("TLS-02", Result.WARN),
    )
    ordered = [each.check for each in Report(given).worst_first()]

    assert ordered == ["DNS-03", "TLS-01", "DNS-02", "TLS-02", "DNS-04", "DNS-01"]
    assert [each.check for each in Report(given).blocking] == ["DNS-03", "TLS-01"]


def test_what_strangers_write_cannot_disturb_a_terminal_and_is_bounded() -> None:
    assert shown("a\x1b[31m\nb\u202e") == "a�[31m�b�"
    assert len(shown("x" * 1000)) == 300
    said = verdict("HTTP-03", observed(exchanges=(exchange(seen={"host": "{host}\x1b]0;"}),)))
    assert said.message == "Host header arrives as `{host}�]0;`."


def test_a_report_can_be_kept_as_json() -> None:
    report = judge(observed(), roots=[ROOT])

    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report


def test_the_page_of_checks_names_every_message() -> None:
    page = Path(__file__).parents[3] / "docs" / "reference" / "checks.md"
    text = page.read_text(encoding="utf-8")

    for one in CHECKS.values():
        assert f"## {one.id}: {one.title}\n\n{one.why}\n" in text
        for shape, said in one.messages.items():
            assert f"| {shape} | {said.text}" in text
