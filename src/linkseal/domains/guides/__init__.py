"""Guides: the exact steps that put one branded domain behind a CDN or a proxy. Pure."""

from __future__ import annotations

import re
from typing import Final

from linkseal.domains import claim
from linkseal.domains.guides import cdns, cloudflare, edges, proxies
from linkseal.domains.guides.model import File, Guide, Names, Setting, Step
from linkseal.errors import DomainError

__all__ = ["GUIDES", "File", "Guide", "Setting", "Step", "guide"]

_WRITERS: Final = {**cloudflare.WRITERS, **edges.WRITERS, **cdns.WRITERS, **proxies.WRITERS}

GUIDES: Final = tuple(_WRITERS)
"""What there is a guide for."""

_OWNERSHIP: Final = re.compile(r"[A-Za-z0-9=_.-]{1,255}")


def guide(
    host: str,
    target: str,
    ownership: str,
    guide_id: str,
    base_domain: str,
    *,
    zone: str = "",
    setting: Setting | None = None,
) -> Guide:
    """Return the guide for one branded domain.

    Args:
        host: The branded domain.
        target: Its target, one label under the base domain.
        ownership: The TXT value that proves it.
        guide_id: One of ``GUIDES``.
        base_domain: Ours.
        zone: The customer's zone, if known: names are then also given as they are entered.
        setting: Ports and paths of the proxy, for its configuration file.

    Raises:
        DomainError: ``domain-name``, or ``guide-unknown``.
        ValueError: The target is not under the base domain, or the TXT value is none of ours.
    """
    if guide_id not in _WRITERS:
        raise DomainError(
            f"there is no guide for {guide_id!r}",
            code="guide-unknown",
            hint=f"one of {', '.join(GUIDES)}",
        )
    # Names go into configuration files: what is not made of letters, digits, dots and hyphens
    # alone stops here.
    host, target, base_domain = (claim.domain_name(name) for name in (host, target, base_domain))
    zone = claim.domain_name(zone) if zone else ""
    if target.partition(".")[2] != base_domain:
        raise ValueError(f"{target} is not one label under {base_domain}")
    if not _OWNERSHIP.fullmatch(ownership):
        raise ValueError("the ownership value has characters that none of ours has")
    records = claim.records(host, target=target, ownership=ownership)
    names = Names(host, target, base_domain, zone, tuple(records[1:]), setting or Setting())
    return _WRITERS[guide_id](names)
