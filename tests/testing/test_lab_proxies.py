"""Customers' own proxies: by the guide's own file they are in order, by guesswork they are not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from linkseal.config import Address
from linkseal.demo.recipient import Recipient
from linkseal.testing.lab import careless_nginx, own_proxy
from support.desk import HOST
from support.stand_ins import Claimed, through

PROGRAMS = ("nginx", "caddy", "haproxy")


@pytest.mark.parametrize("program", PROGRAMS)
async def test_a_proxy_by_the_guides_file(acme: Claimed, program: str) -> None:
    found = await through(acme, lambda site: own_proxy(site, program), "proxy")
    assert (found.cdn, found.fails, found.warns) == ("", {}, {})


@pytest.mark.parametrize("program", PROGRAMS)
def test_proxies_at_addresses_of_their_own_share_the_ports(acme: Claimed, program: str) -> None:
    site = acme.site
    one, other = (
        replace(
            site,
            directory=site.directory / address,
            http=Address(address, site.http.port),
            https=Address(address, site.https.port),
        )
        for address in ("127.0.0.5", "127.0.0.6")
    )
    root = site.certificate.parent / "web-root.pem"
    with own_proxy(one, program), own_proxy(other, program):
        for each in (one, other):
            answer = Recipient(each.https, root).fetch(f"https://{HOST}/c/nothing")
            assert answer.status == 404


async def test_a_line_of_the_file_that_the_customer_changed_is_told(acme: Claimed) -> None:
    change = (f"Host {HOST};", "Host $proxy_host;")
    found = await through(acme, lambda site: own_proxy(site, "nginx", change=change), "proxy")
    assert found.fails.keys() == {"HTTP-03"}


async def test_a_change_of_what_is_not_in_the_file_is_refused(acme: Claimed) -> None:
    with (
        pytest.raises(ValueError, match="the guide's file has no 'proxy_pass ftp:'"),
        own_proxy(acme.site, "nginx", change=("proxy_pass ftp:", "")),
    ):
        pass


async def test_nginx_with_its_defaults(acme: Claimed) -> None:
    found = await through(acme, careless_nginx, "proxy")
    assert found.fails.keys() == {"HTTP-03", "ORG-01"}
    assert found.fails["ORG-01"].endswith(" talks plain http to us.")


async def test_nginx_with_its_defaults_over_https(acme: Claimed) -> None:
    """It asks for no name, and changes redirects and bodies only where it is told to."""
    found = await through(acme, lambda site: careless_nginx(site, plain=False), "proxy")
    assert found.fails.keys() == {"HTTP-03"}
    assert found.warns["ORG-02"] == "No SNI on the origin leg."


async def test_nginx_that_caches(acme: Claimed) -> None:
    found = await through(acme, lambda site: careless_nginx(site, cache=True), "proxy")
    assert "HTTP-06" in found.fails
