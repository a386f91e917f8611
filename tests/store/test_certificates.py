"""Certificates in the store: who has a name, what is in use, and what is kept of the past."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from linkseal.domains.base import SendingIP, SSLPolicy
from linkseal.errors import StoreError, VaultError
from linkseal.store import (
    CertificateName,
    CertificateRoute,
    CertificateStatus,
    Challenge,
    EventFilter,
    NameKind,
    NewCertificate,
    Store,
    StoredCertificate,
)
from linkseal.store.database import Database
from linkseal.store.schema import certificate_names, metadata
from linkseal.vault import Vault
from support.database import make_database

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
NAME = "links.acme.example"

# Each waits to be told to start, so that both try the same names at the same time.
LEASE = """
import sys
from datetime import datetime
from linkseal.store import Store
url, owner, now, until, *names = sys.argv[1:]
now, until = datetime.fromisoformat(now), datetime.fromisoformat(until)
with Store.open(url) as store:
    print("ready", flush=True)
    sys.stdin.readline()
    got = [name for name in names if store.certificates.lease(name, owner, now, until)]
    print(*got, flush=True)
    sys.stdin.readline()
"""

PUT = """
import sys
from datetime import datetime, timedelta
from linkseal.store import NewCertificate, Store
url, name, now = sys.argv[1:]
now = datetime.fromisoformat(now)
with Store.open(url) as store:
    for number in range(1, 41):
        new = [
            NewCertificate(kind, "pem", b"key", str(number), "ca", False, now, now)
            for kind in ("p256", "rsa2048")
        ]
        assert store.certificates.put(name, new, now + timedelta(seconds=number), "issued")
"""


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store.open(url) as opened:
        yield opened


def add(store: Store, name: str = NAME, **changes: object) -> bool:
    values: dict[str, object] = {
        "kind": NameKind.BRANDED,
        "route": CertificateRoute.ACME,
        "challenge": Challenge.HTTP_01,
        "now": NOW,
    }
    return store.certificates.add_name(name, **{**values, **changes})  # type: ignore[arg-type]


def new(key_type: str = "p256", **changes: object) -> NewCertificate:
    values: dict[str, object] = {
        "key_type": key_type,
        "chain": "-----BEGIN CERTIFICATE-----\n…",
        "sealed_key": b"\x00sealed\xff",
        "fingerprint": "f" * 64,
        "issuer": "https://ca.example/directory",
        "origin_ca": False,
        "starts_at": NOW,
        "ends_at": NOW + 90 * DAY,
    }
    return NewCertificate(**{**values, **changes})  # type: ignore[arg-type]


def code(call: object) -> str:
    with pytest.raises(StoreError) as refusal:
        call()  # type: ignore[operator]
    assert refusal.value.hint
    return refusal.value.code


def told(store: Store, name: str | None = None) -> list[str]:
    return [entry.what for entry in store.certificates.history(name)]


def prints(certificates: Sequence[StoredCertificate]) -> list[str]:
    return [each.fingerprint for each in certificates]


def everything(store: Store) -> object:
    held = store.certificates
    return held.names(), held.of_name(NAME), held.history(), held.revision()


class Worker:
    """A process of its own that leases names when told to, and then waits."""

    def __init__(self, url: str, owner: str, now: datetime, until: datetime, *names: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", LEASE, url, owner, now.isoformat(), until.isoformat(), *names],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._line() == "ready"

    def start(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def got(self) -> list[str]:
        return self._line().split()

    def leave(self, *, killed: bool = False) -> int:
        if killed:
            self.process.kill()
        self.process.communicate(None if killed else "\n", timeout=60)
        return self.process.returncode

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


def test_a_name_comes_back(store: Store) -> None:
    customer = store.customers.add("acme")
    assert add(store, customer_id=customer.id)
    assert store.certificates.name(NAME) == CertificateName(
        name=NAME,
        kind=NameKind.BRANDED,
        customer_id=customer.id,
        route=CertificateRoute.ACME,
        challenge=Challenge.HTTP_01,
        due_at=NOW,
        failures=0,
        problem=None,
        waiting="",
        renewal=None,
        sealed_order=None,
        leased_until=None,
    )
    (entry,) = store.certificates.history()
    assert (entry.name, entry.at, entry.what) == (NAME, NOW, "added")
    assert entry.detail == {"route": "acme"}


def test_a_name_is_added_once_and_the_first_stays(store: Store) -> None:
    assert add(store)
    first = everything(store)
    assert not add(store, route=CertificateRoute.UPLOADED, kind=NameKind.SHARED, now=NOW + DAY)
    assert everything(store) == first


def test_a_name_of_no_customer_is_refused_whole(store: Store) -> None:
    assert code(lambda: add(store, customer_id=99)) == "store-refused"
    assert store.certificates.names() == []
    assert store.certificates.history() == []


def test_a_name_not_held_is_told(store: Store) -> None:
    held = store.certificates
    assert code(lambda: held.name(NAME)) == "certificate-missing"
    assert code(lambda: held.change_name(NAME, NOW, "changed", failures=1)) == "certificate-missing"
    assert code(lambda: held.change_name(NAME, NOW, "changed")) == "certificate-missing"
    assert not held.put(NAME, [new()], NOW, "imported")
    assert not held.lease(NAME, "one", NOW, NOW + MINUTE)
    assert (held.history(), held.in_use(), held.revision()) == ([], [], 0)


def test_due_are_those_whose_time_has_come_and_that_nobody_has(store: Store) -> None:
    held = store.certificates
    add(store, "b.example")
    add(store, "a.example")
    add(store, "later.example", now=NOW + timedelta(milliseconds=1))
    add(store, "uploaded.example", route=CertificateRoute.UPLOADED)
    add(store, "taken.example")
    assert held.lease("taken.example", "one", NOW, NOW + MINUTE)

    def due(at: datetime) -> list[str]:
        return [each.name for each in held.due(at)]

    assert due(NOW - timedelta(milliseconds=1)) == []
    assert due(NOW) == ["a.example", "b.example"]
    assert due(NOW + MINUTE) == ["a.example", "b.example", "taken.example", "later.example"]
    held.change_name("a.example", NOW, "paused", due_at=None)
    held.change_name("uploaded.example", NOW, "route", route=CertificateRoute.ACME, due_at=NOW)
    assert due(NOW) == ["b.example", "uploaded.example"]


def test_what_ends_first_is_due_first_and_what_fails_holds_up_nobody(store: Store) -> None:
    held = store.certificates
    for name, days, due, failures in (
        ("new", None, 9, 0),
        ("newer", None, 8, 0),
        ("a-late-renewal", 1, 7, 0),
        ("z-urgent-renewal", 2, 1, 0),
        ("a-failing-new", None, 30, 3),
        ("a-failing-renewal", 1, 20, 1),
        ("z-failing-ended", -1, 40, 9),
    ):
        add(store, name)
        if days is not None:
            later = new("rsa2048", ends_at=NOW + (days + 1) * DAY)
            held.put(name, [later, new(ends_at=NOW + days * DAY)], NOW, "issued")
        held.change_name(name, NOW, "set up", due_at=NOW - due * MINUTE, failures=failures)
    # What was replaced counts no more.
    held.put("a-late-renewal", [new(ends_at=NOW + 20 * DAY)], NOW, "issued")
    assert [each.name for each in held.due(NOW)] == [
        "z-urgent-renewal",
        "a-late-renewal",
        "new",
        "newer",
        "z-failing-ended",
        "a-failing-new",
        "a-failing-renewal",
    ]


def test_fields_go_in_and_out_of_a_name(store: Store) -> None:
    held = store.certificates
    add(store)
    problem = {"type": "urn:ietf:params:acme:error:caa", "detail": "Grüße, “null” 🎉"}
    renewal = {"window": "2027-01-01/2027-01-02"}
    paris = timezone(timedelta(hours=1))
    due_at = datetime(2026, 12, 24, 9, 0, 0, 123000, tzinfo=paris)
    held.change_name(
        NAME,
        NOW,
        "failed",
        problem=problem,
        renewal=renewal,
        due_at=due_at,
        failures=3,
        waiting="for the CA",
        sealed_order=b"\x00\xff",
        challenge=Challenge.DNS_01,
    )
    name = held.name(NAME)
    assert (name.problem, name.renewal, name.failures) == (problem, renewal, 3)
    assert (name.waiting, name.sealed_order) == ("for the CA", b"\x00\xff")
    assert (name.challenge, name.route) == (Challenge.DNS_01, CertificateRoute.ACME)
    assert name.due_at == due_at
    assert name.due_at.tzinfo is UTC
    cleared: dict[str, object] = {"problem": None, "renewal": None, "sealed_order": None}
    held.change_name(NAME, NOW, "reset", **cleared, due_at=None)
    name = held.name(NAME)
    assert (name.problem, name.renewal, name.sealed_order, name.due_at) == (None,) * 4


def test_nothing_is_null_in_the_database_not_a_json_null(url: str, store: Store) -> None:
    add(store, "new.example")
    add(store, "reset.example")
    store.certificates.change_name("reset.example", NOW, "x", problem={"a": "b"}, renewal={})
    assert store.certificates.name("reset.example").renewal == {}
    store.certificates.change_name("reset.example", NOW, "x", problem=None, renewal=None)
    add(store, "put.example")
    store.certificates.change_name("put.example", NOW, "x", problem={"a": "b"})
    assert store.certificates.put("put.example", [new()], NOW, "issued", renewal=None)
    columns = certificate_names.c
    empty = sa.select(columns.name).where(columns.problem.is_(sa.null()), columns.renewal.is_(None))
    database = Database(url)
    with database.reading() as connection:
        names = connection.scalars(empty.order_by(columns.name)).all()
    database.close()
    assert names == ["new.example", "put.example", "reset.example"]


def test_two_processes_that_lease_the_same_names_share_them_out(url: str, store: Store) -> None:
    names = [f"n{number:02}.example" for number in range(40)]
    for name in names:
        add(store, name)
    workers = [Worker(url, owner, NOW, NOW + MINUTE, *names) for owner in ("one", "two")]
    for worker in workers:
        worker.start()
    one, two = (worker.got() for worker in workers)
    assert [worker.leave() for worker in workers] == [0, 0]
    assert sorted(one + two) == names
    settle = store.certificates.settle
    assert [name for name in names if settle(name, "one", NOW, "", {}, failures=1)] == one
    assert [name for name in names if settle(name, "two", NOW, "", {}, failures=2)] == two
    assert store.certificates.due(NOW) == []


def test_a_killed_workers_name_is_free_when_its_time_is_up(url: str, store: Store) -> None:
    held = store.certificates
    add(store)
    worker = Worker(url, "one", NOW, NOW + MINUTE, NAME)
    worker.start()
    assert worker.got() == [NAME]
    assert worker.leave(killed=True) != 0
    assert held.name(NAME).leased_until == NOW + MINUTE
    almost = NOW + MINUTE - timedelta(milliseconds=1)
    assert not held.lease(NAME, "two", almost, NOW + 2 * MINUTE)
    assert held.due(almost) == []
    assert [each.name for each in held.due(NOW + MINUTE)] == [NAME]
    assert held.lease(NAME, "two", NOW + MINUTE, NOW + 2 * MINUTE)


def test_a_lease_is_prolonged_by_its_owner_and_given_back(store: Store) -> None:
    held = store.certificates
    add(store)
    assert held.lease(NAME, "one", NOW, NOW + MINUTE)
    assert held.lease(NAME, "one", NOW + MINUTE / 2, NOW + 2 * MINUTE)
    assert not held.lease(NAME, "two", NOW + MINUTE, NOW + 3 * MINUTE)
    assert held.name(NAME).leased_until == NOW + 2 * MINUTE
    assert held.settle(NAME, "one", NOW, "", {}, leased_by="", leased_until=None)
    assert held.name(NAME).leased_until is None
    assert held.lease(NAME, "two", NOW, NOW + MINUTE)


def test_a_worker_that_lost_its_name_to_another_process_stores_nothing(
    url: str, store: Store
) -> None:
    held = store.certificates
    add(store)
    assert held.lease(NAME, "one", NOW, NOW + MINUTE)
    worker = Worker(url, "two", NOW + MINUTE, NOW + 2 * MINUTE, NAME)
    worker.start()
    assert worker.got() == [NAME]
    before = everything(store)
    assert not held.settle(NAME, "one", NOW, "failed", {"why": "late"}, failures=1)
    assert not held.settle(NAME, "one", NOW, "failed", {"why": "late"})
    assert not held.put(NAME, [new()], NOW, "issued", owner="one", due_at=NOW + DAY)
    assert not held.lease(NAME, "one", NOW + MINUTE, NOW + 3 * MINUTE)
    assert everything(store) == before
    assert worker.leave() == 0
    assert held.put(NAME, [new(fingerprint="two")], NOW, "issued", owner="two")
    assert prints(held.in_use()) == ["two"]


def test_an_operator_can_take_a_name_from_its_worker(store: Store) -> None:
    held = store.certificates
    add(store)
    assert held.lease(NAME, "one", NOW, NOW + MINUTE)
    uploaded = new(fingerprint="uploaded")
    route = CertificateRoute.UPLOADED
    assert held.put(NAME, [uploaded], NOW, "imported", route=route, leased_by="", leased_until=None)
    assert not held.put(NAME, [new(fingerprint="late")], NOW, "issued", owner="one")
    assert prints(held.in_use()) == ["uploaded"]
    name = held.name(NAME)
    assert (name.route, name.leased_until) == (route, None)


def test_a_worker_settles_with_and_without_fields_and_record(store: Store) -> None:
    held = store.certificates
    add(store)
    assert held.lease(NAME, "one", NOW, NOW + MINUTE)
    assert held.settle(NAME, "one", NOW, "", {}, waiting="for DNS")
    assert held.settle(NAME, "one", NOW + MINUTE, "waits", {"for": "DNS"})
    assert held.name(NAME).waiting == "for DNS"
    held.change_name(NAME, NOW, "seen")
    assert [(entry.what, entry.detail) for entry in held.history()] == [
        ("added", {"route": "acme"}),
        ("waits", {"for": "DNS"}),
        ("seen", {}),
    ]


def test_a_certificate_comes_back_and_settles_its_name(store: Store) -> None:
    held = store.certificates
    add(store)
    held.change_name(
        NAME, NOW, "failed", failures=2, problem={"a": "b"}, waiting="x", sealed_order=b"o"
    )
    assert held.lease(NAME, "one", NOW, NOW + MINUTE)
    given = new(origin_ca=True, ends_at=NOW + 90 * DAY + timedelta(milliseconds=7))
    due_at = NOW + 60 * DAY
    assert held.put(
        NAME,
        [given],
        NOW + MINUTE,
        "issued",
        owner="one",
        sealed_order=None,
        due_at=due_at,
        renewal={"id": "r"},
    )
    (stored,) = held.in_use()
    assert {field: getattr(stored, field) for field in NewCertificate.__dataclass_fields__} == {
        field: getattr(given, field) for field in NewCertificate.__dataclass_fields__
    }
    assert (stored.name, stored.status) == (NAME, CertificateStatus.CURRENT)
    assert stored.stored_at == NOW + MINUTE
    assert "sealed_key" not in repr(stored)
    name = held.name(NAME)
    assert (name.failures, name.problem, name.waiting, name.sealed_order) == (0, None, "", None)
    assert (name.due_at, name.renewal) == (due_at, {"id": "r"})
    entry = held.history()[-1]
    assert (entry.what, entry.at) == ("issued", NOW + MINUTE)
    assert entry.detail == {
        "issuer": given.issuer,
        "ends_at": "2027-02-22T08:00:00+00:00",
        "certificates": "1",
    }


def test_new_certificates_take_the_place_of_all_before(store: Store) -> None:
    held = store.certificates
    add(store)
    add(store, "a.example")
    assert held.put("a.example", [new(fingerprint="other")], NOW, "issued")
    first = [new("rsa2048", fingerprint="1r"), new("p256", fingerprint="1p")]
    assert held.put(NAME, first, NOW, "issued")
    assert prints(held.in_use()) == ["other", "1p", "1r"]
    # At the same millisecond: of one key type the later is still listed first.
    assert held.put(NAME, [new("p256", fingerprint="2p")], NOW, "issued")
    assert prints(held.in_use()) == ["other", "2p"]
    assert prints(held.of_name(NAME)) == ["2p", "1p", "1r"]
    second = [new("rsa2048", fingerprint="3r"), new("p256", fingerprint="3p")]
    assert held.put(NAME, second, NOW + MINUTE, "issued")
    assert [(each.fingerprint, each.status.value) for each in held.of_name(NAME)] == [
        ("3p", "current"),
        ("3r", "current"),
        ("2p", "replaced"),
        ("1p", "replaced"),
        ("1r", "replaced"),
    ]


def test_a_put_that_fails_half_way_changes_nothing(store: Store) -> None:
    held = store.certificates
    add(store)
    assert held.put(NAME, [new()], NOW, "issued")
    held.change_name(NAME, NOW, "failed", failures=1, problem={"a": "b"})
    before = everything(store)
    halves = [new(), new("rsa2048", sealed_key=None)]
    assert code(lambda: held.put(NAME, halves, NOW, "issued", due_at=None)) == "store-refused"
    assert everything(store) == before


def test_no_reader_ever_sees_half_a_put(url: str, store: Store) -> None:
    held = store.certificates
    add(store)
    pair = [new("p256", fingerprint="0"), new("rsa2048", fingerprint="0")]
    assert held.put(NAME, pair, NOW, "issued")
    looks = [held.in_use()]
    writer = subprocess.Popen([sys.executable, "-c", PUT, url, NAME, NOW.isoformat()])
    while writer.poll() is None:
        looks.append(held.in_use())
    assert writer.returncode == 0
    looks.append(held.in_use())
    assert {tuple(each.key_type for each in look) for look in looks} == {("p256", "rsa2048")}
    assert [look for look in looks if len(set(prints(look))) != 1] == []
    assert prints(looks[-1]) == ["40", "40"]
    assert held.revision() == 41


def test_the_revision_counts_what_the_edge_is_told(store: Store) -> None:
    held, acme = store.certificates, store.acme
    add(store)
    held.lease(NAME, "one", NOW, NOW + MINUTE)
    held.settle(NAME, "one", NOW, "failed", {}, failures=1)
    held.note(NAME, NOW, "looked", {})
    acme.put_account("https://ca.example", "", b"k")
    assert held.revision() == 0
    held.put(NAME, [new()], NOW, "issued")
    assert held.revision() == 1
    acme.publish("token", "answer", NOW + MINUTE)
    assert held.revision() == 2
    acme.withdraw("token")
    assert held.revision() == 3
    held.revoke(held.in_use()[0], NOW, {"reason": "keyCompromise"}, NOW)
    assert held.revision() == 4


def test_revoked_certificates_are_shown_no_more(store: Store) -> None:
    held = store.certificates
    add(store)
    held.put(NAME, [new(fingerprint="1")], NOW, "issued")
    second = [new(fingerprint="2"), new("rsa2048", fingerprint="2r")]
    held.put(NAME, second, NOW + MINUTE, "issued", renewal={"id": "r"}, due_at=None)
    detail = {"reason": "keyCompromise"}
    for each in held.in_use():
        held.revoke(each, NOW + 2 * MINUTE, detail, NOW + 3 * MINUTE)
    assert held.in_use() == []
    assert [each.status.value for each in held.of_name(NAME)] == ["revoked", "revoked", "replaced"]
    name = held.name(NAME)
    assert (name.renewal, name.due_at) == ({"now": "revoked"}, NOW + 3 * MINUTE)
    entries = held.history()[-2:]
    assert [each.what for each in entries] == ["revoked", "revoked"]
    assert [each.detail for each in entries] == [detail | {"certificate": w} for w in ("2", "2r")]


def test_one_key_type_is_revoked_and_the_other_stays_until_the_next(store: Store) -> None:
    held = store.certificates
    add(store)
    held.put(NAME, [new(fingerprint="2"), new("rsa2048", fingerprint="2r")], NOW, "issued")
    held.revoke(held.in_use()[0], NOW, {}, NOW)
    assert prints(held.in_use()) == ["2r"]
    assert (held.name(NAME).renewal, held.name(NAME).due_at) == ({"now": "revoked"}, NOW)


def test_what_came_while_a_certificate_was_revoked_stays_in_use(store: Store) -> None:
    held = store.certificates
    add(store)
    held.put(NAME, [new(fingerprint="1")], NOW, "issued")
    (first,) = held.in_use()
    held.put(NAME, [new(fingerprint="2")], NOW + MINUTE, "issued", due_at=NOW + DAY)
    held.revoke(first, NOW + 2 * MINUTE, {}, NOW + 2 * MINUTE)
    assert prints(held.in_use()) == ["2"]
    assert [each.status.value for each in held.of_name(NAME)] == ["current", "revoked"]
    assert (held.name(NAME).renewal, held.name(NAME).due_at) == (None, NOW + DAY)


def test_history_is_by_name_and_instant_oldest_first(store: Store) -> None:
    held = store.certificates
    add(store)
    add(store, "a.example")
    held.note(NAME, NOW + MINUTE, "second", {"é": "🎉"})
    held.note(NAME, NOW, "third", {})
    held.note("gone.example", NOW + 2 * MINUTE, "fourth", {})
    assert told(store) == ["added", "added", "second", "third", "fourth"]
    assert told(store, NAME) == ["added", "second", "third"]
    assert told(store, "nobody.example") == []
    assert [entry.what for entry in held.history(since=NOW)] == ["second", "fourth"]
    (entry,) = held.history(NAME, since=NOW + MINUTE - timedelta(milliseconds=1))
    assert (entry.at, entry.detail) == (NOW + MINUTE, {"é": "🎉"})
    numbers = [each.seq for each in held.history()]
    assert numbers == sorted(set(numbers))


def test_only_old_certificates_out_of_use_are_forgotten(store: Store) -> None:
    held = store.certificates
    add(store)
    add(store, "revoked.example")
    before = NOW + DAY
    old = before - timedelta(milliseconds=1)
    held.put(NAME, [new(fingerprint="old", ends_at=old)], NOW, "issued")
    held.put(NAME, [new(fingerprint="edge", ends_at=before)], NOW + MINUTE, "issued")
    held.put(NAME, [new(fingerprint="in use", ends_at=old)], NOW + 2 * MINUTE, "issued")
    held.put("revoked.example", [new(ends_at=old)], NOW, "issued")
    (revoked,) = [each for each in held.in_use() if each.name == "revoked.example"]
    held.revoke(revoked, NOW, {}, None)
    revision = held.revision()
    assert held.forget_old(before) == 2
    assert held.forget_old(before) == 0
    assert prints(held.of_name(NAME)) == ["in use", "edge"]
    assert held.of_name("revoked.example") == []
    assert prints(held.in_use()) == ["in use"]
    assert held.revision() == revision
    assert told(store, "revoked.example") == ["added", "issued", "revoked"]


def keep_secrets(store: Store, vault: Vault) -> None:
    """Two certificates, one of them replaced, an order and an account: four secrets."""
    add(store)
    add(store, "no-order.example")
    for secret in (b"first key", b"second key"):
        sealed = new(sealed_key=vault.seal(secret, "x"))
        assert store.certificates.put(NAME, [sealed], NOW, "issued")
    store.certificates.change_name(NAME, NOW, "ordered", sealed_order=vault.seal(b"order", "x"))
    store.acme.put_account("https://ca.example", "", vault.seal(b"account", "x"))


def blobs(store: Store) -> list[bytes]:
    held, account = store.certificates, store.acme.account("https://ca.example")
    order = held.name(NAME).sealed_order
    assert account is not None
    assert order is not None
    return [*(each.sealed_key for each in held.of_name(NAME)), order, account[1]]


def opened(store: Store, vault: Vault) -> list[bytes]:
    return [vault.open(blob, "x") for blob in blobs(store)]


def test_every_secret_is_sealed_again(store: Store) -> None:
    before, after = Vault(b"1" * 32), Vault(b"2" * 32)
    assert store.certificates.reseal(lambda _, blob: blob) == 0
    keep_secrets(store, before)
    assert store.certificates.reseal(lambda _, blob: after.seal(before.open(blob, "x"), "x")) == 4
    assert opened(store, after) == [b"second key", b"first key", b"order", b"account"]
    assert store.certificates.name("no-order.example").sealed_order is None


@pytest.mark.parametrize("damaged", ["certificate", "order", "account"])
def test_when_one_secret_cannot_be_opened_none_is_sealed_again(store: Store, damaged: str) -> None:
    before, after = Vault(b"1" * 32), Vault(b"2" * 32)
    keep_secrets(store, before)
    foreign = Vault(b"3" * 32).seal(b"?", "x")
    match damaged:
        case "certificate":
            store.certificates.put(NAME, [new(sealed_key=foreign)], NOW, "issued")
        case "order":
            store.certificates.change_name(NAME, NOW, "ordered", sealed_order=foreign)
        case "account":
            store.acme.put_account("https://other.example", "", foreign)
    was = blobs(store)
    with pytest.raises(VaultError):
        store.certificates.reseal(lambda _, blob: after.seal(before.open(blob, "x"), "x"))
    assert blobs(store) == was


def test_an_account_is_kept_by_its_directory(store: Store) -> None:
    acme = store.acme
    one, two = "https://one.example/directory", "https://two.example/directory"
    assert acme.account(one) is None
    acme.put_account(one, "", b"\x00key\xff")
    assert acme.account(one) == ("", b"\x00key\xff")
    acme.put_account(two, "https://two.example/acct/2", b"other")
    acme.put_account(one, "https://one.example/acct/1", b"\x00key\xff")
    assert acme.account(one) == ("https://one.example/acct/1", b"\x00key\xff")
    acme.forget_account(one)
    acme.forget_account(one)
    assert acme.account(one) is None
    assert acme.account(two) == ("https://two.example/acct/2", b"other")


def test_challenges_are_answered_until_they_end_or_are_withdrawn(store: Store) -> None:
    acme = store.acme
    now = datetime.now(UTC).replace(microsecond=0) + DAY
    acme.publish("short", "short.thumbprint", now + MINUTE)
    acme.publish("long", "old.thumbprint", now + MINUTE)
    acme.publish("long", "long.thumbprint", now + 2 * MINUTE)
    both = {"short": "short.thumbprint", "long": "long.thumbprint"}
    assert acme.challenges(now) == both
    assert acme.challenges(now + MINUTE - timedelta(milliseconds=1)) == both
    assert acme.challenges(now + MINUTE) == {"long": "long.thumbprint"}
    assert acme.challenges(now + 2 * MINUTE) == {}
    acme.withdraw("long")
    acme.withdraw("unknown")
    assert acme.challenges(now) == {"short": "short.thumbprint"}


def test_challenges_that_ended_are_deleted_by_the_next(store: Store) -> None:
    acme = store.acme
    now = datetime.now(UTC)
    acme.publish("ended", "answer", now - MINUTE)
    acme.publish("answered", "answer", now + MINUTE)
    acme.publish("next", "answer", now + MINUTE)
    # Seen from before all of them, what is there at all.
    assert set(acme.challenges(now - DAY)) == {"answered", "next"}


# What version 0001 of the schema held, written as it did.
FIRST = [
    "INSERT INTO customers VALUES (7, 'acme', 'dedicated', 'required', 1795507200000)",
    "INSERT INTO from_domains VALUES ('acme.example', 7)",
    "INSERT INTO smtp_users VALUES ('acme-mailer', 7, x'00', x'ff')",
    (
        "INSERT INTO messages VALUES"
        " ('mmmmmmmmmmmmmmmmmmmm', 7, 'a@b.example', 'Grüße', '[\"sale\"]', '{\"order\": \"7\"}',"
        " 1795507200000, 'sent', 'https://go.ct.example.net', 'why')"
    ),
    "INSERT INTO message_links VALUES ('mmmmmmmmmmmmmmmmmmmm', 0, 'https://a.example/')",
    (
        "INSERT INTO events VALUES (3, 'e3', 'click', 1795507200000, 7, 'mmmmmmmmmmmmmmmmmmmm', 0,"
        " 'https://a.example/', 'go.ct.example.net', 1, 'GET', '192.0.2.1', 'agent')"
    ),
    "INSERT INTO journal_positions VALUES ('uid', 'file', 42)",
]


def test_a_database_without_certificates_is_migrated_with_its_data(url: str) -> None:
    make_database(url, "0001", FIRST)
    database = Database(url)
    with Store.open(url) as store, database.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        customer = store.customers.get("acme")
        assert (customer.id, customer.sending_ip) == (7, SendingIP.DEDICATED)
        assert (customer.ssl, customer.created_at) == (SSLPolicy.REQUIRED, NOW)
        assert (customer.from_domains, customer.smtp_users) == (("acme.example",), ("acme-mailer",))
        message = store.messages.get("m" * 20)
        assert (message.subject, message.links) == ("Grüße", {0: "https://a.example/"})
        assert (message.categories, message.custom_args) == (("sale",), {"order": "7"})
        assert [(each.seq, each.subject) for each in store.events.list(EventFilter())] == [
            (3, "Grüße")
        ]
        assert store.events.positions() == {"uid": 42}
        assert (store.certificates.names(), store.certificates.revision()) == ([], 0)
        assert add(store, customer_id=7)
        assert store.certificates.put(NAME, [new()], NOW, "issued")
        assert store.certificates.revision() == 1
    database.close()
    with Store.open(url) as again:
        assert (again.certificates.revision(), told(again)) == (1, ["added", "issued"])
