"""A server that publishes networks, and a configuration that has them fetched there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from linkseal.config import Address, CDNConfig, CDNSources, Config, ProberConfig
from linkseal.store import Store
from linkseal.testing.dns_server import running_dns
from support.publishing import GOOGLE, Published, publishing


@pytest.fixture
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def published(ca: trustme.CA) -> Iterator[Published]:
    with publishing(ca) as found:
        yield found


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/linkseal.db") as opened:
        yield opened


@pytest.fixture
def config(tmp_path: Path, ca: trustme.CA, published: Published) -> Iterator[Config]:
    root = tmp_path / "root.pem"
    ca.cert_pem.write_to_path(root)
    zone = [f'_cloud-eoips TXT "{GOOGLE}"']
    with running_dns({"googleusercontent.com": zone}) as dns:
        yield Config(
            cdn=CDNConfig(
                ca_file=root,
                timeout=20,
                sources=CDNSources(
                    cloudflare=published.url("cloudflare"),
                    fastly=published.url("fastly"),
                    cloudfront=published.url("cloudfront"),
                    keycdn=published.url("keycdn"),
                    bunny=(published.url("bunny4"), published.url("bunny6")),
                ),
            ),
            prober=ProberConfig(resolvers=(Address(dns.host, dns.port),)),
        )
