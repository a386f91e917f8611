"""SIGTERM as something to wait for, beside whatever else a process waits for."""

from __future__ import annotations

import os
import signal


def stop_signal() -> int:
    """Take SIGTERM from now on; return a descriptor that is readable once it has come.

    Unblocks the signal as well: the supervisor keeps it blocked until a part takes it, so that
    no order to stop is lost while the part starts. For the main thread, once in a process.
    """
    read, write = os.pipe()
    # A handler must never wait, however often the signal comes.
    os.set_blocking(write, False)
    signal.signal(signal.SIGTERM, lambda *_: _wake(write))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    return read


def _wake(write: int) -> None:
    try:
        os.write(write, b"x")
    except BlockingIOError:
        # The pipe is full of earlier signals: it is readable already.
        return
