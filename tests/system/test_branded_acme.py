"""A branded domain on route `acme`, from the claim to a recorded click."""

from __future__ import annotations

import contextlib
import http.client
from pathlib import Path

from linkseal.testing.acme_directory import AcmeDirectory
from linkseal.testing.acme_objects import Problem
from support.branded import HOST, Customer, new_customer


def validating(mine: Customer, name: str, kind: str, token: str, proof: str) -> Problem | None:
    """Validate HTTP-01 as a CA does: by asking whom the name leads to."""
    if kind == "dns-01":
        return None
    edge = http.client.HTTPConnection("127.0.0.1", mine.ports["http"], timeout=20)
    with contextlib.closing(edge):
        edge.request("GET", f"/.well-known/acme-challenge/{token}", headers={"Host": name})
        body = edge.getresponse().read().decode()
    return None if body == proof else Problem("unauthorized", body[:80])


async def test_from_the_claim_to_a_click_with_a_certificate_that_we_obtain(
    tmp_path: Path,
) -> None:
    with AcmeDirectory() as ca:
        async with new_customer(tmp_path, straight=True) as mine:
            ca.validate = lambda *asked: validating(mine, *asked)
            mine.trust(ca.root_pem)
            mine.claim(issuer=ca.url)
            issued = mine.json("certificate", "issue", HOST, "--customer", "acme")
            assert (issued["state"], issued["route"]) == ("valid", "acme")
            await mine.shown()
            mine.enable("acme")
            await mine.send_and_click()
