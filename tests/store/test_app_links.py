"""Files of app links in the store: byte for byte, one of a kind, served once proven."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from linkseal.domains.app_links import AppFileKind, apple_file, read_app_file
from linkseal.domains.lifecycle import Action, Step
from linkseal.errors import StoreError
from linkseal.store import Store

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
HOST, OTHER = "links.acme.example", "go.acme.example"
APPLE, ANDROID = AppFileKind
FILE = read_app_file(APPLE, b'\r\n {"applinks":{"details":[{"appID":"ABCDE12345.x"}]}}\n\n')
MADE = read_app_file(APPLE, apple_file(["ABCDE12345.com.acme.shop"]))
SITE = read_app_file(
    ANDROID,
    '[{"relation": ["a/ü"], "target": {"namespace": "web", "site": "https://a.example"}}]'.encode(),
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/linkseal.db") as opened:
        opened.customers.add("acme")
        claim(opened, HOST)
        claim(opened, OTHER)
        yield opened


def claim(store: Store, host: str) -> None:
    store.domains.claim(
        host,
        customer_id=1,
        target=f"t.{host}",
        ownership=f"o.{host}",
        delegation=f"d.{host}",
        who="test",
        now=NOW,
    )


def dns(store: Store, *, passed: bool) -> None:
    target = store.domains.get(HOST).target
    store.domains.apply_dns(
        HOST, target=target, passed=passed, who="test", now=NOW, reasons=["a reason"]
    )


def test_files_are_kept_as_they_are_one_of_each_kind(store: Store) -> None:
    store.app_links.put(HOST, [FILE, SITE], NOW)
    later = NOW + timedelta(hours=1)
    store.app_links.put(HOST, [MADE], later)
    assert [(each.kind, each.content, each.changed_at) for each in store.app_links.of(HOST)] == [
        (ANDROID, SITE.content, NOW),
        (APPLE, MADE.content, later),
    ]
    assert store.app_links.of(OTHER) == []
    with pytest.raises(StoreError):
        store.app_links.put("links.rival.example", [MADE], NOW)


def test_they_are_served_while_ownership_is_proven_and_the_edge_is_told(store: Store) -> None:
    seen = [store.certificates.revision()]

    def told() -> bool:
        seen.append(store.certificates.revision())
        return seen[-1] > seen[-2]

    dns(store, passed=True)
    dns(store, passed=False)
    assert not told()
    store.app_links.put(HOST, [FILE], NOW)
    assert told()
    assert store.app_links.served() == {}
    assert store.app_links.served_on(store.domains.get(HOST)) == ()
    dns(store, passed=True)
    assert told()
    assert store.app_links.served() == {HOST: {APPLE: NOW}}
    assert store.app_links.served_on(store.domains.get(HOST)) == ("apple-app-site-association",)
    dns(store, passed=False)
    assert told()
    assert store.app_links.served() == {}
    dns(store, passed=True)
    assert told()
    store.domains.apply(HOST, Step(Action.RELEASE, "test"), NOW)
    assert told()
    assert store.app_links.served() == {}


def test_what_is_kept_already_is_not_changed_and_the_edge_not_told(store: Store) -> None:
    store.app_links.put(HOST, [FILE, SITE], NOW)
    begin = store.certificates.revision()
    later = NOW + timedelta(hours=1)
    store.app_links.put(HOST, [FILE, SITE], later)
    assert store.certificates.revision() == begin
    store.app_links.put(HOST, [MADE, SITE], later)
    assert store.certificates.revision() == begin + 1
    assert [each.changed_at for each in store.app_links.of(HOST)] == [NOW, later]


def test_removed_once_they_are_gone(store: Store) -> None:
    store.app_links.put(HOST, [FILE, SITE], NOW)
    store.app_links.put(OTHER, [FILE], NOW)
    begin = store.certificates.revision()
    assert store.app_links.remove(HOST, [APPLE]) == 1
    assert store.app_links.remove(HOST, [APPLE]) == 0
    assert store.certificates.revision() == begin + 1
    assert [each.kind for each in store.app_links.of(HOST)] == [ANDROID]
    assert store.app_links.remove(HOST, list(AppFileKind)) == 1
    assert [each.kind for each in store.app_links.of(OTHER)] == [APPLE]
