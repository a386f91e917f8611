"""An ACME client for the tests of directories: step by step, and with every part wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
from acme import challenges, client, jws, messages
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.verification import PolicyBuilder, Store
from josepy import jwa
from josepy.json_util import decode_b64jose, field
from josepy.jwk import JWK, JWKEC

from linkseal.testing.acme_directory import AcmeDirectory

NAME = "links.acme.example"


class PatientNetwork(client.ClientNetwork):
    """Tries a rejected nonce more often than twice: Pebble rejects good ones at random."""

    def post(self, *words: Any, **options: Any) -> requests.Response:
        for _ in range(8):
            try:
                return super().post(*words, **options)
            except messages.Error as error:
                if error.code != "badNonce":
                    raise
        return super().post(*words, **options)


@dataclass(frozen=True)
class Authority:
    """A CA as a client knows it.

    Attributes:
        url: Its directory.
        bundle: File to verify the directory's own certificate with; True for the system's.
        root_pem: Returns the root that certificates must verify against.
        publish: Puts a challenge's value where the CA looks: called with the challenge's
            type, the path or the name of the TXT record, and the value.
        network: Speaks with it.
    """

    url: str
    bundle: str | bool
    root_pem: Callable[[], bytes]
    publish: Callable[[str, str, str], None]
    network: type[client.ClientNetwork] = client.ClientNetwork


def ec_key() -> JWK:
    return JWKEC(key=ec.generate_private_key(ec.SECP256R1()))


def connect(ca: AcmeDirectory | Authority, key: JWK | None = None) -> client.ClientV2:
    """A client without an account yet."""
    key = key or ec_key()
    alg = jwa.ES256 if isinstance(key, JWKEC) else jwa.RS256
    network = ca.network if isinstance(ca, Authority) else client.ClientNetwork
    bundle = ca.bundle if isinstance(ca, Authority) else True
    # The library hands ``verify_ssl`` on to requests, which takes a file too.
    net = network(key, alg=alg, verify_ssl=bundle, timeout=10)  # type: ignore[arg-type]
    return client.ClientV2(client.ClientV2.get_directory(ca.url, net), net)


def register(who: client.ClientV2, **more: Any) -> messages.RegistrationResource:
    new = messages.NewRegistration.from_data(
        email="ops@acme.example", terms_of_service_agreed=True, **more
    )
    return who.new_account(new)


def account(ca: AcmeDirectory | Authority, key: JWK | None = None) -> client.ClientV2:
    """A client with an account."""
    who = connect(ca, key)
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
    return local_now() + timedelta(seconds=60)


def prove(
    authority: Authority,
    who: client.ClientV2,
    order: messages.OrderResource,
    kind: type[Any] = challenges.HTTP01,
) -> None:
    """Publish what the challenges of a kind ask for, and tell the CA."""
    for each in order.authorizations:
        name = each.body.identifier.value
        body = next(one for one in each.body.challenges if isinstance(one.chall, kind))
        chall = body.chall
        where = chall.validation_domain_name(name) if kind is challenges.DNS01 else chall.path
        authority.publish(chall.typ, where, chall.validation(key_of(who)))
    answer(who, order, kind)


def obtain(authority: Authority, who: client.ClientV2, *names: str) -> str:
    """An order from beginning to end; the chain it gives."""
    order = who.new_order(csr(*names))
    prove(authority, who, order)
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
