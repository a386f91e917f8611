"""Branded domains behind what does as Fastly and CloudFront do, set up by the guide's own file."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from linkseal.domains.guides import guide
from linkseal.testing.lab import Site, cloudfront, fastly
from support.branded import BASE, HOST, new_customer

CDN = "127.0.0.3"
VISITOR = "127.0.0.9"


@pytest.mark.parametrize(("name", "stand_in"), [("fastly", fastly), ("cloudfront", cloudfront)])
async def test_from_the_claim_to_a_click_by_the_guides_file(
    tmp_path: Path, name: str, stand_in: Callable[[Site, str], AbstractContextManager[None]]
) -> None:
    async with new_customer(tmp_path, straight=False) as mine:
        found = mine.claim()
        mine.run("domain", "enrol", HOST, name, "--network", CDN)
        site = mine.site(found, CDN)
        file = guide(HOST, site.target, site.ownership, name, BASE).files[0].content
        with stand_in(site, file):
            assert mine.enable("cdn")["cdn"] == name
            mine.click(await mine.send(), source=VISITOR)
            (event,) = await mine.events(1)
            assert (event["event"], event["secure"], event["address"]) == ("click", True, VISITOR)
