"""A wrong certificate shown on purpose: who verifies refuses it, who does not asks on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.branded import HOST, Customer, new_customer
from support.proxy import proxy

CHECK = ("domain", "check", HOST)
UNVERIFIED = ("proxy_ssl_verify on;", "proxy_ssl_verify off;")


def strict(mine: Customer, *words: str) -> tuple[str, str]:
    done = mine.run(*CHECK, *words, "--all", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    verdicts = {each["check"]: each for each in json.loads(done.stdout)["verdicts"]}
    bad = {each for each, one in verdicts.items() if one["result"] in {"warn", "fail"}}
    assert bad <= {"ORG-03"}, [verdicts[each]["message"] for each in bad]
    return verdicts["ORG-03"]["result"], verdicts["ORG-03"]["message"]


def refusal(mine: Customer) -> str:
    done = mine.run(*CHECK, "--canary")
    assert done.returncode == 1
    assert "before SSL is first enabled" in done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("", ""), ("pass", "Strict: a wrong certificate is refused")),
        (
            UNVERIFIED,
            (
                "warn",
                "The CDN or proxy does not verify the origin certificate (Full, not strict).",
            ),
        ),
    ],
)
async def test_whether_a_proxy_verifies_is_seen(
    change: tuple[str, str], said: tuple[str, str], tmp_path: Path
) -> None:
    async with new_customer(tmp_path, straight=False) as mine:
        with proxy(mine, mine.claim(), change):
            assert "no route over a CDN or proxy" in refusal(mine)
            mine.pass_checks()
            mine.json("domain", "request-ssl", HOST, "--route", "proxy")
            assert strict(mine, "--canary") == said
            assert not mine.service.config.canary_file.exists()
            # Only while it was asked for: the next look meets the right certificate again.
            assert strict(mine)[0] == "skipped"
            mine.pass_checks()
            mine.json("domain", "approve", HOST)
            assert "it is ssl_enabled" in refusal(mine)
            await mine.send_and_click()
