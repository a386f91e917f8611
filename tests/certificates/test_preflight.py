"""What a CA would see, against hosts that mean ill."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import dns.rcode
import pytest

from linkseal.certificates.advice import Problem, Whose
from linkseal.certificates.authority import OrderError
from linkseal.certificates.dns01 import Resolver
from linkseal.certificates.preflight import check_answered, check_caa
from linkseal.domains.caa import IssuerIdentity
from support.certificates import reply, scripted
from support.dribbling import dribbling

NAME = "links.acme.example"


@dataclass(frozen=True, slots=True)
class _Leads(Resolver):
    """Knows where the name leads."""

    to: Sequence[str] = ("127.0.0.1",)
    private_networks: bool = field(default=True)

    def addresses(self, name: str) -> list[str]:
        assert name == NAME
        return list(self.to)


def seen(port: int, seconds: float = 0, to: Sequence[str] = ("127.0.0.1",)) -> Problem | None:
    try:
        check_answered(NAME, "token", "proof", _Leads(to=to), port, time.monotonic() + seconds)
    except OrderError as error:
        return error.problem
    return None


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nproof\n",
        b"HTTP/1.0 200 OK\r\n\r\nproof",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nproof\r\n0\r\n\r\n",
        b"HTTP/1.1 301 Moved\r\nLocation: https://links.acme.example/\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_an_answer_is_right_however_it_is_framed(answer: bytes) -> None:
    with dribbling(answer) as port:
        assert seen(port) is None


@pytest.mark.parametrize(
    "first",
    [b"HTTP", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"],
)
def test_a_host_that_dribbles_has_five_seconds(first: bytes) -> None:
    with dribbling(first, b"a") as port:
        begun = time.monotonic()
        problem = seen(port)
        assert 4.5 < time.monotonic() - begun < 15
    assert problem is not None
    assert (problem.type, problem.whose) == ("connection", Whose.NAME)
    assert problem.detail.endswith("at 127.0.0.1: timeout")


def test_many_slow_addresses_have_it_together() -> None:
    to = [f"127.0.0.{last}" for last in range(1, 60)]
    with dribbling(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", b"p") as port:
        begun = time.monotonic()
        problem = seen(port, to=to)
        assert time.monotonic() - begun < 15
    assert problem is not None
    assert problem.type in {"connection", "incorrectResponse"}


@pytest.mark.parametrize(
    ("first", "more"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X: " + b"a" * 5000 + b"\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 200),
    ],
)
def test_a_head_without_end_is_not_read_to_its_end(first: bytes, more: bytes) -> None:
    with dribbling(first, more, every=0.001) as port:
        problem = seen(port)
    assert problem is not None
    assert problem.type == "connection"
    assert "does not end" in problem.detail


def test_a_body_without_end_is_somebody_elses() -> None:
    with dribbling(b"HTTP/1.1 200 OK\r\n\r\nproof", b"a" * 9999, every=0.001) as port:
        problem = seen(port)
    assert problem is not None
    assert problem.type == "incorrectResponse"


def test_caa_that_cannot_be_read_is_told_from_caa_that_forbids() -> None:
    with scripted(reply(dns.rcode.SERVFAIL, key=None)) as port:
        resolver = Resolver((("127.0.0.1", port),), timeout=1)
        issuer = IssuerIdentity(frozenset({"ca.example"}), "", "http-01")
        with pytest.raises(OrderError) as told:
            check_caa(NAME, issuer, resolver)
    problem = told.value.problem
    assert (problem.type, problem.whose) == ("caaUnreadable", Whose.NAME)
    assert "DNS" in problem.advice
