"""The ACME directory of our own: what every CA does, what only it does, and its faults.

The tests of ordinary issuance know a CA only as ``Authority``, so that another one can
be added to the fixture's parameters and must pass them too.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from acme import challenges, client, errors, jws, messages
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.verification import PolicyBuilder, Store
from josepy import jwa
from josepy.json_util import decode_b64jose, encode_b64jose, field
from josepy.jwk import JWK, JWKEC, JWKRSA, JWKOct

from linkseal.testing.acme_directory import AcmeDirectory, Problem, certificate_id

NAME = "links.acme.example"


@dataclass(frozen=True)
class Authority:
    """A CA as a client knows it.

    Attributes:
        url: Its directory.
        bundle: File to verify the directory's own certificate with; True for the system's.
        root_pem: Returns the root that certificates must verify against.
        validates: Whether it really connects to the names, so that nothing passes here.
    """

    url: str
    bundle: str | bool
    root_pem: Callable[[], bytes]
    validates: bool


@pytest.fixture
def ca() -> Iterator[AcmeDirectory]:
    with AcmeDirectory() as directory:
        yield directory


@pytest.fixture(params=["ours"])
def authority(request: pytest.FixtureRequest) -> Authority:
    ours: AcmeDirectory = request.getfixturevalue("ca")
    return Authority(ours.url, True, lambda: ours.root_pem, validates=False)


def ec_key() -> JWK:
    return JWKEC(key=ec.generate_private_key(ec.SECP256R1()))


def connect(url: str, bundle: str | bool = True, key: JWK | None = None) -> client.ClientV2:
    """A client without an account yet."""
    key = key or ec_key()
    alg = jwa.ES256 if isinstance(key, JWKEC) else jwa.RS256
    # The library hands ``verify_ssl`` on to requests, which takes a file too.
    net = client.ClientNetwork(key, alg=alg, verify_ssl=bundle, timeout=10)  # type: ignore[arg-type]
    return client.ClientV2(client.ClientV2.get_directory(url, net), net)


def register(who: client.ClientV2, **more: Any) -> messages.RegistrationResource:
    new = messages.NewRegistration.from_data(
        email="ops@acme.example", terms_of_service_agreed=True, **more
    )
    return who.new_account(new)


def account(ca: AcmeDirectory | Authority, key: JWK | None = None) -> client.ClientV2:
    """A client with an account."""
    who = connect(ca.url, ca.bundle if isinstance(ca, Authority) else True, key)
    register(who)
    return who


def csr(*names: str, key: ec.EllipticCurvePrivateKey | None = None) -> bytes:
    """A request for a certificate, PEM."""
    alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    builder = x509.CertificateSigningRequestBuilder(x509.Name([]))
    builder = builder.add_extension(alternatives, critical=False)
    signed = builder.sign(key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


def answer(
    who: client.ClientV2, order: messages.OrderResource, kind: type[Any] = challenges.HTTP01
) -> None:
    """Tell the CA that every challenge of a kind is ready."""
    for each in order.authorizations:
        challenge = next(one for one in each.body.challenges if isinstance(one.chall, kind))
        who.answer_challenge(challenge, challenge.response(key_of(who)))


def local_now() -> datetime:
    """The library reckons in naive local time."""
    return datetime.now(UTC).astimezone().replace(tzinfo=None)


def soon() -> datetime:
    return local_now() + timedelta(seconds=20)


def obtain(who: client.ClientV2, *names: str, kind: type[Any] = challenges.HTTP01) -> str:
    """An order from beginning to end; the chain it gives."""
    order = who.new_order(csr(*names))
    answer(who, order, kind)
    chain: str = who.poll_and_finalize(order, soon()).fullchain_pem
    return chain


def quickly(who: client.ClientV2, *names: str, replaces: str = "") -> x509.Certificate:
    """The same without the library's pauses."""
    order = order_replacing(who, replaces, *names) if replaces else who.new_order(csr(*names))
    answer(who, order)
    done = who.begin_finalization(order).body
    return x509.load_pem_x509_certificate(who._post_as_get(done.certificate).content)


class Replacing(messages.NewOrder):
    replaces: str = field("replaces", omitempty=True)


def order_replacing(who: client.ClientV2, replaces: str, *names: str) -> messages.OrderResource:
    """newOrder with ``replaces``, which the library does not know."""
    identifiers = [messages.Identifier(typ=messages.IDENTIFIER_FQDN, value=one) for one in names]
    order = Replacing(identifiers=identifiers, replaces=replaces)
    said = who._post(who.directory["newOrder"], order)
    body = messages.Order.from_json(said.json())
    opened = [
        who._authzr_from_response(who._post_as_get(url), uri=url) for url in body.authorizations
    ]
    return messages.OrderResource(
        body=body, uri=said.headers["Location"], authorizations=opened, csr_pem=csr(*names)
    )


def raw(
    who: client.ClientV2,
    url: str,
    payload: bytes = b"",
    *,
    key: JWK | None = None,
    nonce: bytes | None = None,
    signed_url: str | None = None,
    alg: jwa.JWASignature = jwa.ES256,
    kid: str | None = None,
) -> requests.Response:
    """A POST whose every part can be wrong."""
    fresh = requests.head(who.directory["newNonce"], timeout=10).headers["Replay-Nonce"]
    message = jws.JWS.sign(
        payload,
        key=key or key_of(who),
        alg=alg,
        nonce=decode_b64jose(fresh) if nonce is None else nonce,
        url=signed_url or url,
        kid=kid or account_url(who),
    )
    return post(url, message.json_dumps())


def account_url(who: client.ClientV2) -> str:
    assert who.net.account is not None
    url: str = who.net.account.uri
    return url


def key_of(who: client.ClientV2) -> JWK:
    key = who.net.key
    assert isinstance(key, JWK)
    return key


def post(url: str, body: str, kind: str = "application/jose+json") -> requests.Response:
    return requests.post(url, body, headers={"Content-Type": kind}, timeout=10)


def code(said: requests.Response) -> tuple[int, str]:
    assert said.headers["Content-Type"] == "application/problem+json"
    return said.status_code, said.json()["type"].removeprefix("urn:ietf:params:acme:error:")


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


def verify(chain_pem: str, root_pem: bytes, name: str) -> x509.Certificate:
    """Verify as a browser would; the leaf."""
    leaf, *others = x509.load_pem_x509_certificates(chain_pem.encode())
    store = Store(x509.load_pem_x509_certificates(root_pem))
    PolicyBuilder().store(store).build_server_verifier(x509.DNSName(name)).verify(leaf, others)
    return leaf


# What every CA does.


@pytest.mark.parametrize(
    "make", [ec_key, lambda: JWKRSA(key=rsa.generate_private_key(65537, 2048))]
)
def test_a_certificate_is_obtained_and_verifies(
    authority: Authority, make: Callable[[], JWK]
) -> None:
    if authority.validates:
        pytest.skip("nothing answers for the name")
    chain = obtain(account(authority, make()), NAME, "other.acme.example")
    leaf = verify(chain, authority.root_pem(), NAME)
    verify(chain, authority.root_pem(), "other.acme.example")
    assert chain.count("BEGIN CERTIFICATE") == 2
    assert leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value == (
        x509.SubjectAlternativeName([x509.DNSName(NAME), x509.DNSName("other.acme.example")])
    )


def test_a_wildcard_is_obtained_by_dns_only(authority: Authority) -> None:
    if authority.validates:
        pytest.skip("nothing answers for the name")
    who = account(authority)
    order = who.new_order(csr("*.ct.example.net"))
    body = order.authorizations[0].body
    assert (body.identifier.value, body.wildcard) == ("ct.example.net", True)
    kinds = {type(one.chall) for one in body.challenges}
    assert challenges.DNS01 in kinds
    assert challenges.HTTP01 not in kinds
    answer(who, order, challenges.DNS01)
    chain = who.poll_and_finalize(order, soon()).fullchain_pem
    verify(chain, authority.root_pem(), "target.ct.example.net")


def test_an_account_is_found_again_by_its_key(authority: Authority) -> None:
    who = connect(authority.url, authority.bundle)
    made = register(who)
    again = connect(authority.url, authority.bundle, key_of(who))
    with pytest.raises(errors.ConflictError) as caught:
        register(again)
    assert caught.value.location == made.uri
    found = again.query_registration(made.update(uri=caught.value.location))
    assert found.uri == made.uri
    assert found.body.contact == ("mailto:ops@acme.example",)


def test_only_return_existing_makes_no_account(authority: Authority) -> None:
    who = connect(authority.url, authority.bundle)
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
    if authority.validates:
        pytest.skip("nothing answers for the name")
    who = account(authority)
    order = who.new_order(csr(NAME))
    answer(who, order)
    who.poll_authorizations(order, soon())
    with pytest.raises(messages.Error) as caught:
        who.begin_finalization(order.update(csr_pem=csr("stranger.example")))
    assert caught.value.code in {"badCSR", "unauthorized"}


def test_a_certificate_is_revoked_once(authority: Authority) -> None:
    if authority.validates:
        pytest.skip("nothing answers for the name")
    who = account(authority)
    leaf = x509.load_pem_x509_certificate(obtain(who, NAME).encode())
    who.revoke(leaf, 4)
    with pytest.raises(messages.Error) as caught:
        who.revoke(leaf, 4)
    assert caught.value.code == "alreadyRevoked"


def test_another_accounts_order_is_not_shown(authority: Authority) -> None:
    order = account(authority).new_order(csr(NAME))
    with pytest.raises(messages.Error) as caught:
        account(authority)._post_as_get(order.uri)
    assert caught.value.code in {"unauthorized", "malformed"}


# What ours records, checks and offers beside.


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
    who = connect(ca.url)
    with pytest.raises(messages.Error, match="terms"):
        who.new_account(messages.NewRegistration.from_data(email="ops@acme.example"))


def test_an_account_is_bound_when_it_must_be(ca: AcmeDirectory) -> None:
    secret = encode_b64jose(b"0123456789abcdef0123456789abcdef")
    wrong = encode_b64jose(b"another-secret-of-the-same-size!")
    ca.external_account = ("key-1", secret)
    who = connect(ca.url)
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
    stranger = connect(ca.url)
    with pytest.raises(messages.Error) as caught:
        stranger.revoke(leaf, 1)
    assert caught.value.code == "unauthorized"
    holder = connect(ca.url, key=JWKEC(key=key))
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


# Faults.


def test_a_failed_validation_is_told_with_its_problem(ca: AcmeDirectory) -> None:
    who = account(ca)
    ca.validate = lambda name, *_: Problem("caa", f"CAA record for {name} prevents issuance")
    order = who.new_order(csr(NAME))
    answer(who, order)
    with pytest.raises(errors.ValidationError) as caught:
        who.poll_authorizations(order, soon())
    (failed,) = caught.value.failed_authzrs
    error = next(one.error for one in failed.body.challenges if one.error)
    assert (error.code, error.detail) == ("caa", f"CAA record for {NAME} prevents issuance")
    assert ca.orders[0].status == "invalid"


def test_a_validation_that_cannot_connect_is_a_connection_problem(ca: AcmeDirectory) -> None:
    def fetch(name: str, kind: str, token: str, authorization: str) -> None:
        requests.get(f"http://127.0.0.1:9/.well-known/acme-challenge/{token}", timeout=5)

    ca.validate = fetch
    who = account(ca)
    answer(who, who.new_order(csr(NAME)))
    (one,) = ca.orders[0].authorizations
    assert one.error is not None
    assert (one.status, one.error.code) == ("invalid", "connection")


def test_looking_at_a_challenge_does_not_begin_it(ca: AcmeDirectory) -> None:
    who = account(ca)
    url = who.new_order(csr(NAME)).authorizations[0].body.challenges[0].uri
    assert raw(who, url).json()["status"] == "pending"
    assert raw(who, url, b"{}").json()["status"] == "valid"
    ca.validate = lambda *_: Problem("dns", "asked again")
    assert raw(who, url, b"{}").json()["status"] == "valid"


def test_one_bad_name_spoils_the_order(ca: AcmeDirectory) -> None:
    ca.validate = lambda name, *_: Problem("dns", "NXDOMAIN") if name == "b.example" else None
    who = account(ca)
    answer(who, who.new_order(csr("a.example", "b.example")))
    assert [one.status for one in ca.orders[0].authorizations] == ["valid", "invalid"]
    assert ca.orders[0].status == "invalid"


def test_nonces_are_rejected_so_often(ca: AcmeDirectory) -> None:
    who = account(ca)
    ca.reject_nonces(1)
    assert who.new_order(csr(NAME)).body.status == messages.STATUS_PENDING
    ca.reject_nonces(2)
    # The library tries twice.
    with pytest.raises(messages.Error) as caught:
        who.new_order(csr(NAME))
    assert caught.value.code == "badNonce"
    who.new_order(csr(NAME))
    assert len(ca.orders) == 2


def test_it_answers_slowly(ca: AcmeDirectory) -> None:
    ca.answer_slowly(0.3)
    begun = time.monotonic()
    requests.get(ca.url, timeout=10)
    assert 0.3 <= time.monotonic() - begun < 5
    ca.answer_slowly(30)
    with pytest.raises(requests.ReadTimeout):
        requests.get(ca.url, timeout=0.2)


def test_leaving_does_not_wait_for_a_slow_answer() -> None:
    with AcmeDirectory() as ca:
        ca.answer_slowly(30)
        with pytest.raises(requests.ReadTimeout):
            requests.get(ca.url, timeout=0.2)
        begun = time.monotonic()
    assert time.monotonic() - begun < 5


def test_it_fails_as_told_and_so_often(ca: AcmeDirectory) -> None:
    who = account(ca)
    problem = Problem("rateLimited", "too many certificates", {"subproblems": []})
    ca.fail_with(429, problem, "/new-order", times=2, retry_after=3600)
    url = who.directory["newOrder"]
    for _ in range(2):
        said = raw(who, url, b"{}")
        assert code(said) == (429, "rateLimited")
        assert said.headers["Retry-After"] == "3600"
        assert said.json() == {
            "type": "urn:ietf:params:acme:error:rateLimited",
            "detail": "too many certificates",
            "status": 429,
            "subproblems": [],
        }
    quickly(who, NAME)
    assert [one.status for one in ca.orders] == ["valid"]


def test_it_is_down_until_told_otherwise(ca: AcmeDirectory) -> None:
    ca.fail_with(503, None, times=1000)
    for path in ("directory", "renewal-info/AAAA.AAAA"):
        said = requests.get(ca.url.replace("directory", path), timeout=10)
        assert (said.status_code, said.headers["Content-Type"]) == (503, "text/html")
        assert "Retry-After" not in said.headers
    ca.fail_with(503, None, times=0)
    assert requests.get(ca.url, timeout=10).status_code == 200


def test_connections_are_dropped_so_often(ca: AcmeDirectory) -> None:
    ca.drop_connections(2)
    for _ in range(2):
        with pytest.raises(requests.ConnectionError):
            requests.get(ca.url, timeout=10)
    assert requests.get(ca.url, timeout=10).status_code == 200
    assert [one.path for one in ca.requests] == ["/directory"] * 3


def test_an_order_breaks_at_finalize(ca: AcmeDirectory) -> None:
    who = account(ca)
    ca.break_order = Problem("serverInternal", "the signer is out")
    order = who.new_order(csr(NAME))
    answer(who, order)
    with pytest.raises(errors.IssuanceError) as caught:
        who.poll_and_finalize(order, soon())
    assert caught.value.error.detail == "the signer is out"
    assert (ca.orders[0].status, ca.issued) == ("invalid", [])
    ca.break_order = None
    quickly(who, NAME)
    assert len(ca.issued) == 1


@pytest.mark.parametrize("broken", [None, Problem("serverInternal", "the signer is out")])
def test_an_order_stays_processing_so_long(ca: AcmeDirectory, broken: Problem | None) -> None:
    who = account(ca)
    ca.stay_processing(2)
    ca.break_order = broken
    order = who.new_order(csr(NAME))
    answer(who, order)
    assert who.begin_finalization(order).body.status == messages.STATUS_PROCESSING
    early = raw(who, ca.url.replace("directory", "certificate/0"))
    assert code(early) == (404, "malformed")
    polls = [who._post_as_get(order.uri) for _ in range(3)]
    end = "invalid" if broken else "valid"
    assert [one.json()["status"] for one in polls] == ["processing", "processing", end]
    assert [one.headers.get("Retry-After") for one in polls] == ["1", "1", None]
    assert ca.orders[0].status == end


def test_a_certificate_is_damaged_on_its_way(ca: AcmeDirectory) -> None:
    who = account(ca)
    ca.damage_certificate = True
    with pytest.raises(ValueError, match=r"(?i)parse|asn1|invalid"):
        quickly(who, NAME)
    ca.damage_certificate = False
    again = who._post_as_get(ca.url.replace("directory", "certificate/0"))
    assert again.content == ca.issued[0]


def test_two_clients_order_at_once(ca: AcmeDirectory) -> None:
    names = [f"n{number}.example" for number in range(8)]
    with ThreadPoolExecutor(4) as pool:
        leaves = list(pool.map(lambda name: quickly(account(ca), name), names))
    assert len({certificate_id(leaf) for leaf in leaves}) == 8
    assert sorted(one.identifiers[0] for one in ca.orders) == names
    assert len(set(ca.issued)) == 8
