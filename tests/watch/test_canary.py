"""A wrong certificate shown on purpose: who may have it shown, and what ends it."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from linkseal import datadir
from linkseal.config import Config
from linkseal.domains.lifecycle import Action, Route, Step
from linkseal.edge.canary import LIFE
from linkseal.errors import DomainError
from linkseal.store import Domain, Store
from linkseal.watch import canary

HOST, OTHER = "links.acme.example", "go.acme.example"
Change = Callable[[Store], object]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    found = Config(base_domain="ct.example.net", data_dir=tmp_path / "data")
    datadir.prepare(found)
    found.service_file.write_text("{}")
    return found


@pytest.fixture
def store(config: Config) -> Iterator[Store]:
    with Store.open(config.store_url) as opened:
        opened.customers.add("acme")
        for host in (HOST, OTHER):
            ask_for_ssl(opened, host)
        yield opened


def ask_for_ssl(store: Store, host: str) -> None:
    now = datetime.now(UTC)
    names: dict[str, Any] = {
        each: f"{each}.{host}" for each in ("target", "ownership", "delegation")
    }
    store.domains.claim(host, customer_id=1, who="test", now=now, **names)
    store.domains.apply_dns(host, target=names["target"], passed=True, who="test", now=now)
    store.domains.apply(host, Step(Action.REQUEST_SSL, "test", route=Route.CDN), now)
    store.domains.save_report(
        host, {}, target=names["target"], route=Route.CDN, blocks=False, now=now
    )


def names_of(domain: Domain) -> set[str]:
    return {domain.host, domain.target}


def approve(store: Store) -> None:
    store.domains.apply(HOST, Step(Action.APPROVE, "test"), datetime.now(UTC))


def take_other_route(store: Store) -> None:
    step = Step(Action.REQUEST_SSL, "test", route=Route.ACME)
    store.domains.apply(HOST, Step(Action.REJECT, "test", ("no",)), datetime.now(UTC))
    store.domains.apply(HOST, step, datetime.now(UTC))


def release(store: Store) -> None:
    store.domains.apply(HOST, Step(Action.RELEASE, "test"), datetime.now(UTC))


def test_it_is_shown_while_it_is_asked_for_and_nobody_approves_meanwhile(
    config: Config, store: Store
) -> None:
    domain = store.domains.get(HOST)
    canary.refuse(config, store, domain)
    with canary.showing(config, store, domain) as seconds:
        assert seconds == LIFE
        assert set(canary.read(config, store)) == names_of(domain)
        with pytest.raises(DomainError) as refused:
            canary.refuse_approval(config, HOST)
        assert refused.value.code == "domain-canary-shown"
        canary.refuse_approval(config, OTHER)
    assert canary.read(config, store) == {}
    canary.refuse_approval(config, HOST)


@pytest.mark.parametrize("change", [approve, take_other_route, release])
def test_a_domain_that_may_not_be_shown_it_any_more_is_not(
    change: Change, config: Config, store: Store
) -> None:
    with canary.showing(config, store, store.domains.get(HOST)):
        change(store)
        assert canary.read(config, store) == {}


def test_who_was_approved_since_the_look_began_is_shown_none(config: Config, store: Store) -> None:
    before = store.domains.get(HOST)
    approve(store)
    with (
        pytest.raises(DomainError, match="it is ssl_enabled"),
        canary.showing(config, store, before),
    ):
        pass
    assert not config.canary_file.exists()


def test_of_two_commands_one_is_refused_and_harms_the_other_nothing(
    config: Config, store: Store
) -> None:
    domain, other = store.domains.get(HOST), store.domains.get(OTHER)
    with canary.showing(config, store, domain):
        for each in (domain, other):
            with (
                pytest.raises(DomainError, match="is being shown already"),
                canary.showing(config, store, each),
            ):
                pass
        with pytest.raises(DomainError, match="is being shown already"):
            canary.refuse(config, store, other)
        assert set(canary.read(config, store)) == names_of(domain)
    with canary.showing(config, store, other):
        assert set(canary.read(config, store)) == names_of(other)


def test_a_command_that_is_killed_keeps_nobody_from_the_next(config: Config, store: Store) -> None:
    domain, other = store.domains.get(HOST), store.domains.get(OTHER)
    read, write = os.pipe()
    child = os.fork()
    if not child:
        with Store.open(config.store_url) as mine, canary.showing(config, mine, domain):
            os.write(write, b"x")
            time.sleep(60)
        os._exit(0)
    assert os.read(read, 1) == b"x"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(read)
    os.close(write)
    assert set(canary.read(config, store)) == names_of(domain)
    with canary.showing(config, store, other):
        assert set(canary.read(config, store)) == names_of(other)
    assert canary.read(config, store) == {}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "1",
        '{"host": "links.acme.example"}',
        '{"host": "links.acme.example", "until": Infinity}',
        '{"host": "links.acme.example", "until": NaN}',
        '{"host": "links.acme.example", "until": "soon"}',
        '{"host": ["links.acme.example"], "until": 1}',
        "[" * 100_000,
        "\xff",
    ],
)
def test_a_file_that_is_not_as_it_must_be_shows_none(
    text: str, config: Config, store: Store
) -> None:
    config.canary_file.write_text(text, encoding="latin-1")
    assert canary.read(config, store) == {}
    canary.refuse_approval(config, HOST)


@pytest.mark.parametrize("seconds", [-1, LIFE + 30, 10**12])
def test_a_time_that_is_over_or_far_away_shows_none(
    seconds: int, config: Config, store: Store
) -> None:
    asked = {"host": HOST, "until": int(time.time()) + seconds}
    config.canary_file.write_text(json.dumps(asked))
    assert canary.read(config, store) == {}
    canary.refuse_approval(config, HOST)
