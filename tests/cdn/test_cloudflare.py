"""A zone at Cloudflare through its SDK, against a server that speaks the published shapes."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from linkseal.cdn.cloudflare import PERMISSIONS, Account
from linkseal.domains.guides.applying import Doing, Found, plan
from linkseal.errors import DomainError
from linkseal.testing.cloudflare_api import ALL, CloudflareAPI, ZoneState, refused
from linkseal.testing.programs import free_port

HOST = "links.acme.example"
TARGET = "t-k3vq2zr5ma7h4wxy.ct.example.net"
OWNERSHIP = "ct-verify=ab23cd45ef67gh2a"
TOKEN = "Sn3lZJTBX6kkg7OdcBUAxOO963GEIyGQqnFTOFYY"
CONFIG, CACHE, REDIRECT = (
    "http_config_settings",
    "http_request_cache_settings",
    "http_request_dynamic_redirect",
)


@pytest.fixture
def api() -> Iterator[CloudflareAPI]:
    with CloudflareAPI(TOKEN) as running:
        yield running


@pytest.fixture
def zone(api: CloudflareAPI) -> ZoneState:
    return api.zone("acme.example")


@pytest.fixture
def account(api: CloudflareAPI) -> Iterator[Account]:
    with Account(TOKEN, base_url=api.url) as opened:
        yield opened


def applied(account: Account) -> list[Doing]:
    found = account.look(HOST)
    changes = plan(HOST, TARGET, OWNERSHIP, found)
    for change in changes:
        account.make(found.zone, change)
    return [each.doing for each in changes]


def code(account: Account, zone_id: str = "") -> str:
    with pytest.raises(DomainError) as caught:
        account.look(HOST, zone_id)
    assert TOKEN not in f"{caught.value.message} {caught.value.hint}"
    return caught.value.code


def test_an_empty_zone_is_set_up_and_a_second_run_writes_nothing(
    api: CloudflareAPI, zone: ZoneState, account: Account
) -> None:
    assert applied(account) == [Doing.CREATE] * 5
    written = [(each["type"], each["name"], each["content"]) for each in zone.records]
    assert written == [
        ("TXT", f"_ct-challenge.{HOST}", f'"{OWNERSHIP}"'),
        ("CNAME", HOST, TARGET),
    ]
    assert zone.records[1]["proxied"] is True
    (config,) = zone.rules(CONFIG)
    assert config["action_parameters"] == {
        "ssl": "strict",
        "email_obfuscation": False,
        "rocket_loader": False,
        "bic": False,
        "polish": "off",
        "mirage": False,
        "disable_zaraz": True,
        "disable_rum": True,
        "security_level": "essentially_off",
    }
    assert config["expression"] == f'(http.host eq "{HOST}")'
    (cache,) = zone.rules(CACHE)
    assert (cache["action"], cache["action_parameters"]) == ("set_cache_settings", {"cache": False})
    (redirect,) = zone.rules(REDIRECT)
    assert redirect["action_parameters"]["from_value"]["status_code"] == 301
    api.calls.clear()
    assert applied(account) == [Doing.KEEP] * 5
    assert {call.method for call in api.calls} == {"GET"}


def test_a_free_zone_is_set_up_without_what_its_plan_lacks(
    zone: ZoneState, account: Account
) -> None:
    zone.plan = "free"
    assert applied(account) == [Doing.CREATE] * 5
    (config,) = zone.rules(CONFIG)
    assert config["action_parameters"]["ssl"] == "strict"
    assert not config["action_parameters"].keys() & {"polish", "mirage"}
    assert applied(account) == [Doing.KEEP] * 5


def test_their_rules_stay_as_they_are_and_where_they_are(
    api: CloudflareAPI, zone: ZoneState, account: Account
) -> None:
    first = api.rule(zone, CACHE, expression="true", action="set_cache_settings",
                     action_parameters={"cache": True})  # fmt: skip
    ours = api.rule(zone, CACHE, ref="linkseal_links_acme_example", action="set_cache_settings",
                    expression="false", action_parameters={"cache": True})  # fmt: skip
    last = api.rule(zone, CACHE, expression='http.host eq "www.acme.example"', enabled=False,
                    action="set_cache_settings", action_parameters={"cache": False})  # fmt: skip
    before = [dict(first), dict(last)]
    assert applied(account)[1] is Doing.REPLACE
    now = zone.rules(CACHE)
    assert [now[0], now[2]] == before
    assert (now[1]["id"], now[1]["ref"]) == (ours["id"], "linkseal_links_acme_example")
    assert now[1]["expression"] == f'(http.host eq "{HOST}")'
    assert now[1]["action_parameters"] == {"cache": False}
    assert not any(call.method in {"PUT", "DELETE"} for call in api.calls)


def test_a_rule_is_added_at_the_end_of_theirs(
    api: CloudflareAPI, zone: ZoneState, account: Account
) -> None:
    api.rule(zone, CONFIG, expression="true", action="set_config", action_parameters={"ssl": "off"})
    applied(account)
    assert [each["action_parameters"]["ssl"] for each in zone.rules(CONFIG)] == ["off", "strict"]


def test_a_record_is_changed_in_place(
    api: CloudflareAPI, zone: ZoneState, account: Account
) -> None:
    api.record(zone, "CNAME", HOST, "shop.example.org")
    api.record(zone, "TXT", f"_ct-challenge.{HOST}", '"ct-verify=of-an-earlier-claim"')
    api.record(zone, "A", "www.acme.example", "192.0.2.1")
    kept = zone.records[0]["id"]
    assert applied(account)[-1] is Doing.REPLACE
    (cname,) = (each for each in zone.records if each["type"] == "CNAME")
    assert (cname["id"], cname["content"], cname["proxied"]) == (kept, TARGET, True)
    assert len([each for each in zone.records if each["type"] == "TXT"]) == 2


def test_all_pages_are_read(api: CloudflareAPI, zone: ZoneState, account: Account) -> None:
    api.per_page = 2
    for number in range(5):
        api.record(zone, "TXT", f"_ct-challenge.{HOST}", f'"other {number}"')
    api.record(zone, "TXT", f"_ct-challenge.{HOST}", f'"{OWNERSHIP}"')
    found = account.look(HOST)
    assert len(found.records) == 6
    assert plan(HOST, TARGET, OWNERSHIP, found)[-2].doing is Doing.KEEP


def test_the_zone_with_the_longest_name_is_taken(api: CloudflareAPI, account: Account) -> None:
    api.zone("acme.example", plan="free")
    deep = api.zone("links.acme.example", type="partial", plan="enterprise")
    found = account.look(HOST)
    assert (found.zone.id, found.zone.partial, found.zone.free) == (deep.id, True, False)
    assert account.look("www.acme.example").zone.free


def test_one_of_several_zones_is_named(api: CloudflareAPI, account: Account) -> None:
    one, other = api.zone("acme.example"), api.zone("acme.example")
    strange = api.zone("rival.example")
    assert code(account) == "cloudflare-zone-ambiguous"
    assert account.look(HOST, other.id).zone.id == other.id
    assert code(account, strange.id) == "cloudflare-zone-missing"
    assert code(account, "0" * 32) == "cloudflare-zone-missing"
    one.status = "moved"
    assert account.look(HOST).zone.id == other.id


def test_a_zone_that_is_not_there_or_not_active_is_told(
    api: CloudflareAPI, account: Account
) -> None:
    api.zone("example")
    assert code(account) == "cloudflare-zone-missing"
    api.zone("acme.example", status="pending")
    assert code(account) == "cloudflare-zone-inactive"


def test_a_zone_below_that_is_not_active_hides_none_above(
    api: CloudflareAPI, account: Account
) -> None:
    below = api.zone(HOST, status="pending")
    assert code(account) == "cloudflare-zone-inactive"
    above = api.zone("acme.example", status="moved")
    with pytest.raises(DomainError, match=f"the zone {HOST} "):
        account.look(HOST)
    above.status = "active"
    assert account.look(HOST).zone.id == above.id
    below.status = "active"
    assert account.look(HOST).zone.id == below.id


def test_the_zones_settings_are_read_if_the_token_may(
    api: CloudflareAPI, zone: ZoneState, account: Account
) -> None:
    zone.settings = {"ssl": "flexible", "always_use_https": "on"}
    found = account.look(HOST)
    assert (found.ssl, found.always_https) == ("flexible", True)
    api.tokens[TOKEN] = ALL - {"settings"}
    found = account.look(HOST)
    assert (found.ssl, found.always_https) == ("", False)


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        ("dns", "Zone: DNS: Edit"),
        ("config", "Zone: Config Rules: Edit"),
        ("cache", "Zone: Cache Rules: Edit"),
        ("redirect", "Zone: Single Redirect: Edit"),
    ],
)
@pytest.mark.parametrize("reads", [False, True])
def test_a_missing_permission_is_named(
    api: CloudflareAPI, zone: ZoneState, account: Account, missing: str, named: str, reads: bool
) -> None:
    api.tokens[TOKEN] = ALL - {missing} | ({f"{missing}:read"} if reads else set())
    with pytest.raises(DomainError) as caught:
        applied(account)
    assert caught.value.code == "cloudflare-permission"
    assert f"lacks a permission: {named} (Authentication error" in caught.value.message
    assert all(each in caught.value.hint for each in PERMISSIONS)
    assert not [each for each in zone.records if each["type"] == "CNAME"], "the name comes last"


def test_a_token_that_is_none_is_told(api: CloudflareAPI, zone: ZoneState) -> None:
    with Account("x" * 40, base_url=api.url) as account:
        assert code(account) == "cloudflare-token"
    for wrong in ("", "two words", "line\nbreak", "ü", "x" * 257):
        with pytest.raises(DomainError) as caught:
            Account(wrong)
        assert caught.value.code == "cloudflare-token"
        assert not wrong or wrong not in caught.value.message
    with Account(TOKEN, base_url=api.url) as account:
        api.fail("GET", "/zones", 400, refused(6003, "Invalid request headers"))
        assert code(account) == "cloudflare-token"
        api.fail("GET", "/zones", 401, refused(1000, "Invalid API Token"))
        assert code(account) == "cloudflare-token"


def test_a_token_is_sent_over_https_only() -> None:
    for url in ("http://api.example.org/client/v4", "ftp://127.0.0.1/", "api.example.org"):
        with pytest.raises(DomainError) as caught:
            Account(TOKEN, base_url=url)
        assert caught.value.code == "cloudflare-url"


def test_keys_in_the_environment_do_not_take_the_tokens_place(
    api: CloudflareAPI, zone: ZoneState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDFLARE_EMAIL", "a@acme.example")
    monkeypatch.setenv("CLOUDFLARE_API_KEY", "global")
    with Account(TOKEN, base_url=api.url) as account:
        assert account.look(HOST).zone.id == zone.id


def test_a_limit_of_the_plan_is_told_in_cloudflares_words(
    api: CloudflareAPI, zone: ZoneState, account: Account
) -> None:
    for _ in range(10):
        api.rule(zone, CACHE, expression="true", action="set_cache_settings")
    with pytest.raises(DomainError) as caught:
        applied(account)
    assert caught.value.code == "cloudflare-refused"
    assert "11 out of 10 (50001)" in caught.value.message


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (429, refused(10000, "Please wait"), "cloudflare-busy"),
        (502, None, "cloudflare-refused"),
        (500, {"nothing": "known"}, "cloudflare-refused"),
        (200, None, "cloudflare-refused"),
        (200, {"success": True}, "cloudflare-zone-missing"),
        (0, None, "cloudflare-unreachable"),
    ],
)
def test_answers_that_are_none_are_told(
    api: CloudflareAPI, zone: ZoneState, account: Account, status: int, body: object, expected: str
) -> None:
    api.fail("GET", "/zones", status, body, times=9)
    assert code(account) == expected


def test_a_moment_of_trouble_is_waited_out_when_looking_but_writing_is_not_tried_twice(
    api: CloudflareAPI, zone: ZoneState, account: Account
) -> None:
    api.fail("GET", "/dns_records", 502)
    found = account.look(HOST)
    api.calls.clear()
    api.fail("POST", "/rulesets", 0)
    with pytest.raises(DomainError) as caught:
        account.make(found.zone, plan(HOST, TARGET, OWNERSHIP, found)[0])
    assert caught.value.code == "cloudflare-unreachable"
    assert len(api.calls) == 1


def test_nobody_there_is_told(api: CloudflareAPI) -> None:
    nobody = f"http://127.0.0.1:{free_port('127.0.0.1')}/client/v4"
    with Account(TOKEN, base_url=nobody) as account:
        assert code(account) == "cloudflare-unreachable"


def test_a_run_that_was_broken_off_is_gone_on_with(
    api: CloudflareAPI, zone: ZoneState, account: Account
) -> None:
    api.fail("POST", "/dns_records", 502)
    with pytest.raises(DomainError):
        applied(account)
    assert applied(account) == [Doing.KEEP] * 3 + [Doing.CREATE] * 2


def test_rules_made_meanwhile_are_not_overwritten(
    api: CloudflareAPI, zone: ZoneState, account: Account
) -> None:
    found: Found = account.look(HOST)
    theirs = api.rule(zone, CACHE, expression="true", action="set_cache_settings")
    with pytest.raises(DomainError) as caught:
        account.make(found.zone, plan(HOST, TARGET, OWNERSHIP, found)[1])
    assert caught.value.code == "cloudflare-refused"
    assert zone.rules(CACHE) == [theirs]


def test_the_token_is_in_no_log(
    api: CloudflareAPI, zone: ZoneState, account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        applied(account)
    assert "dns_records" in caplog.text
    assert TOKEN not in caplog.text
