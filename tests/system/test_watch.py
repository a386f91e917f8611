"""A live domain whose CDN breaks: links of new mail leave it and come back, old ones lead on."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from linkseal.testing.lab import cloudflare
from support.branded import BASE, HOST, Customer, assert_leads_on, new_customer

SHARED = f"go.{BASE}"
FAILURES = 3
WATCH = """\
[watch]
interval = 1.0
retry = 0.3
failures = {failures}
recoveries = 2
references = ["{reference}"]
"""


def click_at_edge(mine: Customer, link: str, name: str) -> None:
    """Click at our edge itself, over verified TLS to a name of ours, with that name as Host."""
    path = "/" + link.split("/", 3)[3]
    context = ssl.create_default_context(cafile=mine.service.ca_file)
    port = mine.service.config.edge.https.port
    with (
        mine.connect(port=port) as plain,
        context.wrap_socket(plain, server_hostname=name) as tls,
    ):
        tls.sendall(f"GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while chunk := tls.recv(65536):
            answer += chunk
    assert_leads_on(answer)


async def until(
    what: Callable[[], Awaitable[str]], wanted: Callable[[str], bool], seconds: float = 240.0
) -> str:
    deadline = time.monotonic() + seconds
    while not wanted(found := await what()):
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.1)
    return found


def alert_kinds(mine: Customer) -> list[str]:
    return [each["kind"] for each in mine.json("domain", "alerts", "--host", HOST)]


async def test_links_leave_a_domain_whose_cdn_breaks_and_come_back(tmp_path: Path) -> None:
    async with new_customer(tmp_path, straight=False) as mine:
        mine.more = WATCH.format(failures=FAILURES, reference=mine.mailbox.address)
        found = mine.claim()
        site = mine.site(found)
        with cloudflare(site, always_https=True):
            mine.enable("cdn")
            old = await mine.send()
            mine.click(old)

            async def looked() -> str:
                return json.dumps(mine.json("domain", "show", HOST)["watch"] or {})

            # Until SSL was enabled it was DNS alone that was looked at.
            seen = json.loads(
                await until(looked, lambda text: bool(json.loads(text).get("certificate_ends_at")))
            )
            assert (seen["good"], seen["problems"]) == (True, []), seen
        # The CDN is gone.
        moved = await until(mine.send, lambda link: not link.startswith(f"https://{HOST}/"))
        assert moved.startswith(f"https://{SHARED}/c/"), moved
        now = mine.json("domain", "show", HOST)
        assert now["state"] == "ssl_degraded"
        assert now["reasons"][0].startswith("TLS-01: "), now["reasons"]
        rows = [each["row"] for each in mine.service.log() if each["event"] == "a look failed"]
        assert rows == list(range(1, FAILURES + 1))
        for link in (old, moved):
            click_at_edge(mine, link, SHARED)
            click_at_edge(mine, link, found["target"])
        assert alert_kinds(mine) == ["degraded"]
        # It stays so while it is broken: never back by itself, and never to http.
        assert (await mine.send()).startswith(f"https://{SHARED}/")
        with cloudflare(site, always_https=True):
            back = await until(mine.send, lambda link: link.startswith(f"https://{HOST}/c/"))
            for link in (old, moved, back):
                mine.click(f"https://{HOST}/" + link.split("/", 3)[3])
            assert alert_kinds(mine) == ["degraded", "recovered"]
            steps = mine.json("domain", "history", HOST)
            assert [(each["action"], each["who"]) for each in steps[-2:]] == [
                ("degrade", "watch"),
                ("recover", "watch"),
            ]
            assert not [each for each in mine.service.log() if each["event"] == "a look broke off"]
