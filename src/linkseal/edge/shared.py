"""Memory that all workers of one service share: made before they are forked.

A nonce that one worker answered is used up at the others too, and a worker that dies forgets
none. A service that starts anew does: a nonce lives two minutes, what it names is no secret,
and the answer is bound to it, so whoever asks with it again learns nothing that is new.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import struct
import weakref
from collections.abc import Iterator
from typing import Final

MOST_NONCES: Final = 262_144
"""Places: the watch over 10,000 domains has some 57,000 nonces in use at a time."""
_NEAR: Final = 64
"""Places after its own where a nonce may stand: so many are looked at, and no more."""

_COUNT = struct.Struct("<Q")
_PLACE = struct.Struct("<16sIB3x")
"""The random part of a nonce, when it ends (Unix seconds), how often it was used."""


class FullError(Exception):
    """There is no place for a nonce."""


class Shared:
    """What the workers have in common.

    Args:
        most: Places for nonces.
    """

    def __init__(self, most: int = MOST_NONCES) -> None:
        self._most = most
        size = _COUNT.size + most * _PLACE.size
        # The lock is of the process: a file descriptor's own would be one for all the forked.
        self._handle = os.memfd_create("edge-shared", os.MFD_CLOEXEC)
        weakref.finalize(self, os.close, self._handle)
        os.ftruncate(self._handle, size)
        self._memory = mmap.mmap(self._handle, size)

    def use(self, random: bytes, *, expires_at: int, uses: int, now: float) -> bool:
        """Count a use of a nonce; return whether it was allowed.

        Args:
            random: Its 16 bytes.
            expires_at: Unix seconds.
            uses: How often it may be.
            now: Unix seconds.

        Raises:
            FullError: It is new, and cannot be remembered.
        """
        begin = int.from_bytes(random[:8], "little")
        free = -1
        with self._alone():
            for number in range(begin, begin + min(_NEAR, self._most)):
                at = _COUNT.size + number % self._most * _PLACE.size
                kept, ends, used = _PLACE.unpack_from(self._memory, at)
                if ends <= now:
                    free = at if free < 0 else free
                elif kept == random:
                    if used >= uses:
                        return False
                    _PLACE.pack_into(self._memory, at, random, ends, used + 1)
                    return True
            if free < 0:
                raise FullError
            _PLACE.pack_into(self._memory, free, random, expires_at, 1)
            return True

    @property
    def refused(self) -> int:
        """How many clients refused a wrong certificate that was shown on purpose."""
        count: int = _COUNT.unpack_from(self._memory)[0]
        return count

    def count_refused(self) -> None:
        """Count one more."""
        with self._alone():
            _COUNT.pack_into(self._memory, 0, self.refused + 1)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        fcntl.lockf(self._handle, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._handle, fcntl.LOCK_UN)
