"""The files by which a phone finds the app that opens links of a branded domain.

Asked for on the domain itself, in the clear or over TLS, and never redirected: phones take no
file that a redirect leads to. They stand beside the snapshot, which names them by their hash:
it stays small, however many customers have files of their own.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, Self

import structlog

from linkseal.domains.app_links import KIND_OF_PATH, AppFileKind
from linkseal.edge.certificates import sweep
from linkseal.edge.head import Fields
from linkseal.errors import VaultError
from linkseal.vault import write_private

if TYPE_CHECKING:
    from linkseal.edge.state import EdgeState

MOST_KEPT: Final = 64
"""Files a worker keeps in memory: 8 MiB at most."""
_TAG = re.compile(rb"\"[^\"]*\"")

log = structlog.get_logger("edge")


class Kept(Protocol):
    """A file as it is kept for a host."""

    @property
    def kind(self) -> AppFileKind:
        """Whose phones it is for."""

    @property
    def content(self) -> bytes:
        """Byte for byte."""

    @property
    def changed_at(self) -> datetime:
        """Since when it is this one."""


class AppFiles:
    """The files in a directory, which is made when missing.

    Args:
        directory: Where they are.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._known: dict[tuple[str, AppFileKind, datetime], str] = {}
        self._before: frozenset[str] = frozenset()

    @classmethod
    def beside(cls, snapshot_file: Path) -> Self:
        """Return those that a snapshot names."""
        return cls(snapshot_file.with_suffix(".app-files"))

    def put(self, content: bytes) -> str:
        """Write a file unless it is there; return its id.

        Raises:
            VaultError: It could not be written.
        """
        found = hashlib.sha256(content).hexdigest()
        path = self._directory / found
        if not self._is_there(found):
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(path, content)
        return found

    def load(self, found: str) -> bytes:
        """Return a file, byte for byte as it was given.

        Raises:
            VaultError: It is damaged.
            OSError: It is missing, or cannot be read now.
        """
        kept = self._kept.get(found)
        if kept is not None:
            self._kept.move_to_end(found)
            return kept
        path = self._directory / found
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != found:
            raise VaultError(
                f"the file {path} is damaged",
                code="app-file-damaged",
                hint="delete it and restart the service: it writes the edge's files anew",
            )
        self._kept[found] = content
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return content

    def follow(
        self,
        served: Mapping[str, Mapping[AppFileKind, datetime]],
        read: Callable[[str], Iterable[Kept]],
    ) -> dict[str, dict[AppFileKind, str]]:
        """Write what is served, and return the ids for a snapshot.

        Only what changed since the last time is read.

        Args:
            served: By host and kind, since when a file is as it is.
            read: Returns the files of a host.

        Raises:
            VaultError: One could not be written.
        """
        known: dict[tuple[str, AppFileKind, datetime], str] = {}
        for host, kinds in served.items():
            keys = [(host, *each) for each in kinds.items()]
            if not all(key in self._known and self._is_there(self._known[key]) for key in keys):
                for each in read(host):
                    known[host, each.kind, each.changed_at] = self.put(each.content)
            known.update((key, self._known[key]) for key in keys if key in self._known)
        self._before, self._known = frozenset(self._known.values()), known
        # One that was changed since it was asked for is in the next snapshot.
        return {
            host: {
                kind: known[host, kind, changed_at]
                for kind, changed_at in kinds.items()
                if (host, kind, changed_at) in known
            }
            for host, kinds in served.items()
        }

    def sweep(self) -> None:
        """Delete what was not followed, and was not for a while; see :func:`sweep`.

        Call it when the snapshot is in place.
        """
        sweep(self._directory, frozenset(self._known.values()), self._before)

    def _is_there(self, found: str) -> bool:
        return (self._directory / found).exists()


def answer_app_file(
    state: EdgeState, host: str, path: str, headers: Fields, end: int, *, head: bool
) -> bytes | None:
    """Answer a request for a file of a host; ``None`` where there is none."""
    files = state.snapshot.app_files.get(host)
    kind = KIND_OF_PATH.get(path)
    found = files.get(kind) if files and kind else None
    if found is None:
        return None
    state.counts.app_files += 1
    tag = entity_tag(found)
    if has_it(headers, tag):
        return state.answers.not_modified(tag, end)
    try:
        content = state.app_files.load(found)
    except (OSError, VaultError) as error:
        log.error("app file cannot be read", host=host, error=str(error))
        return state.answers.page(503, end, head=head)
    return state.answers.app_file(content, tag, end, head=head)


def entity_tag(found: str) -> bytes:
    """Return what tells a content, by its id, from any other (RFC 9110 §8.8.3)."""
    return b'"%b"' % found[:32].encode()


def has_it(headers: Fields, tag: bytes) -> bool:
    """Whether a client says it has that content (RFC 9110 §13.1.2: compared weakly)."""
    for name, value in headers:
        if name.lower() == b"if-none-match":
            found = _TAG.findall(value)
            if tag in found or value.strip() == b"*":
                return True
    return False
