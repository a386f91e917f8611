"""What to do about a check that does not pass, at the CDN that is in front. Pure."""

from __future__ import annotations

from linkseal.domains.fixes import edges, generic, hosted
from linkseal.domains.profiles import PROFILES

_TABLE = {**edges.FIXES, **hosted.FIXES}


def fix(check_id: str, profile_id: str | None) -> str:
    """Return the sentences that say what to do.

    Args:
        check_id: As ``HTTP-03``.
        profile_id: Of the CDN or proxy in front; ``None`` for none, or one not known.

    Raises:
        KeyError: No such check, or no such profile.
    """
    general = generic.FIXES[check_id]
    if profile_id is None:
        return general
    return _TABLE[PROFILES[profile_id].id].get(check_id, general)
