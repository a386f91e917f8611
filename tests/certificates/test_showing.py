"""A DNS-01 challenge is tried out before a CA is asked, and only where it may be written."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from linkseal.certificates.dns_hook import ExecHook
from linkseal.certificates.ordering import Ordering
from linkseal.config import ACMEConfig, DNSConfig, IssuerConfig
from linkseal.store import CertificateRoute, Challenge, NameKind, Store
from linkseal.testing.acme_directory import AcmeDirectory
from linkseal.testing.knot import Knot
from linkseal.vault import Vault

WILDCARD = "*.ct.example"
BRANDED = "links.acme.example"
ZONE = [
    "_acme-challenge.links.acme 60 IN CNAME x7.elsewhere.example.",
    "_acme-challenge.ct 60 IN CNAME ours.elsewhere.example.",
]


class Bench:
    """A store, a CA and DNS; what would be written into DNS is noted, and then fails."""

    def __init__(self, store: Store, ca: AcmeDirectory, knot: Knot, written: Path) -> None:
        self.store = store
        self.ca = ca
        self._knot = knot
        self._written = written

    def problem(self, name: str, kind: NameKind, *below: str) -> str:
        """Order, which fails; return why."""
        config = ACMEConfig.model_validate(
            {
                "issuers": (IssuerConfig(directory=self.ca.url),),
                "resolvers": (f"{self._knot.host}:{self._knot.port}",),
                "check_caa": False,
                "dns": {"delegations_below": below},
            }
        )
        note = "import os, sys; open(sys.argv[1], 'a').write(os.environ['LINKSEAL_DNS_NAME'] + ' ')"
        hook = ExecHook([sys.executable, "-c", f"{note}; sys.exit('full')", str(self._written)])
        ordering = Ordering(config, self.store, Vault(b"m" * 32), hook, "one")
        self.store.certificates.add_name(
            name,
            kind=kind,
            route=CertificateRoute.ACME,
            challenge=Challenge.DNS_01,
            now=datetime.now(UTC),
        )
        assert ordering.leases.take(name)
        ordering.work(self.store.certificates.name(name))
        assert self.ca.orders == []
        problem = self.store.certificates.name(name).problem
        assert problem is not None
        return str(problem["type"])

    def written(self) -> set[str]:
        """Return the names that were to be written."""
        return set(self._written.read_text().split()) if self._written.exists() else set()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with (
        Store.open(f"sqlite:///{tmp_path}/linkseal.db") as store,
        AcmeDirectory() as ca,
        Knot(tmp_path / "knot", {"example": ZONE}) as knot,
    ):
        yield Bench(store, ca, knot, tmp_path / "written")


def test_dns_that_cannot_be_written_is_found_before_an_order(bench: Bench) -> None:
    assert bench.problem(WILDCARD, NameKind.TARGETS) == "dns-hook-failed"
    assert bench.written() == {"ours.elsewhere.example"}


def test_a_customers_delegation_that_leads_elsewhere_is_not_written(bench: Bench) -> None:
    found = bench.problem(BRANDED, NameKind.BRANDED, "acme.ct.example", "more.example")
    assert found == "dns-delegation-refused"
    assert bench.written() == set()


@pytest.mark.parametrize("below", [(), ("acme.ct.example", "elsewhere.example")])
def test_one_that_leads_where_it_may_is(bench: Bench, below: tuple[str, ...]) -> None:
    assert bench.problem(BRANDED, NameKind.BRANDED, *below) == "dns-hook-failed"
    assert bench.written() == {"x7.elsewhere.example"}


def test_our_own_names_lead_where_the_operator_says(bench: Bench) -> None:
    assert bench.problem(WILDCARD, NameKind.TARGETS, "acme.ct.example") == "dns-hook-failed"
    assert bench.written() == {"ours.elsewhere.example"}


@pytest.mark.parametrize("wrong", ["", "example", "Acme.example", ".acme.example", "a b.example"])
def test_what_is_no_name_is_refused_in_the_config(wrong: str) -> None:
    with pytest.raises(ValueError, match="delegations_below"):
        DNSConfig.model_validate({"delegations_below": [wrong]})
