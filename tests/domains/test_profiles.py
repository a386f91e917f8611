"""Which CDN is in front: addresses, names and fields, each by value."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime

import msgspec
import pytest

from linkseal.domains.observation import Answer, Echo, Exchange, Hop, Observation
from linkseal.domains.profiles import PROFILES, Profile, detect, networks, with_networks
from linkseal.edge.client import ClientKind, ClientRule, client_address

HOST = "links.acme.example"
PROBE = "192.0.2.7"
OURS = "198.51.100.10"


def answer(value: str, name: str = HOST, kind: str = "A") -> Answer:
    return Answer(
        server="192.0.2.53",
        authoritative=True,
        name=name,
        type=kind,
        rcode="NOERROR",
        values=(value,),
    )


def seen(
    *,
    dns: tuple[Answer, ...] = (),
    chain: tuple[Hop, ...] = (),
    headers: dict[str, str] | None = None,
    echo: Echo | None = None,
    forged: bool = False,
) -> Observation:
    exchange = Exchange(
        purpose="echo",
        url=f"https://{HOST}/",
        method="GET",
        address="203.0.113.1",
        user_agent="probe",
        status=200,
        headers=headers or {},
        echo=echo,
        forged=forged,
    )
    return Observation(
        host=HOST,
        target="t-abc.ct.example.net",
        ownership="ct-verify=abc",
        base_domain="ct.example.net",
        route="cdn",
        at=datetime(2026, 11, 24, tzinfo=UTC),
        own_addresses=(OURS,),
        egress=(PROBE,),
        dns=dns,
        chain=chain,
        exchanges=(exchange,),
    )


def echo(peer: str, *names: str) -> Echo:
    return Echo(
        serial=1,
        node="0-a",
        method="GET",
        target="/",
        host=HOST,
        header_names=("host", *names),
        forwarded={},
        user_agent="probe",
        accept_language="",
        tls_version="TLSv1.3",
        sni=HOST,
        peer=peer,
        client=peer,
    )


@pytest.mark.parametrize(
    ("address", "profile"),
    [
        ("104.18.2.3", "cloudflare"),
        ("2606:4700::6812:203", "cloudflare"),
        ("151.101.1.5", "fastly"),
        ("2a04:4e42::645", "fastly"),
        ("13.224.1.1", "cloudfront"),
        ("2600:9000:2000::1", "cloudfront"),
    ],
)
def test_an_address_of_a_cdn_is_its_mark(address: str, profile: str) -> None:
    found = detect(seen(dns=(answer(address, kind="AAAA" if ":" in address else "A"),)))
    name = PROFILES[profile].name
    assert found.profile is PROFILES[profile]
    assert found.reasons == (f"{HOST} resolves to {address}, an address of {name}",)


@pytest.mark.parametrize(
    ("target", "profile"),
    [
        (f"{HOST}.cdn.cloudflare.net", "cloudflare"),
        ("acme.map.fastly.net", "fastly"),
        ("D111abc.CloudFront.net.", "cloudfront"),
        ("acme-1a2b.kxcdn.com", "keycdn"),
        ("acme.b-cdn.net", "bunny"),
        ("links.acme.example.edgekey.net", "akamai"),
        ("acme-x.z01.azurefd.net", "azure"),
        ("cname.vercel-dns.com", "vercel"),
    ],
)
def test_a_name_of_a_cdn_is_its_mark(target: str, profile: str) -> None:
    assert detect(seen(chain=(Hop(HOST, target),))).profile is PROFILES[profile]
    by_answer = detect(seen(dns=(answer(target, kind="CNAME"),)))
    assert by_answer.profile is PROFILES[profile]
    assert "a name of" in by_answer.reasons[0]


def test_a_suffix_is_whole_labels() -> None:
    assert detect(seen(chain=(Hop(HOST, "evil-cloudfront.net"),))).profile is None
    assert detect(seen(chain=(Hop(HOST, "cloudfront.net.evil.example"),))).profile is None


@pytest.mark.parametrize(
    ("headers", "profile"),
    [
        ({"server": "cloudflare", "cf-ray": "8a-FRA"}, "cloudflare"),
        ({"x-served-by": "cache-fra-1", "x-timer": "S1"}, "fastly"),
        ({"via": "1.1 abc.cloudfront.net (CloudFront)"}, "cloudfront"),
        ({"server": "keycdn-engine"}, "keycdn"),
        ({"server": "BunnyCDN-DE1-1080"}, "bunny"),
        ({"server": "AkamaiGHost"}, "akamai"),
        ({"x-azure-ref": "0abc"}, "azure"),
        ({"via": "1.1 google"}, "google"),
        ({"server": "Netlify"}, "vercel"),
    ],
)
def test_fields_of_answers_are_a_mark(headers: dict[str, str], profile: str) -> None:
    assert detect(seen(headers=headers)).profile is PROFILES[profile]


def test_where_dns_leads_outweighs_the_fields_of_a_cdn_behind() -> None:
    found = detect(
        seen(
            dns=(answer("104.18.2.3"),),
            headers={"cf-ray": "1", "x-served-by": "cache-1"},
            echo=echo("151.101.1.5", "fastly-ff"),
        )
    )
    assert found.profile is PROFILES["cloudflare"]
    assert found.reasons == (
        f"{HOST} resolves to 104.18.2.3, an address of Cloudflare",
        "answers carry cf-ray: 1, as those of Cloudflare do",
    )


def test_who_connects_to_us_is_a_mark() -> None:
    found = detect(seen(echo=echo("172.68.1.2", "cf-ray")))
    assert found.profile is PROFILES["cloudflare"]
    assert found.reasons == (
        "requests reach us from 172.68.1.2, an address of Cloudflare",
        "requests reach us with cf-ray, which Cloudflare adds",
    )


def test_fields_the_probe_forged_are_no_mark() -> None:
    found = detect(
        seen(dns=(answer(OURS),), echo=echo(PROBE, "true-client-ip", "cf-ray"), forged=True)
    )
    assert (found.profile, found.reasons) == (None, (f"{HOST} resolves to our own addresses",))


def test_a_field_of_a_request_alone_is_no_mark() -> None:
    assert detect(seen(echo=echo(PROBE, "cf-ray"))).profile is None


def test_a_proxy_is_what_forwards_and_is_no_known_cdn() -> None:
    found = detect(seen(dns=(answer("203.0.113.80"),), echo=echo("203.0.113.80")))
    assert found.profile is PROFILES["proxy"]
    assert found.reasons == (
        "requests reach us from 203.0.113.80, which is neither ours nor a known CDN's",
    )


def test_an_address_beside_ours_that_leads_nowhere_is_nobody_in_front() -> None:
    both = seen(dns=(answer(OURS), answer("2001:db8::9", kind="AAAA")), echo=echo(PROBE))
    (through_ours,) = both.exchanges
    ours = msgspec.structs.replace(through_ours, address=OURS)
    stranger = msgspec.structs.replace(through_ours, address="2001:db8::9")
    assert detect(msgspec.structs.replace(both, exchanges=(ours,))).profile is None
    assert detect(msgspec.structs.replace(both, exchanges=(stranger,))).profile is PROFILES["proxy"]


def test_straight_to_us_and_nothing_at_all_are_no_cdn() -> None:
    assert detect(seen(dns=(answer(OURS),), echo=echo(PROBE))).reasons == (
        f"{HOST} resolves to our own addresses",
    )
    assert detect(seen(dns=(answer("203.0.113.80"),))).profile is None
    assert detect(seen(dns=(answer("no address"),), echo=echo(""))).reasons


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.id)
def test_a_profile_is_whole(profile: Profile) -> None:
    for network in profile.networks:
        assert ipaddress.ip_network(network).is_global
    assert bool(profile.networks) == (profile.snapshot.of is not None)
    assert profile.snapshot.source
    assert bool(profile.client_header) == bool(profile.client_kind)
    assert profile.answers_there <= bool(profile.networks)
    if profile.client_header:
        assert ClientKind(profile.client_kind)


def test_neighbours_of_a_cdn_are_not_in_its_networks() -> None:
    # 172.64.0.0/13 is Cloudflare's, 172.16.0.0/12 is private and 172.72.0.0 is another's.
    rule = ClientRule(networks(PROFILES["cloudflare"]), "CF-Connecting-IP", ClientKind.SINGLE)
    for address, known in (("172.71.255.255", True), ("172.31.0.1", False), ("172.72.0.0", False)):
        assert rule.trusts(ipaddress.ip_address(address)) is known


def test_fetched_networks_take_the_place_of_the_shipped_ones() -> None:
    cloudflare = PROFILES["cloudflare"]
    assert networks(cloudflare, current=["192.0.2.0/24"]) == ("192.0.2.0/24",)
    assert networks(PROFILES["proxy"], own=["203.0.113.80"]) == ("203.0.113.80",)
    assert networks(cloudflare, host_addresses=["203.0.113.9"]) == cloudflare.networks


def test_google_ends_the_list_with_its_own_address_and_the_client_is_before_it() -> None:
    google = PROFILES["google"]
    front = "203.0.113.9"
    rule = ClientRule(
        networks(google, host_addresses=[front]), google.client_header, ClientKind.LIST
    )
    told = [(b"x-forwarded-for", f"6.6.6.6, 198.18.0.1, {front}".encode())]
    assert client_address("34.96.0.5", told, rule) == "198.18.0.1"


def test_the_networks_that_hold_for_a_domain_are_those_of_its_peer() -> None:
    fastly, own = PROFILES["fastly"], ("203.0.113.7/32",)
    fetched = {"fastly": ["198.51.100.0/24"], "bunny": ["203.0.113.9/32"]}
    cases: tuple[tuple[str, str, dict[str, list[str]], tuple[str, ...]], ...] = (
        ("fastly", "fastly", {}, (*fastly.networks, *own)),
        ("fastly", "fastly", fetched, ("198.51.100.0/24", *own)),
        # Enrolled with another: its networks are not this one's.
        ("fastly", "cloudflare", fetched, ("198.51.100.0/24",)),
        ("bunny", "", fetched, ("203.0.113.9/32",)),
        ("proxy", "proxy", fetched, ()),
    )
    for found, enrolled, current, held in cases:
        profile = with_networks(PROFILES[found], enrolled=enrolled, current=current, own=own)
        assert profile is not None
        assert (profile.id, profile.networks) == (found, held)
    assert with_networks(None, enrolled="fastly", current=fetched, own=own) is None
