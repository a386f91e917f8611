"""What follows from `linkseal domain check`, and what is kept of it to be read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from linkseal.domains.checks import CHECKS, Report, judge
from linkseal.domains.fixes import fix
from linkseal.domains.observation import Tried
from linkseal.domains.profiles import PROFILES
from linkseal.store import Domain, Store
from linkseal.testing.dns_server import DNSServer, running_dns
from linkseal.testing.programs import free_port
from linkseal.testing.service import linkseal
from linkseal.watch.looking import keep_report
from support.checks import ROOT, observed
from support.desk import HOST, Desk

PROBER = """\
[prober]
resolvers = ["{place}"]
public_resolvers = ["{place}"]
authority_port = {port}
http_port = {closed}
https_port = {closed}
allow_private_addresses = true
timeout = 10.0
"""


@pytest.fixture
def dns(desk: Desk) -> Iterator[DNSServer]:
    """The customer's DNS, with the records of a claim; nothing answers at the address."""
    found = desk.json("add", HOST, "--customer", "acme")
    label = found["target"].partition(".")[0]
    zones = {
        "acme.example": [
            f"links CNAME {found['target']}.",
            f"_ct-challenge.links TXT {found['ownership']}",
        ],
        "ct.example.net": ["@ A 127.0.0.1", f"{label} A 127.0.0.1"],
    }
    with running_dns(zones) as server:
        place = f"{server.host}:{server.port}"
        closed = free_port("127.0.0.1")
        with desk.config_file.open("a") as config:
            config.write(PROBER.format(place=place, port=server.port, closed=closed))
        yield server


def test_a_check_says_what_it_changed_and_takes_nothing_back(desk: Desk, dns: DNSServer) -> None:
    done = desk.run("check", HOST)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == (
        f"{HOST} is dns_valid now: it has valid DNS, and no SSL yet. Next: ask for https links "
        f"with `linkseal domain request-ssl {HOST} --route cdn`, or proxy, acme or uploaded."
    )
    assert " now: " not in desk.run("check", HOST).stdout
    # Our own resolvers answer no more: that says nothing of the domain.
    dns.publish("acme.example", [])
    dns.publish("ct.example.net", [])
    told = json.loads(desk.run("check", HOST, "--json").stdout)
    assert (told["state"], told["kept"], "DNS-01" in told["blocking"]) == ("dns_valid", True, True)
    assert [each["action"] for each in desk.json("history", HOST)] == ["claim", "dns-passed"]
    desk.said("request-ssl", HOST, "--route", "proxy")
    desk.refused("domain-report-missing", "approve", HOST)
    desk.run("check", HOST)
    desk.refused("domain-report-blocks", "approve", HOST)


@pytest.mark.usefixtures("dns")
def test_a_look_gives_the_edge_the_time_to_take_an_enrolment(desk: Desk) -> None:
    before = datetime.now(UTC)
    desk.said("enrol", HOST, "cloudflare")
    looked = json.loads(desk.run("check", HOST, "--json").stdout)
    assert datetime.fromisoformat(looked["at"]) - before >= timedelta(seconds=3)
    # What programs are told is the state after the look.
    assert looked["state"] == "dns_valid"


def closed(route: str = "cdn") -> Report:
    """Return the report of a sound domain, but for a port that takes nothing."""
    refused = (Tried("203.0.113.9", 443, "refused"),)
    return judge(
        observed(host=HOST, route=route, reached=refused), roots=[ROOT], cdn=PROFILES["fastly"]
    )


def waiting(desk: Desk) -> None:
    desk.said("add", HOST, "--customer", "acme")
    desk.checked()
    desk.said("request-ssl", HOST, "--route", "cdn")


def keep(desk: Desk, report: Report) -> Domain:
    with Store.open(desk.url) as store:
        domain = store.domains.get(HOST)
        assert keep_report(store, domain, report, datetime.now(UTC))
        return store.domains.get(HOST)


def verdict(found: Any, check: str) -> Any:
    (told,) = (each for each in found["report"]["verdicts"] if each["check"] == check)
    return told


def test_the_queue_says_what_blocks_and_what_warns(desk: Desk) -> None:
    waiting(desk)
    assert "not made yet" in desk.said("queue")
    report = closed()
    domain = keep(desk, report)
    said = desk.said("queue").splitlines()
    wrong = [each for each in report.worst_first() if each.result in {"fail", "warn"}]
    blocks = len(report.blocking)
    assert blocks
    assert said[1].split()[-4:] == [str(blocks), "block,", str(len(wrong) - blocks), "warn"]
    assert domain.report_at is not None
    assert said[2:] == [
        "",
        f"{HOST}, checked {domain.report_at:%Y-%m-%d %H:%M} UTC",
        *(f"  {each.result} {each.check} {each.message}" for each in wrong),
    ]
    (told,) = desk.json("queue")
    assert told["report"]["cdn"] == "fastly"
    assert verdict(told, "TLS-01")["why"] == CHECKS["TLS-01"].why
    words = fix("TLS-01", "fastly", report.blocking[0].shape, host=HOST, target=domain.target)
    assert verdict(told, "TLS-01")["fix"] == words
    assert "report" not in desk.json("list")[0]


def test_show_has_the_whole_report_worst_first(desk: Desk) -> None:
    waiting(desk)
    domain = keep(desk, closed())
    said = desk.said("show", HOST)
    words = fix("TLS-01", "fastly", host=HOST, target=domain.target)
    assert f"  why       {CHECKS['TLS-01'].why}\n" in said
    assert f"  fix       {words}\n" in said
    order = [said.index(f"\n{each} ") for each in ("fail", "skipped", "pass")]
    assert order == sorted(order)
    assert verdict(desk.json("show", HOST), "TLS-01")["fix"] == words


def test_show_says_what_new_mail_gets(desk: Desk) -> None:
    desk.said("add", HOST, "--customer", "acme")
    why = f"{HOST} is claimed, but its DNS is not valid yet"
    assert desk.json("show", HOST)["base"] == {
        "scheme": "https",
        "host": "go.ct.example.net",
        "why": why,
    }
    assert f"https://go.ct.example.net: {why}" in " ".join(desk.said("show", HOST).split())
    desk.said("release", HOST)
    assert "no branded domain" in desk.json("show", HOST)["base"]["why"]
    waiting(desk)
    assert "sends from a shared address" in desk.json("show", HOST)["base"]["why"]
    desk.checked()
    desk.said("approve", HOST)
    base = desk.json("show", HOST)["base"]
    assert (base["scheme"], base["host"]) == ("https", HOST)


def test_show_minds_what_the_operator_and_the_customer_say_of_plain_http(desk: Desk) -> None:
    dedicated = ("--sending-ip", "dedicated")
    customer = linkseal("--config", str(desk.config_file), "customer", "set", "acme", *dedicated)
    assert customer.returncode == 0, customer.stderr
    desk.said("add", HOST, "--customer", "acme")
    desk.checked()
    base = desk.json("show", HOST)["base"]
    assert (base["scheme"], base["host"]) == ("http", HOST)
    desk.config_file.write_text(f'ssl = "required"\n{desk.config_file.read_text()}')
    base = desk.json("show", HOST)["base"]
    assert (base["scheme"], "SSL is required" in base["why"]) == ("https", True)


def test_a_released_domain_has_no_records_and_no_guide_to_follow(desk: Desk) -> None:
    desk.said("add", HOST, "--customer", "acme")
    desk.said("release", HOST)
    for words in (
        ("records", HOST),
        ("records", HOST, "--zone"),
        ("guide", HOST, "--cdn", "nginx"),
    ):
        assert "linkseal domain add" in desk.refused("domain-released", *words)
