"""A branded domain on route `uploaded`, from the claim to a recorded click."""

from __future__ import annotations

from pathlib import Path

from support.branded import HOST, new_customer


async def test_from_the_claim_to_a_click_with_a_certificate_of_the_customers(
    tmp_path: Path,
) -> None:
    async with new_customer(tmp_path, straight=True) as mine:
        mine.claim()
        pem = tmp_path / "theirs.pem"
        mine.web.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(pem)
        words = (HOST, str(pem), "--root", str(tmp_path / "root.pem"), "--customer", "acme")
        imported = mine.json("certificate", "import", *words)
        assert (imported["state"], imported["route"]) == ("valid", "uploaded")
        await mine.shown()
        mine.enable("uploaded")
        await mine.send_and_click()
