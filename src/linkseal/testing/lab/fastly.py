"""A stand-in for Fastly: Varnish between two legs of TLS, which are HAProxy's.

As Fastly does: a visitor's Fastly-Client-IP is kept, Cache-Control other than ``private`` and
a lifetime is not looked at, redirects are stored like pages, and what has no lifetime of its
own is kept for an hour. The origin's certificate is verified for the target.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from linkseal.config import Address
from linkseal.testing.lab.site import Site, running, small_haproxy
from linkseal.testing.programs import find_program

_LEGS = """\
frontend visitors
    bind {http}
    bind {https} ssl crt {certificate} alpn h2,http/1.1
    http-request del-header Fastly-SSL
    http-request set-header Fastly-SSL 1 if {{ ssl_fc }}
    http-request set-header X-Forwarded-Proto https if {{ ssl_fc }}
    http-after-response del-header X-Varnish
    default_backend varnish

backend varnish
    server varnish 127.0.0.1:{varnish} send-proxy-v2

frontend to_us
    bind 127.0.0.1:{inner}
    http-request del-header X-Varnish
    default_backend origin

backend origin
    source {source}
    server origin {edge} ssl sni str({target}) verify required ca-file {roots} verifyhost {target}
"""
_VCL = """\
vcl 4.1;

backend origin {{
    .host = "127.0.0.1";
    .port = "{inner}";
}}

sub vcl_recv {{
    if (!req.http.Fastly-Client-IP) {{
        set req.http.Fastly-Client-IP = client.ip;
    }}
    set req.http.Fastly-Client = "1";
    set req.http.Fastly-FF = "c2VhbA==!AMS!cache-ams21031-AMS";
    set req.http.X-Forwarded-Host = req.http.host;
    set req.http.X-Forwarded-Server = "cache-ams21031-AMS";
    if (req.http.CDN-Loop) {{
        set req.http.CDN-Loop = req.http.CDN-Loop + ", Fastly";
    }} else {{
        set req.http.CDN-Loop = "Fastly";
    }}
{snippet}
    if (req.method != "GET" && req.method != "HEAD") {{
        return (pass);
    }}
    return (hash);
}}

sub vcl_backend_response {{
    set beresp.grace = 0s;
{setting}
    if (beresp.http.Set-Cookie || beresp.http.Cache-Control ~ "private") {{
        set beresp.uncacheable = true;
        set beresp.ttl = 120s;
        return (deliver);
    }}
    if (beresp.http.Expires || beresp.http.Cache-Control ~ "(s-maxage|max-age)") {{
        return (deliver);
    }}
    set beresp.ttl = 3600s;
    return (deliver);
}}

sub vcl_deliver {{
    if (obj.hits > 0) {{
        set resp.http.X-Cache = "HIT";
    }} else {{
        set resp.http.X-Cache = "MISS";
    }}
    set resp.http.X-Cache-Hits = obj.hits;
    set resp.http.X-Served-By = "cache-ams21031-AMS";
    set resp.http.X-Timer = "S1732450000.000000,VS0,VE1";
    set resp.http.Via = "1.1 varnish";
}}
"""
_SETTING = """\
    if (beresp.status == 200 || beresp.status == 301 || beresp.status == 302) {
        set beresp.ttl = 3600s;
        return (deliver);
    }
"""


@contextlib.contextmanager
def fastly(site: Site, snippet: str = "", *, cache_setting: bool = False) -> Iterator[None]:
    """Stand in for Fastly until the block ends.

    Args:
        site: What it stands before.
        snippet: A VCL snippet of type ``recv``.
        cache_setting: A cache setting "cache for an hour", as customers add to a service:
            pages, pixels and redirects are stored whatever the origin says of them.

    Raises:
        ServiceError: A program of it is missing, or did not start.
    """
    inner, varnish = site.inner_port(), site.inner_port()
    program = find_program("varnishd", "varnish")
    setting = _SETTING if cache_setting else ""
    vcl = site.write("fastly.vcl", _VCL.format(inner=inner, snippet=snippet, setting=setting))
    legs = _LEGS.format(
        http=site.http,
        https=site.https,
        certificate=site.certificate,
        varnish=varnish,
        inner=inner,
        source=site.connects_from,
        edge=site.edge_https,
        target=site.target,
        roots=site.roots,
    )
    # Without the jail it needs no user of its own, and no root.
    words = [program, "-F", "-j", "none", "-n", str(site.directory / "varnish"), "-f", str(vcl)]
    words += ["-a", f"127.0.0.1:{varnish},PROXY", "-s", "malloc,16m", "-p", "default_ttl=0"]
    ready = Address("127.0.0.1", varnish)
    with running(site, words, ready), small_haproxy(site, legs, site.https):
        yield
