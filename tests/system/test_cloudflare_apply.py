"""``linkseal domain guide --cdn cloudflare --apply``, as it is run."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from linkseal.testing.cloudflare_api import ALL, CloudflareAPI, ZoneState
from support.desk import HOST, Desk

TOKEN = "Sn3lZJTBX6kkg7OdcBUAxOO963GEIyGQqnFTOFYY"
GUIDE = ("guide", HOST, "--cdn", "cloudflare", "--apply")
DEADLINE = 60.0


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudflareAPI]:
    with CloudflareAPI(TOKEN) as running:
        monkeypatch.setenv("CLOUDFLARE_BASE_URL", running.url)
        monkeypatch.setenv("CLOUDFLARE_API_TOKEN", TOKEN)
        yield running


@pytest.fixture
def zone(api: CloudflareAPI) -> ZoneState:
    return api.zone("acme.example")


@pytest.fixture
def target(desk: Desk) -> str:
    return str(desk.json("add", HOST, "--customer", "acme")["target"])


def writes(api: CloudflareAPI) -> list[str]:
    return [call.method for call in api.calls if call.method != "GET"]


def test_first_a_dry_run_then_all_of_it_then_nothing_to_do(
    api: CloudflareAPI, zone: ZoneState, desk: Desk, target: str
) -> None:
    dry = desk.run(*GUIDE)
    assert (dry.returncode, dry.stderr) == (3, ""), dry.stderr
    assert dry.stdout.count("create") == 5
    assert "ssl=strict" in dry.stdout.replace("\n", "")
    assert "Nothing was changed" in dry.stdout
    assert writes(api) == []

    done = desk.said(*GUIDE, "--yes")
    assert [line.partition(" ")[2] for line in done.splitlines() if line.startswith("done: ")] == [
        f"create configuration rule for {HOST}",
        f"create cache rule for {HOST}",
        f"create redirect rule for {HOST}",
        f"create TXT _ct-challenge.{HOST}",
        f"create CNAME {HOST}",
    ]
    assert (zone.records[-1]["content"], zone.records[-1]["proxied"]) == (target, True)
    assert "Bot Fight Mode off" in done
    assert f"linkseal domain enrol {HOST} cloudflare" in done

    api.calls.clear()
    again = desk.said(*GUIDE)
    assert "Nothing to do" in again
    assert again.count("keep") == 5
    assert writes(api) == []


def test_the_token_is_read_from_a_file_and_shown_nowhere(
    api: CloudflareAPI,
    zone: ZoneState,
    desk: Desk,
    target: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CLOUDFLARE_API_TOKEN")
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    done = desk.run(*GUIDE, "--yes", "--token-file", str(file))
    assert done.returncode == 0, done.stderr
    assert TOKEN not in done.stdout + done.stderr
    for kept in (tmp_path / "data").rglob("*"):
        assert not kept.is_file() or TOKEN.encode() not in kept.read_bytes()
    desk.refused("cloudflare-token-missing", *GUIDE)
    desk.refused("cloudflare-token-file", *GUIDE, "--token-file", str(tmp_path / "none"))


def test_a_name_that_leads_elsewhere_is_replaced_on_that_word_only(
    api: CloudflareAPI, zone: ZoneState, desk: Desk, target: str
) -> None:
    api.record(zone, "CNAME", HOST, "shop.example.org", proxied=True)
    refused = desk.run(*GUIDE, "--yes")
    assert refused.returncode == 1
    said = " ".join(refused.stderr.split())
    assert "shop.example.org, proxied (cloudflare-record-elsewhere)" in said
    assert "--replace" in said
    assert writes(api) == []
    assert "replace" in desk.said(*GUIDE, "--yes", "--replace")
    assert [each["content"] for each in zone.records if each["type"] == "CNAME"] == [target]


def test_a_rule_of_ours_that_they_widened_is_replaced_on_that_word_only(
    api: CloudflareAPI, zone: ZoneState, desk: Desk, target: str
) -> None:
    desk.said(*GUIDE, "--yes")
    api.calls.clear()
    (rule,) = zone.rules("http_request_cache_settings")
    ours = rule["expression"]
    rule["expression"] = wider = f'(http.host in {{"{HOST}" "go.acme.example"}})'
    refused = desk.run(*GUIDE, "--yes")
    assert refused.returncode == 1
    said = " ".join(refused.stderr.split())
    assert f"cache=false, for {wider} (cloudflare-rule-changed)" in said
    assert "--replace" in said
    assert writes(api) == []
    assert desk.run(*GUIDE).returncode == 3
    desk.said(*GUIDE, "--yes", "--replace")
    (rule,) = zone.rules("http_request_cache_settings")
    assert (writes(api), rule["expression"]) == (["PATCH"], ours)


def test_it_is_not_called_well_where_a_rule_of_theirs_wins(
    api: CloudflareAPI, zone: ZoneState, desk: Desk, target: str
) -> None:
    desk.said(*GUIDE, "--yes")
    late = {"expression": "true", "action": "set_config", "action_parameters": {"ssl": "full"}}
    api.rule(zone, "http_config_settings", description="all", **late)
    said = " ".join(desk.said(*GUIDE).split())
    assert "'all' (true) comes later and sets ssl=full" in said
    assert "Nothing to do here, but see the note above." in said
    assert "it is set up as the guide says" not in said


def test_what_is_in_the_way_is_refused_with_the_fix(
    api: CloudflareAPI, zone: ZoneState, desk: Desk, target: str
) -> None:
    api.record(zone, "AAAA", HOST, "2001:db8::7")
    assert "2001:db8::7" in desk.refused("cloudflare-record-conflict", *GUIDE, "--yes")
    assert writes(api) == []


def test_a_run_that_stops_says_what_was_done_and_the_next_goes_on(
    api: CloudflareAPI, zone: ZoneState, desk: Desk, target: str
) -> None:
    api.tokens[TOKEN] = ALL - {"redirect"} | {"redirect:read"}
    stopped = desk.run(*GUIDE, "--yes")
    assert stopped.returncode == 1
    assert "Single Redirect: Edit" in stopped.stderr
    lines = stopped.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines if ": create " in line] == (
        ["done"] * 2 + ["not done"] * 3
    )
    assert zone.records == []
    api.tokens[TOKEN] = ALL
    gone_on = json.loads(desk.run(*GUIDE, "--yes", "--json").stdout)
    assert gone_on["complete"] is True
    assert [each["do"] for each in gone_on["changes"]] == ["keep"] * 2 + ["create"] * 3
    assert [each["done"] for each in gone_on["changes"]] == [False] * 2 + [True] * 3


def test_it_is_told_when_it_is_not_known_whether_it_was_done(
    api: CloudflareAPI, zone: ZoneState, desk: Desk, target: str
) -> None:
    api.fail("POST", "/rulesets", 0)
    stopped = desk.run(*GUIDE, "--yes")
    assert stopped.returncode == 1
    assert f"not known whether done: create configuration rule for {HOST}" in stopped.stdout
    assert "(cloudflare-unreachable)" in " ".join(stopped.stderr.split())


def test_for_programs_the_dry_run_is_one_document(
    api: CloudflareAPI, zone: ZoneState, desk: Desk, target: str
) -> None:
    zone.settings["ssl"] = "flexible"
    done = desk.run(*GUIDE, "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["complete"]) == (3, False)
    assert document["zone"] == {"id": zone.id, "name": "acme.example"}
    assert not any(each["done"] for each in document["changes"])
    assert "flexible" in document["notes"][0]
    assert any("Bot Fight Mode" in each for each in document["by_hand"])


@pytest.mark.parametrize(
    "words",
    [
        ("guide", HOST, "--cdn", "cloudflare", "--yes"),
        ("guide", HOST, "--cdn", "cloudflare", "--zone-id", "x"),
        (*GUIDE, "--markdown"),
    ],
)
def test_words_that_do_not_go_together_are_wrong_usage(
    desk: Desk, target: str, words: tuple[str, ...]
) -> None:
    assert desk.run(*words).returncode == 2


def test_a_released_domain_is_not_set_up(
    api: CloudflareAPI, zone: ZoneState, desk: Desk, target: str
) -> None:
    desk.said("release", HOST, "--reason", "left")
    desk.refused("domain-released", *GUIDE, "--yes")
    assert api.calls == []


def test_other_cdns_are_not_set_up(desk: Desk, target: str) -> None:
    words = ("guide", HOST, "--cdn", "fastly", "--apply")
    assert "fastly" in desk.refused("guide-apply-unsupported", *words)


@pytest.mark.parametrize(("answer", "code", "done"), [("y", 0, True), ("n", 3, False)])
def test_on_a_terminal_the_token_and_the_word_are_asked_for(
    api: CloudflareAPI,
    zone: ZoneState,
    desk: Desk,
    target: str,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    code: int,
    done: bool,
) -> None:
    monkeypatch.delenv("CLOUDFLARE_API_TOKEN")
    program = str(Path(sys.executable).parent / "linkseal")
    ours, theirs = pty.openpty()
    running = subprocess.Popen(
        [program, "--config", str(desk.config_file), "domain", *GUIDE],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        shown = typed(ours, "API token", TOKEN, hidden=True)
        shown += typed(ours, "Do these 5?", answer)
        shown += rest(ours)
        assert running.wait(60) == code, shown
    finally:
        running.kill()
        running.wait()
        os.close(ours)
    assert TOKEN not in shown
    assert bool(writes(api)) is done


def typed(terminal: int, question: str, answer: str, *, hidden: bool = False) -> str:
    """Wait for a question on a terminal, answer it, and return what was shown."""
    shown = ""
    while question not in shown:
        more = read(terminal)
        assert more, shown
        shown += more
    deadline = time.monotonic() + DEADLINE
    # What is typed before the echo is off is thrown away.
    while hidden and termios.tcgetattr(terminal)[3] & termios.ECHO:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.write(terminal, f"{answer}\n".encode())
    return shown


def rest(terminal: int) -> str:
    shown = ""
    while data := read(terminal):
        shown += data
    return shown


def read(terminal: int) -> str:
    ready, _, _ = select.select([terminal], [], [], DEADLINE)
    assert ready, "nothing more was shown"
    try:
        return os.read(terminal, 4096).decode()
    except OSError:  # As Linux says that the other end is closed.
        return ""
