"""The base a link gets: DESIGN's table, row by row, and what it can never decide."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkseal.domains.base import (
    BrandedDomain,
    DegradedPolicy,
    DomainState,
    SendingIP,
    SSLPolicy,
    choose_base,
)

SHARED = "go.ct.example.net"
BRANDED = "links.acme.example"


def branded(state: DomainState, *, dns_valid: bool = False) -> BrandedDomain:
    return BrandedDomain(BRANDED, state, dns_valid=dns_valid)


@dataclass(frozen=True)
class Row:
    name: str
    base: str
    why: str
    domains: tuple[BrandedDomain, ...] = ()
    sending_ip: SendingIP = SendingIP.DEDICATED
    ssl: SSLPolicy = SSLPolicy.ALLOWED
    degraded: DegradedPolicy = DegradedPolicy.SHARED
    from_domain: str = field(default="acme.example")


TABLE = [
    Row("no branded domain", f"https://{SHARED}", "no branded domain matches"),
    Row(
        "none matches and none is the default",
        f"https://{SHARED}",
        "no branded domain matches",
        (branded(DomainState.SSL_ENABLED),),
        from_domain="other.example",
    ),
    Row(
        "shared address, none enabled",
        f"https://{SHARED}",
        "shared address",
        (branded(DomainState.DNS_VALID),),
        sending_ip=SendingIP.SHARED,
    ),
    Row(
        "shared address, none at all",
        f"https://{SHARED}",
        "shared address",
        sending_ip=SendingIP.SHARED,
    ),
    Row(
        "shared address, enabled",
        f"https://{BRANDED}",
        "enabled and healthy",
        (branded(DomainState.SSL_ENABLED),),
        sending_ip=SendingIP.SHARED,
    ),
    Row("claimed", f"https://{SHARED}", "DNS is not valid", (branded(DomainState.CLAIMED),)),
    Row("DNS valid", f"http://{BRANDED}", "not enabled yet", (branded(DomainState.DNS_VALID),)),
    Row("requested", f"http://{BRANDED}", "not enabled", (branded(DomainState.SSL_REQUESTED),)),
    Row(
        "request rejected, DNS valid",
        f"http://{BRANDED}",
        "not enabled",
        (branded(DomainState.REJECTED, dns_valid=True),),
    ),
    Row(
        "request rejected, DNS not valid",
        f"https://{SHARED}",
        "DNS is not valid",
        (branded(DomainState.REJECTED),),
    ),
    Row(
        "DNS valid, SSL required",
        f"https://{SHARED}",
        "SSL is required",
        (branded(DomainState.DNS_VALID),),
        ssl=SSLPolicy.REQUIRED,
    ),
    *(
        Row(
            f"{state}, browsers open it by https only",
            f"https://{SHARED}",
            "by https only, and SSL on it is not enabled",
            (BrandedDomain(BRANDED, state, dns_valid=True, https_only=True),),
        )
        for state in (DomainState.DNS_VALID, DomainState.SSL_REQUESTED, DomainState.REJECTED)
    ),
    Row(
        "enabled, browsers open it by https only",
        f"https://{BRANDED}",
        "healthy",
        (BrandedDomain(BRANDED, DomainState.SSL_ENABLED, https_only=True),),
    ),
    Row("enabled", f"https://{BRANDED}", "healthy", (branded(DomainState.SSL_ENABLED),)),
    Row("degraded", f"https://{SHARED}", "broken", (branded(DomainState.SSL_DEGRADED),)),
    Row(
        "degraded, keep",
        f"https://{BRANDED}",
        "policy is to keep",
        (branded(DomainState.SSL_DEGRADED),),
        degraded=DegradedPolicy.KEEP,
    ),
    Row("released", f"https://{SHARED}", "no branded domain", (branded(DomainState.RELEASED),)),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_every_row_of_the_table(row: Row) -> None:
    base = choose_base(
        shared_host=SHARED,
        from_domain=row.from_domain,
        sending_ip=row.sending_ip,
        domains=row.domains,
        ssl=row.ssl,
        degraded=row.degraded,
    )
    assert f"{base.scheme}://{base.host}" == row.base
    assert row.why in base.why


def pick(*domains: BrandedDomain, from_domain: str) -> str:
    return choose_base(
        shared_host=SHARED,
        from_domain=from_domain,
        sending_ip=SendingIP.DEDICATED,
        domains=domains,
    ).host


def test_the_from_domain_wins_over_the_default_and_the_closest_over_both() -> None:
    enabled = DomainState.SSL_ENABLED
    acme = BrandedDomain("links.acme.example", enabled)
    europe = BrandedDomain("links.eu.acme.example", enabled)
    default = BrandedDomain("go.brand.example", enabled, default=True)
    also = BrandedDomain("t.shop.example", enabled, from_domains=("acme-mail.example",))
    every = (default, acme, europe, also)
    assert pick(*every, from_domain="acme.example") == "links.acme.example"
    assert pick(*every, from_domain="news.acme.example") == "links.acme.example"
    assert pick(*every, from_domain="eu.acme.example") == "links.eu.acme.example"
    assert pick(*every, from_domain="acme-mail.example") == "t.shop.example"
    assert pick(*every, from_domain="notacme.example") == "go.brand.example"
    assert pick(*every, from_domain="") == "go.brand.example"
    assert pick(acme, from_domain="notacme.example") == SHARED


@given(
    st.lists(
        st.builds(
            BrandedDomain,
            host=st.sampled_from(["links.acme.example", "go.other.example"]),
            state=st.sampled_from(DomainState),
            default=st.booleans(),
            dns_valid=st.booleans(),
        ),
        max_size=4,
    ),
    st.sampled_from(SendingIP),
    st.sampled_from(SSLPolicy),
    st.sampled_from(DegradedPolicy),
    st.sampled_from(["acme.example", "other.example", "third.example", ""]),
)
def test_http_is_only_ever_a_branded_domain_whose_ssl_is_not_enabled(
    domains: list[BrandedDomain],
    sending_ip: SendingIP,
    ssl: SSLPolicy,
    degraded: DegradedPolicy,
    from_domain: str,
) -> None:
    base = choose_base(
        shared_host=SHARED,
        from_domain=from_domain,
        sending_ip=sending_ip,
        domains=domains,
        ssl=ssl,
        degraded=degraded,
    )
    assert base.why
    if base.scheme == "http":
        assert ssl is SSLPolicy.ALLOWED
        assert any(
            domain.host == base.host
            and domain.state
            in {DomainState.DNS_VALID, DomainState.SSL_REQUESTED, DomainState.REJECTED}
            for domain in domains
        )
    if base.host != SHARED:
        assert base.host in {domain.host for domain in domains}
