"""The store: what goes in comes out, names are unique, and processes write side by side."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from linkseal.domains.base import SendingIP, SSLPolicy
from linkseal.errors import StoreError
from linkseal.store import (
    EventFilter,
    Message,
    MessageState,
    NewEvent,
    Position,
    Store,
)
from linkseal.store.database import MIGRATIONS, REVISIONS, Database
from linkseal.store.schema import metadata

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)

WRITE = """
import sys
from linkseal.store import NewEvent, Position, Store
with Store.open(sys.argv[1]) as store:
    for number in range(100):
        event = NewEvent(
            f"{sys.argv[2]}-{number}", "click", number, 1, "m", 0, "", "", True, "GET", "", ""
        )
        store.events.store([event], Position(sys.argv[2], "f", number))
"""


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store.open(url) as opened:
        yield opened


def event(number: int, **changes: object) -> NewEvent:
    values: dict[str, object] = {
        "id": f"e{number}",
        "kind": "click",
        "at_ms": int(NOW.timestamp() * 1000) + number,
        "customer_id": 1,
        "message_id": "m" * 20,
        "link": number,
        "destination": "https://a.example/",
        "host": "go.ct.example.net",
        "secure": True,
        "method": "GET",
        "address": "192.0.2.1",
        "user_agent": "agent",
    }
    return NewEvent(**{**values, **changes})  # type: ignore[arg-type]


def code(call: object) -> str:
    with pytest.raises(StoreError) as refusal:
        call()  # type: ignore[operator]
    assert refusal.value.hint
    return refusal.value.code


def test_the_migrations_make_what_the_schema_says(url: str) -> None:
    Store.open(url).close()
    database = Database(url)
    with database.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    database.close()
    Store.open(url).close()


def test_a_migrations_file_begins_with_its_revision() -> None:
    scripts = ScriptDirectory(str(MIGRATIONS)).walk_revisions()
    assert [script.revision for script in scripts] == list(reversed(REVISIONS))


def test_a_database_of_a_later_version_is_refused(url: str, store: Store) -> None:
    with sa.create_engine(url).begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    assert code(lambda: Store.open(url)) == "database-later-version"


@pytest.mark.parametrize("url", ["nonsense", "oracle-of-delphi://x"])
def test_what_is_no_database_url_is_refused(url: str) -> None:
    assert code(lambda: Store.open(url)) == "database-url-invalid"


def test_an_unreachable_database_is_told_as_retryable(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as refusal:
        Store.open(f"sqlite:///{tmp_path}/missing/linkseal.db")
    assert (refusal.value.code, refusal.value.retryable) == ("database-unavailable", True)


def test_opening_waits_for_no_writer_when_there_is_nothing_to_migrate(
    url: str, store: Store
) -> None:
    with sa.create_engine(url).connect() as other:
        other.exec_driver_sql("BEGIN IMMEDIATE")
        started = time.monotonic()
        Store.open(url).close()
        assert time.monotonic() - started < 9


def test_a_from_domain_given_twice_is_one(store: Store) -> None:
    added = store.customers.add("acme", from_domains=["acme.example", "ACME.example."])
    assert added.from_domains == ("acme.example",)


@pytest.mark.parametrize("user", ["", " acme", "a\x00b", "u" * 129])
def test_what_cannot_be_a_login_is_refused(store: Store, user: str) -> None:
    add = store.customers.add
    refused = code(lambda: add("acme", smtp_user=user, smtp_password="correct horse battery"))
    assert refused == "smtp-user-invalid"


@pytest.mark.parametrize(
    "domain", ["a..b", "-a.example", f"{'a' * 64}.example", "com", "a b.example", "a_b.example"]
)
def test_what_cannot_be_a_from_domain_is_refused(store: Store, domain: str) -> None:
    assert code(lambda: store.customers.add("acme", from_domains=[domain])) == "from-domain-invalid"


def test_a_message_of_nobody_is_refused(store: Store) -> None:
    message = Message("m" * 20, 99, "a@b.example", "", NOW, "https://a", "why", {})
    assert code(lambda: store.messages.add(message)) == "store-refused"


def test_a_customer_comes_back(store: Store) -> None:
    added = store.customers.add(
        "acme",
        sending_ip=SendingIP.DEDICATED,
        ssl=SSLPolicy.REQUIRED,
        from_domains=["Acme.Example.", "bücher.example"],
        smtp_user="acme-mailer",
        smtp_password="correct horse battery",
    )
    assert added.from_domains == ("acme.example", "xn--bcher-kva.example")
    assert added.smtp_users == ("acme-mailer",)
    assert (added.sending_ip, added.ssl) == (SendingIP.DEDICATED, SSLPolicy.REQUIRED)
    assert store.customers.get("acme") == added
    assert store.customers.all() == [added]


@pytest.mark.parametrize("name", ["", "Acme", "a b", "-a", "a-", "a" * 65, "é"])
def test_a_malformed_name_is_refused(store: Store, name: str) -> None:
    assert code(lambda: store.customers.add(name)) == "customer-name-invalid"


def test_what_is_taken_is_refused_and_leaves_nothing_behind(store: Store) -> None:
    store.customers.add(
        "acme", from_domains=["acme.example"], smtp_user="u", smtp_password="p" * 12
    )
    add = store.customers.add
    assert code(lambda: add("acme")) == "customer-exists"
    assert code(lambda: add("b", from_domains=["acme.example"])) == "from-domain-taken"
    assert code(lambda: add("b", smtp_user="u", smtp_password="p" * 12)) == "smtp-user-taken"
    assert code(lambda: add("b", from_domains=["no domain"])) == "from-domain-invalid"
    assert code(lambda: add("b", smtp_user="v", smtp_password="short")) == "smtp-password-short"
    assert code(lambda: add("b", smtp_user="v")) == "smtp-user-incomplete"
    assert code(lambda: store.customers.get("b")) == "customer-missing"


def test_mail_is_the_closest_listed_domains(store: Store) -> None:
    store.customers.add("acme", from_domains=["acme.example"])
    store.customers.add("europe", from_domains=["eu.acme.example"])

    def whose(domain: str) -> str | None:
        found = store.customers.for_from_domain(domain)
        return found.name if found else None

    assert whose("acme.example") == "acme"
    assert whose("NEWS.acme.example.") == "acme"
    assert whose("eu.acme.example") == "europe"
    assert whose("x.eu.acme.example") == "europe"
    assert whose("notacme.example") is None
    assert whose("example") is None
    assert whose("") is None


@pytest.mark.parametrize(
    "domain",
    [
        "bounce_1.acme.example",
        "-x.acme.example",
        "a..acme.example",
        "é_1.Acme.Example.",
        "\U0001f600.acme.example",
        "\udcff.acme.example",
        "a\x00b.acme.example",
        f"{'x' * 64}.acme.example",
        "é。acme.example",
        f"{'a.' * 50_000}acme.example",
        f"{'é' * 100_000}.acme.example",
    ],
    ids=range(11),
)
def test_whatever_stands_below_a_listed_domain_is_its_customers(store: Store, domain: str) -> None:
    acme = store.customers.add("acme", from_domains=["acme.example"])
    started = time.process_time()
    assert store.customers.for_from_domain(domain) == acme
    assert time.process_time() - started < 1


def test_a_domain_in_another_script_is_found_in_any_form(store: Store) -> None:
    books = store.customers.add("books", from_domains=["bücher.example"])
    for domain in ("x.BÜCHER.example", "a_b.xn--bcher-kva.example", "bücher。example"):
        assert store.customers.for_from_domain(domain) == books
    assert store.customers.for_from_domain("bücher_.example") is None


def test_a_login_needs_the_right_password(store: Store) -> None:
    store.customers.add("acme", smtp_user="u", smtp_password="correct horse")
    found = store.customers.for_login("u", "correct horse")
    assert found is not None
    assert found.name == "acme"
    assert store.customers.for_login("u", "wrong horse") is None
    assert store.customers.for_login("nobody", "correct horse") is None


def test_a_password_is_not_stored_in_the_clear(store: Store, tmp_path: Path) -> None:
    store.customers.add("acme", smtp_user="u", smtp_password="correct horse")
    files = [file.read_bytes() for file in tmp_path.iterdir()]
    assert not any(b"correct horse" in data for data in files)


def test_a_message_comes_back_and_is_settled(store: Store) -> None:
    customer = store.customers.add("acme")
    message = Message(
        id="m" * 20,
        customer_id=customer.id,
        recipient="a@example.net, b@example.net",
        subject="Grüße 🎉",
        sent_at=NOW,
        base="https://go.ct.example.net",
        base_why="no branded domain",
        links={0: "https://a.example/0", 1: "https://a.example/1"},
        categories=("spring", "sale"),
        custom_args={"order": "7"},
    )
    store.messages.add(message)
    assert store.messages.get(message.id) == message
    store.messages.settle(message.id, MessageState.SENT)
    assert store.messages.get(message.id).state is MessageState.SENT
    assert code(lambda: store.messages.get("x" * 20)) == "message-missing"


def test_events_are_stored_once_with_their_position(store: Store) -> None:
    assert store.events.store([event(0), event(1)], Position("uid", "file", 1)) == 2
    assert store.events.store([event(1), event(2)], Position("uid", "file", 2)) == 1
    assert store.events.store([], Position("uid", "file", 3)) == 0
    assert store.events.positions() == {"uid": 3}
    assert [each.link for each in store.events.list(EventFilter())] == [0, 1, 2]
    store.events.forget_segment("uid")
    assert store.events.positions() == {}


def test_events_are_listed_by_customer_message_time_and_cursor(store: Store) -> None:
    customer = store.customers.add("acme")
    store.messages.add(
        Message(
            id="m" * 20,
            customer_id=customer.id,
            recipient="a@example.net",
            subject="Hello",
            sent_at=NOW,
            base="https://go.ct.example.net",
            base_why="",
        )
    )
    other = event(3, customer_id=99, message_id="n" * 20)
    store.events.store([event(0), event(1), event(2), other], Position("uid", "file", 1))

    def listed(**wanted: object) -> list[int]:
        return [each.link for each in store.events.list(EventFilter(**wanted))]  # type: ignore[arg-type]

    assert listed() == [0, 1, 2, 3]
    assert listed(limit=2) == [2, 3]
    assert listed(customer="acme") == [0, 1, 2]
    assert listed(customer="nobody") == []
    assert listed(message="n" * 20) == [3]
    assert listed(since=NOW + timedelta(milliseconds=2)) == [2, 3]
    assert listed(after=2, limit=None) == [2, 3]
    known, *_, unknown = store.events.list(EventFilter())
    assert (known.customer, known.recipient, known.subject) == ("acme", "a@example.net", "Hello")
    assert (unknown.customer, unknown.recipient) == ("99", "")
    assert known.at == NOW


def test_processes_write_side_by_side(url: str, store: Store) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITE, url, name]) for name in ("one", "two")
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert len(list(store.events.list(EventFilter(limit=None)))) == 200
    assert store.events.positions() == {"one": 99, "two": 99}
