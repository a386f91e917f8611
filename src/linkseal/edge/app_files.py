"""The files by which a phone finds the app that opens links of a branded domain.

Asked for on the domain itself, in the clear or over TLS, and never redirected: phones take no
file that a redirect leads to.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from linkseal.domains.app_links import KIND_OF_PATH
from linkseal.edge.head import Fields

if TYPE_CHECKING:
    from linkseal.edge.state import EdgeState

_TAG = re.compile(rb"\"[^\"]*\"")


def answer_app_file(
    state: EdgeState, host: str, path: str, headers: Fields, end: int, *, head: bool
) -> bytes | None:
    """Answer a request for a file of a host; ``None`` where there is none."""
    files = state.app_files.get(host)
    kind = KIND_OF_PATH.get(path)
    content = files.get(kind) if files and kind else None
    if content is None:
        return None
    state.counts.app_files += 1
    tag = entity_tag(content)
    if has_it(headers, tag):
        return state.answers.not_modified(tag, end)
    return state.answers.app_file(content, tag, end, head=head)


def entity_tag(content: bytes) -> bytes:
    """Return what tells a content from any other (RFC 9110 §8.8.3)."""
    return b'"%b"' % hashlib.sha256(content).hexdigest()[:32].encode()


def has_it(headers: Fields, tag: bytes) -> bool:
    """Whether a client says it has that content (RFC 9110 §13.1.2: compared weakly)."""
    for name, value in headers:
        if name.lower() == b"if-none-match":
            found = _TAG.findall(value)
            if tag in found or value.strip() == b"*":
                return True
    return False
