"""A customer's own nginx by the guide's file, with one line of it changed."""

from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509

from linkseal.domains.guides import Setting, guide
from linkseal.edge.client import ClientKind, ClientRule
from linkseal.edge.probe import Asked
from linkseal.prober import probe
from linkseal.testing.broken import BROKEN
from linkseal.testing.programs import free_port
from prober.lab import (
    BASE,
    CUSTOMER,
    HOST,
    OWNERSHIP,
    TARGET,
    Origin,
    Seen,
    assert_told,
    request,
    server_tls,
    serving,
    settings,
    zones,
)
from prober.test_broken import SET_UPS
from prober.test_broken_client_certificate import SET_UPS as CLIENT_CERTIFICATES
from support.nginx import nginx

WEB, OURS = trustme.CA(), trustme.CA()
RULE = ClientRule(("127.0.0.0/8", "::1/128"), "X-Forwarded-For", ClientKind.LIST)
CHANGES = {
    "proxy-host-rewritten": (f"Host {HOST};", "Host $proxy_host;"),
    "proxy-query-dropped": ("https://$tracking_origin;", "https://$tracking_origin$uri;"),
    "proxy-forged-client": ("For $remote_addr;", "For $http_x_forwarded_for;"),
    "proxy-agent-rewritten": ("proxy_redirect off;", 'proxy_set_header User-Agent "nginx";'),
    "proxy-language-dropped": ("proxy_redirect off;", 'proxy_set_header Accept-Language "";'),
    "proxy-post-blocked": ("proxy_redirect off;", "limit_except GET { deny all; }"),
    "proxy-body-altered": ("gzip off;", "sub_filter_once off; sub_filter </html> <hr></html>;"),
    "proxy-no-sni": ("proxy_ssl_server_name on;", "proxy_ssl_server_name off;"),
    "proxy-http-home": (f"301 https://{HOST}$request_uri", f"301 https://{HOST}/"),
    "proxy-http-origin": ("https://$tracking_origin;", "http://127.0.0.1:{plain};"),
    "proxy-http-followed": (
        f"return 301 https://{HOST}$request_uri;",
        f"proxy_pass http://127.0.0.1:{{plain}}; proxy_set_header Host {HOST};",
    ),
    "proxy-cache": (
        "proxy_cache off;\n        proxy_store off;\n        proxy_buffering off;",
        "proxy_cache all; proxy_cache_valid any 1m; proxy_ignore_headers Cache-Control;",
    ),
}


def stand_in(context: ssl.SSLContext) -> Origin:
    """Stand in for our edge: with the proxy's rule, and the SNI as it came."""
    names: list[str] = []
    context.sni_callback = lambda _connection, name, _context: names.append(name or "")

    def arrive(asked: Asked) -> Asked:
        tls = asked.came_by.transport.get_extra_info("ssl_object") is not None
        came_by = replace(asked.came_by, sni=names[-1] if tls else "")
        return replace(asked, rule=RULE, came_by=came_by)

    return Origin(rewrite=arrive)


async def look_through(directory: Path, change: tuple[str, str]) -> Seen:
    """Probe a domain on route ``proxy`` whose file has one line changed."""
    WEB.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(directory / "proxy.pem")
    OURS.cert_pem.write_to_path(directory / "ours.pem")
    ports = {name: free_port("127.0.0.1") for name in ("http", "https")}
    context = server_tls(OURS.issue_cert(TARGET))
    origin = stand_in(context)
    customer = [CUSTOMER[1], "links A 127.0.0.1"]
    with zones(customer) as dns:
        async with (
            serving(origin, context, "127.0.0.1") as edge,
            serving(origin, None, "127.0.0.1") as plain,
        ):
            setting = Setting(
                certificate=str(directory / "proxy.pem"),
                key=str(directory / "proxy.pem"),
                roots=str(directory / "ours.pem"),
                resolver=f"{dns.host}:{dns.port}",
                http_port=ports["http"],
                https_port=ports["https"],
                target_port=edge,
            )
            file = guide(HOST, TARGET, OWNERSHIP, "nginx", BASE, setting=setting).files[0].content
            old, new = change
            assert old in file
            file = file.replace(old, new.replace("{plain}", str(plain)))
            async with nginx(directory, file, ports["https"]):
                asking = request(route="proxy")
                places: dict[str, Any] = {f"{name}_port": port for name, port in ports.items()}
                found = await probe(asking, settings(dns, **places))
    return Seen(found, [], x509.load_pem_x509_certificates(WEB.cert_pem.bytes()))


async def test_the_guides_own_file_is_in_order(tmp_path: Path) -> None:
    seen = await look_through(tmp_path, ("gzip off;", "gzip off;"))
    assert seen.verdicts() == {}
    assert all(each.echo for each in seen.exchanges("echo") if each.url.startswith("https:"))


@pytest.mark.parametrize("name", CHANGES)
async def test_one_line_is_told_by_the_one_right_check(name: str, tmp_path: Path) -> None:
    assert_told(await look_through(tmp_path, CHANGES[name]), name)


def test_every_set_up_of_the_list_is_built() -> None:
    every = [*SET_UPS, *CHANGES, *CLIENT_CERTIFICATES, "dnssec-bogus"]
    assert sorted(every) == sorted(each.name for each in BROKEN)
