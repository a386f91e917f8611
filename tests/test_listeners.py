"""Listening sockets."""

from __future__ import annotations

import contextlib
import socket

import pytest

from linkseal.config import Address, plain_address
from linkseal.listeners import bound_address, listen


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 on this machine")
def test_the_unspecified_address_is_every_address_of_both_families() -> None:
    with contextlib.closing(listen(Address("::", 0), "edge.https")) as listener:
        port = bound_address(listener).port
        for own in ("127.0.0.1", "::1"):
            with socket.create_connection((own, port), 5):
                accepted, peer = listener.accept()
                accepted.close()
            assert plain_address(peer[0]) == own


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1", "::1", "::", ""])
def test_an_address_of_its_own_family_is_plain(address: str) -> None:
    assert plain_address(address) == address
