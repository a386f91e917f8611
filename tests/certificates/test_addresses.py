"""Addresses on the internet, and those that only look so."""

from __future__ import annotations

import pytest

from linkseal.certificates.addresses import is_public

NOT_PUBLIC = """
127.0.0.1 10.0.0.1 169.254.169.254 100.64.0.1 192.0.2.1 224.0.0.1 239.1.1.1 0.0.0.0
255.255.255.255 ::1 :: ::8.8.8.8 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:10.0.0.1
64:ff9b::127.0.0.1 64:ff9b::a00:1 64:ff9b::e000:1 64:ff9b:1::808:808 fec0::1 fe80::1
fe80::1%lo fc00::1 fd00::1 ff02::1 ff0e::1 2001:db8::1 2002:7f00:1:: 2001::1 nothing
"""


@pytest.mark.parametrize(
    "text", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]
)
def test_public(text: str) -> None:
    assert is_public(text)


@pytest.mark.parametrize(
    "text",
    NOT_PUBLIC.split(),
)
def test_not_public(text: str) -> None:
    assert not is_public(text)
