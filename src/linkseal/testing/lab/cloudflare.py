"""A stand-in for Cloudflare: HAProxy, with stunnel for Full (strict), nginx for obfuscation.

As Cloudflare does: SNI and Host are the visitor's, the client's address is told in a field of
its own whatever the visitor wrote into it, and the leg to us follows the visitor's scheme. A
Terraform file's rules for the name come before what the zone is set to.
"""

from __future__ import annotations

import contextlib
import enum
import re
from collections.abc import Iterator

from linkseal.config import Address
from linkseal.testing.lab.site import Site, nginx, running, small_haproxy, stunnel_program


class Mode(enum.StrEnum):
    """How the origin is spoken to, by the names of Cloudflare's API."""

    FLEXIBLE = "flexible"
    FULL = "full"
    STRICT = "strict"


_CONFIG = """\
cache everything
    total-max-size 4
    max-age 7200

frontend visitors
    bind {http}
    bind {https} ssl crt {certificate} alpn h2,http/1.1
    http-request set-header CF-Connecting-IP %[src]
    http-request set-header CF-Ray {ray}
    http-request set-header CF-Visitor '{{"scheme":"https"}}' if {{ ssl_fc }}
    http-request set-header CF-Visitor '{{"scheme":"http"}}' unless {{ ssl_fc }}
    http-request set-header X-Forwarded-Proto https if {{ ssl_fc }}
    http-request set-header X-Forwarded-Proto http unless {{ ssl_fc }}
    http-request add-header X-Forwarded-For %[src]
    http-request add-header CDN-Loop cloudflare
{rules}
    http-after-response set-header Server cloudflare
    http-after-response set-header CF-Ray {ray}
    http-after-response set-header CF-Cache-Status DYNAMIC
{after}
    use_backend {secure_first} if {{ ssl_fc }}
    default_backend {plain_first}
{changing}
backend origin_https
    source {source}
    server origin {secure}

backend origin_http
    source {source}
    server origin {edge_http}
"""
_RAY = "8f2a1b3c4d5e6f70-AMS"
_ALWAYS_HTTPS = "    http-request redirect scheme https code 301 unless { ssl_fc }\n"
_RESOURCE = re.compile(r'^resource "(\w+)" "\w+" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)
# On a plan that is not the free one.
_SETTING = re.compile(
    r'^\s*(\w+)\s*=\s*(?:var\.free_plan \? null : )?(?:"((?:[^"\\]|\\.)*)"|(\w+))$', re.MULTILINE
)
_TO_HTTPS = re.compile(r'concat\("(https://[a-z0-9.-]+)", http\.request\.uri\.path\)')
_CHALLENGE = """\
    http-request return status 403 content-type text/html hdr cf-mitigated challenge \
string "<script src='/cdn-cgi/challenge-platform/h/b/orchestrate/chl_page/v1'></script>" \
unless { req.hdr(User-Agent) -m sub Mozilla }
"""
# HAProxy stores what it may, so the origin's rule is put aside, and back on the way out.
_CACHE = """\
    http-request cache-use everything
    http-response set-header X-Rule %[res.hdr(Cache-Control)]
    http-response set-header Cache-Control max-age=7200
    http-response cache-store everything
"""
_CACHED = """\
    http-after-response set-header CF-Cache-Status HIT if { res.cache_hit }
    http-after-response set-header CF-Cache-Status MISS unless { res.cache_hit }
    http-after-response set-header Cache-Control %[res.hdr(X-Rule)] if { res.hdr(X-Rule) -m found }
    http-after-response del-header X-Rule
"""
# Around by nginx, which changes the body, and back.
_CHANGING = """
backend changing
    server nginx 127.0.0.1:{port}

frontend changed
    bind 127.0.0.1:{inner}
    use_backend origin_https if {{ req.hdr(X-Forwarded-Proto) https }}
    default_backend origin_http
"""
# Error 526: the origin's certificate is not valid. A leg that fails is closed at once.
_INVALID = """\
    http-after-response set-status 526 reason "Invalid SSL certificate" if { status 502 503 }
"""
_OBFUSCATION = """\
    server {{
        listen 127.0.0.1:{port};
        large_client_header_buffers 4 16k;
        location / {{
            proxy_pass http://127.0.0.1:{inner};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Connection "";
            proxy_set_header Accept-Encoding "";
            sub_filter_once off;
            sub_filter 'href="mailto:' 'href="/cdn-cgi/l/email-protection#';
            sub_filter '</html>' '<script data-cfasync="false" \
src="/cdn-cgi/scripts/5c5dd728/cloudflare-static/email-decode.min.js"></script></html>';
        }}
    }}
"""
_STRICT = """\
foreground = yes
pid =
[origin]
client = yes
accept = 127.0.0.1:{port}
connect = {edge}
local = {source}
sni = {host}
verifyChain = yes
checkHost = {name}
CAfile = {roots}
"""


@contextlib.contextmanager
def cloudflare(
    site: Site,
    mode: Mode = Mode.FULL,
    *,
    terraform: str = "",
    always_https: bool = False,
    cache_everything: bool = False,
    obfuscation: bool = False,
    challenge: bool = False,
) -> Iterator[None]:
    """Stand in for Cloudflare until the block ends.

    Args:
        site: What it stands before.
        mode: Of SSL.
        terraform: A file with rules for the name: of them SSL, what changes answers, security
            level, cache and redirect are followed, whatever the zone is set to.
        always_https: Redirects http to https.
        cache_everything: Stores what it can, whatever the origin says of it.
        obfuscation: Replaces addresses of e-mail in HTML.
        challenge: Challenges whoever does not look like a browser.

    Raises:
        ServiceError: A program of it is missing, or did not start.
        ValueError: The file does not lead the name here, or has a rule that is not known.
    """
    config, cache, redirect = _rules(site, terraform) if terraform else ({}, {}, "")
    mode = Mode(config.get("ssl", mode))
    cache_everything = cache_everything and cache.get("cache") != "false"
    obfuscation = obfuscation and config.get("email_obfuscation") != "false"
    challenge = challenge and config.get("security_level") != "essentially_off"
    redirect = redirect or (_ALWAYS_HTTPS if always_https else "")
    with contextlib.ExitStack() as parts:
        leg, around = f"{site.edge_https} ssl sni str({site.host}) verify none", ""
        if mode is Mode.STRICT:
            leg = parts.enter_context(_strict_leg(site))
        if obfuscation:
            ports = {"port": site.inner_port(), "inner": site.inner_port()}
            around, ready = _CHANGING.format(**ports), Address("127.0.0.1", ports["port"])
            parts.enter_context(nginx(site, _OBFUSCATION.format(**ports), ready))
        rules = (challenge, _CHALLENGE), (cache_everything, _CACHE)
        text = _CONFIG.format(
            http=site.http,
            https=site.https,
            certificate=site.certificate,
            ray=_RAY,
            rules=redirect + "".join(line for wanted, line in rules if wanted),
            after=(_CACHED if cache_everything else "") + (_INVALID if mode is Mode.STRICT else ""),
            secure_first="changing" if around else "origin_https",
            plain_first="changing" if around else "origin_http",
            changing=around,
            source=site.connects_from,
            secure=site.edge_http if mode is Mode.FLEXIBLE else leg,
            edge_http=site.edge_http,
        )
        parts.enter_context(small_haproxy(site, text, site.https))
        yield


def _rules(site: Site, terraform: str) -> tuple[dict[str, str], dict[str, str], str]:
    """Return a file's settings of the name, its cache rule, and its redirect as HAProxy's."""
    phases: dict[str, dict[str, str]] = {}
    leads = False
    for kind, block in _RESOURCE.findall(terraform):
        found = {name: quoted or plain for name, quoted, plain in _SETTING.findall(block)}
        if kind == "cloudflare_dns_record" and found["name"] == site.host:
            way = found["type"], found["content"], found["proxied"]
            leads = way == ("CNAME", site.target, "true")
        elif f'http.host eq \\"{site.host}\\"' in block:
            phases[found["phase"]] = found
    if not leads:
        raise ValueError(f"the file makes {site.host} no proxied CNAME to {site.target}")
    redirect = phases.get("http_request_dynamic_redirect")
    return (
        phases.get("http_config_settings", {}),
        phases.get("http_request_cache_settings", {}),
        _redirect(redirect) if redirect else "",
    )


def _redirect(rule: dict[str, str]) -> str:
    to = _TO_HTTPS.fullmatch(rule["expression"].replace('\\"', '"'))
    if to is None:
        raise ValueError(f"a redirect to {rule['expression']} is not known here")
    kept = "" if rule.get("preserve_query_string") == "true" else " drop-query"
    code = rule["status_code"]
    return f"    http-request redirect prefix {to[1]} code {code}{kept} unless {{ ssl_fc }}\n"


@contextlib.contextmanager
def _strict_leg(site: Site) -> Iterator[str]:
    """Verify us as Full (strict) does: SNI is the branded name, the certificate the target's.

    HAProxy checks the certificate against the SNI it sends whenever it sends one, so this leg
    is stunnel's, which tells the two apart.
    """
    port = site.inner_port()
    file = site.write(
        "stunnel.conf",
        _STRICT.format(
            port=port,
            edge=site.edge_https,
            source=site.connects_from,
            host=site.host,
            name=site.target,
            roots=site.roots,
        ),
    )
    with running(site, [stunnel_program(), str(file)], Address("127.0.0.1", port)):
        yield f"127.0.0.1:{port}"
