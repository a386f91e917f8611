"""One CA and our account there, by certbot's ``acme``.

Everything blocks: orders run in threads of the certificates' process, never in the edge.
Every failure comes out as an :class:`OrderError` with the CA's problem and what it means.

RFC 8555 (ACME), RFC 9773 (renewal information), RFC 8555 §7.3.4 (external accounts).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import requests
from acme import challenges, client, crypto_util, errors, messages
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from josepy.errors import Error as JOSEError
from josepy.json_util import field
from josepy.jwk import JWKEC

from linkseal.certificates.advice import Problem, understand
from linkseal.certificates.network import TIMEOUT, Network
from linkseal.certificates.schedule import Window
from linkseal.config import IssuerConfig
from linkseal.errors import CertificateError

PATIENCE: Final = timedelta(seconds=120)
"""How long validation, and then issuance, may take."""
# LookupError: no such key, or an empty list; the others are what JSON of another shape, or an
# absurd number in it, makes of the code that reads it.
_NONSENSE: Final = (
    errors.Error,
    JOSEError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
    AssertionError,
    RecursionError,
    x509.ExtensionNotFound,
)
_KINDS: Final = {"http-01": challenges.HTTP01, "dns-01": challenges.DNS01}


class OrderError(CertificateError):
    """There is no certificate, and why.

    Attributes:
        problem: What the CA said, or what kept us from asking.
        retry_after: When the CA wants to be asked again; ``None`` if it did not say.
    """

    def __init__(self, problem: Problem, retry_after: datetime | None = None) -> None:
        super().__init__(
            f"{problem.issuer or 'no CA was asked'}: {problem.type}: {problem.detail}",
            code="acme-failed",
            hint=problem.advice,
            retryable=True,
        )
        self.problem = problem
        self.retry_after = retry_after


class _NewOrder(messages.NewOrder):
    """An order that says which certificate it replaces (RFC 9773 §5)."""

    replaces: str = field("replaces", omitempty=True)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a CA wants to see.

    Attributes:
        name: The name it is about, without ``*.``.
        token: HTTP-01: the last part of the path.
        answer: HTTP-01: the text there; DNS-01: the TXT value.
        challenge: To answer with.
    """

    name: str
    token: str
    answer: str
    challenge: messages.ChallengeBody


class Authority:
    """A CA, ready to be asked. For one thread at a time.

    Args:
        issuer: The CA.
        account_key: PEM, our key there.
        seconds: For one request, its answer included.

    Raises:
        OrderError: The CA does not answer, or not as an ACME directory.
    """

    def __init__(
        self, issuer: IssuerConfig, account_key: bytes, *, seconds: float = TIMEOUT
    ) -> None:
        self.issuer = issuer
        self._key = JWKEC(key=serialization.load_pem_private_key(account_key, None))
        self._network = Network(self._key, seconds)
        if issuer.ca_file is not None:
            # requests takes a file here, which certbot's annotation does not say.
            self._network.verify_ssl = str(issuer.ca_file)  # type: ignore[assignment]
        with self._told():
            directory = client.ClientV2.get_directory(issuer.directory, self._network)
            self._client = client.ClientV2(directory, self._network)

    @property
    def caa_identities(self) -> frozenset[str]:
        """What the CA calls itself in CAA records; empty when it does not say."""
        meta = self._client.directory.meta
        return frozenset(str(name).lower() for name in meta.caa_identities or ())

    def register(self, email: str) -> str:
        """Make the account, or find the one with this key; return its URL.

        Raises:
            OrderError: The CA refuses.
        """
        with self._told():
            external = None
            if self.issuer.eab_kid:
                external = messages.ExternalAccountBinding.from_data(
                    self._key.public_key(),
                    self.issuer.eab_kid,
                    self.issuer.eab_hmac_key,
                    self._client.directory,
                )
            wanted = messages.NewRegistration.from_data(
                email=email or None,
                terms_of_service_agreed=True,
                external_account_binding=external,
            )
            try:
                account = self._client.new_account(wanted)
            except errors.ConflictError as conflict:
                account = messages.RegistrationResource(
                    uri=conflict.location, body=messages.Registration()
                )
            self._network.account = account
            return str(account.uri)

    def use_account(self, url: str) -> None:
        """Use an account that was registered before."""
        self._network.account = messages.RegistrationResource(uri=url, body=messages.Registration())

    def order(self, csr: bytes, replaces: bytes | None) -> messages.OrderResource:
        """Order a certificate.

        Args:
            csr: PEM.
            replaces: PEM of the certificate it is the renewal of, for CAs with renewal
                information; ``None`` for a new one.

        Raises:
            OrderError: The CA refuses; ``alreadyReplaced`` when it was renewed before.
        """
        name = csr_name(csr)
        wanted: dict[str, Any] = {
            "identifiers": [messages.Identifier(typ=messages.IDENTIFIER_FQDN, value=name)],
            "profile": self.issuer.profile,
        }
        if replaces is not None and self.knows_windows:
            leaf = x509.load_pem_x509_certificate(replaces)
            path = client._renewal_info_path_component(leaf)  # noqa: SLF001 - RFC 9773 §4.1
            body: messages.NewOrder = _NewOrder(**wanted, replaces=path)
        else:
            body = messages.NewOrder(**wanted)
        with self._told(conflict="alreadyReplaced"):
            response = self._client._post(self._client.directory["newOrder"], body)  # noqa: SLF001
            order = messages.Order.from_json(response.json())
            return messages.OrderResource(
                body=order,
                uri=response.headers["Location"],
                authorizations=self._authorizations(order),
                csr_pem=csr,
            )

    def resume(self, url: str, csr: bytes) -> messages.OrderResource:
        """Return an order made before, as it stands now.

        Raises:
            OrderError: The CA does not know it; ``orderInvalid`` when it gave it up.
        """
        with self._told():
            response = self._client._post_as_get(url)  # noqa: SLF001 - no public way to one order
            order = messages.Order.from_json(response.json())
            if order.status == messages.STATUS_INVALID:
                raise self._failure("orderInvalid", _words(order.error))
            return messages.OrderResource(
                body=order,
                uri=url,
                authorizations=self._authorizations(order),
                csr_pem=csr,
            )

    def asked(self, order: messages.OrderResource, kind: str) -> list[Asked]:
        """Return what must be shown for an order; empty when the CA remembers the names.

        Args:
            order: Just made.
            kind: ``http-01`` or ``dns-01``.

        Raises:
            OrderError: The CA does not offer that kind.
        """
        found = []
        for authorization in order.authorizations:
            if authorization.body.status == messages.STATUS_VALID:
                continue
            name = str(authorization.body.identifier.value)
            for body in authorization.body.challenges:
                if isinstance(body.chall, _KINDS[kind]):
                    token = str(body.chall.encode("token"))
                    _, answer = body.response_and_validation(self._key)
                    found.append(Asked(name, token, str(answer), body))
                    break
            else:
                detail = f"the CA offers no {kind} for {name}"
                raise OrderError(understand("malformed", detail, self.issuer.directory))
        return found

    def finish(self, order: messages.OrderResource, asked: list[Asked]) -> str:
        """Tell the CA to look, wait for it, and return the chain, PEM, leaf first.

        Raises:
            OrderError: The CA saw something else, or takes too long.
        """
        with self._told():
            for each in asked:
                self._client.answer_challenge(each.challenge, each.challenge.response(self._key))
            if order.body.status not in {messages.STATUS_VALID, messages.STATUS_PROCESSING}:
                order = self._client.poll_authorizations(order, _deadline())
                with contextlib.suppress(messages.Error):
                    # Not ready yet, or finalized by whoever was killed: polling tells.
                    self._client.begin_finalization(order)
            done = self._client.poll_finalization(order, _deadline())
            return str(done.fullchain_pem)

    def revoke(self, chain: bytes, reason: int) -> None:
        """Revoke a certificate.

        Args:
            chain: PEM, leaf first.
            reason: Of RFC 5280 §5.3.1, as 0 unspecified, 1 keyCompromise, 4 superseded.

        Raises:
            OrderError: The CA refuses.
        """
        with self._told(), contextlib.suppress(errors.ConflictError):
            try:
                self._client.revoke(x509.load_pem_x509_certificate(chain), reason)
            except messages.Error as error:
                if error.code != "alreadyRevoked":
                    raise

    @property
    def knows_windows(self) -> bool:
        """Whether the CA has renewal information (RFC 9773)."""
        return "renewalInfo" in self._client.directory.to_partial_json()

    def window(self, chain: bytes) -> tuple[Window, str]:
        """Return when the CA wants a certificate renewed, and a page that explains it.

        Raises:
            OrderError: The CA does not say, or nothing that makes sense.
        """
        with self._told():
            path = client._renewal_info_path_component(  # noqa: SLF001 - RFC 9773 §4.1
                x509.load_pem_x509_certificate(chain)
            )
            base = str(self._client.directory["renewalInfo"]).rstrip("/")
            said = self._network.get(f"{base}/{path}").json()
            window = said["suggestedWindow"]
            start, end = _timestamp(window["start"]), _timestamp(window["end"])
            return Window(start, end), str(said.get("explanationURL", ""))

    def _authorizations(self, order: messages.Order) -> list[messages.AuthorizationResource]:
        api = self._client
        return [
            api._authzr_from_response(api._post_as_get(url), uri=url)  # noqa: SLF001
            for url in order.authorizations
        ]

    @contextlib.contextmanager
    def _told(self, conflict: str = "malformed") -> Iterator[None]:
        """Tell every failure of certbot's library, of requests and of nonsense, as a problem."""
        try:
            yield
        except messages.Error as error:
            raise self._failure(str(error.typ), str(error.detail)) from error
        except errors.ValidationError as error:
            said = [
                body.error
                for authorization in error.failed_authzrs
                for body in authorization.body.challenges
                if body.error is not None
            ]
            raise self._failure(str(said[0].typ), str(said[0].detail)) from error
        except errors.IssuanceError as error:
            raise self._failure(str(error.error.typ), str(error.error.detail)) from error
        except errors.ConflictError as error:
            raise self._failure(conflict, "the CA says that this is so already") from error
        except errors.TimeoutError as error:
            detail = "the CA is not done within two minutes"
            raise self._failure("orderNotReady", detail) from error
        except requests.RequestException as error:
            raise self._failure("unreachable", _short(error)) from error
        except _NONSENSE as error:
            raise self._failure(
                "serverInternal", f"an answer without sense: {_short(error)}"
            ) from error

    def _failure(self, kind: str, detail: str) -> OrderError:
        problem = understand(kind, detail, self.issuer.directory)
        return OrderError(problem, self._network.retry_after)


def new_account_key() -> bytes:
    """Return a fresh account key, PEM: P-256, never a certificate's."""
    return _pem(ec.generate_private_key(ec.SECP256R1()))


def new_key(key_type: str) -> bytes:
    """Return a fresh certificate key, PEM: ``p256`` or ``rsa2048``."""
    if key_type == "rsa2048":
        return _pem(rsa.generate_private_key(65537, 2048))
    return _pem(ec.generate_private_key(ec.SECP256R1()))


def new_csr(key: bytes, name: str) -> bytes:
    """Return a certificate request for one name, PEM."""
    return bytes(crypto_util.make_csr(key, [name]))


def csr_name(csr: bytes) -> str:
    """Return the name a request is for."""
    request = x509.load_pem_x509_csr(csr)
    found = request.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return str(found.value.get_values_for_type(x509.DNSName)[0])


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _deadline() -> datetime:
    # The library compares with naive local time.
    return datetime.now() + PATIENCE  # noqa: DTZ005


def _timestamp(text: str) -> datetime:
    """Read a timestamp (RFC 3339, which has a zone always)."""
    read = datetime.fromisoformat(text)
    if read.tzinfo is None:
        raise ValueError(f"{text} has no zone")
    return read.astimezone(UTC)


def _words(error: messages.Error | None) -> str:
    """Return what a CA said of an order it gave up."""
    return "it does not say why" if error is None else f"{error.code}: {error.detail}"


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
