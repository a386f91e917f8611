"""A branded domain on route `proxy`, from the claim to a recorded click: everything is real."""

from __future__ import annotations

from pathlib import Path

from support.branded import HOST, new_customer
from support.proxy import proxy

VISITOR = "127.0.0.9"


async def test_from_the_claim_to_a_click_over_the_customers_own_proxy(tmp_path: Path) -> None:
    async with new_customer(tmp_path, straight=False) as mine:
        with proxy(mine, mine.claim()):
            mine.run("domain", "enrol", HOST, "proxy", "--network", "127.0.0.1")
            mine.enable("proxy")
            mine.click(await mine.send(), source=VISITOR)
            (event,) = await mine.events(1)
            assert (event["host"], event["event"], event["secure"]) == (HOST, "click", True)
            assert event["address"] == VISITOR
