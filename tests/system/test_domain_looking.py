"""Guides, enrolment, and what a saved look at a domain says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from linkseal.domains.guides import GUIDES
from linkseal.domains.observation import save_observation
from support.checks import ROOT, observed
from support.desk import HOST, Desk


@pytest.mark.parametrize("cdn", ["cloudflare", "nginx"])
def test_a_guide_names_this_domains_records_and_target(desk: Desk, cdn: str) -> None:
    found = desk.json("add", HOST, "--customer", "acme")
    text = desk.said("guide", HOST, "--cdn", cdn)
    for record in found["records"][:2]:
        assert record["value"].rstrip(".") in text
    assert "Full (strict)" in text or cdn != "cloudflare"
    assert desk.said("guide", HOST, "--cdn", cdn, "--markdown").startswith("#")


def test_config_files_are_written_to_be_used_as_they_are(desk: Desk, tmp_path: Path) -> None:
    target = desk.json("add", HOST, "--customer", "acme")["target"]
    written = desk.said("guide", HOST, "--cdn", "nginx", "--files", str(tmp_path / "out"))
    (file,) = (tmp_path / "out").iterdir()
    assert str(file) in written.replace("\n", "")
    assert target in file.read_text()


def test_an_unknown_guide_profile_or_domain_is_refused(desk: Desk) -> None:
    desk.said("add", HOST, "--customer", "acme")
    assert "cloudflare" in desk.refused("guide-unknown", "guide", HOST, "--cdn", "nobody")
    assert "cloudflare" in desk.refused("cdn-unknown", "enrol", HOST, "nobody")
    desk.refused("domain-missing", "guide", "links.other.example", "--cdn", min(GUIDES))


def test_enrolling_says_who_is_believed(desk: Desk) -> None:
    desk.said("add", HOST, "--customer", "acme")
    assert "CF-Connecting-IP" in desk.said("enrol", HOST, "cloudflare")
    assert desk.json("show", HOST)["cdn"] == "cloudflare"
    for cdn, why in (
        ("keycdn", "KeyCDN tells no client address"),
        ("bunny", "linkseal cdn refresh bunny"),
        ("google", "give the load balancer's by --network"),
        ("proxy", "give them by --network"),
        ("none", ""),
    ):
        said = desk.said("enrol", HOST, cdn)
        assert (why in said, "whoever connects is the client" in said) == (True, True), said


def test_a_proxy_is_enrolled_with_its_own_networks(desk: Desk) -> None:
    desk.said("add", HOST, "--customer", "acme")
    networks = ("--network", "203.0.113.7", "--network", "2001:db8::/48")
    said = desk.said("enrol", HOST, "proxy", *networks)
    assert said == (f"{HOST}: X-Forwarded-For is believed from 203.0.113.7/32, 2001:db8::/48\n")
    found = desk.json("show", HOST)
    assert (found["cdn"], found["own_networks"]) == ("proxy", ["203.0.113.7/32", "2001:db8::/48"])
    assert "203.0.113.7/32" in desk.said("show", HOST)
    said = desk.said("enrol", HOST, "cloudflare", *networks[:2])
    assert "networks it publishes, 203.0.113.7/32" in said
    for code, *words in (
        ("network-private", "proxy", "--network", "127.0.0.1"),
        ("network-invalid", "proxy", "--network", "203.0.113.7/24"),
        ("network-too-wide", "proxy", "--network", "9.0.0.0/8"),
        ("cdn-tells-no-client", "keycdn", *networks),
        ("cdn-tells-no-client", "none", *networks),
    ):
        desk.refused(code, "enrol", HOST, *words)
    assert desk.json("show", HOST)["own_networks"] == ["203.0.113.7/32"]
    desk.said("enrol", HOST, "cloudflare")
    assert desk.json("show", HOST)["own_networks"] == []


def test_a_saved_look_is_explained_with_the_fix(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "look.json"
    file.write_bytes(save_observation(observed()))
    (tmp_path / "root.pem").write_bytes(ROOT.public_bytes(Encoding.PEM))
    root = ("--root", str(tmp_path / "root.pem"))
    sound = desk.run("explain", str(file), "--all", *root)
    assert (sound.returncode, "fail" in sound.stdout) == (0, False), sound.stdout
    file.write_bytes(save_observation(observed()))
    broken = desk.run("explain", str(file))
    assert broken.returncode == 1
    for word in ("fail TLS-02", "seen", "expected", "why", "fix"):
        assert word in broken.stdout, word
    told = json.loads(desk.run("explain", str(file), "--json").stdout)
    assert told["blocking"]
    assert all(each["fix"] for each in told["verdicts"] if each["result"] == "fail")


def test_what_is_no_look_is_refused(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("{}")
    desk.refused("observation-unreadable", "explain", str(tmp_path / "x"))
    desk.refused("observation-unreadable", "explain", str(tmp_path / "missing"))
