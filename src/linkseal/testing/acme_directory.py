"""A small ACME server with renewal information and faults, for tests of certificate work.

It speaks RFC 8555 and RFC 9773 (ARI) over plain http on loopback, keeps everything in
memory, and issues real P-256 certificates from a root and an intermediate of its own::

    with AcmeDirectory() as ca:
        ca.validate = lambda name, kind, token, authorization: Problem("dns", "no such name")
        ca.fail_with(429, Problem("rateLimited", "slow down"), "/new-order", retry_after=60)
        client.get_directory(ca.url, net)

A challenge is validated before its POST is answered, so nobody has to poll. Left out:
account updates and key rollover, pre-authorization, alternate chains, authorizations
reused by another order, expiry of orders, CAA. Paths, for faults: ``/directory``,
``/new-nonce``, ``/new-account``, ``/new-order``, ``/order/``, ``/authz/``, ``/challenge/``,
``/finalize/``, ``/certificate/``, ``/revoke-cert``, ``/renewal-info/``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from acme import jws
from cryptography import x509
from josepy.json_util import decode_b64jose, encode_b64jose
from josepy.jwa import ES256, ES384, ES512, HS256, RS256
from josepy.jwk import JWK, JWKOct

from linkseal.testing.acme_authority import Authority, PublicKey
from linkseal.testing.acme_objects import Authorization, Order, Problem, certificate_id, rfc3339
from linkseal.testing.acme_server import (
    UNREADABLE,
    AcmeServer,
    Answer,
    RefusedError,
    json_answer,
)

_SIGNATURES = (RS256, ES256, ES384, ES512)
_REASONS = frozenset(range(11)) - {7}  # RFC 5280 §5.3.1
# What a download is with ``damage_certificate``: right on the outside, not DER inside.
_DAMAGED = b"-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n"


@dataclass(frozen=True, slots=True)
class _Signed:
    key: JWK
    account: str
    payload: dict[str, Any] | None

    @property
    def fields(self) -> dict[str, Any]:
        return self.payload or {}


class AcmeDirectory(AcmeServer):
    """An ACME CA on a free loopback port, from entering the context to leaving it.

    Every attribute and switch may be set while it runs; faults that count say how often,
    the others hold until they are set back.

    Attributes:
        url: The directory's URL.
        root_pem: The root that its certificates verify against.
        life: How long a certificate is valid, from its issue.
        profiles: Profiles an order may name, with a sentence each.
        external_account: (key id, base64url HMAC key) that a new account must be bound to.
        validate: Called with name, challenge type, token and key authorization (RFC 8555
            §8.1), in a thread of its own; returns the problem, or None if all is well.
            An OSError it raises is the problem ``connection``; any other error is printed,
            and the client hung up on.
        windows: Renewal windows by ARI id, aware; by default from two thirds of the life on.
        ask_again: Retry-After of renewal information, seconds.
        break_order: Orders turn invalid with this problem when they are finalized.
        damage_certificate: Whether a certificate is downloaded as garbage.
        requests: Everything that was asked.
        orders: Every order taken.
        issued: PEM chains, leaf first.
        revoked: The reason code of each revoked certificate, by ARI id.
    """

    def __init__(self) -> None:
        super().__init__()
        self.life = timedelta(days=90)
        self.profiles = {"classic": "the default", "tlsserver": "for servers only"}
        self.external_account: tuple[str, str] | None = None
        self.validate: Callable[[str, str, str, str], Problem | None] = lambda *_: None
        self.windows: dict[str, tuple[datetime, datetime]] = {}
        self.ask_again = 21600
        self.break_order: Problem | None = None
        self.damage_certificate = False
        self.orders: list[Order] = []
        self.issued: list[bytes] = []
        self.revoked: dict[str, int] = {}
        self._authority = Authority()
        self.root_pem = self._authority.root_pem
        self._accounts: dict[str, tuple[JWK, list[str]]] = {}
        self._certificates: dict[str, tuple[x509.Certificate, Order]] = {}
        self._processing = 0

    def stay_processing(self, polls: int) -> None:
        """Keep orders finalized from now on in ``processing`` for so many polls; 0 ends it."""
        self._processing = polls

    def _get(self, method: str, path: str) -> Answer:
        match path.split("/")[1:]:
            case ["directory"]:
                return json_answer(200, self._directory())
            case ["new-nonce"]:
                # RFC 8555 §7.2
                answer = Answer(204 if method == "GET" else 200)
                return answer.having("Cache-Control", "no-store")
            case ["renewal-info", name]:
                return self._renewal_info(name)
        # RFC 8555 §6.3: everything else is fetched by POST-as-GET.
        raise RefusedError(405, "malformed", f"{path} is not for GET")

    def _directory(self) -> dict[str, object]:
        paths = {
            "newNonce": "new-nonce",
            "newAccount": "new-account",
            "newOrder": "new-order",
            "revokeCert": "revoke-cert",
            "renewalInfo": "renewal-info",
        }
        meta = {
            "termsOfService": f"{self._base}/terms",
            "externalAccountRequired": self.external_account is not None,
            "profiles": self.profiles,
            "caaIdentities": ["ca.example"],
        }
        return {**{name: f"{self._base}/{path}" for name, path in paths.items()}, "meta": meta}

    def _renewal_info(self, name: str) -> Answer:
        window = self.windows.get(name)
        if window is None:
            certificate, _ = self._issued(name)
            life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
            start = certificate.not_valid_before_utc + life * 2 / 3
            window = start, start + life / 45
        shown = dict(zip(("start", "end"), map(rfc3339, window), strict=True))
        # RFC 9773 §4.3: a server MUST say when to ask again.
        answer = json_answer(200, {"suggestedWindow": shown})
        return answer.having("Retry-After", str(self.ask_again))

    def _issued(self, name: str) -> tuple[x509.Certificate, Order]:
        if name not in self._certificates:
            raise RefusedError(404, "malformed", f"no certificate {name} was issued here")
        return self._certificates[name]

    def _post(self, path: str, content_type: str, body: bytes) -> Answer:
        if content_type != "application/jose+json":
            raise RefusedError(415, "malformed", "Content-Type is not application/jose+json")
        signed = self._signed(path, body)
        match path.split("/")[1:]:
            case ["challenge", number, index, kind]:
                return self._challenge(signed, number, index, kind)
            case parts:
                with self._lock:
                    return self._resource(signed, parts)

    def _resource(self, signed: _Signed, parts: list[str]) -> Answer:
        match parts:
            case ["new-account"]:
                return self._new_account(signed)
            case ["new-order"]:
                return self._new_order(signed)
            case ["revoke-cert"]:
                return self._revoke(signed)
            case ["order", number]:
                return self._poll(self._order(signed, number))
            case ["authz", number, index]:
                one = self._authorization(self._order(signed, number), index)
                return json_answer(200, one.document(self._base))
            case ["finalize", number]:
                return self._finalize(signed, self._order(signed, number))
            case ["certificate", number]:
                return self._download(self._order(signed, number))
        raise RefusedError(404, "malformed", f"there is no /{'/'.join(parts)}")

    def _signed(self, path: str, body: bytes) -> _Signed:
        """Return who asks for what, RFC 8555 §6.2 to §6.5."""
        try:
            message = jws.JWS.json_loads(body.decode())
            header, outside = message.signature.combined, message.signature.header.not_omitted()
            payload = json.loads(message.payload) if message.payload else None
        except UNREADABLE as error:
            raise RefusedError(400, "malformed", f"not a flattened JWS: {error!r}") from error
        if outside or not isinstance(payload, dict | None):
            raise RefusedError(400, "malformed", "a header is not protected, or no JSON object")
        if header.alg not in _SIGNATURES:
            raise RefusedError(400, "badSignatureAlgorithm", f"{header.alg} is not taken")
        self._spend_nonce(header.nonce)
        if header.url != self._base + path:
            raise RefusedError(401, "unauthorized", f"signed for {header.url}")
        key, account = self._signer(path, header)
        if not isinstance(key, header.alg.kty) or not message.verify(key):
            raise RefusedError(400, "malformed", "the signature does not verify")
        return _Signed(key, account, payload)

    def _signer(self, path: str, header: jws.Header) -> tuple[JWK, str]:
        # RFC 8555 §6.2: newAccount by key, revokeCert by either, everything else by account.
        if (header.jwk is None) == (header.kid is None):
            raise RefusedError(400, "malformed", "one of jwk and kid must be there")
        if header.jwk is not None and path in {"/new-account", "/revoke-cert"}:
            return header.jwk, encode_b64jose(header.jwk.thumbprint())
        if header.kid is None or path == "/new-account":
            raise RefusedError(400, "malformed", "signed by key instead of account, or reversed")
        account = header.kid.removeprefix(f"{self._base}/account/")
        if account not in self._accounts:
            raise RefusedError(400, "accountDoesNotExist", f"there is no account {header.kid}")
        return self._accounts[account][0], account

    def _new_account(self, signed: _Signed) -> Answer:
        known = signed.account in self._accounts
        if not known and signed.fields.get("onlyReturnExisting"):
            raise RefusedError(400, "accountDoesNotExist", "no account has this key")
        if not known:
            if not signed.fields.get("termsOfServiceAgreed"):
                raise RefusedError(403, "userActionRequired", "the terms must be agreed to")
            self._check_binding(signed)
            self._accounts[signed.account] = signed.key, signed.fields.get("contact", [])
        document = {"status": "valid", "contact": self._accounts[signed.account][1]}
        where = f"{self._base}/account/{signed.account}"
        return json_answer(200 if known else 201, document).having("Location", where)

    def _check_binding(self, signed: _Signed) -> None:
        """RFC 8555 §7.3.4: the account's key, signed with the key the CA gave out."""
        if self.external_account is None:
            return
        if "externalAccountBinding" not in signed.fields:
            raise RefusedError(403, "externalAccountRequired", "bind it to an external account")
        kid, secret = self.external_account
        try:
            inner = jws.JWS.from_json(signed.fields["externalAccountBinding"])
            header = inner.signature.combined
            bound = json.loads(inner.payload)
        except UNREADABLE as error:
            raise RefusedError(400, "malformed", f"not a binding: {error!r}") from error
        right = JWKOct(key=decode_b64jose(secret))
        said = header.alg, header.kid, header.url, bound
        due = HS256, kid, f"{self._base}/new-account", signed.key.to_json()
        if said != due or not inner.verify(right):
            raise RefusedError(403, "unauthorized", "the external account binding is wrong")

    def _new_order(self, signed: _Signed) -> Answer:
        identifiers = signed.fields.get("identifiers") or []
        if not identifiers:
            raise RefusedError(400, "malformed", "an order is for one identifier or more")
        if any(identifier["type"] != "dns" for identifier in identifiers):
            raise RefusedError(400, "unsupportedIdentifier", "only dns identifiers")
        names = tuple(identifier["value"].lower() for identifier in identifiers)
        profile = signed.fields.get("profile", "")
        if profile and profile not in self.profiles:
            raise RefusedError(400, "invalidProfile", f"there is no profile {profile}")
        replaces = signed.fields.get("replaces", "")
        if replaces:
            self._check_replaces(replaces, names, signed.account)
        number = len(self.orders)
        wanted = tuple(
            Authorization(f"{number}/{index}", name.removeprefix("*."), name.startswith("*."))
            for index, name in enumerate(names)
        )
        order = Order(number, names, replaces, profile, signed.account, wanted)
        self.orders.append(order)
        answer = json_answer(201, order.document(self._base))
        return answer.having("Location", f"{self._base}/order/{number}")

    def _check_replaces(self, replaces: str, names: tuple[str, ...], account: str) -> None:
        # RFC 9773 §5: same account, a name in common, not replaced by an order still good.
        _, old = self._issued(replaces)
        if old.account != account or not set(old.identifiers) & set(names):
            raise RefusedError(403, "unauthorized", f"{replaces} is another's or of other names")
        if any(one.replaces == replaces and one.status != "invalid" for one in self.orders):
            raise RefusedError(409, "alreadyReplaced", f"{replaces} is replaced already")

    def _order(self, signed: _Signed, number: str) -> Order:
        if not number.isdecimal() or int(number) >= len(self.orders):
            raise RefusedError(404, "malformed", f"there is no order {number}")
        order = self.orders[int(number)]
        if order.account != signed.account:
            raise RefusedError(403, "unauthorized", "this is another account's")
        return order

    def _poll(self, order: Order) -> Answer:
        if order.status == "processing":
            order.polls -= 1
            if order.polls < 0:
                order.status = "valid" if order.error is None else "invalid"
        answer = json_answer(200, order.document(self._base))
        return answer.having("Retry-After", "1") if order.status == "processing" else answer

    def _authorization(self, order: Order, index: str) -> Authorization:
        for one in order.authorizations:
            if one.place == f"{order.number}/{index}":
                return one
        raise RefusedError(404, "malformed", f"there is no authorization {index}")

    def _challenge(self, signed: _Signed, number: str, index: str, kind: str) -> Answer:
        with self._lock:
            order = self._order(signed, number)
            one = self._authorization(order, index)
            if kind not in one.kinds:
                raise RefusedError(404, "malformed", f"there is no challenge {kind} here")
            # RFC 8555 §7.5.1: an object says that the client is ready, POST-as-GET only looks.
            begins = signed.payload is not None and one.status == order.status == "pending"
            if begins:
                one.status, one.tried = "processing", kind
        if begins:
            proof = f"{one.token}.{encode_b64jose(signed.key.thumbprint())}"
            try:
                error = self.validate(one.name, kind, one.token, proof)
            except OSError as trouble:
                error = Problem("connection", str(trouble))
            with self._lock:
                one.status, one.error = "invalid" if error else "valid", error
                states = {each.status for each in order.authorizations}
                if "invalid" in states:
                    order.status = "invalid"
                elif states == {"valid"}:
                    order.status = "ready"
        answer = json_answer(200, one.challenge_document(self._base, kind))
        return answer.having("Link", f'<{self._base}/authz/{one.place}>;rel="up"')

    def _finalize(self, signed: _Signed, order: Order) -> Answer:
        if order.status != "ready":
            raise RefusedError(403, "orderNotReady", f"the order is {order.status}")
        try:
            csr = x509.load_der_x509_csr(decode_b64jose(signed.fields["csr"]))
            wanted = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            names = {name.lower() for name in wanted.get_values_for_type(x509.DNSName)}
        except (*UNREADABLE, x509.ExtensionNotFound) as error:
            raise RefusedError(400, "badCSR", f"not a CSR with DNS names: {error!r}") from error
        key = csr.public_key()
        if not isinstance(key, PublicKey) or not csr.is_signature_valid:
            raise RefusedError(400, "badCSR", "neither EC nor RSA, or not signed by its key")
        if key.public_numbers() == signed.key.key.public_numbers():  # RFC 8555 §11.1
            raise RefusedError(400, "badCSR", "the key is the account's")
        if names != set(order.identifiers):
            raise RefusedError(400, "badCSR", f"for {sorted(names)}, not for the order's names")
        order.error, order.polls = self.break_order, self._processing + bool(self._processing)
        order.status = "processing"
        if order.error is None:
            alternatives = [x509.DNSName(name) for name in order.identifiers]
            order.certificate = self._authority.issue(alternatives, key, self.life)
            self.issued.append(order.certificate)
            leaf = x509.load_pem_x509_certificate(order.certificate)
            self._certificates[certificate_id(leaf)] = leaf, order
        return self._poll(order)

    def _download(self, order: Order) -> Answer:
        if order.status != "valid":
            raise RefusedError(404, "malformed", f"the order is {order.status}")
        chain = _DAMAGED if self.damage_certificate else order.certificate
        return Answer(200, chain, "application/pem-certificate-chain")

    def _revoke(self, signed: _Signed) -> Answer:
        try:
            der = decode_b64jose(signed.fields["certificate"])
            certificate, order = self._issued(certificate_id(x509.load_der_x509_certificate(der)))
        except (*UNREADABLE, x509.ExtensionNotFound) as error:
            raise RefusedError(400, "malformed", f"not a certificate: {error!r}") from error
        reason = signed.fields.get("reason", 0)
        key = certificate.public_key()
        assert isinstance(key, PublicKey)
        own = key.public_numbers() == signed.key.key.public_numbers()
        if order.account != signed.account and not own:
            raise RefusedError(403, "unauthorized", "neither the account's nor signed by its key")
        if reason not in _REASONS:
            raise RefusedError(400, "badRevocationReason", f"{reason} is not a reason to give")
        if certificate_id(certificate) in self.revoked:
            raise RefusedError(400, "alreadyRevoked", "it is revoked already")
        self.revoked[certificate_id(certificate)] = reason
        return Answer(200)
