"""The CAs in the configuration, each with our account there. Everything blocks."""

from __future__ import annotations

import threading

from linkseal.certificates.authority import Authority, new_account_key
from linkseal.certificates.held import ACCOUNT_KEY
from linkseal.config import ACMEConfig, IssuerConfig
from linkseal.errors import CertificateError
from linkseal.store import Store
from linkseal.vault import Vault


class Accounts:
    """Opens CAs; for several threads.

    Args:
        config: Which there are.
        store: Where accounts are.
        vault: Seals their keys.
    """

    def __init__(self, config: ACMEConfig, store: Store, vault: Vault) -> None:
        self._config = config
        self._accounts = store.acme
        self._vault = vault
        self._registering = threading.Lock()

    def issuer(self, directory: str) -> IssuerConfig | None:
        """Return a CA's configuration by its directory; ``None`` if it is not there any more."""
        return next((each for each in self._config.issuers if each.directory == directory), None)

    def authority(self, directory: str) -> Authority:
        """Return a CA by its directory, with our account there.

        Raises:
            CertificateError: It is not in the configuration, or does not answer.
        """
        issuer = self.issuer(directory)
        if issuer is None:
            raise CertificateError(
                f"the CA {directory} is not in the configuration",
                code="acme-issuer-unknown",
                hint="put its directory into [[acme.issuers]]",
            )
        return self.open(issuer)

    def open(self, issuer: IssuerConfig) -> Authority:
        """Return a CA with our account there, registered when there is none yet.

        Raises:
            OrderError: It does not answer, or refuses the account.
        """
        url, sealed = self._accounts.account(issuer.directory) or ("", b"")
        if not url:
            # One at a time: two would make two accounts, and lose the key of one.
            with self._registering:
                return self._register(issuer)
        authority = Authority(issuer, self._vault.open(sealed, ACCOUNT_KEY))
        authority.use_account(url)
        return authority

    def url(self, issuer: IssuerConfig) -> str:
        """Return the URL of our account; empty when there is none yet."""
        kept = self._accounts.account(issuer.directory)
        return kept[0] if kept else ""

    def forget(self, issuer: IssuerConfig) -> None:
        """Drop an account the CA does not know, or refuses: the next one is new."""
        self._accounts.forget_account(issuer.directory)

    def _register(self, issuer: IssuerConfig) -> Authority:
        kept = self._accounts.account(issuer.directory)
        if kept is None:
            # Kept before it is registered: a key that the CA knows must not be lost.
            kept = "", self._vault.seal(new_account_key(), ACCOUNT_KEY)
            self._accounts.put_account(issuer.directory, *kept)
        url, sealed = kept
        authority = Authority(issuer, self._vault.open(sealed, ACCOUNT_KEY))
        if url:
            authority.use_account(url)
        else:
            url = authority.register(self._config.email)
            self._accounts.put_account(issuer.directory, url, sealed)
        return authority
