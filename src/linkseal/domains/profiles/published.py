"""The formats in which CDNs publish their networks, and when to look at them again. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from linkseal.errors import DomainError

EVERY: Final = timedelta(days=1)
AFTER_FAILURE: Final = timedelta(hours=1)
SPREAD: Final = timedelta(hours=1)

_AWS_SERVICES: Final = frozenset({"CLOUDFRONT", "CLOUDFRONT_ORIGIN_FACING"})


class _CloudflareCIDRs(msgspec.Struct):
    ipv4_cidrs: list[str]
    ipv6_cidrs: list[str]


class _Cloudflare(msgspec.Struct):
    success: bool
    result: _CloudflareCIDRs


class _Fastly(msgspec.Struct):
    addresses: list[str]
    ipv6_addresses: list[str]


class _AWSPrefix(msgspec.Struct):
    service: str
    ip_prefix: str = ""
    ipv6_prefix: str = ""


class _AWS(msgspec.Struct):
    prefixes: list[_AWSPrefix]
    ipv6_prefixes: list[_AWSPrefix]


class _KeyCDN(msgspec.Struct):
    prefixes: list[str]


def _cloudflare(data: bytes) -> list[str]:
    """Read ``{"success": true, "result": {"ipv4_cidrs": […], "ipv6_cidrs": […]}}``."""
    said = msgspec.json.decode(data, type=_Cloudflare)
    if not said.success:
        raise ValueError("it says that it had no success")
    return said.result.ipv4_cidrs + said.result.ipv6_cidrs


def _fastly(data: bytes) -> list[str]:
    """Read ``{"addresses": […], "ipv6_addresses": […]}``."""
    said = msgspec.json.decode(data, type=_Fastly)
    return said.addresses + said.ipv6_addresses


def _cloudfront(data: bytes) -> list[str]:
    """Read the list of all of AWS; recipients and origins meet networks of two services."""
    said = msgspec.json.decode(data, type=_AWS)
    every = [each for each in said.prefixes + said.ipv6_prefixes if each.service in _AWS_SERVICES]
    return [each.ip_prefix or each.ipv6_prefix for each in every]


def _keycdn(data: bytes) -> list[str]:
    """Read ``{"prefixes": […]}``."""
    return msgspec.json.decode(data, type=_KeyCDN).prefixes


def _bunny(data: bytes) -> list[str]:
    """Read addresses, one a line, or as a JSON list: it has both."""
    if data.lstrip().startswith(b"["):
        found = msgspec.json.decode(data, type=list[str])
    else:
        found = data.decode("ascii").split()
    for each in found:
        # None is shipped to measure the first ones by, so how wide they can be is said here.
        if "/" in each:
            raise ValueError(f"{each!r} is no single address")
    return found


def _google(data: bytes) -> list[str]:
    """Read ``v=spf1 ip4:… ip6:… ~all`` (RFC 7208 §4.6.1); other mechanisms are not followed."""
    version, *terms = data.decode("ascii").split()
    if version != "v=spf1":
        raise ValueError("it does not begin with v=spf1")
    found = []
    for term in terms:
        mechanism, _, value = term.partition(":")
        if mechanism in {"ip4", "ip6"}:
            found.append(value)
        elif mechanism.lstrip("+-~?") != "all":
            raise ValueError(f"{term!r} is not understood")
    return found


_READERS: Final[dict[str, Callable[[bytes], list[str]]]] = {
    "cloudflare": _cloudflare,
    "fastly": _fastly,
    "cloudfront": _cloudfront,
    "keycdn": _keycdn,
    "bunny": _bunny,
    "google": _google,
}

PUBLISHING: Final = tuple(_READERS)
"""Ids of the profiles whose networks can be fetched."""


def read_published(cdn: str, name: str, answers: Iterable[bytes]) -> list[str]:
    """Return the networks in what a CDN published, as it wrote them.

    Args:
        cdn: Of :data:`PUBLISHING`.
        name: Of the CDN, for messages.
        answers: One for each address it publishes at.

    Raises:
        DomainError: ``cdn-ranges-refused``: it is not of the format that is known.
    """
    try:
        return [network for each in answers for network in _READERS[cdn](each)]
    except (ValueError, msgspec.MsgspecError) as error:
        raise DomainError(
            f"what {name} publishes is not understood: {error}",
            code="cdn-ranges-refused",
            hint="the last good networks stay; look at what its address in [cdn.sources] answers",
        ) from error


def refresh_due(
    began: datetime, *, fetched: datetime | None, tried: datetime | None, jitter: float
) -> datetime:
    """Return when a CDN's networks are to be fetched next: daily, an hour after a failure.

    Args:
        began: When the process that asks was started: a start is no reason to ask at once.
        fetched: When they were last fetched; ``None``: never.
        tried: When that was last tried by this process; ``None``: not yet.
        jitter: From 0 to 1, so that not every installation asks at the same time.
    """
    due: Sequence[datetime] = [
        began,
        *([fetched + EVERY] if fetched else ()),
        *([tried + AFTER_FAILURE] if tried else ()),
    ]
    return max(due) + SPREAD * jitter
