"""Whose a name is: the first customer's who claims it, unless an operator moves it unproven."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from linkseal.domains.app_links import AppFileKind, android_file, read_app_file
from linkseal.domains.base import DomainState
from linkseal.domains.lifecycle import Action, Step
from linkseal.errors import StoreError
from linkseal.store import (
    CertificateRoute,
    Challenge,
    NameKind,
    NewCertificate,
    Store,
)

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
HOST = "links.acme.example"
ACME, RIVAL = 1, 2
ASKED = "the owner of acme.example asked"

# Each waits to be told to start, so that all try the same name at the same time.
CLAIM = """
import sys
from datetime import UTC, datetime
from linkseal.errors import StoreError
from linkseal.store import Store
url, customer, tag = sys.argv[1:]
with Store.open(url) as store:
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        new = store.domains.claim(
            "links.acme.example", customer_id=int(customer), target=f"t-{tag}.ct.example.net",
            ownership=tag, delegation=tag, who=tag, now=datetime.now(UTC),
        )
        print("new" if new else "had", flush=True)
    except StoreError as error:
        print(error.code, flush=True)
"""


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store.open(url) as opened:
        assert [opened.customers.add(name).id for name in ("acme", "rival")] == [ACME, RIVAL]
        yield opened


def claim(
    store: Store,
    customer_id: int,
    tag: str,
    *,
    why: str = "",
    default: bool = False,
    from_domains: list[str] | None = None,
    host: str = HOST,
) -> bool:
    return store.domains.claim(
        host,
        customer_id=customer_id,
        target=f"t-{tag}.ct.example.net",
        ownership=f"ct-verify={tag}",
        delegation=f"{tag}.acme.ct.example.net",
        who="ann",
        now=NOW,
        default=default,
        from_domains=from_domains,
        take_over=why,
    )


def pass_dns(store: Store, tag: str) -> DomainState:
    return store.domains.apply_dns(
        HOST, target=f"t-{tag}.ct.example.net", passed=True, who="check", now=NOW
    ).state


def refused(store: Store, *, why: str = "") -> StoreError:
    """Return why the rival does not get the name, and see that nothing came of it."""
    before, steps = store.domains.get(HOST), store.domains.history(HOST)
    with pytest.raises(StoreError) as refusal:
        claim(store, RIVAL, "no", why=why, default=True)
    assert (store.domains.get(HOST), store.domains.history(HOST)) == (before, steps)
    assert "acme" not in f"{refusal.value} {refusal.value.hint}".replace(HOST, "")
    return refusal.value


def test_a_name_of_another_customer_cannot_be_claimed_before_or_after_release(
    store: Store,
) -> None:
    claim(store, ACME, "1")
    pass_dns(store, "1")
    for _ in range(2):
        error = refused(store)
        assert (error.code, "--take-over" in error.hint) == ("domain-taken", False)
        assert store.domains.hosts() == {HOST: ACME, "t-1.ct.example.net": ACME}
        if store.domains.get(HOST).state is not DomainState.RELEASED:
            store.domains.apply(HOST, Step(Action.RELEASE, "ann"), NOW)


@pytest.mark.parametrize("released", [False, True])
def test_a_name_that_was_never_proven_is_moved_with_a_reason(store: Store, released: bool) -> None:
    claim(store, ACME, "1", default=True)
    app = android_file([f"example.acme={':'.join(['AB'] * 32)}"])
    store.app_links.put(HOST, [read_app_file(AppFileKind.ANDROID, app)], NOW)
    if released:
        store.domains.apply(HOST, Step(Action.RELEASE, "ann"), NOW)
    for why in ("", "  "):
        error = refused(store, why=why)
        assert (error.code, "--take-over" in error.hint) == ("domain-taken", True)
    revision = store.certificates.revision()
    assert claim(store, RIVAL, "2", why=ASKED)
    found = store.domains.get(HOST)
    assert (found.customer, found.state, found.default) == ("rival", DomainState.CLAIMED, False)
    assert (found.target, found.ownership) == ("t-2.ct.example.net", "ct-verify=2")
    assert store.domains.of_customer(ACME) == []
    last = store.domains.history(HOST)[-1]
    assert (last.action, last.who, last.reasons) == (
        Action.CLAIM,
        "ann",
        (f"taken over from another customer, never proven: {ASKED}",),
    )
    # The edge is told, and serves no files of the other's apps there.
    assert store.certificates.revision() > revision
    assert store.app_links.of(HOST) == []
    # What is seen of the other's claim, by a look that was under way, proves nothing of this one.
    assert pass_dns(store, "1") is DomainState.CLAIMED
    assert not store.domains.save_report(
        HOST, {}, target="t-1.ct.example.net", route=None, blocks=False, now=NOW
    )
    assert pass_dns(store, "2") is DomainState.DNS_VALID
    # And from now on it is theirs.
    with pytest.raises(StoreError) as refusal:
        claim(store, ACME, "3", why="wants it back")
    assert refusal.value.code == "domain-proven"


def test_a_name_that_was_ever_proven_is_not_moved(store: Store) -> None:
    claim(store, ACME, "1")
    pass_dns(store, "1")
    store.domains.apply_dns(
        HOST,
        target="t-1.ct.example.net",
        passed=False,
        who="watch",
        now=NOW,
        reasons=("gone",),
    )
    assert refused(store, why=ASKED).code == "domain-proven"
    store.domains.apply(HOST, Step(Action.RELEASE, "ann"), NOW)
    claim(store, ACME, "2")
    assert refused(store, why=ASKED).code == "domain-proven"
    assert "--take-over" not in refused(store).hint


def test_who_has_a_certificate_for_a_name_has_proven_it(store: Store) -> None:
    claim(store, ACME, "1")
    store.certificates.add_name(
        HOST,
        kind=NameKind.BRANDED,
        route=CertificateRoute.UPLOADED,
        challenge=Challenge.HTTP_01,
        now=NOW,
        customer_id=ACME,
    )
    assert "--take-over" in refused(store).hint
    new = NewCertificate(
        key_type="ecdsa",
        chain="PEM",
        sealed_key=b"sealed",
        fingerprint="f" * 64,
        issuer="uploaded",
        origin_ca=False,
        starts_at=NOW,
        ends_at=NOW + timedelta(days=90),
    )
    store.certificates.put(HOST, [new], NOW, "imported")
    assert refused(store, why=ASKED).code == "domain-proven"


def test_taking_over_what_nobody_else_holds_is_a_claim_like_any(store: Store) -> None:
    assert claim(store, ACME, "1", why=ASKED)
    assert store.domains.history(HOST)[-1].reasons == ("claimed",)
    assert not claim(store, ACME, "2", why=ASKED)
    assert store.domains.get(HOST).target == "t-1.ct.example.net"


def notes(store: Store, host: str) -> list[tuple[str, str, str, str, tuple[str, ...]]]:
    """Return a domain's history after its first line."""
    return [
        (step.action, step.before or "", step.after, step.who, step.reasons)
        for step in store.domains.history(host)[1:]
    ]


def test_another_from_domain_is_on_record_and_replaces_those_before(store: Store) -> None:
    claim(store, ACME, "1", from_domains=["one.example"])
    assert store.domains.history(HOST)[0].reasons == ("claimed", "for mail from one.example too")
    pass_dns(store, "1")
    before = store.domains.get(HOST)
    for names in (None, ["one.example"], ["one.example", "one.example"]):
        assert not claim(store, ACME, "2", from_domains=names)
        assert store.domains.get(HOST) == before
        assert len(notes(store, HOST)) == 1
    claim(store, ACME, "2", from_domains=["two.example", "three.example"])
    after = store.domains.get(HOST)
    assert after.from_domains == ("two.example", "three.example")
    assert (after.state, after.since, after.reasons) == (before.state, before.since, before.reasons)
    claim(store, ACME, "2", from_domains=[])
    assert store.domains.get(HOST).from_domains == ()
    stays = ("claim", "dns_valid", "dns_valid", "ann")
    assert notes(store, HOST)[1:] == [
        (*stays, ("for mail from two.example, three.example too, in place of one.example",)),
        (*stays, ("for mail from its own domain only, no more from two.example, three.example",)),
    ]


def test_another_default_is_on_record_of_both(store: Store) -> None:
    other = "go.acme.example"
    claim(store, ACME, "1", default=True)
    claim(store, ACME, "2", host=other)
    assert not claim(store, ACME, "3", default=True)
    assert (notes(store, HOST), notes(store, other)) == ([], [])
    assert store.domains.history(HOST)[0].reasons == ("claimed", "the customer's default")
    assert not claim(store, ACME, "3", host=other, default=True)
    assert [each.host for each in store.domains.all() if each.default] == [other]
    stays = ("claim", "claimed", "claimed", "ann")
    assert notes(store, other) == [(*stays, (f"the customer's default, in place of {HOST}",))]
    assert notes(store, HOST) == [(*stays, (f"the customer's default no more: {other} is",))]


def test_the_default_of_another_customer_stays(store: Store) -> None:
    claim(store, ACME, "1", default=True)
    claim(store, RIVAL, "2", host="links.rival.example", default=True)
    assert [each.default for each in store.domains.all()] == [True, True]
    assert notes(store, HOST) == []


def test_of_customers_who_claim_a_name_at_once_one_gets_it(url: str, store: Store) -> None:
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM, url, customer, tag],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for customer, tag in (("1", "a"), ("2", "b"), ("1", "c"), ("2", "d"))
    ]
    for run in runs:
        assert run.stdout is not None
        assert run.stdout.readline() == "ready\n"
    for run in runs:
        assert run.stdin is not None
        run.stdin.write("go\n")
        run.stdin.flush()
    said = [run.communicate(timeout=30)[0].strip() for run in runs]
    winner = store.domains.get(HOST).customer_id
    assert sorted(said) == ["domain-taken", "domain-taken", "had", "new"]
    mine = (0, 2) if winner == 1 else (1, 3)
    assert {said[number] for number in mine} == {"had", "new"}
    assert len(store.domains.hosts()) == 2
