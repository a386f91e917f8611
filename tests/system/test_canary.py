"""A wrong certificate shown on purpose: who verifies refuses it, who does not asks on."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from linkseal.config import Address, Config
from linkseal.domains.lifecycle import Action, Route, Step
from linkseal.store import Store
from linkseal.watch import canary
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
            mine.click(await mine.send())
            await mine.events(1)


def is_wrong(address: Address) -> bool:
    """Whether a connection for the name is shown the wrong certificate."""
    careless = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    careless.check_hostname = False
    careless.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection((address.host, address.port), 20) as plain,
        careless.wrap_socket(plain, server_hostname=HOST) as tls,
    ):
        return b"Linkseal canary" in (tls.getpeercert(binary_form=True) or b"")


def wait_until(address: Address, *, wrong: bool, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while is_wrong(address) is not wrong:
        assert time.monotonic() < deadline
        time.sleep(0.1)


@contextlib.contextmanager
def killed_while_showing(config: Config) -> Iterator[None]:
    """Run what a command does that shows the wrong certificate, and at last kill it."""
    read, write = os.pipe()
    command = os.fork()
    if not command:
        with (
            Store.open(config.store_url) as store,
            canary.showing(config, store, store.domains.get(HOST)),
        ):
            os.write(write, b"x")
            time.sleep(600)
        os._exit(1)
    assert os.read(read, 1) == b"x"
    try:
        yield
    finally:
        os.kill(command, signal.SIGKILL)
        os.waitpid(command, 0)
        os.close(read)
        os.close(write)


async def test_ssl_is_not_enabled_under_it_and_whatever_enables_it_ends_it(tmp_path: Path) -> None:
    async with new_customer(tmp_path, straight=False) as mine:
        target = mine.claim()["target"]
        config, edge = mine.service.config, mine.service.config.edge.https
        now = datetime.now(UTC)
        with Store.open(config.store_url) as store:
            store.domains.apply_dns(HOST, target=target, passed=True, who="test", now=now)
            store.domains.apply(HOST, Step(Action.REQUEST_SSL, "test", route=Route.CDN), now)
            store.domains.save_report(
                HOST, {}, target=target, route=Route.CDN, blocks=False, now=now
            )
            with killed_while_showing(config):
                wait_until(edge, wrong=True, seconds=40)
            refused = mine.run("domain", "approve", HOST)
            assert refused.returncode == 1
            assert "is being shown a wrong certificate" in refused.stderr
            # By one worker at least: each looks for what is new by itself.
            wait_until(edge, wrong=True, seconds=40)
            # Another way, as if it had been approved in the moment before.
            store.domains.apply(HOST, Step(Action.APPROVE, "test"), datetime.now(UTC))
            wait_until(edge, wrong=False, seconds=40)
            assert config.canary_file.exists()
