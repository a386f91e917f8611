"""Networks fetched from servers that publish them as CDNs do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from linkseal.cdn.ranges import MOST_BYTES, Refreshed, refresh
from linkseal.config import Config
from linkseal.domains.profiles import PROFILES
from linkseal.errors import ConfigError, DomainError
from linkseal.store import Store
from support.publishing import CLOUDFLARE, Published

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
NAME = "_cloud-eoips.googleusercontent.com"
ALL = {
    "cloudflare": {
        "173.245.48.0/20",
        "104.16.0.0/13",
        "104.24.0.0/14",
        "172.64.0.0/13",
        "2400:cb00::/32",
        "2606:4700::/32",
    },
    "fastly": {"23.235.32.0/20", "151.101.0.0/16", "2a04:4e40::/32"},
    "cloudfront": {"120.52.22.96/27", "13.124.199.0/24", "2600:9000:3000::/36"},
    "keycdn": {"185.172.148.0/24", "2a0a:b640::/48"},
    "bunny": {
        "89.187.188.227/32",
        "139.180.134.196/32",
        "2400:52e0:1500::714:1/128",
        "2400:52e0:1e00::719:1/128",
    },
    "google": {"34.96.0.0/20", "34.127.192.0/18"},
}


def failed(done: list[Refreshed]) -> tuple[str, str]:
    (one,) = done
    assert one.error is not None
    assert one.error.hint
    return one.error.code, one.error.message


def test_what_every_cdn_publishes_is_read_and_kept(config: Config, store: Store) -> None:
    done = refresh(config, store, now=NOW, force=True)
    assert {each.cdn: set(each.networks) for each in done} == ALL
    assert not [each for each in done if each.error]
    kept = store.cdn_ranges.all()
    assert {cdn: set(each.networks) for cdn, each in kept.items()} == ALL
    assert {each.at for each in kept.values()} == {NOW}
    assert kept["google"].source == NAME
    assert kept["bunny"].source == ", ".join(config.cdn.sources.bunny)


def test_the_edge_is_told_only_where_other_networks_hold(
    config: Config, store: Store, published: Published
) -> None:
    begin = store.certificates.revision()
    # As shipped: nothing is new by it.
    (google,) = refresh(config, store, ["google"], now=NOW)
    assert (google.added, google.removed, store.certificates.revision()) == (0, 0, begin)
    (bunny,) = refresh(config, store, ["bunny"], now=NOW)
    assert (bunny.added, bunny.removed, store.certificates.revision()) == (4, 0, begin + 1)
    later = NOW + timedelta(days=1)
    refresh(config, store, ["bunny", "google"], now=later)
    assert store.certificates.revision() == begin + 1
    assert {each.at for each in store.cdn_ranges.all().values()} == {later}
    published.publish("bunny4", "89.187.188.227\n203.0.113.7\n")
    (bunny,) = refresh(config, store, ["bunny"], now=later)
    assert (bunny.added, bunny.removed, store.certificates.revision()) == (1, 1, begin + 2)


def test_less_than_half_of_what_was_known_is_not_taken_without_force(
    config: Config, store: Store
) -> None:
    before = PROFILES["fastly"].networks
    done = refresh(config, store, ["fastly"], now=NOW)
    code, message = failed(done)
    assert (code, done[0].networks) == ("cdn-ranges-shrunk", before)
    assert "Fastly" in message
    assert store.cdn_ranges.all() == {}
    (forced,) = refresh(config, store, ["fastly"], now=NOW, force=True)
    assert set(forced.networks) == ALL["fastly"]


def test_a_copy_of_before_the_day_of_the_shipped_ones_holds_no_more(
    config: Config, store: Store, published: Published
) -> None:
    shipped, day = PROFILES["google"].networks, PROFILES["google"].snapshot.of
    assert day is not None
    made = datetime(day.year, day.month, day.day, tzinfo=UTC)
    store.cdn_ranges.put("google", ["34.96.0.0/20"], NAME, made - timedelta(seconds=1))
    store.cdn_ranges.put("bunny", ["89.187.188.227/32"], "there", made - timedelta(days=99))
    assert store.cdn_ranges.networks() == {"bunny": ("89.187.188.227/32",)}
    assert store.cdn_ranges.all().keys() == {"bunny"}
    begin = store.certificates.revision()
    # What is fetched is as shipped, so the edge has it already.
    (google,) = refresh(config, store, ["google"], now=made)
    assert (google.added, google.removed, store.certificates.revision()) == (0, 0, begin)
    assert store.cdn_ranges.networks()["google"] == shipped
    store.cdn_ranges.put("google", ["34.96.0.0/20"], NAME, made)
    assert store.cdn_ranges.networks()["google"] == ("34.96.0.0/20",)


def test_one_that_fails_is_named_and_keeps_its_last_copy_and_the_others_are_taken(
    config: Config, store: Store, published: Published
) -> None:
    refresh(config, store, now=NOW, force=True)
    published.publish("cloudflare", {**CLOUDFLARE, "success": False})
    published.publish("fastly", "<html>sorry</html>")
    published.publish("cloudfront", {"prefixes": [], "ipv6_prefixes": []})
    published.publish("keycdn", {"prefixes": ["0.0.0.0/0"]})
    later = NOW + timedelta(days=1)
    done = refresh(config, store, now=later)
    codes = {each.cdn: each.error.code for each in done if each.error}
    assert codes == dict.fromkeys(
        ("cloudflare", "fastly", "cloudfront", "keycdn"), "cdn-ranges-refused"
    )
    for each in done:
        assert set(each.networks) == ALL[each.cdn]
        assert each.error is None or PROFILES[each.cdn].name in each.error.message
    kept = store.cdn_ranges.all()
    assert {cdn: set(each.networks) for cdn, each in kept.items()} == ALL
    assert {cdn for cdn, each in kept.items() if each.at == later} == {"bunny", "google"}


@pytest.mark.parametrize("status", [301, 403, 500])
def test_any_answer_but_200_is_a_failure(
    config: Config, store: Store, published: Published, status: int
) -> None:
    published.status = status
    code, message = failed(refresh(config, store, ["cloudflare"], now=NOW))
    assert (code, str(status) in message) == ("cdn-unreachable", True)
    assert published.asked == ["/cloudflare"]


def test_an_answer_that_does_not_end_ends(
    config: Config, store: Store, published: Published
) -> None:
    published.drip = 0.5
    hurried = config.model_copy(update={"cdn": config.cdn.model_copy(update={"timeout": 2.0})})
    code, message = failed(refresh(hurried, store, ["cloudflare"], now=NOW))
    assert (code, "no whole answer in 2 seconds" in message) == ("cdn-unreachable", True)
    published.drip = 0.0
    published.publish("cloudflare", " " * (MOST_BYTES + 1))
    code, message = failed(refresh(config, store, ["cloudflare"], now=NOW))
    assert (code, f"more than {MOST_BYTES} bytes" in message) == ("cdn-unreachable", True)


def test_a_server_that_nobody_vouches_for_is_not_asked(
    config: Config, store: Store, published: Published, tmp_path: Path
) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "root.pem")
    code, message = failed(refresh(config, store, ["cloudflare"], now=NOW))
    assert (code, "certificate" in message.lower()) == ("cdn-unreachable", True)
    assert published.asked == []
    (tmp_path / "root.pem").write_text("no certificate")
    with pytest.raises(ConfigError, match=r"cdn\.ca_file"):
        refresh(config, store, ["cloudflare"], now=NOW)


def test_a_name_without_a_record_is_a_failure_of_google_alone(store: Store, config: Config) -> None:
    sources = config.cdn.sources.model_copy(update={"google": "no.googleusercontent.com"})
    cdn = config.cdn.model_copy(update={"sources": sources})
    changed = config.model_copy(update={"cdn": cdn})
    google, keycdn = refresh(changed, store, ["google", "keycdn"], now=NOW)
    assert (google.error is not None and google.error.code, keycdn.error) == (
        "cdn-unreachable",
        None,
    )


@pytest.mark.parametrize(
    ("cdn", "code"), [("akamai", "cdn-publishes-none"), ("nobody", "cdn-unknown")]
)
def test_nothing_is_fetched_when_one_cannot_be(
    config: Config, store: Store, published: Published, cdn: str, code: str
) -> None:
    with pytest.raises(DomainError) as refusal:
        refresh(config, store, ["cloudflare", cdn], now=NOW)
    assert (refusal.value.code, published.asked) == (code, [])
