"""The names above a branded domain: each is asked once, and only where it may be."""

from __future__ import annotations

import trustme

from linkseal.domains.observation import Parent
from linkseal.edge.probe import Asked
from linkseal.prober import Part
from prober.lab import CUSTOMER, HOST, Origin, look, request

AUTHORITY = trustme.CA()
POLICY = "max-age=31536000; includeSubDomains"
PARENT = "acme.example"


def site(answer: bytes | None) -> Origin:
    return Origin(lambda asked, ours: answer if asked.host == PARENT else ours)


def answer_with(*fields: str) -> bytes:
    return "\r\n".join(["HTTP/1.1 301 Moved", *fields, "Content-Length: 0", "", ""]).encode()


def of_parent(origin: Origin) -> list[Asked]:
    return [each for each in origin.asked if each.host == PARENT]


async def test_a_parent_is_asked_once_and_its_policy_noted() -> None:
    fields = (f"Strict-Transport-Security: {POLICY}", "Location: https://www.acme.example/")
    origin = site(answer_with(*fields))
    certificate = AUTHORITY.issue_cert(HOST, PARENT)
    seen = await look(
        origin,
        authority=AUTHORITY,
        certificate=certificate,
        plain=Origin(),
        customer=[*CUSTOMER, "@ A 127.0.0.1"],
    )
    (parent,) = seen.observation.parents
    assert (parent.name, parent.address, parent.status) == (PARENT, "127.0.0.1", 301)
    assert (parent.policy, parent.error, len(parent.chain)) == (POLICY, "", 1)
    (asked,) = of_parent(origin)
    assert (asked.method, asked.path) == ("GET", "/")
    assert seen.report().https_only is True


async def test_a_parent_without_a_policy_lets_http_links_open() -> None:
    origin = site(answer_with())
    seen = await look(origin, authority=AUTHORITY, customer=[*CUSTOMER, "@ A 127.0.0.1"])
    (parent,) = seen.observation.parents
    assert (parent.status, parent.policy) == (301, "")
    assert seen.report().https_only is False


async def test_a_parent_that_is_silent_or_not_there_says_nothing() -> None:
    customer = [*CUSTOMER, "@ A 127.0.0.1"]
    silent = await look(site(None), authority=AUTHORITY, customer=customer, timeout=0.5)
    (parent,) = silent.observation.parents
    assert (parent.status, parent.error) == (0, "timeout")
    gone = await look(Origin(), authority=AUTHORITY)
    assert gone.observation.parents == (Parent(PARENT, error="no address to ask"),)
    assert (silent.report().https_only, gone.report().https_only) == (None, None)


async def test_a_parent_on_an_address_of_ours_or_of_a_private_network_is_not_asked() -> None:
    for refusing in ({"allow_private_addresses": False}, {"refused_networks": ("10.0.0.0/8",)}):
        customer = [*CUSTOMER, "@ A 10.1.2.3"]
        seen = await look(Origin(), authority=AUTHORITY, customer=customer, **refusing)
        assert seen.observation.parents == (
            Parent(PARENT, error="not a public address, not asked"),
        )


async def test_a_look_at_less_does_not_ask_parents() -> None:
    origin = site(answer_with())
    asking = request(parts=Part.NAMES | Part.ECHO)
    customer = [*CUSTOMER, "@ A 127.0.0.1"]
    seen = await look(origin, authority=AUTHORITY, customer=customer, asking=asking)
    assert seen.observation.parents == ()
    assert of_parent(origin) == []
