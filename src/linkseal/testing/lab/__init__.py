"""What stands before us on the internet, on loopback: a web PKI, CDNs, customers' proxies.

Real programs with their real quirks, on free ports, without root. Each stand-in is a context
manager: it takes a :class:`Site` and the switches of its make, and runs until it is left::

    web = WebPKI(folder)
    site = Site(folder, host, target, certificate=web.issue(host), roots=ca_file, ...)
    with cloudflare(site, Mode.STRICT):
        ...  # recipients meet it at site.https

What it needs and cannot have is a ``ServiceError`` ``program-missing``.
"""

from __future__ import annotations

from linkseal.testing.lab.cloudflare import Mode, cloudflare
from linkseal.testing.lab.cloudfront import cloudfront
from linkseal.testing.lab.fastly import fastly
from linkseal.testing.lab.looking import prober_section
from linkseal.testing.lab.proxies import careless_nginx, own_proxy
from linkseal.testing.lab.site import Site
from linkseal.testing.lab.web import WebPKI

__all__ = [
    "Mode",
    "Site",
    "WebPKI",
    "careless_nginx",
    "cloudflare",
    "cloudfront",
    "fastly",
    "own_proxy",
    "prober_section",
]
