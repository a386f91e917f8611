"""Memory that workers share, over real processes."""

from __future__ import annotations

import os
import secrets
import time

import pytest

from linkseal.edge.shared import FullError, Shared

WATCHED = 57_000
"""Nonces that are in use at a time while 10,000 domains are watched."""


def test_of_many_processes_one_gets_the_only_use_of_a_nonce() -> None:
    shared = Shared()
    nonces = [secrets.token_bytes(16) for _ in range(2000)]
    read, write = os.pipe()
    children = []
    for _ in range(4):
        child = os.fork()
        if not child:
            won = sum(shared.use(each, expires_at=100, uses=1, now=0) for each in nonces)
            for _ in range(200):
                shared.count_refused()
            os.write(write, won.to_bytes(4, "big"))
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0, 0]
    told = os.read(read, 100)
    os.close(read)
    os.close(write)
    assert sum(int.from_bytes(told[at : at + 4], "big") for at in range(0, 16, 4)) == len(nonces)
    assert shared.refused == 800


def test_what_the_watch_over_ten_thousand_domains_makes_finds_a_place_and_costs_little() -> None:
    shared = Shared()
    for _ in range(2 * WATCHED):
        assert shared.use(secrets.token_bytes(16), expires_at=100, uses=1, now=0)
    started = time.process_time()
    for _ in range(1000):
        assert shared.use(secrets.token_bytes(16), expires_at=100, uses=1, now=0)
    assert time.process_time() - started < 0.5


def test_where_there_is_no_place_it_is_said() -> None:
    shared = Shared()

    def use(now: float) -> bool:
        # All of them have the same place for their own.
        return shared.use(b"12345678" + secrets.token_bytes(8), expires_at=100, uses=1, now=now)

    assert all(use(0) for _ in range(64))
    for _ in range(100):
        with pytest.raises(FullError):
            use(0)
    assert use(100)
