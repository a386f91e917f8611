"""The ACME directory of our own: its faults, and several clients at once."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from acme import errors, messages

from linkseal.testing.acme_directory import AcmeDirectory
from linkseal.testing.acme_objects import Problem, certificate_id
from support.acme import (
    NAME,
    account,
    answer,
    code,
    csr,
    quickly,
    raw,
    soon,
)


def test_a_failed_validation_is_told_with_its_problem(ca: AcmeDirectory) -> None:
    who = account(ca)
    ca.validate = lambda name, *_: Problem("caa", f"CAA record for {name} prevents issuance")
    order = who.new_order(csr(NAME))
    answer(who, order)
    with pytest.raises(errors.ValidationError) as caught:
        who.poll_authorizations(order, soon())
    (failed,) = caught.value.failed_authzrs
    error = next(one.error for one in failed.body.challenges if one.error)
    assert (error.code, error.detail) == ("caa", f"CAA record for {NAME} prevents issuance")
    assert ca.orders[0].status == "invalid"


def test_a_validation_that_cannot_connect_is_a_connection_problem(ca: AcmeDirectory) -> None:
    def fetch(name: str, kind: str, token: str, authorization: str) -> None:
        requests.get(f"http://127.0.0.1:9/.well-known/acme-challenge/{token}", timeout=5)

    ca.validate = fetch
    who = account(ca)
    answer(who, who.new_order(csr(NAME)))
    (one,) = ca.orders[0].authorizations
    assert one.error is not None
    assert (one.status, one.error.code) == ("invalid", "connection")


def test_looking_at_a_challenge_does_not_begin_it(ca: AcmeDirectory) -> None:
    who = account(ca)
    url = who.new_order(csr(NAME)).authorizations[0].body.challenges[0].uri
    assert raw(who, url).json()["status"] == "pending"
    assert raw(who, url, b"{}").json()["status"] == "valid"
    ca.validate = lambda *_: Problem("dns", "asked again")
    assert raw(who, url, b"{}").json()["status"] == "valid"


def test_one_bad_name_spoils_the_order(ca: AcmeDirectory) -> None:
    ca.validate = lambda name, *_: Problem("dns", "NXDOMAIN") if name == "b.example" else None
    who = account(ca)
    answer(who, who.new_order(csr("a.example", "b.example")))
    assert [one.status for one in ca.orders[0].authorizations] == ["valid", "invalid"]
    assert ca.orders[0].status == "invalid"


def test_nonces_are_rejected_so_often(ca: AcmeDirectory) -> None:
    who = account(ca)
    ca.reject_nonces(1)
    assert who.new_order(csr(NAME)).body.status == messages.STATUS_PENDING
    ca.reject_nonces(2)
    # The library tries twice.
    with pytest.raises(messages.Error) as caught:
        who.new_order(csr(NAME))
    assert caught.value.code == "badNonce"
    who.new_order(csr(NAME))
    assert len(ca.orders) == 2


def test_it_answers_slowly(ca: AcmeDirectory) -> None:
    ca.answer_slowly(0.3)
    begun = time.monotonic()
    requests.get(ca.url, timeout=10)
    assert 0.3 <= time.monotonic() - begun < 5
    ca.answer_slowly(30)
    with pytest.raises(requests.ReadTimeout):
        requests.get(ca.url, timeout=0.2)


def test_leaving_does_not_wait_for_a_slow_answer() -> None:
    with AcmeDirectory() as ca:
        ca.answer_slowly(30)
        with pytest.raises(requests.ReadTimeout):
            requests.get(ca.url, timeout=0.2)
        begun = time.monotonic()
    assert time.monotonic() - begun < 5


def test_it_fails_as_told_and_so_often(ca: AcmeDirectory) -> None:
    who = account(ca)
    problem = Problem("rateLimited", "too many certificates", {"subproblems": []})
    ca.fail_with(429, problem, "/new-order", times=2, retry_after=3600)
    url = who.directory["newOrder"]
    for _ in range(2):
        said = raw(who, url, b"{}")
        assert code(said) == (429, "rateLimited")
        assert said.headers["Retry-After"] == "3600"
        assert said.json() == {
            "type": "urn:ietf:params:acme:error:rateLimited",
            "detail": "too many certificates",
            "status": 429,
            "subproblems": [],
        }
    quickly(who, NAME)
    assert [one.status for one in ca.orders] == ["valid"]


def test_it_is_down_until_told_otherwise(ca: AcmeDirectory) -> None:
    ca.fail_with(503, None, times=1000)
    for path in ("directory", "renewal-info/AAAA.AAAA"):
        said = requests.get(ca.url.replace("directory", path), timeout=10)
        assert (said.status_code, said.headers["Content-Type"]) == (503, "text/html")
        assert "Retry-After" not in said.headers
    ca.fail_with(503, None, times=0)
    assert requests.get(ca.url, timeout=10).status_code == 200


def test_connections_are_dropped_so_often(ca: AcmeDirectory) -> None:
    ca.drop_connections(2)
    for _ in range(2):
        with pytest.raises(requests.ConnectionError):
            requests.get(ca.url, timeout=10)
    assert requests.get(ca.url, timeout=10).status_code == 200
    assert [one.path for one in ca.requests] == ["/directory"] * 3


def test_an_order_breaks_at_finalize(ca: AcmeDirectory) -> None:
    who = account(ca)
    ca.break_order = Problem("serverInternal", "the signer is out")
    order = who.new_order(csr(NAME))
    answer(who, order)
    with pytest.raises(errors.IssuanceError) as caught:
        who.poll_and_finalize(order, soon())
    assert caught.value.error.detail == "the signer is out"
    assert (ca.orders[0].status, ca.issued) == ("invalid", [])
    ca.break_order = None
    quickly(who, NAME)
    assert len(ca.issued) == 1


@pytest.mark.parametrize("broken", [None, Problem("serverInternal", "the signer is out")])
def test_an_order_stays_processing_so_long(ca: AcmeDirectory, broken: Problem | None) -> None:
    who = account(ca)
    ca.stay_processing(2)
    ca.break_order = broken
    order = who.new_order(csr(NAME))
    answer(who, order)
    assert who.begin_finalization(order).body.status == messages.STATUS_PROCESSING
    early = raw(who, ca.url.replace("directory", "certificate/0"))
    assert code(early) == (404, "malformed")
    polls = [who._post_as_get(order.uri) for _ in range(3)]
    end = "invalid" if broken else "valid"
    assert [one.json()["status"] for one in polls] == ["processing", "processing", end]
    assert [one.headers.get("Retry-After") for one in polls] == ["1", "1", None]
    assert ca.orders[0].status == end


def test_a_certificate_is_damaged_on_its_way(ca: AcmeDirectory) -> None:
    who = account(ca)
    ca.damage_certificate = True
    with pytest.raises(ValueError, match=r"(?i)parse|asn1|invalid"):
        quickly(who, NAME)
    ca.damage_certificate = False
    again = who._post_as_get(ca.url.replace("directory", "certificate/0"))
    assert again.content == ca.issued[0]


def test_two_clients_order_at_once(ca: AcmeDirectory) -> None:
    names = [f"n{number}.example" for number in range(8)]
    with ThreadPoolExecutor(4) as pool:
        leaves = list(pool.map(lambda name: quickly(account(ca), name), names))
    assert len({certificate_id(leaf) for leaf in leaves}) == 8
    assert sorted(one.identifiers[0] for one in ca.orders) == names
    assert len(set(ca.issued)) == 8
