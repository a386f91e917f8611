"""``linkseal domain`` as a person types it."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime, timedelta
from typing import Any

import dns.zone
import pytest
import typer

from linkseal.cli.domain import app
from linkseal.store import AlertKind, AlertSeverity, Look, Store
from support.desk import HOST, Desk

ME = getpass.getuser()


def test_add_prints_the_records_as_a_table_as_json_and_as_zone_lines(desk: Desk) -> None:
    shown = desk.said("add", "Links.ACME.example.", "--customer", "acme")
    found = desk.json("add", HOST, "--customer", "acme")
    assert (found["host"], found["customer"], found["state"]) == (HOST, "acme", "claimed")
    assert [(each["type"], each["name"], each["needed"]) for each in found["records"]] == [
        ("CNAME", HOST, True),
        ("TXT", f"_ct-challenge.{HOST}", True),
        ("CNAME", f"_acme-challenge.{HOST}", False),
    ]
    for record in found["records"]:
        # Whole, in a terminal of 80 columns too.
        assert any(line.split()[:2] == ["name", record["name"]] for line in shown.splitlines())
        assert any(line.split()[:2] == ["value", record["value"]] for line in shown.splitlines())
    assert found["target"].endswith(".ct.example.net")
    assert found["target"].count(".") == 3
    zone = desk.said("add", HOST, "--customer", "acme", "--zone")
    assert zone == desk.said("records", HOST, "--zone")
    parsed = dns.zone.from_text(zone, origin="acme.example", relativize=False, check_origin=False)
    assert len(parsed.nodes) == 3
    assert desk.json("records", HOST) == found["records"]
    assert desk.said("records", HOST) in shown


def test_show_says_when_the_next_look_is_or_that_the_watch_is_blind(desk: Desk) -> None:
    desk.said("add", HOST, "--customer", "acme")
    then = datetime(2026, 11, 24, 10, tzinfo=UTC)
    with Store.open(desk.url) as store:
        store.watching.keep([Look(HOST, then, then + timedelta(minutes=1), 60)])
        assert "next look 2026-11-24 10:01:00 UTC" in " ".join(desk.said("show", HOST).split())
        why = {"why": "192.0.2.1:443 cannot be reached either"}
        store.alerts.add("", AlertKind.WATCH_BLIND, AlertSeverity.CRITICAL, why, now=then)
    shown = " ".join(desk.said("show", HOST).split())
    assert "watch blind since 2026-11-24 10:00 UTC: 192.0.2.1:443 cannot be reached" in shown
    assert "next look" not in shown
    assert desk.json("show", HOST)["watch"]["blind_since"] == then.isoformat()


def test_two_claims_have_nothing_in_common(desk: Desk) -> None:
    one = desk.json("add", HOST, "--customer", "acme")
    two = desk.json("add", "go.acme.example", "--customer", "acme")
    values = [record["value"] for found in (one, two) for record in found["records"]]
    assert len(set(values)) == 6


def test_what_may_not_be_claimed_is_refused(desk: Desk) -> None:
    desk.refused("domain-public-suffix", "add", "co.uk", "--customer", "acme")
    desk.refused("domain-own", "add", "x.ct.example.net", "--customer", "acme")
    assert desk.json("list") == []


def test_a_name_of_another_customer_is_refused_also_after_release(desk: Desk) -> None:
    desk.said("add", HOST, "--customer", "acme")
    desk.refused("domain-taken", "add", HOST, "--customer", "rival")
    desk.said("release", HOST)
    desk.refused("domain-taken", "add", HOST, "--customer", "rival")
    desk.refused("customer-missing", "add", HOST, "--customer", "nobody")


def test_from_the_claim_to_ssl_and_back(desk: Desk) -> None:
    assert desk.said("queue") == "Nothing waits for approval.\n"
    first = desk.json("add", HOST, "--customer", "acme", "--default", "--from-domain", "Acme.ORG")
    assert (first["default"], first["from_domains"]) == (True, ["acme.org"])
    said = desk.refused("domain-action-refused", "request-ssl", HOST, "--route", "cdn")
    assert "publish its records and have them checked; release it" in said
    desk.checked()
    assert desk.json("request-ssl", HOST, "--route", "cdn")["state"] == "ssl_requested"
    desk.refused("domain-report-missing", "approve", HOST)
    desk.checked(blocks=True)
    desk.refused("domain-report-blocks", "approve", HOST)
    waiting = desk.json("queue")
    assert [(each["host"], each["report_blocks"]) for each in waiting] == [(HOST, True)]
    assert HOST in desk.said("queue")
    assert desk.json("reject", HOST, "--reason", "cached", "--reason", "no SNI")["reasons"] == [
        "cached",
        "no SNI",
    ]
    desk.said("request-ssl", HOST, "--route", "cdn")
    desk.checked()
    assert desk.said("approve", HOST) == f"{HOST} has SSL enabled (ssl_enabled)\n"
    assert desk.said("disable-ssl", HOST, "--reason", "moves house").startswith(
        f"{HOST} has valid DNS"
    )
    assert desk.json("release", HOST, "--reason", "left")["state"] == "released"
    again = desk.json("add", HOST, "--customer", "acme")
    assert (again["state"], again["route"]) == ("claimed", None)
    assert again["target"] != first["target"]
    assert again["ownership"] != first["ownership"]
    steps = desk.json("history", HOST)
    assert [each["after"] for each in steps] == [
        "claimed",
        "dns_valid",
        "ssl_requested",
        "rejected",
        "ssl_requested",
        "ssl_enabled",
        "dns_valid",
        "released",
        "claimed",
    ]
    assert [each["who"] for each in steps] == [ME, "test", *[ME] * 7]
    assert steps[7]["reasons"] == ["left"]
    assert desk.json("show", HOST)["history"] == steps
    assert "moves house" in desk.said("history", HOST)


def test_list_and_show_say_where_a_domain_is(desk: Desk) -> None:
    assert "linkseal domain add" in desk.said("list")
    desk.said("add", HOST, "--customer", "acme")
    desk.said("add", "links.rival.example", "--customer", "rival")
    desk.said("release", "links.rival.example")
    assert [each["host"] for each in desk.json("list")] == [HOST, "links.rival.example"]
    assert [each["host"] for each in desk.json("list", "--customer", "acme")] == [HOST]
    assert [each["customer"] for each in desk.json("list", "--state", "released")] == ["rival"]
    assert desk.said("list", "--state", "rejected") == "No such domain.\n"
    shown = desk.said("show", HOST.upper())
    assert f"{HOST} is claimed, and its DNS is not valid yet" in shown
    assert "publish its records and have them checked; release it" in shown
    assert "not made yet" in shown
    desk.refused("domain-missing", "show", "go.acme.example")
    desk.refused("domain-name", "show", "nonsense")


def test_who_can_be_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINKSEAL_USER", "ann")
    desk.said("add", HOST, "--customer", "acme")
    assert desk.json("history", HOST)[0]["who"] == "ann"


@pytest.mark.parametrize("command", ["reject", "disable-ssl"])
def test_what_takes_something_away_needs_a_reason(desk: Desk, command: str) -> None:
    desk.said("add", HOST, "--customer", "acme")
    done = desk.run(command, HOST)
    assert done.returncode == 2
    assert "--reason" in done.stderr
    desk.refused("domain-reason-missing", command, HOST, "--reason", " ")


def test_every_command_helps_with_an_example() -> None:
    commands: dict[str, Any] = vars(typer.main.get_command(app))["commands"]
    assert len(commands) >= 11
    for name, command in commands.items():
        assert f"Example: [bold]linkseal domain {name}" in command.help
