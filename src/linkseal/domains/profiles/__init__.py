"""The CDNs and proxies that stand in front of a branded domain, and how each is known. Pure."""

from __future__ import annotations

from linkseal.domains.profiles.believable import own_networks, published_networks
from linkseal.domains.profiles.detect import Detected, detect, worded_for
from linkseal.domains.profiles.model import Mark, Profile, Snapshot, holds, networks, with_networks
from linkseal.domains.profiles.published import PUBLISHING, read_published, refresh_due
from linkseal.domains.profiles.table import PROFILES

__all__ = [
    "PROFILES",
    "PUBLISHING",
    "Detected",
    "Mark",
    "Profile",
    "Snapshot",
    "detect",
    "holds",
    "networks",
    "own_networks",
    "published_networks",
    "read_published",
    "refresh_due",
    "with_networks",
    "worded_for",
]
