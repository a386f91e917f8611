"""The SMTP proxy's process."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import structlog
import uvloop

from linkseal.config import Address, Config
from linkseal.errors import CertificateError, LinksealError
from linkseal.intake.hooks import Busy
from linkseal.intake.next_hop import NextHop
from linkseal.intake.reception import Reception
from linkseal.intake.session import ProxySession
from linkseal.store import Store
from linkseal.vault import Vault

STOP_TIMEOUT = 10.0
LOGINS_AT_ONCE: Final = 2
"""Passwords checked at a time: each takes a core for some 40 ms, and 16 MiB; the others wait."""

log = structlog.get_logger("smtp")

Listener = tuple[socket.socket, str | None]
"""A listening socket, and the customer all its mail belongs to."""


def run_proxy(config: Config, listeners: Sequence[Listener], vault: Vault, stop_fd: int) -> None:
    """Serve until SIGTERM, or until ``stop_fd`` ends because the supervisor is gone.

    Messages being passed on get :data:`STOP_TIMEOUT` seconds to finish.

    Raises:
        CertificateError: The certificate for STARTTLS cannot be used.
        StoreError: The database cannot be opened.
    """

    async def until_told() -> None:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        loop.add_reader(stop_fd, stop.set)
        with Store.open(config.store_url, migrate=False) as store:
            reception = Reception(config, vault, store.customers, store.messages, store.domains)
            try:
                async with serving(config, listeners, reception):
                    await stop.wait()
            finally:
                loop.remove_reader(stop_fd)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(until_told())


@contextlib.asynccontextmanager
async def serving(
    config: Config, listeners: Sequence[Listener], reception: Reception
) -> AsyncIterator[None]:
    """Serve on listening sockets until the context ends, then let messages in hand finish.

    A listener's customer may be added later; until then its mail is deferred, and the log says so.

    Raises:
        CertificateError: The certificate for STARTTLS cannot be used.
    """
    loop = asyncio.get_running_loop()
    tls = starttls_context(config)
    next_hop = NextHop(config.smtp, config.shared_host)
    busy = Busy()
    # Threads of their own: whoever guesses passwords must not take those that carry mail.
    logins = ThreadPoolExecutor(LOGINS_AT_ONCE, thread_name_prefix="login")

    def session(customer: str | None) -> Callable[[], ProxySession]:
        return lambda: ProxySession(
            config.smtp,
            config.shared_host,
            reception,
            next_hop,
            busy,
            logins,
            tls=tls,
            customer=customer,
            loop=loop,
        )

    servers = [
        await loop.create_server(session(customer), sock=listener)
        for listener, customer in listeners
    ]
    log.info("serving", listeners=len(servers))
    await asyncio.to_thread(_look_for_customers, listeners, reception)
    try:
        yield
    finally:
        for server in servers:
            server.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT):
                await busy.idle.wait()
        logins.shutdown(cancel_futures=True)


def _look_for_customers(listeners: Sequence[Listener], reception: Reception) -> None:
    for listener, name in listeners:
        try:
            if name is not None:
                reception.customer(name)
        except LinksealError as error:
            log.error(
                "a listener's mail is deferred: see smtp.listeners",
                listener=str(Address(*listener.getsockname()[:2])),
                **error.as_dict(),
            )


def starttls_context(config: Config) -> ssl.SSLContext | None:
    """Return the TLS context for STARTTLS; ``None`` when it is not configured.

    Raises:
        CertificateError: The files cannot be used.
    """
    if config.smtp.certificate is None or config.smtp.key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(config.smtp.certificate, config.smtp.key)
    except (OSError, ssl.SSLError) as error:
        raise CertificateError(
            f"smtp.certificate and smtp.key cannot be used: {error}",
            code="smtp-certificate-unusable",
            hint="give a PEM chain and its unencrypted PEM key",
        ) from error
    return context
