"""Which of a customer's branded domains a message is for."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from linkseal.domains.base import (
    Base,
    BrandedDomain,
    DegradedPolicy,
    DomainState,
    SendingIP,
    SSLPolicy,
    choose_base,
    stricter,
)

S = DomainState
SHARED = "go.ct.example.net"
LINKS, TRACK = "links.acme.example", "track.acme.example"


def chosen(
    *domains: BrandedDomain,
    from_domain: str = "acme.example",
    degraded: DegradedPolicy = DegradedPolicy.SHARED,
    ssl: SSLPolicy = SSLPolicy.ALLOWED,
) -> Base:
    return choose_base(
        shared_host=SHARED,
        from_domain=from_domain,
        sending_ip=SendingIP.DEDICATED,
        domains=domains,
        degraded=degraded,
        ssl=ssl,
    )


def url(base: Base) -> str:
    return f"{base.scheme}://{base.host}"


@pytest.mark.parametrize("state", [S.CLAIMED, S.DNS_VALID, S.SSL_REQUESTED, S.REJECTED])
@pytest.mark.parametrize("default", [False, True])
@pytest.mark.parametrize(("works", "new"), [(LINKS, TRACK), ("email.acme.example", LINKS)])
def test_a_second_name_takes_no_mail_off_one_that_works(
    works: str, new: str, default: bool, state: DomainState
) -> None:
    second = BrandedDomain(new, state, dns_valid=True, default=default)
    enabled = BrandedDomain(works, S.SSL_ENABLED, default=not default)
    assert url(chosen(enabled, second)) == url(chosen(second, enabled)) == f"https://{works}"


def test_a_second_name_takes_no_mail_to_http_while_the_first_is_broken() -> None:
    broken = BrandedDomain(LINKS, S.SSL_DEGRADED)
    second = BrandedDomain(TRACK, S.DNS_VALID, default=True)
    assert url(chosen(broken, second)) == f"https://{SHARED}"
    assert "links.acme.example is broken" in chosen(broken, second).why
    keep = DegradedPolicy.KEEP
    assert url(chosen(broken, second, degraded=keep)) == f"https://{LINKS}"


def test_one_that_works_takes_the_mail_of_one_that_is_broken() -> None:
    broken = BrandedDomain(LINKS, S.SSL_DEGRADED, default=True)
    enabled = BrandedDomain(TRACK, S.SSL_ENABLED)
    for policy in DegradedPolicy:
        assert url(chosen(broken, enabled, degraded=policy)) == f"https://{TRACK}"


@pytest.mark.parametrize(
    "nothing", [BrandedDomain(TRACK, S.CLAIMED), BrandedDomain(TRACK, S.REJECTED)]
)
def test_a_name_whose_dns_is_valid_comes_before_one_whose_is_not(nothing: BrandedDomain) -> None:
    for state in (S.DNS_VALID, S.SSL_REQUESTED, S.REJECTED):
        valid = BrandedDomain("z.acme.example", state, dns_valid=True)
        assert url(chosen(nothing, valid)) == "http://z.acme.example"


def test_the_name_that_matched_is_what_counts_however_deep_the_host() -> None:
    news = BrandedDomain("links.news.acme.example", S.SSL_ENABLED)
    deep = BrandedDomain("a.b.c.other.example", S.SSL_ENABLED, from_domains=("acme.example",))
    assert chosen(news, deep, from_domain="news.acme.example").host == news.host
    assert chosen(news, deep, from_domain="x.news.acme.example").host == news.host
    assert chosen(news, deep).host == deep.host
    parent = BrandedDomain(LINKS, S.SSL_ENABLED)
    exact = BrandedDomain("t.x.example", S.SSL_ENABLED, from_domains=("eu.acme.example",))
    assert chosen(parent, exact, from_domain="eu.acme.example").host == exact.host


def test_a_closer_name_takes_the_mail_of_one_that_works_once_its_ssl_is_enabled() -> None:
    parent = BrandedDomain(LINKS, S.SSL_ENABLED)
    eu = "links.eu.acme.example"
    for state in (S.CLAIMED, S.DNS_VALID, S.SSL_REQUESTED, S.REJECTED):
        closer = BrandedDomain(eu, state, dns_valid=True, default=True)
        assert chosen(parent, closer, from_domain="eu.acme.example").host == LINKS
    enabled = BrandedDomain(eu, S.SSL_ENABLED)
    assert url(chosen(parent, enabled, from_domain="eu.acme.example")) == f"https://{eu}"
    # Broken later it is the policy's, as any other: mail does not wander between names.
    broken = BrandedDomain(eu, S.SSL_DEGRADED)
    assert url(chosen(parent, broken, from_domain="eu.acme.example")) == f"https://{SHARED}"
    # Where none works, closer is closer.
    claimed, valid = BrandedDomain(eu, S.CLAIMED), BrandedDomain(LINKS, S.DNS_VALID)
    assert url(chosen(valid, claimed, from_domain="eu.acme.example")) == f"https://{SHARED}"


def test_of_equals_the_default_is_taken_and_then_the_first_host() -> None:
    b, c = (BrandedDomain(f"{name}.acme.example", S.SSL_ENABLED) for name in "bc")
    a = BrandedDomain("a.acme.example", S.SSL_ENABLED)
    default = BrandedDomain("d.acme.example", S.SSL_ENABLED, default=True)
    assert chosen(c, default, b).host == default.host
    assert chosen(c, a, b).host == chosen(b, a, c).host == a.host


def test_of_defaults_the_best_served_is_taken() -> None:
    claimed = BrandedDomain("a.x.example", S.CLAIMED, default=True)
    enabled = BrandedDomain("b.y.example", S.SSL_ENABLED, default=True)
    assert url(chosen(claimed, enabled)) == "https://b.y.example"


def test_the_stricter_of_policies_holds() -> None:
    allowed, required = SSLPolicy.ALLOWED, SSLPolicy.REQUIRED
    assert stricter(allowed, allowed) is allowed
    for policies in ((allowed, required), (required, allowed), (required, required)):
        assert stricter(*policies) is required


HOSTS = [LINKS, TRACK, "links.eu.acme.example", "go.other.example", "a.b.other.example"]
FROM = ["acme.example", "eu.acme.example", "other.example", "third.example", ""]


def domain(states: list[DomainState]) -> st.SearchStrategy[BrandedDomain]:
    return st.builds(
        BrandedDomain,
        host=st.sampled_from(HOSTS),
        state=st.sampled_from(states),
        from_domains=st.lists(st.sampled_from(FROM[:-1]), max_size=2).map(tuple),
        default=st.booleans(),
        dns_valid=st.booleans(),
        https_only=st.booleans(),
    )


@given(
    st.lists(domain(list(S)), max_size=4, unique_by=lambda each: each.host),
    domain(list(S)),
    st.sampled_from(FROM),
    st.sampled_from(DegradedPolicy),
    st.sampled_from(SSLPolicy),
)
@example(
    [BrandedDomain(LINKS, S.SSL_ENABLED, default=True)],
    BrandedDomain(TRACK, S.CLAIMED),
    "acme.example",
    DegradedPolicy.SHARED,
    SSLPolicy.ALLOWED,
)
@example(
    [BrandedDomain("email.acme.example", S.SSL_ENABLED, default=True)],
    BrandedDomain(LINKS, S.DNS_VALID),
    "acme.example",
    DegradedPolicy.SHARED,
    SSLPolicy.ALLOWED,
)
def test_a_domain_more_takes_no_mail_off_https(
    domains: list[BrandedDomain],
    added: BrandedDomain,
    from_domain: str,
    degraded: DegradedPolicy,
    ssl: SSLPolicy,
) -> None:
    domains = [each for each in domains if each.host != added.host]
    before = chosen(*domains, from_domain=from_domain, degraded=degraded, ssl=ssl)
    after = chosen(*domains, added, from_domain=from_domain, degraded=degraded, ssl=ssl)
    links = not (
        added.state in {S.CLAIMED, S.RELEASED}
        or (added.state is S.REJECTED and not added.dns_valid)
    )
    if not links:
        # However close it is, what gives no links leads none to http either.
        assert after.scheme == "https" or after == before
    if before.host == SHARED:
        return
    served = next(each for each in domains if each.host == before.host)
    closer = len(added.matched(from_domain)) > len(served.matched(from_domain))
    if not links and not closer:
        assert after == before
    if not served.matched(from_domain) and closer:
        return  # The default, for mail that nothing matched until now.
    if before.scheme == "https":
        assert after.scheme == "https"
        assert after.host == before.host or added.state in {S.SSL_ENABLED, S.SSL_DEGRADED}
