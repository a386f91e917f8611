"""Orders against an ACME directory with faults, real DNS, and a server that answers challenges."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509

from linkseal.certificates.dns_update import DynamicUpdate
from linkseal.certificates.held import open_key, standing
from linkseal.certificates.leases import LEASE
from linkseal.certificates.ordering import Ordering
from linkseal.certificates.pem import parse_certificate
from linkseal.certificates.schedule import State
from linkseal.config import ACMEConfig, Address, IssuerConfig
from linkseal.errors import StoreError
from linkseal.store import (
    CertificateName,
    CertificateRoute,
    Challenge,
    NameKind,
    Store,
    StoredCertificate,
)
from linkseal.testing.acme_directory import AcmeDirectory
from linkseal.testing.acme_objects import Problem
from linkseal.testing.knot import Knot
from linkseal.vault import Vault

VAULT = Vault(b"m" * 32)
NAME = "links.acme.example"
WILDCARD = "*.ct.example"
ZONE = [
    "links.acme 60 IN A 127.0.0.1",
    "links.other 60 IN A 127.0.0.1",
    "nowhere.acme 60 IN TXT nothing",
    "forbidden.acme 60 IN A 127.0.0.1",
    'forbidden.acme 60 IN CAA 0 issue "other-ca.example"',
    "dead.acme 60 IN A 127.0.0.1",
    "dead.acme 60 IN AAAA ::1",
    "_acme-challenge.branded.acme 60 IN CNAME acme.challenges.example.",
]


@pytest.fixture(scope="module")
def knot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Knot]:
    with Knot(tmp_path_factory.mktemp("knot"), {"example": ZONE}) as running:
        yield running


@pytest.fixture
def ca() -> Iterator[AcmeDirectory]:
    with AcmeDirectory() as running:
        yield running


class Edge(ThreadingHTTPServer):
    """Answers challenges as the store says, or as somebody else would."""

    def __init__(self, store: Store) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.store = store
        self.instead: bytes | None = None


class _Answer(BaseHTTPRequestHandler):
    server: Edge

    def do_GET(self) -> None:
        token = self.path.rpartition("/")[2]
        found = self.server.store.acme.challenges(datetime.now(UTC)).get(token)
        self.send_response(200 if found else 404)
        self.end_headers()
        self.wfile.write(self.server.instead or (found or "nothing").encode())

    def log_message(self, *_: object) -> None:
        pass


class Bench:
    """A store, a CA, DNS, and what orders by them."""

    def __init__(self, tmp_path: Path, ca: AcmeDirectory, knot: Knot) -> None:
        self.url = f"sqlite:///{tmp_path}/linkseal.db"
        self.store = Store.open(self.url)
        self.ca = ca
        self.knot = knot
        self.edge = Edge(self.store)
        self.thread = threading.Thread(target=self.edge.serve_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.edge.shutdown()
        self.thread.join()
        self.edge.server_close()
        self.store.close()

    def ordering(
        self, *issuers: IssuerConfig, owner: str = "one", kinds: tuple[str, ...] = ("p256",)
    ) -> Ordering:
        config = ACMEConfig.model_validate(
            {
                "enabled": True,
                "issuers": issuers or (IssuerConfig(directory=self.ca.url),),
                "resolvers": (Address(self.knot.host, self.knot.port),),
                "http_port": self.edge.server_port,
                "allow_private_addresses": True,
                "key_types": kinds,
                "dns": {"authority_port": self.knot.port},
            }
        )
        provider = DynamicUpdate(self.knot.host, self.knot.port, key=self.knot.key, zone="example")
        return Ordering(config, self.store, VAULT, provider, owner)

    def work(self, name: str = NAME, ordering: Ordering | None = None) -> CertificateName:
        """Do what is due for a name, and return how it stands after that."""
        ordering = ordering or self.ordering()
        wildcard = name.startswith(("*.", "branded"))
        self.store.certificates.add_name(
            name,
            kind=NameKind.BRANDED,
            route=CertificateRoute.ACME,
            challenge=Challenge.DNS_01 if wildcard else Challenge.HTTP_01,
            now=datetime.now(UTC),
        )
        assert ordering.leases.take(name)
        ordering.work(self.store.certificates.name(name))
        ordering.leases.release(name)
        return self.store.certificates.name(name)

    def in_use(self, name: str = NAME) -> list[StoredCertificate]:
        return [each for each in self.store.certificates.in_use() if each.name == name]

    def state(self, name: str = NAME) -> State:
        held = self.store.certificates.of_name(name)
        return standing(self.store.certificates.name(name), held, datetime.now(UTC)).state

    def renew(self) -> None:
        self.store.certificates.change_name(
            NAME, datetime.now(UTC), "asked", due_at=datetime.now(UTC), renewal={"now": "1"}
        )


@pytest.fixture
def bench(tmp_path: Path, ca: AcmeDirectory, knot: Knot) -> Iterator[Bench]:
    made = Bench(tmp_path, ca, knot)
    yield made
    made.close()


def problem(name: CertificateName) -> str:
    assert name.problem is not None
    assert name.problem["advice"]
    return name.problem["type"]


def minutes_to(at: datetime | None) -> float:
    assert at is not None
    return (at - datetime.now(UTC)).total_seconds() / 60


def test_a_certificate_comes_with_its_key_and_is_looked_at_again(bench: Bench) -> None:
    name = bench.work()
    (held,) = bench.in_use()
    found = parse_certificate(held.chain.encode(), open_key(VAULT, held), source="here")
    assert found.names == (NAME,)
    assert (name.problem, name.failures, name.sealed_order) == (None, 0, None)
    assert bench.state() is State.VALID
    assert bench.store.acme.challenges(datetime.now(UTC)) == {}
    looked = bench.work()
    assert 300 < minutes_to(looked.due_at) <= 360
    assert looked.renewal is not None
    assert looked.renewal["start"]
    assert len(bench.ca.orders) == 1


def test_rsa_beside_p256_if_it_is_wanted(bench: Bench) -> None:
    bench.work(ordering=bench.ordering(kinds=("p256", "rsa2048")))
    assert [each.key_type for each in bench.in_use()] == ["p256", "rsa2048"]


@pytest.mark.parametrize("name", [WILDCARD, "branded.acme.example"])
def test_dns_01_for_a_wildcard_and_where_the_challenge_is_delegated(
    bench: Bench, name: str
) -> None:
    seen: list[set[str]] = []
    owner = "acme.challenges.example" if name != WILDCARD else "_acme-challenge.ct.example"

    def look(host: str, kind: str, _token: str, _proof: str) -> Problem | None:
        seen.append(bench.knot.values(owner))
        return None if kind == "dns-01" and host == name.removeprefix("*.") else Problem("dns", "")

    bench.ca.validate = look
    bench.work(name)
    assert bench.state(name) is State.VALID
    assert [len(values) for values in seen] == [1]
    assert bench.knot.values(owner) == set()


def test_a_ca_that_is_down_or_slow_costs_nothing_but_time(bench: Bench) -> None:
    bench.work()
    before = bench.in_use()
    bench.renew()
    bench.ca.fail_with(503, None, times=100)
    name = bench.work()
    assert problem(name) in {"unreachable", "serverInternal"}
    assert (name.failures, bench.in_use()) == (1, before)
    assert 0.7 < minutes_to(name.due_at) <= 1
    assert bench.state() is State.VALID
    bench.ca.fail_with(503, None, times=0)
    bench.ca.answer_slowly(0.2)
    name = bench.work()
    assert name.problem is None
    assert bench.in_use() != before


def test_nothing_listens_where_the_ca_should_be(bench: Bench) -> None:
    gone = IssuerConfig(directory="http://127.0.0.1:9/directory")
    name = bench.work(ordering=bench.ordering(gone))
    assert problem(name) == "unreachable"
    assert bench.state() is State.FAILED


def test_the_next_ca_is_asked_when_one_fails_but_not_when_the_name_does(bench: Bench) -> None:
    gone = IssuerConfig(directory="http://127.0.0.1:9/directory")
    both = bench.ordering(gone, IssuerConfig(directory=bench.ca.url))
    bench.work(ordering=both)
    assert bench.in_use()[0].issuer == bench.ca.url
    with AcmeDirectory() as other:
        other.validate = lambda *_: Problem("unauthorized", "somebody else answered")
        bench.renew()
        twice = bench.ordering(
            IssuerConfig(directory=other.url), IssuerConfig(directory=bench.ca.url)
        )
        name = bench.work(ordering=twice)
        assert (problem(name), len(other.orders), len(bench.ca.orders)) == ("unauthorized", 1, 1)
    assert bench.state() is State.VALID


def test_a_storm_of_bad_nonces_is_weathered(bench: Bench) -> None:
    bench.ca.reject_nonces(8)
    assert bench.work().problem is None


def test_connections_that_break_are_told_and_tried_again(bench: Bench) -> None:
    bench.ca.drop_connections(2)
    assert problem(bench.work()) == "unreachable"
    bench.ca.drop_connections(0)
    assert bench.work().problem is None


def test_an_order_that_turns_invalid_is_given_up(bench: Bench) -> None:
    bench.ca.break_order = Problem("rejectedIdentifier", "policy forbids this name")
    name = bench.work()
    assert (problem(name), name.sealed_order) == ("rejectedIdentifier", None)
    bench.ca.break_order = None
    assert bench.work().problem is None
    assert len(bench.ca.orders) == 2


def test_a_ca_that_is_still_at_work_when_we_die_is_asked_for_the_same_order(bench: Bench) -> None:
    """The certificate is issued, and its download fails: no second order, the same key."""
    bench.ca.fail_with(503, None, "/certificate/", times=1)
    name = bench.work()
    assert name.sealed_order is not None
    assert bench.state() is State.FAILED
    name = bench.work(ordering=bench.ordering(owner="another"))
    assert (name.sealed_order, name.problem) == (None, None)
    assert len(bench.ca.orders) == len(bench.ca.issued) == 1
    assert bench.in_use()[0].chain.encode() == bench.ca.issued[0]


def test_garbage_for_a_certificate_is_refused_and_ordered_anew(bench: Bench) -> None:
    bench.ca.damage_certificate = True
    assert problem(bench.work()) == "unexpectedCertificate"
    bench.ca.damage_certificate = False
    assert bench.work().problem is None


def test_clocks_that_differ_are_told(bench: Bench) -> None:
    bench.ca.life = timedelta(seconds=1)
    name = bench.work()
    assert problem(name) == "clock"
    assert "NTP" in (name.problem or {})["advice"]


def test_what_the_ca_would_see_is_seen_first(bench: Bench) -> None:
    """Somebody else answers, nobody does, CAA forbids: the CA is not asked, and counts nothing."""
    bench.edge.instead = b"welcome to my home page"
    quick = bench.ordering()
    quick.showing.answer_seconds = 0.5
    assert problem(bench.work(ordering=quick)) == "incorrectResponse"
    assert problem(bench.work("nowhere.acme.example", quick)) == "dns"
    name = bench.work("dead.acme.example", quick)
    assert problem(name) == "connection"
    assert "AAAA" in (name.problem or {})["advice"]
    name = bench.work("forbidden.acme.example", quick)
    assert problem(name) == "caa"
    assert "other-ca.example" in (name.problem or {})["detail"]
    assert bench.ca.orders == []


def test_a_private_address_is_not_asked_unless_that_is_allowed(bench: Bench) -> None:
    config = bench.ordering()._config.model_copy(update={"allow_private_addresses": False})
    strict = Ordering(config, bench.store, VAULT, None, "one")
    strict.showing.answer_seconds = 0.5
    name = bench.work(ordering=strict)
    assert problem(name) == "dns"
    assert "not on the internet" in (name.problem or {})["detail"]


def test_a_wildcard_without_a_way_into_dns_says_what_to_configure(bench: Bench) -> None:
    name = bench.work(WILDCARD, Ordering(bench.ordering()._config, bench.store, VAULT, None, "one"))
    assert "acme.dns.provider" in (name.problem or {})["advice"]


def test_a_ca_that_says_when_is_not_asked_before(bench: Bench) -> None:
    limited = Problem("rateLimited", "too many certificates")
    bench.ca.fail_with(429, limited, "/new-order", retry_after=7200)
    name = bench.work()
    assert problem(name) == "rateLimited"
    assert 119 < minutes_to(name.due_at) <= 120


def test_the_limits_of_a_ca_are_kept_here_too_and_the_wait_is_told(bench: Bench) -> None:
    for number in range(45):
        detail = {"issuer": bench.ca.url}
        bench.store.certificates.note(
            f"n{number}.acme.example", datetime.now(UTC), "issued", detail
        )
    name = bench.work()
    assert name.waiting.startswith("waiting until")
    assert (name.problem, bench.ca.orders) == (None, [])
    assert minutes_to(name.due_at) > 7 * 24 * 60 - 5
    elsewhere = bench.work("links.other.example", bench.ordering())
    assert not elsewhere.waiting


def windows(bench: Bench, start: timedelta) -> None:
    now = datetime.now(UTC)
    for ari in bench.ca._certificates:
        bench.ca.windows[ari] = (now + start, now + start + timedelta(hours=1))


def test_a_renewal_comes_when_the_ca_says_and_names_what_it_replaces(bench: Bench) -> None:
    bench.work()
    bench.store.certificates.change_name(NAME, datetime.now(UTC), "x", renewal=None)
    windows(bench, timedelta(hours=-2))
    with sqlite3.connect(bench.url.removeprefix("sqlite:///")) as database:
        database.execute("UPDATE certificates SET starts_at_ms = starts_at_ms - 7200000")
    before = bench.in_use()
    bench.work()
    assert bench.in_use() != before
    assert bench.ca.orders[-1].replaces == next(iter(bench.ca._certificates))
    history = [entry.what for entry in bench.store.certificates.history(NAME)]
    assert history.count("issued") == 2


def test_what_was_renewed_before_is_ordered_without_a_predecessor(bench: Bench) -> None:
    bench.work()
    bench.ca.fail_with(409, Problem("alreadyReplaced", "so it is"), "/new-order")
    bench.renew()
    assert bench.work().problem is None
    assert bench.ca.orders[-1].replaces == ""


def test_an_external_account_is_bound(bench: Bench) -> None:
    bench.ca.external_account = ("kid-1", "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTMyYg")
    assert problem(bench.work()) == "externalAccountRequired"
    issuer = IssuerConfig(
        directory=bench.ca.url, eab_kid="kid-1", eab_hmac_key=bench.ca.external_account[1]
    )
    assert bench.work(ordering=bench.ordering(issuer)).problem is None


def test_an_account_is_kept_and_used_again(bench: Bench) -> None:
    bench.work()
    bench.work("links.acme.example")
    bench.renew()
    bench.work()
    made = [each for each in bench.ca.requests if each.path == "/new-account"]
    assert len(made) == 1


# Each waits to be told to start, so that both are at the same names at the same time.
WORKER = """
import sys
from datetime import UTC, datetime
from linkseal.certificates.ordering import Ordering
from linkseal.config import ACMEConfig
from linkseal.store import Store
from linkseal.vault import Vault
url, config, owner = sys.argv[1:]
config = ACMEConfig.model_validate_json(config)
with Store.open(url, migrate=False) as store:
    ordering = Ordering(config, store, Vault(b"m" * 32), None, owner)
    print("ready", flush=True)
    sys.stdin.readline()
    for due in store.certificates.due(datetime.now(UTC), owner):
        if ordering.leases.take(due.name):
            name = store.certificates.name(due.name)
            if name.due_at <= datetime.now(UTC):
                ordering.work(name)
            ordering.leases.release(due.name)
"""


def test_two_processes_order_each_name_once(bench: Bench) -> None:
    names = (NAME, "links.other.example")
    for name in names:
        bench.store.certificates.add_name(
            name,
            kind=NameKind.BRANDED,
            route=CertificateRoute.ACME,
            challenge=Challenge.HTTP_01,
            now=datetime.now(UTC),
        )
    # The account first: it is one, whoever comes.
    bench.work("links.acme.example")
    bench.renew()
    begun = len(bench.ca.orders)
    config = json.dumps(
        {
            "enabled": True,
            "issuers": [{"directory": bench.ca.url}],
            "resolvers": [f"{bench.knot.host}:{bench.knot.port}"],
            "http_port": bench.edge.server_port,
            "allow_private_addresses": True,
            "key_types": ["p256"],
        }
    )
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, bench.url, config, owner],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for owner in ("one", "two")
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("\n")
        worker.stdin.flush()
    for worker in workers:
        worker.communicate(timeout=60)
        assert worker.returncode == 0
    assert len(bench.ca.orders) - begun == len(names)
    assert all(len(bench.in_use(name)) == 1 for name in names)


def test_a_worker_that_lost_its_name_stores_nothing(bench: Bench) -> None:
    one, two = bench.ordering(owner="one"), bench.ordering(owner="two")
    bench.store.certificates.add_name(
        NAME,
        kind=NameKind.BRANDED,
        route=CertificateRoute.ACME,
        challenge=Challenge.HTTP_01,
        now=datetime.now(UTC),
    )
    assert one.leases.take(NAME)
    assert not two.leases.take(NAME)
    # A worker that lost its lease, and does not know, stores nothing.
    name = bench.store.certificates.name(NAME)
    bench.store.certificates.change_name(
        NAME, datetime.now(UTC), "taken", leased_by="two", leased_until=datetime.now(UTC) + LEASE
    )
    one.work(name)
    assert bench.in_use() == []
    assert bench.store.certificates.name(NAME).problem is None


def test_a_revoked_certificate_is_replaced_at_once(bench: Bench) -> None:
    bench.work()
    (held,) = bench.in_use()
    bench.ordering().accounts.authority(bench.ca.url).revoke(held.chain.encode(), 1)
    assert list(bench.ca.revoked.values()) == [1]
    now = datetime.now(UTC)
    bench.store.certificates.revoke(held, now, {"reason": "keyCompromise"}, now)
    assert bench.state() is State.REVOKED
    bench.work()
    assert bench.state() is State.VALID
    leaf = x509.load_pem_x509_certificate(bench.in_use()[0].chain.encode())
    assert leaf != x509.load_pem_x509_certificate(held.chain.encode())


FULL = """
import resource, sys
from pathlib import Path
from linkseal.errors import StoreError
from linkseal.store import Store
from datetime import UTC, datetime
from linkseal.certificates.held import to_store
from linkseal.vault import Vault
with Store.open(sys.argv[1], migrate=False) as store:
    wal = Path(sys.argv[1].removeprefix("sqlite:///") + "-wal")
    (held,) = store.certificates.in_use()
    key = Path(sys.argv[2]).read_bytes()
    new = to_store(Vault(b"m" * 32), held.chain.encode(), key, issuer="x")
    resource.setrlimit(resource.RLIMIT_FSIZE, (wal.stat().st_size + 4096,) * 2)
    try:
        store.certificates.put(held.name, [new] * 40, datetime.now(UTC), "issued")
    except StoreError as error:
        print(error.code)
"""


def test_a_full_disk_leaves_the_old_certificate(bench: Bench, tmp_path: Path) -> None:
    """The disk takes one page more: the key of the next certificate does not fit."""
    bench.work()
    before = bench.in_use()
    (tmp_path / "key").write_bytes(open_key(VAULT, before[0]))
    done = subprocess.run(
        [sys.executable, "-c", FULL, bench.url, str(tmp_path / "key")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "database-unavailable\n", done.stderr
    assert bench.in_use() == before
    assert bench.state() is State.VALID


def test_a_database_that_cannot_be_used_is_told_to_the_process(bench: Bench) -> None:
    name = bench.work()
    with Store.open("sqlite://", migrate=False) as empty, pytest.raises(StoreError):
        Ordering(bench.ordering()._config, empty, VAULT, None, "one").work(name)


def test_an_account_the_ca_has_forgotten_is_made_anew(bench: Bench) -> None:
    bench.work()
    bench.ca._accounts.clear()
    bench.renew()
    assert problem(bench.work()) == "accountDoesNotExist"
    assert bench.work().problem is None
    made = [each for each in bench.ca.requests if each.path == "/new-account"]
    assert len(made) == 2


def test_caa_that_forbids_one_ca_lets_the_next_be_asked_and_all_is_on_record(
    bench: Bench,
) -> None:
    gone = IssuerConfig(directory="http://127.0.0.1:9/directory")
    bench.ca.fail_with(500, None, "/new-order", times=9)
    bench.work(ordering=bench.ordering(gone, IssuerConfig(directory=bench.ca.url)))
    what = [(each.what, each.detail.get("type")) for each in bench.store.certificates.history(NAME)]
    assert what[1:] == [("refused", "unreachable"), ("failed", "serverInternal")]
    quick = bench.ordering(IssuerConfig(directory=bench.ca.url), gone)
    quick.showing.answer_seconds = 0.5
    bench.work("forbidden.acme.example", quick)
    history = bench.store.certificates.history("forbidden.acme.example")
    assert [each.detail.get("type") for each in history[1:]] == ["caa", "unreachable"]


def test_two_key_types_count_as_two_certificates(bench: Bench) -> None:
    both = bench.ordering(kinds=("p256", "rsa2048"))
    bench.work(ordering=both)
    (spent,) = both.budget.spent().values()
    assert sorted(each.what for each in spent) == ["certificate"] * 2 + ["order"] * 2


def test_a_ca_that_dies_with_an_order_on_record_does_not_keep_the_next_from_it(
    bench: Bench,
) -> None:
    bench.ca.fail_with(503, None, "/certificate/", times=9)
    assert bench.work().sealed_order is not None
    bench.ca.fail_with(503, None, times=99)
    with AcmeDirectory() as other:
        other.validate = lambda *_: None
        both = bench.ordering(
            IssuerConfig(directory=bench.ca.url), IssuerConfig(directory=other.url)
        )
        name = bench.work(ordering=both)
        assert (name.problem, name.sealed_order) == (None, None)
        assert bench.in_use()[0].issuer == other.url


def test_an_order_nothing_comes_of_is_given_up_after_a_few_tries(bench: Bench) -> None:
    bench.ca.fail_with(503, None, "/certificate/", times=99)
    for _ in range(5):
        bench.work()
    assert len(bench.ca.orders) == 2
    bench.ca.fail_with(503, None, "/certificate/", times=0)
    assert bench.work().problem is None


def test_garbage_is_no_reason_to_ask_for_the_same_garbage_again(bench: Bench) -> None:
    bench.ca.damage_certificate = True
    for _ in range(2):
        assert problem(bench.work()) == "unexpectedCertificate"
    assert len(bench.ca.orders) == 2


def test_a_ca_that_always_wants_renewal_is_obeyed_once_an_hour_at_most(bench: Bench) -> None:
    bench.work()
    windows(bench, timedelta(days=-3))
    for _ in range(3):
        bench.work()
    assert len(bench.ca.issued) == 1


def test_one_kind_of_key_that_a_ca_refuses_leaves_the_other(bench: Bench) -> None:
    limited = Problem("rateLimited", "no more of these")
    both = bench.ordering(kinds=("p256", "rsa2048"))
    asked: list[int] = []

    def second_fails(*_: object) -> None:
        asked.append(1)
        bench.ca.fail_with(429, limited, "/new-order")

    bench.ca.validate = lambda *_: second_fails()
    name = bench.work(ordering=both)
    assert name.problem is None
    assert [each.key_type for each in bench.in_use()] == ["p256"]


def test_a_ca_that_wants_peace_about_a_domain_gets_it_and_the_next_is_asked(bench: Bench) -> None:
    with AcmeDirectory() as other:
        other.validate = bench.ca.validate = lambda *_: None
        limited = Problem("rateLimited", "later")
        bench.ca.fail_with(429, limited, "/new-order", retry_after=7200)
        both = bench.ordering(
            IssuerConfig(directory=bench.ca.url), IssuerConfig(directory=other.url)
        )
        bench.work(ordering=both)
        asked = len(bench.ca.requests)
        bench.renew()
        assert bench.work(ordering=both).problem is None
        assert len(bench.ca.requests) == asked
        assert len(other.issued) == 2
