"""Which domain is looked at next, and when."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Collection


class Queue:
    """Domains in the order in which they are due, each once at most."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, str]] = []
        # Which entry is a domain's own: one that was put before is passed over.
        self._turns: dict[str, int] = {}
        self._counter = itertools.count(1)
        self._news = asyncio.Event()

    def put(self, host: str, due: float) -> None:
        """Have a domain looked at when it is due, in place of what was said of it before."""
        turn = self._turns[host] = next(self._counter)
        heapq.heappush(self._heap, (due, turn, host))
        self._news.set()

    def drop(self, hosts: Collection[str]) -> None:
        """Have domains looked at no more."""
        for host in hosts:
            self._turns.pop(host, None)

    def first(self) -> tuple[float, str] | None:
        """Return when the first is due, and which it is."""
        while self._heap:
            due, turn, host = self._heap[0]
            if self._turns.get(host) == turn:
                return due, host
            heapq.heappop(self._heap)
        return None

    def take(self, now: float) -> str | None:
        """Take out the first, if it is due."""
        first = self.first()
        if first is None or first[0] > now:
            return None
        heapq.heappop(self._heap)
        del self._turns[first[1]]
        return first[1]

    async def changed(self, seconds: float | None) -> None:
        """Wait until something else may be the first, so many seconds at most."""
        self._news.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return
