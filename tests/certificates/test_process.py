"""What the certificates' process sees to besides orders: warnings, metrics, telling the service."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from linkseal import datadir
from linkseal.certificates.dns_hook import ExecHook
from linkseal.certificates.dns_update import DynamicUpdate
from linkseal.certificates.process import Keeper, hold_own_names, make_provider
from linkseal.config import Config, DNSConfig
from linkseal.store import (
    CertificateRoute,
    Challenge,
    NameKind,
    NewCertificate,
    Store,
)
from linkseal.vault import Vault

NAME = "links.acme.example"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(data_dir=tmp_path)


@pytest.fixture
def store(config: Config) -> Iterator[Store]:
    with Store.open(config.store_url) as opened:
        yield opened


def hold(store: Store, name: str, route: CertificateRoute) -> None:
    store.certificates.add_name(
        name,
        kind=NameKind.BRANDED,
        route=route,
        challenge=Challenge.HTTP_01,
        now=datetime.now(UTC),
    )


def put(store: Store, name: str, begins: datetime, ends: datetime, waiting: str = "") -> None:
    now = datetime.now(UTC)
    new = NewCertificate("p256", "chain", b"key", "00" * 32, "ca", False, begins, ends)
    assert store.certificates.put(name, [new], now, "issued")
    store.certificates.change_name(name, now, "set up", waiting=waiting)


def upload(store: Store, days: float) -> None:
    now = datetime.now(UTC)
    hold(store, NAME, CertificateRoute.UPLOADED)
    put(store, NAME, now, now + timedelta(days=days))


def warned(store: Store) -> list[str]:
    history = store.certificates.history(NAME)
    return [entry.detail["days"] for entry in history if entry.what == "warned"]


def gauge(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


def look(config: Config, store: Store, told: list[int] | None = None) -> Keeper:
    told = [] if told is None else told
    keeper = Keeper(config, store, Vault(b"m" * 32), lambda: told.append(1))
    keeper.look()
    return keeper


@pytest.mark.parametrize(
    ("days", "expected"), [(40, []), (29, ["30"]), (13.5, ["14"]), (6, ["7"]), (0.9, ["1"])]
)
def test_an_upload_that_ends_soon_is_warned_of_once_a_threshold(
    config: Config, store: Store, days: float, expected: list[str]
) -> None:
    upload(store, days)
    for _ in range(2):
        look(config, store).stop()
    assert warned(store) == expected


def test_what_waits_for_a_limit_is_warned_of_too(config: Config, store: Store) -> None:
    """Also with ACME off, as here: nothing failed, and nothing renews it."""
    now = datetime.now(UTC)
    hold(store, NAME, CertificateRoute.ACME)
    begun, ends = now - timedelta(days=80), now + timedelta(days=10)
    put(store, NAME, begun, ends, waiting="waiting until tomorrow")
    look(config, store).stop()
    assert warned(store) == ["14"]


def test_metrics_say_how_long_is_left_and_how_names_stand(config: Config, store: Store) -> None:
    upload(store, 20)
    look(config, store).stop()
    left = gauge("linkseal_certificate_days_left", kind="branded")
    assert left is not None
    assert 19.9 < left <= 20
    assert gauge("linkseal_certificate_names", state="expiring") == 1
    assert gauge("linkseal_certificate_names", state="failed") == 0


def test_a_revoked_name_counts_as_revoked_and_has_no_days_left(
    config: Config, store: Store
) -> None:
    now = datetime.now(UTC)
    for name, days in ((NAME, 40), ("links.other.example", 5)):
        hold(store, name, CertificateRoute.UPLOADED)
        put(store, name, now, now + timedelta(days=days))
    (revoked,) = store.certificates.of_name("links.other.example")
    store.certificates.revoke(revoked, now, {}, None)
    look(config, store).stop()
    assert gauge("linkseal_certificate_names", state="revoked") == 1
    assert gauge("linkseal_certificate_names", state="pending") == 0
    left = gauge("linkseal_certificate_days_left", kind="branded")
    assert left is not None
    assert 39.9 < left <= 40
    history = store.certificates.history("links.other.example")
    assert "warned" not in [entry.what for entry in history]


def test_a_worker_is_the_same_after_a_restart_and_another_in_another_directory(
    config: Config, store: Store, tmp_path: Path
) -> None:
    other = Config(data_dir=tmp_path / "other")
    datadir.prepare(other)
    first, again, another = (datadir.installation_id(each) for each in (config, config, other))
    assert first == again != another
    assert len(first) == len(another) == 32
    hold(store, NAME, CertificateRoute.ACME)
    now = datetime.now(UTC)
    assert store.certificates.lease(NAME, first, now, now + timedelta(hours=1))
    # A restart: the lease of before is this installation's still.
    assert [each.name for each in store.certificates.due(now, again)] == [NAME]
    assert store.certificates.due(now, another) == []


def test_those_that_start_together_agree_on_the_id(config: Config) -> None:
    """As the parts of a new service do: a lease taken under another id outlives its worker."""
    together = threading.Barrier(4)

    def draw(_: int) -> str:
        together.wait(10)
        return datadir.installation_id(config)

    with ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            (config.data_dir / "installation.id").unlink(missing_ok=True)
            assert len(set(pool.map(draw, range(4)))) == 1


@pytest.mark.parametrize("damage", [b"", b"\xff\xfe"])
def test_a_damaged_id_is_drawn_anew(config: Config, damage: bytes) -> None:
    first = datadir.installation_id(config)
    (config.data_dir / "installation.id").write_bytes(damage)
    drawn = datadir.installation_id(config)
    assert drawn == datadir.installation_id(config) != first


def test_the_service_is_told_at_the_start_and_of_changes_and_of_nothing_else(
    config: Config, store: Store
) -> None:
    told: list[int] = []
    keeper = look(config, store, told)
    keeper.look()
    assert told == [1], "who was killed may have stored what nobody was told of"
    store.acme.publish("token", "answer", datetime.now(UTC) + timedelta(hours=1))
    keeper.look()
    keeper.look()
    assert told == [1, 1]
    keeper.stop()


@pytest.mark.parametrize(
    ("dns", "name", "challenge"),
    [
        (DNSConfig(), "go.ct.localhost", Challenge.HTTP_01),
        (DNSConfig(provider="exec", command=("hook",)), "*.ct.localhost", Challenge.DNS_01),
    ],
)
def test_own_names_need_dns_for_the_targets(
    config: Config, store: Store, dns: DNSConfig, name: str, challenge: Challenge
) -> None:
    acme = config.acme.model_copy(update={"dns": dns})
    for _ in range(2):
        hold_own_names(config.model_copy(update={"acme": acme}), store)
    (held,) = store.certificates.names()
    assert (held.name, held.challenge) == (name, challenge)


def test_the_configured_provider_writes_dns() -> None:
    assert make_provider(DNSConfig()) is None
    hook = make_provider(DNSConfig(provider="exec", command=("/bin/true",)))
    assert isinstance(hook, ExecHook)
    update = {
        "provider": "rfc2136",
        "server": "192.0.2.53:53",
        "key_name": "k",
        "key_secret": "c2VjcmV0",
    }
    assert isinstance(make_provider(DNSConfig.model_validate(update)), DynamicUpdate)
