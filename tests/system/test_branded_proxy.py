"""A branded domain on route `proxy`, from the claim to a recorded click: everything is real."""

from __future__ import annotations

from pathlib import Path

from support.branded import new_customer
from support.proxy import proxy


async def test_from_the_claim_to_a_click_over_the_customers_own_proxy(tmp_path: Path) -> None:
    async with new_customer(tmp_path, straight=False) as mine:
        with proxy(mine, mine.claim()):
            mine.enable("proxy")
            await mine.send_and_click()
