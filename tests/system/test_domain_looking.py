"""Guides, enrolment, and what a saved look at a domain says."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import Encoding

from linkseal.domains.checks import judge
from linkseal.domains.fixes import fix
from linkseal.domains.guides import GUIDES
from linkseal.domains.observation import Observation, Tried, save_observation
from linkseal.domains.profiles import PROFILES
from linkseal.store import Store
from linkseal.testing.service import linkseal
from linkseal.watch.looking import keep_report
from support.checks import ROOT, observed
from support.desk import HOST, Desk

NO_DNS = """\
[prober]
resolvers = ["127.0.0.1:1"]
public_resolvers = ["127.0.0.1:1"]
authority_port = 1
allow_private_addresses = true
timeout = 1.0
"""


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


def test_config_files_that_cannot_be_written_are_told(desk: Desk, tmp_path: Path) -> None:
    desk.json("add", HOST, "--customer", "acme")
    (tmp_path / "file").touch()
    (name,) = (each.name for each in guide_files(desk, tmp_path / "out"))
    (tmp_path / "taken" / name).mkdir(parents=True)
    for place in ("file", "file/below", "taken"):
        files = ("--files", str(tmp_path / place))
        said = desk.refused("output-unwritable", "guide", HOST, "--cdn", "nginx", *files)
        assert str(tmp_path / place) in said


def guide_files(desk: Desk, place: Path) -> list[Path]:
    desk.said("guide", HOST, "--cdn", "NGINX", "--files", str(place))
    return list(place.iterdir())


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


def test_an_enrolment_is_on_record_and_told_to_programs(desk: Desk) -> None:
    desk.said("add", HOST, "--customer", "acme")
    found = desk.json("enrol", HOST, " CloudFlare")
    assert (found["cdn"], found["warnings"]) == ("cloudflare", [])
    assert found["believed"].startswith("CF-Connecting-IP is believed from ")
    desk.json("enrol", HOST, "None")
    steps = desk.json("history", HOST)[1:]
    assert [(each["action"], each["after"], each["reasons"]) for each in steps] == [
        ("enrol", "claimed", ["enrolled with cloudflare"]),
        ("enrol", "claimed", ["enrolled with none"]),
    ]


def test_enrolling_with_another_cdn_than_was_seen_warns(desk: Desk) -> None:
    desk.said("add", HOST, "--customer", "acme")
    with Store.open(desk.url) as store:
        found = store.domains.get(HOST)
        report = judge(observed(), roots=[ROOT], cdn=PROFILES["cloudflare"])
        assert keep_report(store, found, report, datetime.now(UTC))
    assert desk.json("enrol", HOST, "cloudflare")["warnings"] == []
    (warning,) = desk.json("enrol", HOST, "vercel")["warnings"]
    assert "saw Cloudflare in front, not Vercel or Netlify" in warning
    done = desk.run("enrol", HOST, "vercel")
    assert (done.returncode, " ".join(done.stderr.split())) == (0, f"warning: {warning}")


def test_nothing_is_set_up_on_a_released_domain(desk: Desk) -> None:
    desk.said("add", HOST, "--customer", "acme")
    app = ("--android-app", f"example.acme={':'.join(['AB'] * 32)}")
    desk.said("app-links", "set", HOST, *app)
    desk.said("release", HOST)
    for words in (("enrol", HOST, "cloudflare"), ("app-links", "set", HOST, *app)):
        assert "linkseal domain add" in desk.refused("domain-released", *words)
    assert desk.json("show", HOST)["cdn"] is None
    assert f"Not served any more: {HOST} is released" in desk.said("app-links", "show", HOST)


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


def test_a_look_is_explained_with_the_roots_of_the_configuration(
    desk: Desk, tmp_path: Path
) -> None:
    file = tmp_path / "look.json"
    file.write_bytes(save_observation(observed()))
    (tmp_path / "root.pem").write_bytes(ROOT.public_bytes(Encoding.PEM))
    assert desk.run("explain", str(file)).returncode == 1
    with desk.config_file.open("a") as config:
        config.write('[prober]\nextra_roots = ["root.pem"]\n')
    sound = desk.run("explain", str(file))
    assert (sound.returncode, "\n0 block, " in sound.stdout) == (0, True), sound.stdout


@pytest.mark.parametrize(
    ("enrolled", "route", "front", "worded_for"),
    [
        ("", "cdn", "no known CDN is in front", None),
        ("cloudflare", "cdn", "enrolled with Cloudflare, which was not seen", "cloudflare"),
        ("", "proxy", "no known CDN is in front", "proxy"),
        ("proxy", "acme", "enrolled with your own proxy, which was not seen", "proxy"),
    ],
)
def test_the_fix_is_for_what_should_be_in_front_where_nothing_is_seen(
    desk: Desk, tmp_path: Path, enrolled: str, route: str, front: str, worded_for: str | None
) -> None:
    words = fix("TLS-01", worded_for, host=HOST)
    desk.said("add", HOST, "--customer", "acme")
    if enrolled:
        desk.said("enrol", HOST, enrolled)
    down = Observation(
        host=HOST,
        target="t-x.ct.example.net",
        ownership="x",
        base_domain="ct.example.net",
        route=route,
        at=datetime(2026, 11, 24, tzinfo=UTC),
        reached=(Tried("203.0.113.9", 443, "refused"),),
    )
    (tmp_path / "look.json").write_bytes(save_observation(down))
    done = desk.run("explain", str(tmp_path / "look.json"))
    assert done.stdout.startswith(f"{HOST}: {front}\n")
    assert f"  fix       {words}\n" in done.stdout
    told = json.loads(desk.run("explain", str(tmp_path / "look.json"), "--json").stdout)
    assert (told["cdn"], told["enrolled"], told["state"]) == (None, enrolled or None, "claimed")
    (verdict,) = (each for each in told["verdicts"] if each["check"] == "TLS-01")
    assert verdict["fix"] == words


def test_a_look_that_cannot_be_saved_is_kept_and_told(desk: Desk, tmp_path: Path) -> None:
    desk.said("add", HOST, "--customer", "acme")
    with desk.config_file.open("a") as config:
        config.write(NO_DNS)
    save = ("--save", str(tmp_path))
    done = desk.run("check", HOST, *save)
    assert (done.returncode, done.stdout.startswith(f"{HOST}: no known CDN")) == (1, True)
    assert f"cannot write {tmp_path}: Is a directory (output-unwritable)" in " ".join(
        done.stderr.split()
    )
    assert desk.json("show", HOST)["report_blocks"]
    desk.said("release", HOST)
    told = desk.run("check", HOST, "--save", str(tmp_path / "new" / "look.json"))
    assert f"{HOST} is released: no links are made on it" in told.stdout
    assert desk.run("explain", str(tmp_path / "new" / "look.json")).stdout == told.stdout


def test_a_look_gives_the_edge_the_time_to_take_a_new_certificate(
    desk: Desk, tmp_path: Path
) -> None:
    desk.said("add", HOST, "--customer", "acme")
    with desk.config_file.open("a") as config:
        config.write(NO_DNS)
    web = trustme.CA()
    web.cert_pem.write_to_path(tmp_path / "root.pem")
    web.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(tmp_path / "own.pem")
    before = datetime.now(UTC)
    words = (HOST, str(tmp_path / "own.pem"), "--root", str(tmp_path / "root.pem"))
    imported = linkseal("--config", str(desk.config_file), "certificate", "import", *words)
    assert imported.returncode == 0, imported.stderr
    looked = json.loads(desk.run("check", HOST, "--json").stdout)
    assert datetime.fromisoformat(looked["at"]) - before >= timedelta(seconds=3)


def test_what_is_no_look_is_refused(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("{}")
    desk.refused("observation-unreadable", "explain", str(tmp_path / "x"))
    said = desk.refused("observation-unreadable", "explain", str(tmp_path / "missing"))
    assert "[Errno" not in said
