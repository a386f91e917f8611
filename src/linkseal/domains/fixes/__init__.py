"""What to do about a check that does not pass, at the CDN that is in front. Pure."""

from __future__ import annotations

import re
from typing import Final

from linkseal.domains.fixes import edges, generic, hosted, proxies

_TABLE = {**edges.FIXES, **hosted.FIXES, **proxies.FIXES}


_GENERAL: Final = re.compile(r"\bNAME\b|<name>|<target>|your target|the branded name")
"""What stands in the tables for the names of one domain."""


def fix(
    check_id: str, front: str | None, shape: str = "", *, host: str = "", target: str = ""
) -> str:
    """Return the sentences that say what to do.

    Args:
        check_id: As ``HTTP-03``.
        front: Id of the profile, or of the guide, of the CDN or proxy in front; ``None`` for
            none, or one not known.
        shape: Which of the check's messages; empty for what fits most of them.
        host: The branded domain that is to be named; empty for general words.
        target: Its target; empty for general words.

    Raises:
        KeyError: No such check, or neither such a profile nor such a guide.
    """
    text = generic.FIXES[check_id]
    if (check_id, shape) in generic.OF_SHAPES:
        text = generic.OF_SHAPES[check_id, shape]
    elif front is not None:
        text = _TABLE[front].get(check_id, text)
    own = {
        "NAME": host,
        "<name>": host,
        "<target>": target,
        "your target": f"`{target}`" if target else "",
        "the branded name": f"`{host}`" if host else "",
    }
    return _GENERAL.sub(lambda found: own[found[0]] or found[0], text)
