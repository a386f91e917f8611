"""Show a CA what it asks to see: through the edge, or in DNS; and look first oneself.

Everything blocks.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from linkseal.certificates.authority import Asked, Authority
from linkseal.certificates.dns01 import (
    DNSProvider,
    Resolver,
    challenge_owner,
    wait_until_visible,
)
from linkseal.certificates.preflight import check_answered, check_caa
from linkseal.config import ACMEConfig
from linkseal.domains.caa import IssuerIdentity
from linkseal.errors import CertificateError, LinksealError
from linkseal.store import CertificateName, Challenge, NameKind, Store

_CHALLENGE_LIFE: Final = timedelta(hours=1)

log = structlog.get_logger("certificates")


class Showing:
    """Shows challenges; for several threads.

    Attributes:
        answer_seconds: How long the edge and DNS may take to show one.

    Args:
        config: Resolvers, ports, whether CAA is read.
        store: Where the edge's snapshot takes challenges from.
        provider: Writes DNS-01 challenges; ``None`` without one.
    """

    def __init__(self, config: ACMEConfig, store: Store, provider: DNSProvider | None) -> None:
        self._config = config
        self._store = store
        self._provider = provider
        self._resolver = Resolver(
            nameservers=tuple((each.host, each.port) for each in config.resolvers),
            authority_port=config.dns.authority_port,
            private_networks=config.allow_private_addresses,
        )
        self.answer_seconds = 30.0

    def preflight(self, name: CertificateName, authority: Authority, account: str) -> None:
        """See what the CA would see, before it counts.

        Args:
            name: To be ordered.
            authority: The CA.
            account: URL of our account there.

        Raises:
            OrderError: The CA would say no.
            CertificateError: A DNS-01 challenge cannot be shown.
        """
        if self._config.check_caa:
            identity = IssuerIdentity(authority.caa_identities, account, name.challenge.value)
            check_caa(name.name, identity, self._resolver)
        if name.challenge is Challenge.HTTP_01:
            token = f"linkseal-{secrets.token_hex(16)}"
            self._store.acme.publish(token, token, _now() + _CHALLENGE_LIFE)
            try:
                self._check_answered(name.name, token, token)
            finally:
                self._store.acme.withdraw(token)
        else:
            probe = f"linkseal-{secrets.token_hex(16)}"
            with self._in_dns(name, name.name.removeprefix("*."), probe):
                pass

    @contextlib.contextmanager
    def showing(self, name: CertificateName, asked: list[Asked]) -> Iterator[None]:
        """Show challenges while the CA looks.

        Raises:
            CertificateError: They cannot be shown, or are not seen from here.
        """
        with contextlib.ExitStack() as shown:
            for each in asked:
                if name.challenge is Challenge.HTTP_01:
                    shown.callback(self._store.acme.withdraw, each.token)
                    self._store.acme.publish(each.token, each.answer, _now() + _CHALLENGE_LIFE)
                    self._check_answered(each.name, each.token, each.answer)
                    continue
                shown.enter_context(self._in_dns(name, each.name, each.answer))
            yield

    @contextlib.contextmanager
    def _in_dns(self, name: CertificateName, host: str, value: str) -> Iterator[None]:
        """Show a TXT value for a host, and wait until it is seen; withdraw it at the end."""
        if self._provider is None:
            raise CertificateError(
                f"{host} needs a DNS-01 challenge, and nothing here writes DNS",
                code="acme-dns-missing",
                hint="set acme.dns.provider to rfc2136 or exec",
            )
        owner = challenge_owner(host, self._resolver.cname, self._allowed(name))
        try:
            self._provider.publish(owner, value)
            deadline = time.monotonic() + self.answer_seconds
            wait_until_visible(owner, value, deadline=deadline, resolver=self._resolver)
            yield
        finally:
            _quietly(self._provider.withdraw, owner, value)

    def _allowed(self, name: CertificateName) -> tuple[str, ...] | None:
        """Return below which names a delegation must lead; ``None`` is any.

        Where a branded name's leads is its customer's to say, but what is written there is by
        our key; where our own names' lead is the operator's.
        """
        if name.kind is not NameKind.BRANDED:
            return None
        return self._config.dns.delegations_below or None

    def _check_answered(self, host: str, token: str, answer: str) -> None:
        deadline = time.monotonic() + self.answer_seconds
        check_answered(host, token, answer, self._resolver, self._config.http_port, deadline)


def _quietly(withdraw: Callable[[str, str], None], owner: str, answer: str) -> None:
    """Withdraw a record; one that stays does no harm."""
    try:
        withdraw(owner, answer)
    except LinksealError as error:
        log.warning("challenge not withdrawn", at=owner, error=error.message)


def _now() -> datetime:
    return datetime.now(UTC)
