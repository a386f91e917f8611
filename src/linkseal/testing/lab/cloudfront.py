"""A stand-in for CloudFront: nginx, set up by the settings of a Terraform file.

As CloudFront does: without an origin request policy Host and User-Agent are its own and the
query is dropped; a cache policy other than CachingDisabled keeps everything for a second, even
what says ``no-store``, and makes one of requests at once. The origin is always verified.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from linkseal.domains.guides.edges import ALL_VIEWER, CACHING_DISABLED
from linkseal.testing.lab.site import Site, nginx

_SETTING = re.compile(r'^\s*(\w+)\s*=\s*"([^"]*)"', re.MULTILINE)
_CONFIG = """\
    map $request_uri $path_alone {{ "~^(?<before>[^?]*)" $before; }}
    map $status $x_cache {{ default "Miss from cloudfront"; 502 "Error from cloudfront"; }}
    map $upstream_cache_status $from_cache {{ default $x_cache; HIT "Hit from cloudfront"; }}
    server {{
        listen {http};
        listen {https} ssl http2;
        server_name {host};
        ssl_certificate {certificate};
        ssl_certificate_key {certificate};
        ssl_protocols TLSv1.2 TLSv1.3;
        large_client_header_buffers 4 16k;
        gzip off;
        add_header X-Amz-Cf-Id wBq8Kd0m2bXn always;
        add_header X-Amz-Cf-Pop AMS58-P1 always;
        add_header Via "1.1 0f2c.cloudfront.net (CloudFront)" always;
        add_header X-Cache $from_cache always;
        location / {{
            {viewer}
            proxy_pass {origin};
            proxy_bind {source};
            proxy_http_version 1.1;
            proxy_redirect off;
            proxy_buffering {buffering};
            proxy_set_header Connection "";
            proxy_set_header X-Amz-Cf-Id wBq8Kd0m2bXn;
            proxy_set_header Via "2.0 0f2c.cloudfront.net (CloudFront)";
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto "";
            {headers}
            proxy_ssl_server_name on;
            proxy_ssl_name {target};
            proxy_ssl_verify on;
            proxy_ssl_verify_depth 4;
            proxy_ssl_trusted_certificate {roots};
            {cache}
        }}
    }}
"""
_DEFAULT_HEADERS = """proxy_set_header Host {target};
            proxy_set_header User-Agent "Amazon CloudFront";
            proxy_set_header Referer "";
            proxy_set_header Accept "";
            proxy_set_header Accept-Language "";
            proxy_set_header X-Real-IP "";"""
_CACHE = """proxy_cache lab;
            proxy_cache_key $path_alone;
            proxy_cache_lock on;
            proxy_cache_valid any 1s;
            proxy_ignore_headers Cache-Control Expires Set-Cookie Vary;"""


@contextlib.contextmanager
def cloudfront(site: Site, terraform: str = "") -> Iterator[None]:
    """Stand in for CloudFront until the block ends.

    Args:
        site: What it stands before.
        terraform: A file with a distribution: of it cache policy, origin request policy,
            viewer and origin protocol are followed. Without one it is a distribution of which
            nothing but origin, name and certificate was set.

    Raises:
        ServiceError: nginx is missing, or did not start.
    """
    chosen = dict(_SETTING.findall(terraform))
    as_sent = chosen.get("origin_request_policy_id") == ALL_VIEWER
    cached = chosen.get("cache_policy_id") != CACHING_DISABLED
    to_https = chosen.get("viewer_protocol_policy") == "redirect-to-https"
    follows = chosen.get("origin_protocol_policy", "match-viewer") == "match-viewer"
    secure = f"https://{site.edge_https}"
    redirect = 'if ($scheme = http) { return 301 "https://$host$request_uri"; }'
    config = _CONFIG.format(
        http=site.http,
        https=site.https,
        host=site.host,
        certificate=site.certificate,
        viewer=redirect if to_https else "",
        # A variable in proxy_pass keeps the path as it came.
        origin="$origin$request_uri" if as_sent else "$origin$path_alone",
        source=site.connects_from,
        buffering="on" if cached else "off",
        headers="proxy_set_header Host $http_host;"
        if as_sent
        else _DEFAULT_HEADERS.format(target=site.target),
        target=site.target,
        roots=site.roots,
        cache=_CACHE if cached else "",
    )
    plain = f"http://{site.edge_http}" if follows else secure
    origins = f'    map $scheme $origin {{ https "{secure}"; http "{plain}"; }}\n'
    with nginx(site, origins + config, site.https):
        yield
