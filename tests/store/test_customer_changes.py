"""What a customer was added with can be changed, all of it or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from linkseal.domains.base import SendingIP, SSLPolicy
from linkseal.errors import StoreError
from linkseal.store import Customer, Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/linkseal.db") as opened:
        opened.customers.add("rival", from_domains=["rival.example"])
        opened.customers.add(
            "acme",
            from_domains=["acme.example"],
            smtp_user="mailer",
            smtp_password="correct horse",
        )
        yield opened


def whose(store: Store, domain: str) -> str | None:
    found = store.customers.for_from_domain(domain)
    return None if found is None else found.name


def logged_in(store: Store, user: str, password: str) -> Customer | None:
    return store.customers.for_login(user, password)


def test_what_is_not_given_stays(store: Store) -> None:
    before = store.customers.get("acme")
    assert store.customers.change("acme") == before
    after = store.customers.change("acme", ssl=SSLPolicy.REQUIRED)
    assert (after.ssl, after.sending_ip) == (SSLPolicy.REQUIRED, SendingIP.SHARED)
    after = store.customers.change("acme", sending_ip=SendingIP.DEDICATED)
    assert (after.ssl, after.sending_ip) == (SSLPolicy.REQUIRED, SendingIP.DEDICATED)
    assert (after.id, after.from_domains, after.smtp_users) == (
        before.id,
        ("acme.example",),
        ("mailer",),
    )
    assert store.customers.get("rival").ssl is SSLPolicy.ALLOWED


def test_from_domains_are_replaced_and_free_for_others(store: Store) -> None:
    store.customers.change("acme", from_domains=["ACME.example", "news.example."])
    assert store.customers.get("acme").from_domains == ("acme.example", "news.example")
    store.customers.change("acme", from_domains=["news.example"])
    assert (whose(store, "acme.example"), whose(store, "news.example")) == (None, "acme")
    store.customers.change("rival", from_domains=["acme.example"])
    assert (whose(store, "acme.example"), whose(store, "rival.example")) == ("rival", None)
    assert store.customers.change("acme", from_domains=[]).from_domains == ()


def test_a_login_is_added_and_one_it_has_gets_another_password(store: Store) -> None:
    store.customers.change("acme", smtp_user="second", smtp_password="battery staple")
    assert store.customers.get("acme").smtp_users == ("mailer", "second")
    store.customers.change("acme", smtp_user="mailer", smtp_password="another horse")
    assert logged_in(store, "mailer", "correct horse") is None
    for user, password in (("mailer", "another horse"), ("second", "battery staple")):
        found = logged_in(store, user, password)
        assert found is not None
        assert found.name == "acme"


@pytest.mark.parametrize(
    ("code", "name", "changes"),
    [
        ("customer-missing", "nobody", {}),
        ("from-domain-taken", "acme", {"from_domains": ["new.example", "rival.example"]}),
        ("from-domain-invalid", "acme", {"from_domains": ["no domain"]}),
        ("smtp-user-taken", "rival", {"smtp_user": "mailer", "smtp_password": "battery staple"}),
        ("smtp-user-incomplete", "acme", {"smtp_user": "mailer"}),
        ("smtp-user-invalid", "acme", {"smtp_user": " x", "smtp_password": "battery staple"}),
        ("smtp-password-short", "acme", {"smtp_user": "mailer", "smtp_password": "short"}),
    ],
)
def test_what_is_refused_changes_nothing(
    store: Store, code: str, name: str, changes: dict[str, object]
) -> None:
    before = store.customers.all()
    with pytest.raises(StoreError) as refusal:
        store.customers.change(name, ssl=SSLPolicy.REQUIRED, **changes)  # type: ignore[arg-type]
    assert (refusal.value.code, bool(refusal.value.hint)) == (code, True)
    assert store.customers.all() == before
    assert logged_in(store, "mailer", "correct horse") is not None
