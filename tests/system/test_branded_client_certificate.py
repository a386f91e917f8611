"""A customer's proxy shows our edge a client certificate: nginx and HAProxy, everything is real."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
import trustme

from linkseal.testing.lab import own_proxy
from support.branded import HOST, Customer, new_customer

PROXY, VISITOR = "127.0.0.3", "127.0.0.9"
ORIGIN_CA, OTHER_CA = trustme.CA(), trustme.CA()
CHANGES = {
    "nginx": (
        "proxy_redirect off;",
        "proxy_redirect off; proxy_ssl_certificate {pem}; proxy_ssl_certificate_key {pem};",
    ),
    "haproxy": ("ssl-min-ver TLSv1.2 resolvers", "ssl-min-ver TLSv1.2 crt {pem} resolvers"),
}


def told(mine: Customer) -> Any:
    done = mine.run("domain", "check", HOST, "--json")
    verdicts = {each["check"]: each for each in json.loads(done.stdout)["verdicts"]}
    return verdicts["ORG-06"]


async def until(mine: Customer, result: str) -> Any:
    """Return what ORG-06 says once it says so: the edge takes what the store holds in seconds."""
    deadline = time.monotonic() + 120
    while (found := await asyncio.to_thread(told, mine))["result"] != result:
        assert time.monotonic() < deadline, found
    return found


@pytest.mark.parametrize("program", CHANGES)
async def test_from_the_claim_to_a_click_with_a_client_certificate(
    tmp_path: Path, program: str
) -> None:
    pem = tmp_path / "client.pem"
    ORIGIN_CA.issue_cert("proxy.acme.example").private_key_and_cert_chain_pem.write_to_path(pem)
    for name, ca in (("right", ORIGIN_CA), ("wrong", OTHER_CA)):
        ca.cert_pem.write_to_path(tmp_path / f"{name}.pem")
    old, new = CHANGES[program]
    async with new_customer(tmp_path, straight=False) as mine:
        found = mine.claim()
        mine.run("domain", "enrol", HOST, "proxy", "--network", PROXY)
        site = mine.site(found, PROXY)
        with own_proxy(site, program, change=(old, new.replace("{pem}", str(pem)))):
            mine.enable("proxy")
            assert "no CA is set up" in told(mine)["message"]
            mine.json("domain", "client-ca", HOST, "--ca", str(tmp_path / "right.pem"))
            passed = await until(mine, "pass")
            assert "trustme" in passed["seen"]
            # Connections that come back, as proxies keep sessions, show it again.
            assert told(mine)["result"] == "pass"
            mine.json("domain", "client-ca", HOST, "--ca", str(tmp_path / "wrong.pem"))
            warned = await until(mine, "warn")
            assert "is not of the CA" in warned["message"]
            assert "domain client-ca" in warned["fix"]
            # Nobody is refused, whatever is shown.
            mine.click(await mine.send(), source=VISITOR)
            (event,) = await mine.events(1)
            assert (event["event"], event["secure"], event["address"]) == ("click", True, VISITOR)
        with own_proxy(site, program):
            assert "shows no client certificate" in (await until(mine, "warn"))["message"]
            mine.click(await mine.send(), source=VISITOR)
