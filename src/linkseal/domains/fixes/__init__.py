"""What to do about a check that does not pass, at the CDN that is in front. Pure."""

from __future__ import annotations

from linkseal.domains.fixes import edges, generic, hosted, proxies

_TABLE = {**edges.FIXES, **hosted.FIXES, **proxies.FIXES}


def fix(check_id: str, front: str | None, shape: str = "") -> str:
    """Return the sentences that say what to do.

    Args:
        check_id: As ``HTTP-03``.
        front: Id of the profile, or of the guide, of the CDN or proxy in front; ``None`` for
            none, or one not known.
        shape: Which of the check's messages; empty for what fits most of them.

    Raises:
        KeyError: No such check, or neither such a profile nor such a guide.
    """
    general = generic.FIXES[check_id]
    if (check_id, shape) in generic.OF_SHAPES:
        return generic.OF_SHAPES[check_id, shape]
    return general if front is None else _TABLE[front].get(check_id, general)
