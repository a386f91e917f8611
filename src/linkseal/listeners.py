"""Listening sockets, bound before anything is forked, so a taken port is told at once."""

from __future__ import annotations

import errno
import socket

from linkseal.config import Address
from linkseal.errors import ServiceError

BACKLOG = 1024


def listen(address: Address, key: str) -> socket.socket:
    """Bind and listen: at ``::`` for IPv6 and IPv4.

    Args:
        address: Where; port 0 takes a free one.
        key: The config key it comes from, for the error.

    Raises:
        ServiceError: The port is taken or not allowed, or the address is not ours.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server(
            (address.host, address.port),
            family=family,
            backlog=BACKLOG,
            # The unspecified address is every address: of IPv4, too (RFC 3493 §5.3).
            dualstack_ipv6=address.host == "::" and socket.has_dualstack_ipv6(),
        )
    except OSError as error:
        raise _explain(error, address, key) from error


def bound_address(listener: socket.socket) -> Address:
    """Return where a socket listens, its port chosen."""
    host, port = listener.getsockname()[:2]
    return Address(host, port)


def _explain(error: OSError, address: Address, key: str) -> ServiceError:
    if error.errno == errno.EADDRINUSE:
        return ServiceError(
            f"port {address.port} on {address.host} is taken",
            code="port-taken",
            hint=f"stop what listens there (ss -ltnp 'sport = :{address.port}'), or set {key}",
        )
    if error.errno == errno.EACCES:
        return ServiceError(
            f"this user may not listen on port {address.port}",
            code="port-forbidden",
            hint=f"give the process CAP_NET_BIND_SERVICE, or set {key} to a port from 1024 up",
        )
    return ServiceError(
        f"cannot listen on {address}: {error.strerror}",
        code="address-unusable",
        hint=f"set {key} to an address of this machine",
    )
