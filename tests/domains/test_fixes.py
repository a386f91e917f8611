"""Every check has a fix at every CDN, and the ones the CDN decides name its own setting."""

from __future__ import annotations

import pytest

from linkseal.domains.fixes import fix
from linkseal.domains.fixes.edges import FIXES as EDGES
from linkseal.domains.fixes.generic import FIXES as GENERIC
from linkseal.domains.fixes.hosted import FIXES as HOSTED
from linkseal.domains.profiles import PROFILES

CHECKS = [
    f"{family}-{number:02}"
    for family, most in (("DNS", 9), ("TLS", 6), ("HTTP", 15), ("ORG", 6), ("ACM", 3))
    for number in range(1, most + 1)
]


def test_every_check_has_a_general_fix_and_no_other_has() -> None:
    assert sorted(GENERIC) == sorted(CHECKS)


def test_the_tables_are_of_profiles_and_checks_that_there_are() -> None:
    tables = {**EDGES, **HOSTED}
    assert tables.keys() == PROFILES.keys()
    for table in tables.values():
        assert set(table) <= set(CHECKS)


@pytest.mark.parametrize("profile", [None, *PROFILES])
@pytest.mark.parametrize("check", CHECKS)
def test_every_fix_is_sentences(check: str, profile: str | None) -> None:
    text = fix(check, profile)
    assert len(text) > 10
    assert text.endswith(".")
    assert text.isprintable()
    assert text.count("`") % 2 == 0


@pytest.mark.parametrize(
    ("check", "profile", "said"),
    [
        ("HTTP-03", "fastly", "Clear Override host"),
        ("HTTP-03", "cloudfront", "AllViewer, not AllViewerExceptHostHeader"),
        ("HTTP-03", "vercel", "cannot be turned off"),
        ("HTTP-06", "cloudflare", "Bypass cache"),
        ("HTTP-06", "google", "Cloud CDN off"),
        ("HTTP-12", "cloudflare", "Bot Fight Mode off"),
        ("HTTP-13", "cloudflare", "Full (strict)"),
        ("ORG-01", "cloudflare", "Always Use HTTPS"),
        ("ORG-03", "proxy", "proxy_ssl_verify on"),
        ("ORG-03", "akamai", "{{Origin Hostname}}"),
        ("TLS-02", "cloudfront", "us-east-1"),
        ("HTTP-10", "keycdn", "GET and HEAD only"),
        ("DNS-03", "azure", "_dnsauth"),
        ("HTTP-07", "bunny", "Vary Cache"),
        ("DNS-04", "cloudflare", "TXT record of the claim"),
    ],
)
def test_a_fix_names_the_setting_of_the_cdn(check: str, profile: str, said: str) -> None:
    assert said in fix(check, profile)


def test_what_no_cdn_decides_is_said_generally() -> None:
    assert fix("DNS-07", "cloudflare") == fix("DNS-07", None) == GENERIC["DNS-07"]


def test_unknown_checks_and_profiles_are_refused() -> None:
    with pytest.raises(KeyError):
        fix("HTTP-99", None)
    with pytest.raises(KeyError):
        fix("HTTP-03", "no-such-cdn")
