"""TCP and TLS as a recipient's machine meets them: ports, versions, certificates as sent."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import warnings
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

from linkseal.domains.observation import Handshake, Tried
from linkseal.prober.request import Budget

VERSIONS: Final = {
    "1.3": ssl.TLSVersion.TLSv1_3,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.0": ssl.TLSVersion.TLSv1,
}
BROWSER: Final = ""
"""Both modern versions offered, as a browser does."""
_MOST_SENT: Final = 16
"""Certificates of a chain that are kept."""
_DER: Final = 2  # What _ssl calls ENCODING_DER.


@dataclass(frozen=True, slots=True)
class Streams:
    """An open connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


def client_context(version: str = "") -> ssl.SSLContext:
    """Return a context that takes any certificate: the checks judge it, with its reasons.

    Args:
        version: The only one offered, or :data:`BROWSER`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # Level 1 refuses TLS 1.0 and 1.1, and keys that are to be seen and told of.
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        # That the old versions are deprecated is why they are tried.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = VERSIONS[version] if version else ssl.TLSVersion.TLSv1_2
        context.maximum_version = VERSIONS[version] if version else ssl.TLSVersion.TLSv1_3
    return context


@contextlib.asynccontextmanager
async def connected(
    address: str, port: int, tls: ssl.SSLContext | None = None, name: str = ""
) -> AsyncIterator[Streams]:
    """Connect to this very address; the connection is dropped at the end.

    Args:
        address: Resolved and allowed before.
        port: Of the server.
        tls: ``None`` for plain TCP.
        name: The SNI.

    Raises:
        OSError: As :func:`asyncio.open_connection`.
    """
    reader, writer = await asyncio.open_connection(
        address, port, ssl=tls, server_hostname=name if tls else None, limit=2**16
    )
    try:
        yield Streams(reader, writer)
    finally:
        # An orderly end waits for a peer that may never answer.
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def try_port(address: str, port: int, usual: int, budget: Budget) -> Tried:
    """Try one TCP connection.

    Args:
        address: Which.
        port: Which is connected to.
        usual: Which it stands for: 80 or 443.
        budget: Of the run.
    """
    budget.expect("tls")
    error = ""
    try:
        async with asyncio.timeout(budget.seconds()), connected(address, port):
            pass
    except (OSError, TimeoutError) as fault:
        error = reason(fault)
    budget.finish("tls")
    return Tried(address, usual, error)


async def shake_hands(
    address: str, port: int, host: str, version: str, budget: Budget
) -> Handshake:
    """Try one TLS handshake that offers one version only, or what a browser offers."""
    budget.expect("tls")
    error = ""
    chain: tuple[bytes, ...] = ()
    try:
        async with (
            asyncio.timeout(budget.seconds()),
            connected(address, port, client_context(version), host) as streams,
        ):
            chain = as_sent(streams.writer.get_extra_info("ssl_object"))
    except (OSError, TimeoutError) as fault:
        error = reason(fault)
    budget.finish("tls")
    return Handshake(address, version, error, chain)


def as_sent(connection: Any) -> tuple[bytes, ...]:
    """Return the certificates a server sent, leaf first, in DER."""
    if hasattr(connection, "get_unverified_chain"):  # Python 3.13
        return tuple(connection.get_unverified_chain()[:_MOST_SENT])
    # Before, only the object beneath tells: what is built from the store is no use here.
    sent = connection._sslobj.get_unverified_chain() or []  # noqa: SLF001
    return tuple(each.public_bytes(_DER) for each in sent[:_MOST_SENT])


def reason(fault: BaseException) -> str:
    """Return what went wrong with a connection, in a few words."""
    if isinstance(fault, ssl.SSLEOFError | ConnectionResetError | BrokenPipeError):
        return "connection closed by the server"
    if isinstance(fault, ssl.SSLError):
        return (fault.reason or "tls failed").replace("_", " ").lower()
    if isinstance(fault, ConnectionRefusedError):
        return "connection refused"
    if isinstance(fault, TimeoutError):
        return "timeout"
    # asyncio puts the address into its text, which is told beside.
    text = fault.strerror or "" if isinstance(fault, OSError) else ""
    return text.partition(": ")[0].lower() if text and "Multiple" not in text else "no connection"
