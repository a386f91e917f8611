"""A CA that answers slowly, without end, or nonsense: always an OrderError, and soon."""

from __future__ import annotations

import contextlib
import gzip
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from linkseal.certificates.advice import Problem, Whose
from linkseal.certificates.authority import Authority, OrderError, new_account_key, new_csr, new_key
from linkseal.config import IssuerConfig
from linkseal.testing.acme_directory import AcmeDirectory
from linkseal.testing.acme_objects import Problem as Said
from linkseal.testing.acme_server import Answer, json_answer
from support.dribbling import dribbling

NAME = "links.acme.example"
OK = b"HTTP/1.1 200 OK\r\n"
SECONDS = 2.0


def refused(call: Callable[[], object]) -> Problem:
    with pytest.raises(OrderError) as told:
        call()
    return told.value.problem


def connect(port: int, scheme: str = "http", ca_file: Path | None = None) -> Authority:
    issuer = IssuerConfig(directory=f"{scheme}://127.0.0.1:{port}/directory", ca_file=ca_file)
    return Authority(issuer, new_account_key(), seconds=SECONDS)


@pytest.mark.parametrize(
    "first", [b"", b"HTTP", OK + b"X: ", OK + b"Content-Length: 999\r\n\r\n", OK + b"\r\n"]
)
def test_a_ca_that_dribbles_is_unreachable(first: bytes) -> None:
    with dribbling(first, b"a") as port:
        begun = time.monotonic()
        problem = refused(lambda: connect(port))
        assert time.monotonic() - begun < SECONDS + 8
    assert (problem.type, problem.whose) == ("unreachable", Whose.ISSUER)


def test_it_is_so_over_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    root = tmp_path / "root.pem"
    authority.cert_pem.write_to_path(root)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    with dribbling(OK + b"Content-Length: 999\r\n\r\n", b"a", tls=tls) as port:
        begun = time.monotonic()
        problem = refused(lambda: connect(port, "https", root))
        assert time.monotonic() - begun < SECONDS + 8
    assert problem.type == "unreachable"
    assert "timed out" in problem.detail.lower()


def test_redirects_have_no_time_of_their_own() -> None:
    again = b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\nConnection: close"
    with dribbling(again, b"\r\n\r\n", every=0.5) as port:
        begun = time.monotonic()
        problem = refused(lambda: connect(port))
        assert time.monotonic() - begun < SECONDS + 8
    assert problem.type == "unreachable"


@pytest.mark.parametrize("head", [OK + b"\r\n", OK + b"Content-Length: 99999999\r\n\r\n", OK])
def test_an_answer_has_a_size(head: bytes) -> None:
    with dribbling(head, b"X: " + b"a" * 60000 + b"\r\n", every=0.001) as port:
        problem = refused(lambda: connect(port))
    assert problem.type == "unreachable"


def test_a_compressed_answer_is_not_unpacked() -> None:
    body = gzip.compress(b"[" + b" " * 50_000_000)
    head = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    with dribbling(head + body) as port:
        problem = refused(lambda: connect(port))
    assert (problem.type, "compressed" in problem.detail) == ("unreachable", True)


# Nonsense


class Nonsense(AcmeDirectory):
    """Answers requests below a path with something else."""

    def __init__(self) -> None:
        super().__init__()
        self.below = ""
        self.says: object = None

    def _get(self, method: str, path: str) -> Answer:
        if self.below and path.startswith(self.below):
            return json_answer(200, self.says)
        return super()._get(method, path)


@contextlib.contextmanager
def nonsense(below: str, says: object) -> Iterator[Nonsense]:
    with Nonsense() as ca:
        ca.below, ca.says = below, says
        yield ca


def to(ca: AcmeDirectory) -> Authority:
    return Authority(IssuerConfig(directory=ca.url), new_account_key(), seconds=10)


LEAST = "0001-01-01T00:00:00+23:59"
EARLY, LATE = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


@pytest.mark.parametrize(
    "says",
    [
        {"suggestedWindow": {"start": LEAST, "end": LATE}},
        {"suggestedWindow": {"start": EARLY, "end": "9999-12-31T23:59:59-23:59"}},
        {"suggestedWindow": {"start": "2026-01-01T00:00:00", "end": LATE}},
        {"suggestedWindow": {"start": EARLY, "end": "2026-01-02"}},
        {"suggestedWindow": {"start": 1, "end": 2}},
        {"suggestedWindow": [EARLY, LATE]},
        {"suggestedWindow": EARLY},
        {"suggestedWindow": None},
        {},
        [],
        "soon",
        7,
        None,
    ],
)
def test_a_window_without_sense_is_the_cas_fault(says: object) -> None:
    chain = trustme.CA().issue_cert(NAME).cert_chain_pems[0].bytes()
    with nonsense("/renewal-info/", says) as ca:
        problem = refused(lambda: to(ca).window(chain))
    assert (problem.type, problem.whose) == ("serverInternal", Whose.ISSUER)
    assert problem.issuer == ca.url


@pytest.mark.parametrize("says", [[], "no", 7, None, {"newNonce": 7}, {"meta": []}])
def test_a_directory_without_sense_is_the_cas_fault(says: object) -> None:
    def use(ca: AcmeDirectory) -> None:
        authority = to(ca)
        assert authority.caa_identities == frozenset()
        authority.register("")

    with nonsense("/directory", says) as ca:
        assert refused(lambda: use(ca)).type == "serverInternal"


@pytest.mark.parametrize("error", [None, Said("unauthorized", "the account is no more")])
def test_an_order_that_was_given_up_is_a_problem_of_its_own(error: Said | None) -> None:
    with AcmeDirectory() as ca:
        authority = to(ca)
        authority.register("")
        csr = new_csr(new_key("p256"), NAME)
        order = authority.order(csr, None)
        given_up = ca.orders[0]
        given_up.status, given_up.error = "invalid", error
        problem = refused(lambda: authority.resume(order.uri, csr))
    assert (problem.type, problem.whose) == ("orderInvalid", Whose.ISSUER)
    assert problem.advice == "the CA gave the order up: it is ordered anew"
    assert ("no more" in problem.detail) is (error is not None)
