"""App links of a branded domain: as commands, and on a service behind the customer's own proxy."""

from __future__ import annotations

import json
import time
from pathlib import Path

import aiosmtplib

from linkseal.demo.recipient import read_message
from support import desk as on_desk
from support.branded import HOST, Customer, ask, assert_leads_on, new_customer
from support.desk import Desk
from support.proxy import proxy

APP = "ABCDE12345.com.acme.shop"
PRINT = ":".join(["0A", "FF"] * 16)
UNIVERSAL = (
    b"From: news@acme.example\r\nTo: reader@example.net\r\nContent-Type: text/html\r\n\r\n"
    b"<a universal='true' href='https://shop.example/?a=1'>shop</a>\r\n"
)


def test_files_are_set_shown_and_removed(desk: Desk, tmp_path: Path) -> None:
    host = on_desk.HOST
    desk.refused("domain-missing", "app-links", "show", host)
    desk.said("add", host, "--customer", "acme")
    assert "None: browsers open its links" in desk.said("app-links", "show", host)
    made = desk.said("app-links", "set", host, "--apple-app", APP, "--android-app", f"a.b={PRINT}")
    assert APP in made
    assert "a.b" in made
    assert "Not served yet: links.acme.example is claimed" in " ".join(made.split())
    found = desk.json("app-links", "show", host)
    assert found["served"] is False
    assert [each["url"] for each in found["files"]] == [
        f"https://{host}/.well-known/assetlinks.json",
        f"https://{host}/.well-known/apple-app-site-association",
    ]
    file = tmp_path / "aasa"
    file.write_bytes(
        b'{"applinks": {"details": [{"appID": "%b", "paths": ["*"]}]}}\n' % APP.encode()
    )
    done = desk.run("app-links", "set", host, "--apple", str(file))
    assert done.returncode == 0
    assert "warning: apple-app-site-association: it claims ordinary links" in done.stderr
    desk.checked()
    found = desk.json("app-links", "remove", host, "--android")
    assert found["served"] is True
    (left,) = found["files"]
    assert (left["file"], left["apps"]) == ("apple-app-site-association", [APP])
    assert left["content"].encode() == file.read_bytes()
    assert len(left["warnings"]) == 1
    assert desk.json("app-links", "remove", host)["files"] == []


def test_what_cannot_be_served_is_refused_and_changes_nothing(desk: Desk, tmp_path: Path) -> None:
    host = on_desk.HOST
    desk.said("add", host, "--customer", "acme")
    file = tmp_path / "aasa"
    file.write_text('{"applinks": {"details": [{"appIDs": ["shop"]}]}}')
    set_files = ("app-links", "set", host)
    said = desk.refused("app-links-invalid", *set_files, "--apple", str(file))
    assert 'applinks.details[0].appIDs[0]: "shop" is no app id' in said
    desk.refused("app-links-invalid", *set_files, "--android-app", "a.b=SHA256:12")
    desk.refused("app-links-unreadable", *set_files, "--android", str(tmp_path / "none"))
    desk.refused("app-links-invalid", *set_files, "--android", "/dev/zero")
    desk.refused("app-links-options", *set_files)
    desk.refused("app-links-options", *set_files, "--apple", str(file), "--apple-app", APP)
    assert desk.json("app-links", "show", host)["files"] == []


async def test_an_app_link_from_the_files_to_a_recorded_click(tmp_path: Path) -> None:
    async with new_customer(tmp_path, straight=False) as mine:
        with proxy(mine, mine.claim()):
            mine.json("domain", "app-links", "set", HOST, "--apple-app", APP)
            assert fetch(mine).startswith(b"HTTP/1.1 404 ")  # A claim alone serves nothing.
            report = mine.enable("proxy")
            (verdict,) = (each for each in report["verdicts"] if each["check"] == "HTTP-14")
            assert (verdict["result"], verdict["seen"]) == ("pass", "apple-app-site-association")
            head, _, body = fetch(mine).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ")
            assert b"\r\ncontent-type: application/json\r\n" in head.lower()
            (detail,) = json.loads(body)["applinks"]["details"]
            path = await sent(mine)
            assert path.startswith(detail["components"][0]["/"].removesuffix("*"))
            with (
                mine.connect() as plain,
                mine.trusted.wrap_socket(plain, server_hostname=HOST) as tls,
            ):
                assert_leads_on(ask(tls, path))
            (event,) = await mine.events(1)
            assert (event["host"], event["event"], event["secure"]) == (HOST, "click", True)
            mine.json("domain", "app-links", "remove", HOST)
            deadline = time.monotonic() + 60
            while not fetch(mine).startswith(b"HTTP/1.1 404 "):
                assert time.monotonic() < deadline


def fetch(mine: Customer) -> bytes:
    """Ask as a phone does: verified TLS, and no redirect is followed."""
    with mine.connect() as plain, mine.trusted.wrap_socket(plain, server_hostname=HOST) as tls:
        return ask(tls, "/.well-known/apple-app-site-association")


async def sent(mine: Customer) -> str:
    """Send a message with a link marked universal, and return the path it has on the domain."""
    smtp = mine.service.config.smtp.listen
    await aiosmtplib.send(
        UNIVERSAL,
        sender="news@acme.example",
        recipients=["reader@example.net"],
        hostname=smtp.host,
        port=smtp.port,
        start_tls=False,
    )
    (link,) = read_message(mine.mailbox.messages[-1].content).links
    assert link.startswith(f"https://{HOST}/uni/c/")
    return link.removeprefix(f"https://{HOST}")
