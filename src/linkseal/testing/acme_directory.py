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

import base64
import contextlib
import json
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

from acme import jws
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from josepy.errors import Error as JoseError
from josepy.json_util import decode_b64jose, encode_b64jose
from josepy.jwa import ES256, ES384, ES512, HS256, RS256
from josepy.jwk import JWK, JWKOct

_SIGNATURES = (RS256, ES256, ES384, ES512)
_UNREADABLE = (JoseError, LookupError, ValueError, TypeError, AttributeError, AssertionError)
_REASONS = frozenset(range(11)) - {7}  # RFC 5280 §5.3.1
_PENDING_LIFE = timedelta(days=7)
_CA_LIFE = timedelta(days=3650)
_CA_USAGE, _LEAF_USAGE = (
    x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )
    for ca in (True, False)
)
_PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
# What a download is with ``damage_certificate``: right on the outside, not DER inside.
_DAMAGED = b"-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n"


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem document (RFC 7807).

    Attributes:
        code: An ACME error (RFC 8555 §6.7) such as ``rateLimited``, or a whole URN.
        detail: The sentence for people.
        members: More members, such as ``subproblems``.
    """

    code: str
    detail: str
    members: Mapping[str, object] = field(default_factory=dict)

    def document(self, status: int) -> dict[str, object]:
        """Return it as it goes over the wire."""
        urn = self.code if ":" in self.code else f"urn:ietf:params:acme:error:{self.code}"
        return {"type": urn, "detail": self.detail, "status": status, **self.members}


class Request(NamedTuple):
    """A request as it arrived, whatever became of it.

    Attributes:
        path: Its path.
        payload: The JWS payload, not verified; None for a GET, a POST-as-GET, or garbage.
    """

    path: str
    payload: Any


@dataclass(slots=True)
class Authorization:
    """What stands between an account and one name; its challenges share the token."""

    place: str
    name: str
    wildcard: bool
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    status: str = "pending"
    tried: str = ""
    error: Problem | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """The challenges offered."""
        return ("dns-01",) if self.wildcard else ("http-01", "dns-01")


@dataclass(slots=True)
class Order:
    """An order, as it stands now.

    Attributes:
        identifiers: DNS names.
        replaces: The ARI id of the certificate it replaces, or empty.
        profile: The profile asked for, or empty.
        status: As in RFC 8555 §7.1.6.
        certificate: PEM chain, leaf first; empty until it is issued.
    """

    number: int
    identifiers: tuple[str, ...]
    replaces: str
    profile: str
    account: str
    authorizations: tuple[Authorization, ...]
    status: str = "pending"
    error: Problem | None = None
    certificate: bytes = b""
    polls: int = 0


def certificate_id(certificate: x509.Certificate) -> str:
    """Return the certificate's ARI id.

    RFC 9773 §4.1: base64url of the key identifier in authorityKeyIdentifier, a dot, and
    base64url of the serial's DER value, so with a zero octet before a set high bit.

    Raises:
        x509.ExtensionNotFound: It has no authorityKeyIdentifier.
    """
    extension = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    serial = certificate.serial_number
    parts = extension.value.key_identifier or b"", serial.to_bytes(serial.bit_length() // 8 + 1)
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


class _RefusedError(Exception):
    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.problem = Problem(code, detail)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes = b""
    kind: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()

    def having(self, name: str, value: str) -> _Answer:
        return replace(self, headers=(*self.headers, (name, value)))


def _json(status: int, document: object) -> _Answer:
    return _Answer(status, json.dumps(document).encode())


def _problem(status: int, problem: Problem) -> _Answer:
    body = json.dumps(problem.document(status)).encode()
    return _Answer(status, body, "application/problem+json")


@dataclass(frozen=True, slots=True)
class _Signed:
    key: JWK
    account: str
    payload: dict[str, Any] | None

    @property
    def fields(self) -> dict[str, Any]:
        return self.payload or {}


class AcmeDirectory:
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
        self.life = timedelta(days=90)
        self.profiles = {"classic": "the default", "tlsserver": "for servers only"}
        self.external_account: tuple[str, str] | None = None
        self.validate: Callable[[str, str, str, str], Problem | None] = lambda *_: None
        self.windows: dict[str, tuple[datetime, datetime]] = {}
        self.ask_again = 21600
        self.break_order: Problem | None = None
        self.damage_certificate = False
        self.requests: list[Request] = []
        self.orders: list[Order] = []
        self.issued: list[bytes] = []
        self.revoked: dict[str, int] = {}
        self._authority = _Authority()
        self.root_pem = self._authority.root_pem
        self._accounts: dict[str, tuple[JWK, list[str]]] = {}
        self._certificates: dict[str, tuple[x509.Certificate, Order]] = {}
        self._nonces: set[bytes] = set()
        self._rejections = self._drops = self._processing = 0
        self._delay = 0.0
        self._failures: dict[str, tuple[int, _Answer]] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.directory = self
        self._base = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.url = f"{self._base}/directory"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def reject_nonces(self, times: int) -> None:
        """Refuse the next POSTs with ``badNonce`` (RFC 8555 §6.5)."""
        self._rejections = times

    def answer_slowly(self, seconds: float) -> None:
        """Wait before each answer; 0 ends it."""
        self._delay = seconds

    def drop_connections(self, times: int) -> None:
        """Read the next requests and hang up without an answer."""
        self._drops = times

    def stay_processing(self, polls: int) -> None:
        """Keep orders finalized from now on in ``processing`` for so many polls; 0 ends it."""
        self._processing = polls

    def fail_with(
        self,
        status: int,
        problem: Problem | None,
        path_prefix: str = "/",
        *,
        times: int = 1,
        retry_after: int | str | None = None,
    ) -> None:
        """Answer the next requests under a prefix with an error and nothing else.

        Args:
            status: HTTP status.
            problem: The document; None answers in HTML, as a load balancer does.
            path_prefix: Which requests; a prefix has one failure at a time.
            times: How many requests; 0 ends it.
            retry_after: The field's value: seconds, or an HTTP date.
        """
        answer = _Answer(status, b"<h1>Try again later</h1>", "text/html")
        if problem is not None:
            answer = _problem(status, problem)
        if retry_after is not None:
            answer = answer.having("Retry-After", str(retry_after))
        with self._lock:
            self._failures[path_prefix] = times, answer

    def answer(self, method: str, path: str, content_type: str, body: bytes) -> _Answer | None:
        """Answer a request of the server's; None hangs up."""
        self.requests.append(Request(path, _payload(body)))
        self._closing.wait(self._delay)
        try:
            with self._lock:
                if self._drops:
                    self._drops -= 1
                    return None
                answer = self._failure(path)
            if answer is None and method == "POST":
                answer = self._post(path, content_type, body)
            elif answer is None:
                answer = self._get(method, path)
        except _RefusedError as error:
            answer = _problem(error.status, error.problem)
        if method == "POST" or path == "/new-nonce":
            nonce = secrets.token_bytes(16)
            self._nonces.add(nonce)
            answer = answer.having("Replay-Nonce", encode_b64jose(nonce))
        return answer.having("Link", f'<{self.url}>;rel="index"')

    def _failure(self, path: str) -> _Answer | None:
        for prefix, (times, answer) in self._failures.items():
            if times and path.startswith(prefix):
                self._failures[prefix] = times - 1, answer
                return answer
        return None

    def _get(self, method: str, path: str) -> _Answer:
        match path.split("/")[1:]:
            case ["directory"]:
                return _json(200, self._directory())
            case ["new-nonce"]:
                # RFC 8555 §7.2
                answer = _Answer(204 if method == "GET" else 200)
                return answer.having("Cache-Control", "no-store")
            case ["renewal-info", name]:
                return self._renewal_info(name)
        # RFC 8555 §6.3: everything else is fetched by POST-as-GET.
        raise _RefusedError(405, "malformed", f"{path} is not for GET")

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
        }
        return {**{name: f"{self._base}/{path}" for name, path in paths.items()}, "meta": meta}

    def _renewal_info(self, name: str) -> _Answer:
        window = self.windows.get(name)
        if window is None:
            certificate, _ = self._issued(name)
            life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
            start = certificate.not_valid_before_utc + life * 2 / 3
            window = start, start + life / 45
        shown = dict(zip(("start", "end"), map(_rfc3339, window), strict=True))
        # RFC 9773 §4.3: a server MUST say when to ask again.
        answer = _json(200, {"suggestedWindow": shown})
        return answer.having("Retry-After", str(self.ask_again))

    def _issued(self, name: str) -> tuple[x509.Certificate, Order]:
        if name not in self._certificates:
            raise _RefusedError(404, "malformed", f"no certificate {name} was issued here")
        return self._certificates[name]

    def _post(self, path: str, content_type: str, body: bytes) -> _Answer:
        if content_type != "application/jose+json":
            raise _RefusedError(415, "malformed", "Content-Type is not application/jose+json")
        signed = self._signed(path, body)
        match path.split("/")[1:]:
            case ["challenge", number, index, kind]:
                return self._challenge(signed, number, index, kind)
            case parts:
                with self._lock:
                    return self._resource(signed, parts)

    def _resource(self, signed: _Signed, parts: list[str]) -> _Answer:
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
                return _json(200, self._authorization_document(one))
            case ["finalize", number]:
                return self._finalize(signed, self._order(signed, number))
            case ["certificate", number]:
                return self._download(self._order(signed, number))
        raise _RefusedError(404, "malformed", f"there is no /{'/'.join(parts)}")

    def _signed(self, path: str, body: bytes) -> _Signed:
        """Return who asks for what, RFC 8555 §6.2 to §6.5."""
        try:
            message = jws.JWS.json_loads(body.decode())
            header, outside = message.signature.combined, message.signature.header.not_omitted()
            payload = json.loads(message.payload) if message.payload else None
        except _UNREADABLE as error:
            raise _RefusedError(400, "malformed", f"not a flattened JWS: {error!r}") from error
        if outside or not isinstance(payload, dict | None):
            raise _RefusedError(400, "malformed", "a header is not protected, or no JSON object")
        if header.alg not in _SIGNATURES:
            raise _RefusedError(400, "badSignatureAlgorithm", f"{header.alg} is not taken")
        with self._lock:
            known = header.nonce in self._nonces
            self._nonces.discard(header.nonce)
            if self._rejections or not known:
                self._rejections = max(0, self._rejections - 1)
                raise _RefusedError(400, "badNonce", "the nonce is unknown, used, or out of luck")
        if header.url != self._base + path:
            raise _RefusedError(401, "unauthorized", f"signed for {header.url}")
        key, account = self._signer(path, header)
        if not isinstance(key, header.alg.kty) or not message.verify(key):
            raise _RefusedError(400, "malformed", "the signature does not verify")
        return _Signed(key, account, payload)

    def _signer(self, path: str, header: jws.Header) -> tuple[JWK, str]:
        # RFC 8555 §6.2: newAccount by key, revokeCert by either, everything else by account.
        if (header.jwk is None) == (header.kid is None):
            raise _RefusedError(400, "malformed", "one of jwk and kid must be there")
        if header.jwk is not None and path in {"/new-account", "/revoke-cert"}:
            return header.jwk, encode_b64jose(header.jwk.thumbprint())
        if header.kid is None or path == "/new-account":
            raise _RefusedError(400, "malformed", "signed by key instead of account, or reversed")
        account = header.kid.removeprefix(f"{self._base}/account/")
        if account not in self._accounts:
            raise _RefusedError(400, "accountDoesNotExist", f"there is no account {header.kid}")
        return self._accounts[account][0], account

    def _new_account(self, signed: _Signed) -> _Answer:
        known = signed.account in self._accounts
        if not known and signed.fields.get("onlyReturnExisting"):
            raise _RefusedError(400, "accountDoesNotExist", "no account has this key")
        if not known:
            if not signed.fields.get("termsOfServiceAgreed"):
                raise _RefusedError(403, "userActionRequired", "the terms must be agreed to")
            self._check_binding(signed)
            self._accounts[signed.account] = signed.key, signed.fields.get("contact", [])
        document = {"status": "valid", "contact": self._accounts[signed.account][1]}
        where = f"{self._base}/account/{signed.account}"
        return _json(200 if known else 201, document).having("Location", where)

    def _check_binding(self, signed: _Signed) -> None:
        """RFC 8555 §7.3.4: the account's key, signed with the key the CA gave out."""
        if self.external_account is None:
            return
        if "externalAccountBinding" not in signed.fields:
            raise _RefusedError(403, "externalAccountRequired", "bind it to an external account")
        kid, secret = self.external_account
        try:
            inner = jws.JWS.from_json(signed.fields["externalAccountBinding"])
            header = inner.signature.combined
            bound = json.loads(inner.payload)
        except _UNREADABLE as error:
            raise _RefusedError(400, "malformed", f"not a binding: {error!r}") from error
        right = JWKOct(key=decode_b64jose(secret))
        said = header.alg, header.kid, header.url, bound
        due = HS256, kid, f"{self._base}/new-account", signed.key.to_json()
        if said != due or not inner.verify(right):
            raise _RefusedError(403, "unauthorized", "the external account binding is wrong")

    def _new_order(self, signed: _Signed) -> _Answer:
        identifiers = signed.fields.get("identifiers") or []
        if not identifiers:
            raise _RefusedError(400, "malformed", "an order is for one identifier or more")
        if any(identifier["type"] != "dns" for identifier in identifiers):
            raise _RefusedError(400, "unsupportedIdentifier", "only dns identifiers")
        names = tuple(identifier["value"].lower() for identifier in identifiers)
        profile = signed.fields.get("profile", "")
        if profile and profile not in self.profiles:
            raise _RefusedError(400, "invalidProfile", f"there is no profile {profile}")
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
        answer = _json(201, self._order_document(order))
        return answer.having("Location", f"{self._base}/order/{number}")

    def _check_replaces(self, replaces: str, names: tuple[str, ...], account: str) -> None:
        # RFC 9773 §5: same account, a name in common, not replaced by an order still good.
        _, old = self._issued(replaces)
        if old.account != account or not set(old.identifiers) & set(names):
            raise _RefusedError(403, "unauthorized", f"{replaces} is another's or of other names")
        if any(one.replaces == replaces and one.status != "invalid" for one in self.orders):
            raise _RefusedError(409, "alreadyReplaced", f"{replaces} is replaced already")

    def _order(self, signed: _Signed, number: str) -> Order:
        if not number.isdecimal() or int(number) >= len(self.orders):
            raise _RefusedError(404, "malformed", f"there is no order {number}")
        order = self.orders[int(number)]
        if order.account != signed.account:
            raise _RefusedError(403, "unauthorized", "this is another account's")
        return order

    def _order_document(self, order: Order) -> dict[str, object]:
        document: dict[str, object] = {
            "status": order.status,
            "expires": _rfc3339(datetime.now(UTC) + _PENDING_LIFE),
            "identifiers": [{"type": "dns", "value": name} for name in order.identifiers],
            "authorizations": [f"{self._base}/authz/{one.place}" for one in order.authorizations],
            "finalize": f"{self._base}/finalize/{order.number}",
        }
        if order.status == "valid":
            document["certificate"] = f"{self._base}/certificate/{order.number}"
        if order.status == "invalid" and order.error is not None:
            document["error"] = order.error.document(403)
        # RFC 9773 §5: an accepted ``replaces`` is shown in the order.
        asked = {"replaces": order.replaces, "profile": order.profile}
        return {**document, **{name: value for name, value in asked.items() if value}}

    def _poll(self, order: Order) -> _Answer:
        if order.status == "processing":
            order.polls -= 1
            if order.polls < 0:
                order.status = "valid" if order.error is None else "invalid"
        answer = _json(200, self._order_document(order))
        return answer.having("Retry-After", "1") if order.status == "processing" else answer

    def _authorization(self, order: Order, index: str) -> Authorization:
        for one in order.authorizations:
            if one.place == f"{order.number}/{index}":
                return one
        raise _RefusedError(404, "malformed", f"there is no authorization {index}")

    def _authorization_document(self, one: Authorization) -> dict[str, object]:
        document: dict[str, object] = {
            "identifier": {"type": "dns", "value": one.name},
            "status": "pending" if one.status == "processing" else one.status,
            "expires": _rfc3339(datetime.now(UTC) + _PENDING_LIFE),
            "challenges": [self._challenge_document(one, kind) for kind in one.kinds],
        }
        return {**document, "wildcard": True} if one.wildcard else document

    def _challenge_document(self, one: Authorization, kind: str) -> dict[str, object]:
        document: dict[str, object] = {
            "type": kind,
            "url": f"{self._base}/challenge/{one.place}/{kind}",
            "token": one.token,
            "status": one.status if one.tried == kind else "pending",
        }
        if one.tried == kind and one.status == "valid":
            document["validated"] = _rfc3339(datetime.now(UTC))
        if one.tried == kind and one.error is not None:
            document["error"] = one.error.document(403)
        return document

    def _challenge(self, signed: _Signed, number: str, index: str, kind: str) -> _Answer:
        with self._lock:
            order = self._order(signed, number)
            one = self._authorization(order, index)
            if kind not in one.kinds:
                raise _RefusedError(404, "malformed", f"there is no challenge {kind} here")
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
        answer = _json(200, self._challenge_document(one, kind))
        return answer.having("Link", f'<{self._base}/authz/{one.place}>;rel="up"')

    def _finalize(self, signed: _Signed, order: Order) -> _Answer:
        if order.status != "ready":
            raise _RefusedError(403, "orderNotReady", f"the order is {order.status}")
        try:
            csr = x509.load_der_x509_csr(decode_b64jose(signed.fields["csr"]))
            wanted = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            names = {name.lower() for name in wanted.get_values_for_type(x509.DNSName)}
        except (*_UNREADABLE, x509.ExtensionNotFound) as error:
            raise _RefusedError(400, "badCSR", f"not a CSR with DNS names: {error!r}") from error
        key = csr.public_key()
        if not isinstance(key, _PublicKey) or not csr.is_signature_valid:
            raise _RefusedError(400, "badCSR", "neither EC nor RSA, or not signed by its key")
        if key.public_numbers() == signed.key.key.public_numbers():  # RFC 8555 §11.1
            raise _RefusedError(400, "badCSR", "the key is the account's")
        if names != set(order.identifiers):
            raise _RefusedError(400, "badCSR", f"for {sorted(names)}, not for the order's names")
        order.error, order.polls = self.break_order, self._processing + bool(self._processing)
        order.status = "processing"
        if order.error is None:
            order.certificate = self._authority.issue(order.identifiers, key, self.life)
            self.issued.append(order.certificate)
            leaf = x509.load_pem_x509_certificate(order.certificate)
            self._certificates[certificate_id(leaf)] = leaf, order
        return self._poll(order)

    def _download(self, order: Order) -> _Answer:
        if order.status != "valid":
            raise _RefusedError(404, "malformed", f"the order is {order.status}")
        chain = _DAMAGED if self.damage_certificate else order.certificate
        return _Answer(200, chain, "application/pem-certificate-chain")

    def _revoke(self, signed: _Signed) -> _Answer:
        try:
            der = decode_b64jose(signed.fields["certificate"])
            certificate, order = self._issued(certificate_id(x509.load_der_x509_certificate(der)))
        except (*_UNREADABLE, x509.ExtensionNotFound) as error:
            raise _RefusedError(400, "malformed", f"not a certificate: {error!r}") from error
        reason = signed.fields.get("reason", 0)
        key = certificate.public_key()
        assert isinstance(key, _PublicKey)
        own = key.public_numbers() == signed.key.key.public_numbers()
        if order.account != signed.account and not own:
            raise _RefusedError(403, "unauthorized", "neither the account's nor signed by its key")
        if reason not in _REASONS:
            raise _RefusedError(400, "badRevocationReason", f"{reason} is not a reason to give")
        if certificate_id(certificate) in self.revoked:
            raise _RefusedError(400, "alreadyRevoked", "it is revoked already")
        self.revoked[certificate_id(certificate)] = reason
        return _Answer(200)


def _payload(body: bytes) -> Any:
    try:
        return json.loads(decode_b64jose(json.loads(body)["payload"]))
    except _UNREADABLE:
        return None


def _rfc3339(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class _Authority:
    """A root and an intermediate, made anew."""

    def __init__(self) -> None:
        root_key, self._key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        root_name, self._name = (
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Linkseal test {what}")])
            for what in ("root", "intermediate")
        )
        root = self._sign(root_name, root_name, root_key.public_key(), root_key, _CA_LIFE)
        self._intermediate = self._sign(
            self._name, root_name, self._key.public_key(), root_key, _CA_LIFE
        )
        self.root_pem = root.public_bytes(serialization.Encoding.PEM)

    def issue(self, names: tuple[str, ...], key: _PublicKey, life: timedelta) -> bytes:
        """Return a chain for the names, PEM, leaf first."""
        leaf = self._sign(x509.Name([]), self._name, key, self._key, life, names)
        chain = leaf, self._intermediate
        return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain)

    def _sign(
        self,
        subject: x509.Name,
        issuer: x509.Name,
        key: _PublicKey,
        issuer_key: ec.EllipticCurvePrivateKey,
        life: timedelta,
        names: tuple[str, ...] = (),
    ) -> x509.Certificate:
        """Sign one certificate: a leaf if it has names, else an authority."""
        now = datetime.now(UTC)
        extensions: list[tuple[x509.ExtensionType, bool]] = [
            (x509.BasicConstraints(ca=not names, path_length=None), True),
            (x509.SubjectKeyIdentifier.from_public_key(key), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False),
            (_LEAF_USAGE if names else _CA_USAGE, True),
        ]
        if names:
            # RFC 5280 §4.2.1.6: critical, for the subject is empty.
            alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
            purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
            extensions += [(alternatives, True), (purpose, False)]
        builder = x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number())
        builder = builder.not_valid_before(now).not_valid_after(now + life)
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(issuer_key, hashes.SHA256())


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # leaving the context waits for the answers under way
    request_queue_size = 128
    directory: AcmeDirectory


class _Handler(BaseHTTPRequestHandler):
    """One request a connection: what is idle cannot keep the server from closing."""

    server: _Server
    timeout = 5

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        kind = self.headers.get("Content-Type", "")
        answer = self.server.directory.answer(self.command, self.path, kind, body)
        if answer is None:
            return
        # A client that has given up meanwhile is no fault of the server's.
        with contextlib.suppress(ConnectionError):
            self.send_response(answer.status)
            for name, value in answer.headers:
                self.send_header(name, value)
            if answer.status != 204:
                self.send_header("Content-Type", answer.kind)
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

    do_HEAD = do_POST = do_GET  # noqa: N815 - the hooks' names

    def log_message(self, *_: object) -> None:
        """Say nothing; ``requests`` has the record."""
