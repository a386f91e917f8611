"""How a service looks around in this internet on loopback: a section of its configuration."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from linkseal.config import Address

_PROBER: Final = """
[prober]
resolvers = ["{dns}"]
public_resolvers = ["{dns}"]
authority_port = {dns.port}
http_port = {http_port}
https_port = {https_port}
allow_private_addresses = true
extra_roots = {roots}
timeout = 10.0
"""


def prober_section(
    dns: Address, *, http_port: int, https_port: int, roots: Sequence[str | Path]
) -> str:
    """Return the section ``[prober]`` of a configuration.

    Args:
        dns: The server of every zone, which is asked as a resolver, too.
        http_port: Where recipients meet branded domains in plain text.
        https_port: Where they meet them with TLS.
        roots: PEM files that they trust; relative ones are in the configuration's folder.
    """
    return _PROBER.format(
        dns=dns,
        http_port=http_port,
        https_port=https_port,
        roots=json.dumps([str(each) for each in roots]),
    )
