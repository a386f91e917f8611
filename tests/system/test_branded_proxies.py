"""Branded domains on route `proxy` over Caddy and HAProxy, by the guide's own file."""

from __future__ import annotations

from pathlib import Path

import pytest

from linkseal.testing.lab import own_proxy
from support.branded import HOST, new_customer

PROXY = "127.0.0.3"
VISITOR = "127.0.0.9"


@pytest.mark.parametrize("program", ["caddy", "haproxy"])
async def test_from_the_claim_to_a_click_by_the_guides_file(tmp_path: Path, program: str) -> None:
    async with new_customer(tmp_path, straight=False) as mine:
        found = mine.claim()
        mine.run("domain", "enrol", HOST, "proxy", "--network", PROXY)
        with own_proxy(mine.site(found, PROXY), program):
            mine.enable("proxy")
            mine.click(await mine.send(), source=VISITOR)
            (event,) = await mine.events(1)
            assert (event["event"], event["secure"], event["address"]) == ("click", True, VISITOR)
