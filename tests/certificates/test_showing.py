"""A DNS-01 challenge is tried out before a CA is asked."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from linkseal.certificates.dns_hook import ExecHook
from linkseal.certificates.ordering import Ordering
from linkseal.config import ACMEConfig, IssuerConfig
from linkseal.store import CertificateRoute, Challenge, NameKind, Store
from linkseal.testing.acme_directory import AcmeDirectory
from linkseal.testing.knot import Knot
from linkseal.vault import Vault

NAME = "*.ct.example"


def test_dns_that_cannot_be_written_is_found_before_an_order(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/linkseal.db")
    with AcmeDirectory() as ca, Knot(tmp_path / "knot", {"example": []}) as knot:
        config = ACMEConfig.model_validate(
            {
                "issuers": (IssuerConfig(directory=ca.url),),
                "resolvers": (f"{knot.host}:{knot.port}",),
                "check_caa": False,
            }
        )
        ordering = Ordering(config, store, Vault(b"m" * 32), ExecHook(["false"]), "one")
        store.certificates.add_name(
            NAME,
            kind=NameKind.BRANDED,
            route=CertificateRoute.ACME,
            challenge=Challenge.DNS_01,
            now=datetime.now(UTC),
        )
        assert ordering.leases.take(NAME)
        ordering.work(store.certificates.name(NAME))
        problem = store.certificates.name(NAME).problem
        assert ca.orders == []
    store.close()
    assert problem is not None
    assert problem["type"] == "dns-hook-failed"
