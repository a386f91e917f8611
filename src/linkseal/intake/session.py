"""One client's SMTP session: what it may say, and who says it.

Standards: RFC 5321, 3207 (STARTTLS), 4954 (AUTH).
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from linkseal.config import plain_address
from linkseal.intake.hooks import Busy, Hooks
from linkseal.intake.next_hop import NextHop
from linkseal.intake.reception import Reception

if TYPE_CHECKING:
    import ssl

    from linkseal.config import SMTPConfig

LONGEST_LINE: Final = 1_000_000
"""Longest line taken: senders exceed the standard's 998, and the next hop is the judge."""

_IDLE_SECONDS: Final = 300.0
"""What a client gets for its next command at least (RFC 5321 §4.5.3.2.7)."""


class _Session(Session):
    """What is known of a client.

    The library sets ``login_data`` at every login, and warns that it does.
    """

    login_data: Any = None


class ProxySession(SMTP):
    """Serves one client.

    Args:
        config: Limits, STARTTLS and AUTH.
        hostname: What we call ourselves.
        reception: Takes messages in.
        next_hop: Where they go.
        busy: Counts messages under way, for a clean stop.
        logins: Checks passwords, which takes too long for the loop.
        tls: For STARTTLS; ``None`` does not offer it.
        customer: Whose listener this is; ``None`` for everybody's.
    """

    line_length_limit = LONGEST_LINE

    def __init__(
        self,
        config: SMTPConfig,
        hostname: str,
        reception: Reception,
        next_hop: NextHop,
        busy: Busy,
        logins: Executor,
        *,
        tls: ssl.SSLContext | None,
        customer: str | None,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._proxy = Hooks(config, reception, next_hop, busy, logins, customer)
        super().__init__(
            self._proxy,
            data_size_limit=config.max_message_bytes,
            enable_SMTPUTF8=True,
            hostname=hostname,
            ident="Linkseal",
            tls_context=tls,
            auth_required=config.auth == "required",
            auth_require_tls=config.auth_requires_tls,
            auth_exclude_mechanism=["LOGIN", "PLAIN"] if config.auth == "off" else None,
            authenticator=_not_yet_checked,
            loop=loop,
            # Runs on while the next hop has the message: a client cut off then sends it again.
            timeout=max(_IDLE_SECONDS, config.data_timeout + config.timeout),
        )

    def _create_session(self) -> Session:
        return _Session(self.loop)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let clients of this very machine log in without TLS."""
        super().connection_made(transport)
        # Also called after STARTTLS: what was said in the clear is forgotten (RFC 3207 §4.2).
        self._proxy.forget_login()
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple) and ip_address(plain_address(peer[0])).is_loopback:
            self._auth_require_tls = False

    async def auth_PLAIN(  # noqa: N802 - the base's name
        self, server: SMTP, args: list[str]
    ) -> AuthResult:
        """Log in by PLAIN (RFC 4616)."""
        return await self._proxy.authenticate(await super().auth_PLAIN(server, args))

    async def auth_LOGIN(  # noqa: N802 - the base's name
        self, server: SMTP, args: list[str]
    ) -> AuthResult:
        """Log in by LOGIN, which some clients have nothing better than."""
        return await self._proxy.authenticate(await super().auth_LOGIN(server, args))

    def connection_lost(self, error: Exception | None) -> None:
        """Leave the next hop too."""
        super().connection_lost(error)
        self._proxy.abandon()


def _not_yet_checked(
    _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: LoginPassword
) -> AuthResult:
    """Hand a login on: the library would have it checked on its event loop."""
    return AuthResult(success=True, auth_data=data)
