"""Customers' own proxies: nginx, Caddy and HAProxy by the guide's file, and nginx by guesswork."""

from __future__ import annotations

import contextlib
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from linkseal.config import Address
from linkseal.domains.guides import Setting, guide
from linkseal.testing.lab.site import Site, haproxy, nginx, running
from linkseal.testing.programs import find_program, installed

# The upstream's name stands for the target's address, so that Host becomes the target.
_CARELESS = """\
    upstream {target} {{
        server {edge};
    }}
    server {{
        listen {http};
        listen {https} ssl;
        server_name {host};
        ssl_certificate {certificate};
        ssl_certificate_key {certificate};
        large_client_header_buffers 4 16k;
        proxy_cache_valid any 1m;
        location / {{
            proxy_pass {scheme}://{target};
            {cache}
        }}
    }}
"""
_CACHE = "proxy_cache lab; proxy_cache_valid any 1m; proxy_ignore_headers Cache-Control Expires;"


@contextlib.contextmanager
def own_proxy(site: Site, program: str, *, change: tuple[str, str] = ("", "")) -> Iterator[None]:
    """Run a customer's proxy by the guide's own file until the block ends.

    Args:
        site: What it stands before; with a resolver.
        program: ``nginx``, ``caddy`` or ``haproxy``: a guide of that name.
        change: A piece of the file, and what the customer made of it.

    Raises:
        ServiceError: The program is missing, or did not start.
        ValueError: The file has no such piece.
    """
    made = guide(
        site.host,
        site.target,
        site.ownership,
        program,
        site.base_domain,
        setting=Setting(
            certificate=str(site.certificate),
            key="" if program == "haproxy" else str(site.certificate),
            roots=str(site.roots),
            resolver=site.resolver,
            http_port=site.http.port,
            https_port=site.https.port,
            target_port=site.edge_https.port,
        ),
    )
    old, new = change
    content = made.files[0].content
    if old not in content:
        raise ValueError(f"the guide's file has no {old!r}")
    content = content.replace(old, new) if old else content
    content = _at(site, program, content)
    runs = {"nginx": nginx, "caddy": _caddy, "haproxy": haproxy}
    with runs[program](site, content, site.https):
        yield


@contextlib.contextmanager
def careless_nginx(site: Site, *, plain: bool = True, cache: bool = False) -> Iterator[None]:
    """Run nginx with its defaults: no Host, no SNI, nothing verified, the client not told.

    Args:
        site: What it stands before.
        plain: Whether it speaks http with us, as ``proxy_pass http://`` does.
        cache: Whether it stores answers, ``Cache-Control`` notwithstanding.

    Raises:
        ServiceError: nginx is missing, or did not start.
    """
    config = _CARELESS.format(
        http=site.http,
        https=site.https,
        host=site.host,
        certificate=site.certificate,
        target=site.target,
        edge=site.edge_http if plain else site.edge_https,
        scheme="http" if plain else "https",
        cache=_CACHE if cache else "",
    )
    with nginx(site, config, site.https):
        yield


def installed_caddy() -> str | None:
    """Return the path of Caddy, if it is there: beside this Python, where its package puts it."""
    return shutil.which("caddy", path=str(Path(sys.executable).parent)) or installed("caddy")


def _caddy(site: Site, content: str, ready: Address) -> contextlib.AbstractContextManager[None]:
    program, folder = installed_caddy() or find_program("caddy", "caddy"), site.directory
    file = site.write("Caddyfile", content)
    environment = {
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
        "XDG_DATA_HOME": str(folder),
        "CADDY_ADMIN": f"127.0.0.1:{site.inner_port()}",
    }
    words = [program, "run", "--adapter", "caddyfile", "--config", str(file)]
    return running(site, words, ready, environment)


def _at(site: Site, program: str, content: str) -> str:
    """Have a file that listens and connects everywhere do both where the site says.

    Several customers' proxies then have the same ports on one machine, and each is told from
    the others. On 127.0.0.1 the file is left as it is.
    """
    address, source = site.https.host, site.connects_from
    if source != "127.0.0.1":
        marks = {
            "nginx": ("proxy_redirect off;", f"proxy_redirect off; proxy_bind {source};"),
            "caddy": ("transport http {\n", f"transport http {{\n\t\t\tlocal_address {source}\n"),
            "haproxy": ("    server origin ", f"    source {source}\n    server origin "),
        }
        content = content.replace(*marks[program])
    if address == "127.0.0.1":
        return content
    if program == "caddy":
        return content.replace("{\n", f"{{\n\tdefault_bind {address}\n", 1)
    if program == "haproxy":
        content = re.sub(r"^\s*bind :::.*\n", "", content, flags=re.MULTILINE)
        return content.replace("bind :", f"bind {address}:")
    content = re.sub(r"^\s*listen \[::\].*\n", "", content, flags=re.MULTILINE)
    return re.sub(r"listen (\d)", rf"listen {address}:\1", content)
