"""The CDNs and proxies that stand in front of a branded domain, and how each is known. Pure."""

from __future__ import annotations

from linkseal.domains.profiles.detect import Detected, detect
from linkseal.domains.profiles.model import Mark, Profile, Snapshot, networks
from linkseal.domains.profiles.table import PROFILES

__all__ = ["PROFILES", "Detected", "Mark", "Profile", "Snapshot", "detect", "networks"]
