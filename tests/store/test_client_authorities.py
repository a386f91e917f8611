"""The CAs of CDNs' client certificates in the database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
import trustme
from alembic.migration import MigrationContext

from linkseal.domains.client_ca import ClientAuthority, der_of, read_authority
from linkseal.domains.lifecycle import Action, Route, Step
from linkseal.errors import DomainError, StoreError
from linkseal.store import Store
from linkseal.store.database import Database
from support.database import make_database

HOST, OTHER = "links.acme.example", "go.acme.example"
NOW = datetime.now(UTC).replace(microsecond=0)


def authority() -> ClientAuthority:
    return read_authority(trustme.CA().cert_pem.bytes(), NOW, source="ca.pem")


OLD, NEW = authority(), authority()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store.open(url) as opened:
        opened.customers.add("acme")
        for tag, host in enumerate((HOST, OTHER)):
            claim(opened, host, str(tag))
        yield opened


def claim(store: Store, host: str, tag: str, *, customer: int = 1, take_over: str = "") -> None:
    store.domains.claim(
        host,
        customer_id=customer,
        target=f"t-{tag}.ct.example",
        ownership="ct-verify=1",
        delegation=f"{tag}.acme.ct.example",
        who="ann",
        now=NOW,
        take_over=take_over,
    )


def put(store: Store, found: ClientAuthority | None, host: str = HOST) -> None:
    store.client_authorities.put(host, found, who="ben", now=NOW)


def route(store: Store, wanted: Route, host: str = HOST) -> None:
    target = store.domains.get(host).target
    store.domains.apply_dns(host, target=target, passed=True, who="check", now=NOW)
    store.domains.apply(host, Step(Action.REQUEST_SSL, "ann", route=wanted), NOW)


def kept(url: str) -> set[str]:
    with sa.create_engine(url).connect() as connection:
        return set(connection.scalars(sa.text("SELECT id FROM client_authorities")))


def test_a_ca_is_kept_once_for_many_domains_and_as_long_as_one_has_it(
    store: Store, url: str
) -> None:
    assert store.client_authorities.of(HOST) is None
    put(store, OLD)
    put(store, OLD, OTHER)
    assert store.client_authorities.of(HOST) == OLD
    assert kept(url) == {OLD.id}
    put(store, NEW)
    assert kept(url) == {OLD.id, NEW.id}
    put(store, None, OTHER)
    assert (kept(url), store.client_authorities.of(OTHER)) == ({NEW.id}, None)


def test_each_change_is_on_record_once_and_told_to_the_edge(store: Store) -> None:
    begin = store.certificates.revision()
    for each in (OLD, OLD, NEW, None, None):
        put(store, each)
    assert store.certificates.revision() == begin + 3
    assert [
        (each.action.value, each.before, each.after, each.who, each.reasons)
        for each in store.domains.history(HOST)[1:]
    ] == [
        ("enrol", "claimed", "claimed", "ben", (reason,))
        for reason in (
            f"asked for a client certificate of {OLD.title}",
            f"asked for a client certificate of {NEW.title}",
            "asked for a client certificate no more",
        )
    ]


def test_it_is_asked_for_where_something_stands_in_front_only(store: Store) -> None:
    put(store, OLD)
    put(store, OLD, OTHER)
    assert store.client_authorities.asked() == {}
    route(store, Route.CDN)
    route(store, Route.PROXY, OTHER)
    every = dict.fromkeys((HOST, "t-0.ct.example", OTHER, "t-1.ct.example"), der_of(OLD.pem))
    assert store.client_authorities.asked() == every
    begin = store.certificates.revision()
    route_again = Step(Action.REQUEST_SSL, "ann", route=Route.ACME)
    store.domains.apply(HOST, route_again, NOW)
    assert store.client_authorities.asked().keys() == {OTHER, "t-1.ct.example"}
    store.domains.apply(OTHER, Step(Action.RELEASE, "ann"), NOW)
    assert store.client_authorities.asked() == {}
    assert store.certificates.revision() == begin + 2


def test_a_new_claim_begins_without_one(store: Store) -> None:
    put(store, OLD)
    store.domains.apply(HOST, Step(Action.RELEASE, "ann"), NOW)
    with pytest.raises(DomainError) as refusal:
        put(store, NEW)
    assert refusal.value.code == "domain-released"
    claim(store, HOST, "2")
    assert store.client_authorities.of(HOST) is None
    put(store, OLD, OTHER)
    taker = store.customers.add("taker").id
    claim(store, OTHER, "3", customer=taker, take_over="it is theirs, by mail")
    assert store.client_authorities.of(OTHER) is None
    with pytest.raises(StoreError) as missing:
        put(store, NEW, "links.nobody.example")
    assert missing.value.code == "domain-missing"


def test_a_database_from_before_is_migrated_with_its_domains(url: str) -> None:
    make_database(url, "0006", BEFORE)
    database = Database(url)
    with Store.open(url) as store, database.reading() as connection:
        metadata = sa.MetaData()
        metadata.reflect(connection)
        assert MigrationContext.configure(connection).get_current_revision() == "0007"
        found = store.domains.get(HOST)
        assert (found.route, found.cdn, found.since) == (Route.CDN, "cloudflare", NOW)
        assert store.client_authorities.of(HOST) is None
        assert store.client_authorities.asked() == {}
        store.client_authorities.put(HOST, OLD, who="ben", now=NOW + timedelta(hours=1))
        assert store.client_authorities.asked().keys() == {HOST, "t-0.ct.example"}
    database.close()


_AT = int(NOW.timestamp() * 1000)
BEFORE = (
    f"INSERT INTO customers VALUES (1, 'acme', 'dedicated', 'inherit', {_AT})",
    (
        "INSERT INTO domains (host, customer_id, state, since_ms, reasons, target, ownership,"
        " delegation, is_default, from_domains, dns_valid, route, cdn, failures, report_blocks,"
        " claimed_at_ms)"
        f" VALUES ('{HOST}', 1, 'ssl_requested', {_AT}, '[]', 't-0.ct.example', 'ct-verify=1',"
        f" '0.acme.ct.example', 0, '[]', 1, 'cdn', 'cloudflare', 0, 0, {_AT})"
    ),
)
