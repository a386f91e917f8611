"""Ordinary issuance: what every CA does.

The tests know a CA only as ``Authority``; whatever is a parameter of that fixture must pass.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from acme import challenges, errors, messages
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from josepy.jwk import JWK, JWKRSA

from support.acme import (
    NAME,
    Authority,
    account,
    connect,
    csr,
    ec_key,
    key_of,
    obtain,
    prove,
    register,
    soon,
    verify,
)


@pytest.mark.parametrize(
    "make", [ec_key, lambda: JWKRSA(key=rsa.generate_private_key(65537, 2048))]
)
def test_a_certificate_is_obtained_and_verifies(
    authority: Authority, make: Callable[[], JWK]
) -> None:
    chain = obtain(authority, account(authority, make()), NAME, "other.acme.example")
    leaf = verify(chain, authority.root_pem(), NAME)
    verify(chain, authority.root_pem(), "other.acme.example")
    assert chain.count("BEGIN CERTIFICATE") == 2
    assert leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value == (
        x509.SubjectAlternativeName([x509.DNSName(NAME), x509.DNSName("other.acme.example")])
    )


def test_a_wildcard_is_obtained_by_dns_only(authority: Authority) -> None:
    who = account(authority)
    order = who.new_order(csr("*.ct.example.net"))
    body = order.authorizations[0].body
    assert (body.identifier.value, body.wildcard) == ("ct.example.net", True)
    kinds = {type(one.chall) for one in body.challenges}
    assert challenges.DNS01 in kinds
    assert challenges.HTTP01 not in kinds
    prove(authority, who, order, challenges.DNS01)
    chain = who.poll_and_finalize(order, soon()).fullchain_pem
    verify(chain, authority.root_pem(), "target.ct.example.net")


def test_an_account_is_found_again_by_its_key(authority: Authority) -> None:
    who = connect(authority)
    made = register(who)
    again = connect(authority, key_of(who))
    with pytest.raises(errors.ConflictError) as caught:
        register(again)
    assert caught.value.location == made.uri
    found = again.query_registration(made.update(uri=caught.value.location))
    assert found.uri == made.uri
    assert found.body.contact == ("mailto:ops@acme.example",)


def test_only_return_existing_makes_no_account(authority: Authority) -> None:
    who = connect(authority)
    with pytest.raises(messages.Error) as caught:
        who.new_account(messages.NewRegistration(only_return_existing=True))
    assert caught.value.code == "accountDoesNotExist"


def test_an_order_is_not_finalized_before_its_challenges(authority: Authority) -> None:
    who = account(authority)
    order = who.new_order(csr("never-seen.acme.example"))
    assert order.body.status == messages.STATUS_PENDING
    with pytest.raises(messages.Error) as caught:
        who.begin_finalization(order)
    assert caught.value.code == "orderNotReady"


def test_a_request_for_other_names_is_refused(authority: Authority) -> None:
    who = account(authority)
    order = who.new_order(csr(NAME))
    prove(authority, who, order)
    who.poll_authorizations(order, soon())
    with pytest.raises(messages.Error) as caught:
        who.begin_finalization(order.update(csr_pem=csr("stranger.example")))
    assert caught.value.code in {"badCSR", "unauthorized"}


def test_a_certificate_is_revoked_once(authority: Authority) -> None:
    who = account(authority)
    leaf = x509.load_pem_x509_certificate(obtain(authority, who, NAME).encode())
    who.revoke(leaf, 4)
    with pytest.raises(messages.Error) as caught:
        who.revoke(leaf, 4)
    assert caught.value.code == "alreadyRevoked"


def test_another_accounts_order_is_not_shown(authority: Authority) -> None:
    order = account(authority).new_order(csr(NAME))
    with pytest.raises(messages.Error) as caught:
        account(authority)._post_as_get(order.uri)
    assert caught.value.code in {"unauthorized", "malformed"}
