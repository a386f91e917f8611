"""The ACME directory of our own: what only it records, checks and offers."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from acme import jws, messages
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from josepy import jwa
from josepy.json_util import decode_b64jose, encode_b64jose
from josepy.jwk import JWK, JWKEC, JWKOct

from linkseal.testing.acme_directory import AcmeDirectory
from linkseal.testing.acme_objects import Problem, certificate_id
from support.acme import (
    NAME,
    account,
    account_url,
    answer,
    as_json,
    code,
    connect,
    csr,
    ec_key,
    key_of,
    local_now,
    order_replacing,
    post,
    quickly,
    raw,
    register,
)


def test_the_record_shows_what_was_asked(ca: AcmeDirectory) -> None:
    who = account(ca)
    seen: list[tuple[str, str, str]] = []

    def validate(name: str, kind: str, token: str, authorization: str) -> None:
        thumbprint = encode_b64jose(key_of(who).thumbprint())
        assert authorization == f"{token}.{thumbprint}"
        seen.append((name, kind, token))

    ca.validate = validate
    order = who.new_order(csr(NAME), profile="tlsserver")
    answer(who, order)
    who.begin_finalization(order)
    token = order.authorizations[0].body.challenges[0].chall.encode("token")
    assert seen == [(NAME, "http-01", token)]
    assert [(one.identifiers, one.profile, one.replaces, one.status) for one in ca.orders] == [
        ((NAME,), "tlsserver", "", "valid")
    ]
    assert ca.issued == [ca.orders[0].certificate]
    assert [one.path for one in ca.requests] == [
        "/directory", "/new-nonce", "/new-account", "/new-order", "/authz/0/0",
        "/challenge/0/0/http-01", "/finalize/0",
    ]  # fmt: skip
    assert ca.requests[3].payload == {
        "identifiers": [{"type": "dns", "value": NAME}],
        "profile": "tlsserver",
    }
    assert ca.requests[4].payload is None


def test_the_life_is_what_was_set(ca: AcmeDirectory) -> None:
    ca.life = timedelta(days=6)
    leaf = quickly(account(ca), NAME)
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == timedelta(days=6)
    assert isinstance(leaf.public_key(), ec.EllipticCurvePublicKey)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"identifiers": []}, (400, "malformed")),
        ({"identifiers": [{"type": "ip", "value": "192.0.2.1"}]}, (400, "unsupportedIdentifier")),
        (
            {"identifiers": [{"type": "dns", "value": NAME}], "profile": "nope"},
            (400, "invalidProfile"),
        ),
    ],
)
def test_an_order_that_cannot_be_is_refused(
    ca: AcmeDirectory, request_: dict[str, object], expected: tuple[int, str]
) -> None:
    who = account(ca)
    url = who.directory["newOrder"]
    assert code(raw(who, url, as_json(request_))) == expected
    assert ca.orders == []


def test_the_terms_must_be_agreed_to(ca: AcmeDirectory) -> None:
    who = connect(ca)
    with pytest.raises(messages.Error, match="terms"):
        who.new_account(messages.NewRegistration.from_data(email="ops@acme.example"))


def test_an_account_is_bound_when_it_must_be(ca: AcmeDirectory) -> None:
    secret = encode_b64jose(b"0123456789abcdef0123456789abcdef")
    wrong = encode_b64jose(b"another-secret-of-the-same-size!")
    ca.external_account = ("key-1", secret)
    who = connect(ca)
    assert who.external_account_required() is True
    with pytest.raises(messages.Error) as caught:
        register(who)
    assert caught.value.code == "externalAccountRequired"

    def binding(kid: str, hmac_key: str, key: JWK) -> dict[str, Any]:
        return messages.ExternalAccountBinding.from_data(
            key.public_key(), kid, hmac_key, who.directory
        )

    for bad in (
        binding("key-2", secret, key_of(who)),
        binding("key-1", wrong, key_of(who)),
        binding("key-1", secret, ec_key()),
    ):
        with pytest.raises(messages.Error) as caught:
            register(who, external_account_binding=bad)
        assert caught.value.code == "unauthorized"
    assert register(
        who, external_account_binding=binding("key-1", secret, key_of(who))
    ).uri.startswith("http://")


def test_a_key_of_the_certificate_may_revoke_it(ca: AcmeDirectory) -> None:
    who = account(ca)
    key = ec.generate_private_key(ec.SECP256R1())
    order = who.new_order(csr(NAME, key=key))
    answer(who, order)
    who.begin_finalization(order)
    leaf = x509.load_pem_x509_certificate(ca.issued[0])
    stranger = connect(ca)
    with pytest.raises(messages.Error) as caught:
        stranger.revoke(leaf, 1)
    assert caught.value.code == "unauthorized"
    holder = connect(ca, key=JWKEC(key=key))
    with pytest.raises(messages.Error) as caught:
        holder.revoke(leaf, 7)
    assert caught.value.typ.endswith(":badRevocationReason")
    holder.revoke(leaf, 1)
    assert ca.revoked == {certificate_id(leaf): 1}


def test_the_accounts_key_is_no_certificates_key(ca: AcmeDirectory) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    who = account(ca, JWKEC(key=key))
    order = who.new_order(csr(NAME, key=key))
    answer(who, order)
    with pytest.raises(messages.Error, match="account's") as caught:
        who.begin_finalization(order)
    assert caught.value.code == "badCSR"


# Signatures.


def test_a_wrong_key_nonce_or_url_is_refused(ca: AcmeDirectory) -> None:
    who = account(ca)
    url = who.new_order(csr(NAME)).uri
    assert raw(who, url).json()["status"] == "pending"
    assert code(raw(who, url, key=ec_key())) == (400, "malformed")
    assert code(raw(who, url, nonce=b"made up")) == (400, "badNonce")
    assert code(raw(who, url, signed_url=ca.url)) == (401, "unauthorized")
    assert code(raw(who, url, kid=f"{ca.url}/account/9")) == (400, "accountDoesNotExist")


def test_a_nonce_is_good_once(ca: AcmeDirectory) -> None:
    who = account(ca)
    fresh = requests.head(who.directory["newNonce"], timeout=10).headers["Replay-Nonce"]
    order = raw(
        who,
        who.directory["newOrder"],
        b'{"identifiers":[{"type":"dns","value":"a.example"}]}',
        nonce=decode_b64jose(fresh),
    )
    assert order.status_code == 201
    again = raw(who, order.headers["Location"], nonce=decode_b64jose(fresh))
    assert code(again) == (400, "badNonce")
    retry = raw(who, order.headers["Location"], nonce=decode_b64jose(again.headers["Replay-Nonce"]))
    assert retry.json()["status"] == "pending"


def test_a_header_outside_the_signature_is_refused(ca: AcmeDirectory) -> None:
    who = account(ca)
    url = who.new_order(csr(NAME)).uri
    fresh = requests.head(who.directory["newNonce"], timeout=10).headers["Replay-Nonce"]
    inside = jws.JWS.sign(b"", key_of(who), jwa.ES256, None, url, account_url(who))
    loose = {**inside.to_json(), "header": {"nonce": fresh}}
    assert code(post(url, json.dumps(loose))) == (400, "malformed")


def test_a_payload_that_is_no_object_is_refused(ca: AcmeDirectory) -> None:
    who = account(ca)
    assert code(raw(who, who.directory["newOrder"], b"[1]")) == (400, "malformed")


def test_an_algorithm_that_proves_nothing_is_refused(ca: AcmeDirectory) -> None:
    who = account(ca)
    url = who.new_order(csr(NAME)).uri
    secret = JWKOct(key=b"known to all")
    said = raw(who, url, key=secret, alg=jwa.HS256)
    assert code(said) == (400, "badSignatureAlgorithm")


@pytest.mark.parametrize(
    "body", ["", "{}", "[]", "\xff", '{"payload":"","signature":"","protected":""}']
)
def test_what_is_no_jws_is_refused(ca: AcmeDirectory, body: str) -> None:
    url = ca.url.replace("directory", "new-order")
    assert code(post(url, body)) == (400, "malformed")


def test_a_signature_under_the_wrong_media_type_is_refused(ca: AcmeDirectory) -> None:
    said = post(ca.url.replace("directory", "new-order"), "{}", "application/json")
    assert code(said) == (415, "malformed")


def test_a_resource_is_not_for_get(ca: AcmeDirectory) -> None:
    url = account(ca).new_order(csr(NAME)).uri
    assert code(requests.get(url, timeout=10)) == (405, "malformed")


def test_a_fresh_nonce_comes_with_get_too(ca: AcmeDirectory) -> None:
    said = requests.get(ca.url.replace("directory", "new-nonce"), timeout=10)
    assert (said.status_code, said.headers["Cache-Control"]) == (204, "no-store")
    assert len(decode_b64jose(said.headers["Replay-Nonce"])) == 16


# Renewal information.


def test_the_ari_id_is_that_of_the_standard() -> None:
    # RFC 9773 §4.1 works this example out: the serial's leading zero octet is kept.
    key = ec.generate_private_key(ec.SECP256R1())
    identifier = bytes.fromhex("69885B6B87464041E1B37B847BA0AE2CDE01C8D4")
    name = x509.Name([])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 0x87654321)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.AuthorityKeyIdentifier(identifier, None, None), critical=False)
        .sign(key, hashes.SHA256())
    )
    assert certificate_id(certificate) == "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"


def test_an_issued_certificates_id_names_the_intermediate(ca: AcmeDirectory) -> None:
    quickly(account(ca), NAME)
    leaf, intermediate = x509.load_pem_x509_certificates(ca.issued[0])
    key_id, serial = certificate_id(leaf).split(".")
    subject = intermediate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    assert decode_b64jose(key_id) == subject.value.digest
    assert int.from_bytes(base64.urlsafe_b64decode(serial + "=="), "big") == leaf.serial_number


def test_the_window_begins_at_two_thirds_of_the_life(ca: AcmeDirectory) -> None:
    leaf = quickly(account(ca), NAME)
    said = requests.get(f"{renewal_url(ca)}/{certificate_id(leaf)}", timeout=10)
    start, end = (
        datetime.fromisoformat(said.json()["suggestedWindow"][edge]) for edge in ("start", "end")
    )
    assert start - leaf.not_valid_before_utc == timedelta(days=60)
    assert end - start == timedelta(days=2)
    assert said.headers["Retry-After"] == "21600"


def test_the_window_is_what_was_set(ca: AcmeDirectory) -> None:
    who = account(ca)
    leaf = quickly(who, NAME)
    past = datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
    ca.windows[certificate_id(leaf)] = past, past
    ca.ask_again = 60
    when, again = who.renewal_time(leaf.public_bytes(serialization.Encoding.PEM))
    assert when == past
    assert timedelta(seconds=50) < again - local_now() <= timedelta(seconds=60)


def test_a_strangers_certificate_has_no_window(ca: AcmeDirectory) -> None:
    assert code(requests.get(f"{renewal_url(ca)}/AAAA.AAAA", timeout=10)) == (404, "malformed")


def renewal_url(ca: AcmeDirectory) -> str:
    url: str = requests.get(ca.url, timeout=10).json()["renewalInfo"]
    return url


def test_a_certificate_is_replaced_once(ca: AcmeDirectory) -> None:
    who = account(ca)
    old = certificate_id(quickly(who, NAME))
    new = quickly(who, NAME, "more.acme.example", replaces=old)
    assert ca.orders[1].replaces == old
    assert who._post_as_get(ca.url.replace("directory", "order/1")).json()["replaces"] == old
    url = who.directory["newOrder"]
    again = as_json({"identifiers": [{"type": "dns", "value": NAME}], "replaces": old})
    assert code(raw(who, url, again)) == (409, "alreadyReplaced")
    assert certificate_id(quickly(who, NAME, replaces=certificate_id(new))) != old


def test_a_failed_order_replaces_nothing(ca: AcmeDirectory) -> None:
    who = account(ca)
    old = certificate_id(quickly(who, NAME))
    ca.validate = lambda *_: Problem("unauthorized", "wrong answer")
    answer(who, order_replacing(who, old, NAME))
    assert ca.orders[1].status == "invalid"
    ca.validate = lambda *_: None
    quickly(who, NAME, replaces=old)
    assert ca.orders[2].status == "valid"


def test_another_name_or_account_replaces_nothing(ca: AcmeDirectory) -> None:
    who = account(ca)
    old = certificate_id(quickly(who, NAME))
    for one, name, expected in (
        (who, "stranger.example", (403, "unauthorized")),
        (account(ca), NAME, (403, "unauthorized")),
    ):
        wish = as_json({"identifiers": [{"type": "dns", "value": name}], "replaces": old})
        assert code(raw(one, one.directory["newOrder"], wish)) == expected
    assert len(ca.orders) == 1
