"""Broken set-ups of branded domains, each with one mistake, and what is said of it.

Each is built and probed over real sockets by the tests; the page of checks shows them.
"""

from __future__ import annotations

from typing import Final

from linkseal.testing.broken.answers import ANSWERS
from linkseal.testing.broken.model import HOST, Broken
from linkseal.testing.broken.names import NAMES
from linkseal.testing.broken.origin import ORIGIN

__all__ = ["BROKEN", "HOST", "Broken"]

BROKEN: Final = (*NAMES, *ANSWERS, *ORIGIN)
"""All of them, in the order of the checks."""
