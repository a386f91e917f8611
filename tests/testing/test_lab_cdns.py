"""The stand-ins for CDNs: each has its quirks, and its right setting, through a real edge."""

from __future__ import annotations

from contextlib import AbstractContextManager

import pytest

from linkseal.domains.guides import guide
from linkseal.testing.lab import Mode, Site, cloudflare, cloudfront, fastly
from support.stand_ins import BASE, Claimed, through


def guides_file(site: Site, cdn: str) -> str:
    return guide(site.host, site.target, site.ownership, cdn, BASE).files[0].content


@pytest.mark.parametrize("mode", [Mode.FULL, Mode.STRICT])
async def test_cloudflare_set_right(acme: Claimed, mode: Mode) -> None:
    found = await through(acme, lambda site: cloudflare(site, mode, always_https=True))
    assert (found.cdn, found.fails) == ("cloudflare", {})
    # The stand-in is on this machine: no address of Cloudflare's.
    assert found.warns.keys() <= {"ORG-04", "DNS-03"}, found


@pytest.mark.parametrize(
    ("switches", "check", "message"),
    [
        ({"mode": Mode.FLEXIBLE}, "ORG-01", "Cloudflare talks plain http to us."),
        ({"cache_everything": True}, "HTTP-06", " is cached by Cloudflare "),
        ({"challenge": True}, "HTTP-12", "Clicks are challenged: Cloudflare for UA "),
    ],
)
async def test_a_switch_of_cloudflare_fails_its_check(
    acme: Claimed, switches: dict[str, object], check: str, message: str
) -> None:
    found = await through(
        acme,
        lambda site: cloudflare(site, **{"always_https": True, **switches}),  # type: ignore[arg-type]
    )
    assert found.fails.keys() == {check}
    assert message in found.fails[check]


CARELESS = {
    "mode": Mode.FLEXIBLE,
    "cache_everything": True,
    "obfuscation": True,
    "challenge": True,
}


async def test_cloudflare_by_the_guides_terraform_in_a_zone_that_is_set_up_otherwise(
    acme: Claimed,
) -> None:
    def stand_in(site: Site) -> AbstractContextManager[None]:
        return cloudflare(site, terraform=guides_file(site, "cloudflare"), **CARELESS)  # type: ignore[arg-type]

    found = await through(acme, stand_in)
    assert (found.cdn, found.fails) == ("cloudflare", {})
    assert found.warns.keys() <= {"ORG-04", "DNS-03"}, found


@pytest.mark.parametrize(
    ("old", "new", "check"),
    [
        ('"strict"', '"flexible"', "ORG-01"),
        ("cache = false", "cache = true", "HTTP-06"),
        ("email_obfuscation = false", "email_obfuscation = true", "HTTP-11"),
        ('"essentially_off"', '"high"', "HTTP-12"),
        ('"http_request_dynamic_redirect"', '"http_request_redirect"', "ORG-01"),
    ],
)
async def test_every_rule_of_that_file_is_needed(
    acme: Claimed, old: str, new: str, check: str
) -> None:
    def stand_in(site: Site) -> AbstractContextManager[None]:
        file = guides_file(site, "cloudflare")
        assert file.count(old) == 1
        return cloudflare(site, terraform=file.replace(old, new), **CARELESS)  # type: ignore[arg-type]

    found = await through(acme, stand_in)
    assert check in found.fails | found.warns, found


def test_a_file_that_leads_the_name_elsewhere_is_refused(acme: Claimed) -> None:
    file = guides_file(acme.site, "cloudflare").replace("proxied = true", "proxied = false")
    with (
        pytest.raises(ValueError, match="no proxied CNAME"),
        cloudflare(acme.site, terraform=file),
    ):
        pass


async def test_cloudflares_obfuscation_is_told(acme: Claimed) -> None:
    found = await through(acme, lambda site: cloudflare(site, obfuscation=True, always_https=True))
    assert found.fails == {}
    assert found.warns["HTTP-11"] == (
        "Body altered: /html has its email addresses replaced (optimizer/obfuscation/injection)."
    )


async def test_cloudflare_in_full_follows_the_visitor(acme: Claimed) -> None:
    found = await through(acme, cloudflare)
    assert found.fails == {
        "ORG-01": "Cloudflare talks plain http to us when the visitor comes by http."
    }


async def test_fastly_with_a_cache_setting_stores_redirects(acme: Claimed) -> None:
    found = await through(acme, lambda site: fastly(site, cache_setting=True))
    assert found.cdn == "fastly"
    assert "is cached by Fastly" in found.fails["HTTP-06"]


async def test_fastly_by_the_guides_vcl(acme: Claimed) -> None:
    """Even beside such a setting."""
    vcl = guides_file(acme.site, "fastly")
    found = await through(acme, lambda site: fastly(site, vcl, cache_setting=True))
    assert (found.cdn, found.fails) == ("fastly", {})
    assert found.warns.keys() <= {"ORG-04", "DNS-03"}, found


async def test_fastly_keeps_nothing_that_is_private(acme: Claimed) -> None:
    """What our edge says of its answers is enough for a service that has no such setting."""
    assert (await through(acme, fastly)).fails == {}


async def test_cloudfront_as_it_is_made(acme: Claimed) -> None:
    found = await through(acme, cloudfront)
    assert found.cdn == "cloudfront"
    assert found.fails.keys() >= {"HTTP-03", "HTTP-04", "HTTP-06"}
    assert found.fails["HTTP-03"] == f"Host header arrives as `{acme.site.target}`."
    assert found.fails["HTTP-04"] == "Query string was dropped."
    assert found.warns["HTTP-09"] == (
        "User-Agent arrives as `Amazon CloudFront`, Accept-Language as `(empty)`."
    )


async def test_cloudfront_by_the_guides_terraform(acme: Claimed) -> None:
    terraform = guides_file(acme.site, "cloudfront")
    found = await through(acme, lambda site: cloudfront(site, terraform))
    assert (found.cdn, found.fails) == ("cloudfront", {})
    assert found.warns.keys() <= {"ORG-04", "DNS-03"}, found
