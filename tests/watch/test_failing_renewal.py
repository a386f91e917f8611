"""What a look knows of a certificate that is not renewed: since when, and the CA's word for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from linkseal.config import Config
from linkseal.domains.lifecycle import Action, Route, Step
from linkseal.domains.observation import Observation
from linkseal.store import CertificateRoute, Challenge, NameKind, NewCertificate, Store
from linkseal.watch.looking import make_request

HOST = "links.acme.example"
START = datetime(2026, 11, 24, 12, tzinfo=UTC)
END = START + timedelta(days=90)
ISSUED = NewCertificate("p256", "", b"", "", "https://ca.example/dir", False, START, END)
PROBLEM = {"type": "caa", "detail": "CAA forbids"}


@pytest.mark.parametrize(
    ("tries", "since"),
    [
        ("failed", 0),
        ("failed failed failed", 0),
        # What failed before the last certificate is over.
        ("failed failed issued failed failed", 3),
        ("failed issued failed", 2),
        ("failed issued", None),
        ("issued", None),
    ],
)
def test_since_when_it_fails(tmp_path: Path, tries: str, since: int | None) -> None:
    seen = looked_at(tmp_path, tries.split())
    hours = [START + timedelta(hours=hour) for hour in range(9)]
    assert seen.certificate_failing_since == (None if since is None else hours[since])
    told = (seen.certificate_problem_type, seen.certificate_problem)
    assert told == (("", "") if since is None else ("caa", "CAA forbids"))


def looked_at(folder: Path, tries: list[str]) -> Observation:
    """Return what a look begins with after an order an hour, each of which came to that."""
    with Store.open(f"sqlite:///{folder}/linkseal.db") as store:
        customer = store.customers.add("acme")
        target = "t-abc.ct.example.net"
        store.domains.claim(
            HOST,
            customer_id=customer.id,
            target=target,
            ownership="o",
            delegation="d",
            who="ann",
            now=START,
        )
        store.domains.apply_dns(HOST, target=target, passed=True, who="ann", now=START)
        store.domains.apply(HOST, Step(Action.REQUEST_SSL, "ann", route=Route.ACME), START)
        store.certificates.add_name(
            HOST,
            kind=NameKind.BRANDED,
            route=CertificateRoute.ACME,
            challenge=Challenge.HTTP_01,
            now=START,
        )
        failures = 0
        for hour, what in enumerate(tries):
            now = START + timedelta(hours=hour)
            failures = failures + 1 if what == "failed" else 0
            if what == "failed":
                fields = {"failures": failures, "problem": PROBLEM}
                assert store.certificates.settle(HOST, "", now, what, PROBLEM, **fields)
            else:
                assert store.certificates.put(HOST, [ISSUED], now, what)
        config = Config(base_domain="ct.example.net", data_dir=folder)
        return make_request(config, store, store.domains.get(HOST), b"k" * 32).known
