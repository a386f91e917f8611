"""Every check has a fix at every CDN, and the ones the CDN decides name its own setting."""

from __future__ import annotations

import pytest

from linkseal.domains.fixes import fix
from linkseal.domains.fixes.edges import FIXES as EDGES
from linkseal.domains.fixes.generic import FIXES as GENERIC
from linkseal.domains.fixes.hosted import FIXES as HOSTED
from linkseal.domains.fixes.proxies import FIXES as PROXIES
from linkseal.domains.guides import GUIDES
from linkseal.domains.profiles import PROFILES

CHECKS = [
    f"{family}-{number:02}"
    for family, most in (("DNS", 9), ("TLS", 6), ("HTTP", 15), ("ORG", 6), ("ACM", 3))
    for number in range(1, most + 1)
]


def test_every_check_has_a_general_fix_and_no_other_has() -> None:
    assert sorted(GENERIC) == sorted(CHECKS)


def test_the_tables_are_of_profiles_guides_and_checks_that_there_are() -> None:
    tables = {**EDGES, **HOSTED, **PROXIES}
    assert tables.keys() == {*PROFILES, *GUIDES}
    for table in tables.values():
        assert set(table) <= set(CHECKS)


@pytest.mark.parametrize("profile", [None, *{**PROFILES, **dict.fromkeys(GUIDES)}])
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
        ("HTTP-02", "cloudflare", "1014"),
        ("HTTP-05", "cloudflare", "except the one from http to https"),
        ("HTTP-06", "fastly", "a cache setting or VCL of yours"),
        ("ORG-03", "proxy", "nginx: `proxy_ssl_verify on"),
        ("ORG-03", "proxy", "HAProxy: `verify required`"),
        ("HTTP-03", "proxy", "Caddy: `header_up Host`"),
        ("HTTP-03", "haproxy", "`http-request set-header Host`"),
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


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        ("cloudflare", "NAME cloudflare`"),
        ("fastly", "NAME fastly`"),
        ("cloudfront", "NAME cloudfront`"),
        ("bunny", "NAME bunny`"),
        ("akamai", "NAME akamai --network ADDRESS`"),
        ("azure", "NAME azure --network ADDRESS`"),
        ("google", "NAME google --network ADDRESS`"),
        *((each, "NAME proxy --network ADDRESS`") for each in (*PROXIES, None)),
    ],
)
def test_a_client_address_that_is_not_believed_has_the_command(
    profile: str | None, words: str
) -> None:
    assert f"`linkseal domain enrol {words}" in fix("HTTP-08", profile)


OWN = {"host": "links.acme.example", "target": "t-abc.ct.example.net"}


@pytest.mark.parametrize("profile", [None, *{**PROFILES, **dict.fromkeys(GUIDES)}])
def test_to_a_customer_a_fix_names_their_own_name_and_target(profile: str | None) -> None:
    for check in CHECKS:
        general, told = fix(check, profile), fix(check, profile, **OWN)
        for words in (" NAME", "<name>", "<target>", "your target", "the branded"):
            assert words not in told, told
        assert told.count("`") % 2 == 0
        assert ("your target" in general) <= (f"`{OWN['target']}`" in told)


@pytest.mark.parametrize(
    ("check", "profile", "said"),
    [
        ("HTTP-08", "cloudflare", "`linkseal domain enrol links.acme.example cloudflare`"),
        ("HTTP-08", "nginx", "`linkseal domain enrol links.acme.example proxy --network ADDRESS`"),
        ("HTTP-02", "keycdn", "Set the zone's Origin URL to https:// and `t-abc.ct.example.net`."),
        ("HTTP-01", "nginx", "`return 301 https://links.acme.example$request_uri;`"),
        ("ORG-02", "haproxy", "`sni str(t-abc.ct.example.net)`"),
        ("DNS-03", None, "Point `links.acme.example` at `t-abc.ct.example.net` with a CNAME"),
    ],
)
def test_so_a_fix_can_be_copied(check: str, profile: str | None, said: str) -> None:
    assert said in fix(check, profile, **OWN)


def test_each_proxy_is_told_in_its_own_words() -> None:
    others = {
        "nginx": ("header_up", "http-request", "Caddy", "HAProxy"),
        "caddy": ("proxy_", "http-request", "nginx", "HAProxy"),
        "haproxy": ("proxy_", "header_up", "nginx", "Caddy"),
    }
    for name, foreign in others.items():
        for text in PROXIES[name].values():
            assert not [word for word in foreign if word in text], text


def test_nothing_is_asked_for_that_cannot_be_given() -> None:
    """No option, key or check takes a secret or an id of the customer's CDN."""
    for table in ({"": GENERIC}, EDGES, HOSTED, PROXIES):
        for texts in table.values():
            for text in texts.values():
                assert not [word for word in ("agreed", "secret", "X-Azure-FDID") if word in text]


def test_what_no_cdn_decides_is_said_generally() -> None:
    assert fix("DNS-07", "cloudflare") == fix("DNS-07", None) == GENERIC["DNS-07"]


def test_unknown_checks_and_profiles_are_refused() -> None:
    with pytest.raises(KeyError):
        fix("HTTP-99", None)
    with pytest.raises(KeyError):
        fix("HTTP-03", "no-such-cdn")
