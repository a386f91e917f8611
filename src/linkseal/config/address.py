"""Addresses as config files write them."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Annotated

from pydantic import BeforeValidator
from pydantic_settings import NoDecode


@dataclass(frozen=True, slots=True)
class Address:
    """Where something listens or connects: ``host:port``, ``[v6]:port``; port 0 is a free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``host:port``.

        Raises:
            ValueError: No port, or not a number from 0 to 65535.
        """
        host, colon, port = text.rpartition(":")
        if not colon or not host or not port.isdigit() or int(port) > 65535:
            raise ValueError(f"expected host:port, as in 127.0.0.1:8443, got {text!r}")
        if host.startswith("[") and host.endswith("]"):
            host = str(IPv6Address(host[1:-1]))
        elif ":" in host:
            raise ValueError(f"write an IPv6 address in brackets, as in [::1]:8443, got {text!r}")
        return cls(host, int(port))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        """Return the form :meth:`parse` reads."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def _address(value: object) -> object:
    return Address.parse(value) if isinstance(value, str) else value


AddressField = Annotated[Address, NoDecode, BeforeValidator(_address)]


def plain_address(text: str) -> str:
    """Return a peer's address as its own family writes it.

    A socket for both families shows IPv4 as ``::ffff:192.0.2.1`` (RFC 4291 §2.5.5.2).
    """
    return text[7:] if text.startswith("::ffff:") and "." in text else text
