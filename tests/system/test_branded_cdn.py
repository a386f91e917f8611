"""A branded domain on route `cdn`, behind a proxy that does what Cloudflare does."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from linkseal.domains.guides import guide
from linkseal.testing.lab import Mode, Site, cloudflare
from support.branded import BASE, HOST, Customer, ask, assert_leads_on, new_customer

CDN = "127.0.0.3"
"""Where the stand-in connects from: a network of the customer's, as no CDN is on loopback."""
VISITOR = "127.0.0.9"
STRANGER = "127.0.0.8"
FORGED = (
    "CF-Connecting-IP: 203.0.113.7",
    "True-Client-IP: 203.0.113.7",
    "Fastly-Client-IP: 203.0.113.7",
    "X-Real-IP: 203.0.113.7",
    "X-Forwarded-For: 203.0.113.7",
    "Forwarded: for=203.0.113.7",
    "CF-Ray: 1-AMS",
)


def status_through(mine: Customer) -> bytes:
    with mine.connect() as plain, mine.trusted.wrap_socket(plain, server_hostname=HOST) as tls:
        return ask(tls, "/").partition(b"\r\n")[0]


def click_through(mine: Customer, link: str) -> None:
    """Click as a visitor who says to be somebody else."""
    with (
        mine.connect(VISITOR) as plain,
        mine.trusted.wrap_socket(plain, server_hostname=HOST) as tls,
    ):
        assert_leads_on(ask(tls, link.removeprefix(f"https://{HOST}"), *FORGED))


def click_past(mine: Customer, found: Any, link: str) -> None:
    """Click at our edge itself, as a stranger who says to be Cloudflare."""
    context = ssl.create_default_context(cafile=mine.service.ca_file)
    edge = mine.service.config.edge.https
    with (
        mine.connect(STRANGER, edge.port) as plain,
        context.wrap_socket(plain, server_hostname=found["target"]) as tls,
    ):
        assert_leads_on(ask(tls, link.removeprefix(f"https://{HOST}"), *FORGED))


def in_full(site: Site) -> AbstractContextManager[None]:
    return cloudflare(site, Mode.FULL, always_https=True)


def by_the_guides_file(site: Site) -> AbstractContextManager[None]:
    """Full (strict) by the guide's own Terraform, in a zone that is set up otherwise."""
    file = guide(HOST, site.target, site.ownership, "cloudflare", BASE).files[0].content
    zone = {"cache_everything": True, "obfuscation": True, "challenge": True}
    return cloudflare(site, Mode.FLEXIBLE, terraform=file, **zone)


@pytest.mark.parametrize("stand_in", [in_full, by_the_guides_file])
async def test_from_the_claim_to_a_click_behind_cloudflare(
    tmp_path: Path, stand_in: Callable[[Site], AbstractContextManager[None]]
) -> None:
    """The links are https; the CDN says who a client is, and nobody else does."""
    async with new_customer(tmp_path, straight=False) as mine:
        found = mine.claim()
        mine.run("domain", "enrol", HOST, "cloudflare", "--network", CDN)
        with stand_in(mine.site(found, CDN)):
            report = mine.enable("cdn")
            assert report["cdn"] == "cloudflare"
            told = {each["check"]: each for each in report["verdicts"]}
            for name in ("HTTP-08", "ORG-04"):
                assert told[name]["result"] == "pass", told[name]
            link = await mine.send()
            mine.click(link, source=VISITOR)
            (event,) = await mine.events(1)
            assert (event["host"], event["event"], event["secure"]) == (HOST, "click", True)
            assert event["address"] == VISITOR
            click_through(mine, link)
            assert [each["address"] for each in await mine.events(2)] == [VISITOR, VISITOR]
            click_past(mine, found, link)
            seen = sorted(each["address"] for each in await mine.events(3))
            assert seen == [STRANGER, VISITOR, VISITOR]


async def test_a_cdn_outside_of_the_enrolled_networks_is_not_believed(tmp_path: Path) -> None:
    """Nothing connects from Cloudflare's own networks here, so who connects is the client."""
    async with new_customer(tmp_path, straight=False) as mine:
        found = mine.claim()
        mine.run("domain", "enrol", HOST, "cloudflare")
        with cloudflare(mine.site(found, CDN), always_https=True):
            told = {each["check"]: each for each in mine.enable("cdn")["verdicts"]}
            assert told["HTTP-08"]["message"] == (
                "CF-Connecting-IP tells the visitor's address, but is not believed: "
                f"{HOST} is not enrolled with Cloudflare at {CDN}."
            )
            assert f"linkseal domain enrol {HOST} cloudflare" in told["HTTP-08"]["fix"]
            mine.click(await mine.send(), source=VISITOR)
            (event,) = await mine.events(1)
            assert (event["host"], event["address"]) == (HOST, CDN)


async def test_full_strict_takes_our_certificate_for_the_target_and_no_other(
    tmp_path: Path,
) -> None:
    async with new_customer(tmp_path, straight=False) as mine:
        site = mine.site(mine.claim())
        for changed, status in (
            (site, 404),
            (replace(site, roots=tmp_path / "root.pem"), 526),
            (replace(site, target="links.other.example"), 526),
        ):
            with cloudflare(changed, Mode.STRICT):
                answer = status_through(mine)
                assert answer.startswith(f"HTTP/1.1 {status} ".encode()), (changed, answer)
