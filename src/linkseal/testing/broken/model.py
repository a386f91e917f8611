"""One broken set-up, as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Broken:
    """One mistake.

    Attributes:
        name: As in ``query-dropped``.
        mistake: What the customer, the CDN or the proxy does.
        check: The one check that has to say it.
        message: What it says; ``…`` stands for what differs from run to run.
        warns: Whether it warns only.
        also: Checks that warn besides, each with the reason why they must.
    """

    name: str
    mistake: str
    check: str
    message: str
    warns: bool = False
    also: Mapping[str, str] = field(default_factory=dict)


HOST: Final = "links.acme.example"
"""The branded domain of the messages."""
