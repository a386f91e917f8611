"""One broken set-up, as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from linkseal.domains.fixes import fix


@dataclass(frozen=True, slots=True)
class Broken:
    """One mistake.

    Attributes:
        name: As in ``query-dropped``.
        mistake: What the customer, the CDN or the proxy does.
        check: The one check that has to say it.
        message: What it says; ``…`` stands for what differs from run to run.
        remedy: What of the fix mends this very mistake.
        front: Who is seen in front, or else the domain is enrolled with, and whose words the fix
            is told in: a profile's id; empty for nobody.
        warns: Whether it warns only.
        shape: Of the message, where the fix is that message's own.
        also: Checks that warn besides, each with the reason why they must.
    """

    name: str
    mistake: str
    check: str
    message: str
    remedy: str
    front: str = ""
    warns: bool = False
    shape: str = ""
    also: Mapping[str, str] = field(default_factory=dict)

    @property
    def fix(self) -> str:
        """What the customer is told to do."""
        return fix(self.check, self.front or None, self.shape)


HOST: Final = "links.acme.example"
"""The branded domain of the messages."""
