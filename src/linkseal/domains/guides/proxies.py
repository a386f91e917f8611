"""Guides for the customer's own proxy, each with its configuration file. Pure.

In each of them: https to the target only, its certificate verified for the name of the
target, which SNI asks for, too. Host, path and query as they came. Nothing is cached. The
client's address is the connection's: what the visitor says of it is replaced, never added to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from linkseal.domains.guides.model import File, Front, Guide, Names, Step, written

_ROOTS: Final = "/etc/ssl/certs/ca-certificates.crt"


def _guide(names: Names, at: str, file: File, *steps: Step, shows: str, then: str = "") -> Guide:
    front = Front(
        at,
        "proxy",
        "visitors' addresses are believed from there alone",
        "each address your proxy connects from",
        route="proxy",
        client_certificate=("Get a certificate with clientAuth from a private CA.", shows),
    )
    way = f"In your DNS make {names.entered(names.host)} a CNAME, or A and AAAA records, of it."
    dns = Step("Point the name at your proxy", (way, *([then] if then else [])))
    return written(names, front, steps, dns, [file])


def _certificate(host: str, where: str) -> Step:
    return Step(
        "Get a certificate",
        (
            f"For `{host}`, of a public CA, {where}.",
            (
                "Proven by DNS, as by certbot's plug-in for your DNS provider, it can be had "
                "before the name leads here, and is renewed by itself."
            ),
        ),
    )


def nginx(names: Names) -> Guide:
    """Return the guide for nginx (1.18 and later)."""
    host, target, setting = names.host, names.target, names.setting
    certificate = setting.certificate or f"/etc/letsencrypt/live/{host}/fullchain.pem"
    key = setting.key or f"/etc/letsencrypt/live/{host}/privkey.pem"
    origin = target if setting.target_port == 443 else f"{target}:{setting.target_port}"
    content = f"""\
# {host}: click and open tracking, forwarded to {target}.

server {{
    listen {setting.http_port};
    listen [::]:{setting.http_port};
    server_name {host};

    # For certbot --webroot -w /var/www/letsencrypt; without it these lines do no harm.
    location /.well-known/acme-challenge/ {{
        root /var/www/letsencrypt;
    }}

    # Links that were sent over http keep working.
    location / {{
        return 301 https://{host}$request_uri;
    }}
}}

server {{
    listen {setting.https_port} ssl;
    listen [::]:{setting.https_port} ssl;
    server_name {host};

    ssl_certificate     {certificate};
    ssl_certificate_key {key};
    ssl_protocols       TLSv1.2 TLSv1.3;

    large_client_header_buffers 4 16k;

    # Asked anew when its answer runs out: put your own DNS server here if you have one.
    resolver {setting.resolver or "1.1.1.1 9.9.9.9"};
    set $tracking_origin {origin};

    location / {{
        # No path after the name: nginx would decode and rewrite the link.
        proxy_pass https://$tracking_origin;
        proxy_http_version 1.1;

        proxy_set_header Host {host};
        # The connection's own address in place of whatever the visitor sent.
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto $scheme;

        # nginx sends no SNI and verifies nothing unless it is told to.
        proxy_ssl_server_name on;
        proxy_ssl_name {target};
        proxy_ssl_verify on;
        proxy_ssl_verify_depth 4;
        proxy_ssl_trusted_certificate {setting.roots or _ROOTS};
        proxy_ssl_protocols TLSv1.2 TLSv1.3;

        proxy_redirect off;
        proxy_intercept_errors off;
        proxy_cache off;
        proxy_store off;
        proxy_buffering off;
        gzip off;
    }}
}}
"""
    where = "goes into /etc/nginx/conf.d/; then `nginx -t` and `nginx -s reload`"
    return _guide(
        names,
        "nginx",
        File(f"{host}.conf", "nginx", where, content),
        _certificate(host, f"its whole chain in `{certificate}`, its key in `{key}`"),
        Step(
            "Add the server",
            (
                f"Put the file `{host}.conf` below into `/etc/nginx/conf.d/`.",
                "Exempt the name from ModSecurity, fail2ban, rate limits and every cache.",
                "`nginx -t`, then `nginx -s reload`.",
            ),
        ),
        shows="Next to `proxy_pass`: `proxy_ssl_certificate /etc/nginx/client.pem;` and "
        "`proxy_ssl_certificate_key /etc/nginx/client.key;`, then reload, and again when it is "
        "renewed.",
    )


def caddy(names: Names) -> Guide:
    """Return the guide for Caddy (2.8 and later)."""
    host, target, setting = names.host, names.target, names.setting
    lines = [f"# {host}: click and open tracking, forwarded to {target}.", ""]
    if (setting.http_port, setting.https_port) != (80, 443):
        lines += [
            "{",
            f"\thttp_port {setting.http_port}",
            f"\thttps_port {setting.https_port}",
            "}",
            "",
        ]
    lines.append(f"{host} {{")
    if setting.certificate:
        lines.append(f"\ttls {setting.certificate} {setting.key or setting.certificate}")
    origin = target if setting.target_port == 443 else f"{target}:{setting.target_port}"
    lines += [
        f"\treverse_proxy https://{origin} {{",
        f"\t\theader_up Host {host}",
        "\t\t# The connection's own address in place of whatever the visitor sent.",
        "\t\theader_up X-Forwarded-For {remote_host}",
        "\t\ttransport http {",
        "\t\t\t# Verified with the system's roots, for the name of the target."
        if not setting.roots
        else f"\t\t\ttls_trust_pool file {setting.roots}",
        f"\t\t\ttls_server_name {target}",
        "\t\t\tversions 1.1",
        "\t\t\tcompression off",
    ]
    if setting.resolver:
        lines.append(f"\t\t\tresolvers {setting.resolver}")
    lines += ["\t\t}", "\t}", "}", ""]
    where = "goes into /etc/caddy/Caddyfile; then `caddy reload`"
    return _guide(
        names,
        "Caddy",
        File("Caddyfile", "caddyfile", where, "\n".join(lines)),
        Step(
            "Add the site",
            (
                "Put the file `Caddyfile` below into yours; `caddy validate`, then `caddy reload`.",
                "Exempt the name from `encode`, caches and rate limits.",
            ),
        ),
        shows="In `transport http`: `tls_client_auth /etc/caddy/client.pem /etc/caddy/client.key`, "
        "then reload.",
        then="Caddy then gets the certificate by itself, within a minute, and redirects http to "
        "https.",
    )


def haproxy(names: Names) -> Guide:
    """Return the guide for HAProxy (2.4 and later)."""
    host, target, setting = names.host, names.target, names.setting
    certificate = setting.certificate or f"/etc/haproxy/certs/{host}.pem"
    resolver = setting.resolver and (
        setting.resolver if ":" in setting.resolver else f"{setting.resolver}:53"
    )
    tls = f"ssl crt {certificate} alpn h2,http/1.1 ssl-min-ver TLSv1.2"
    servers = f"nameserver dns {resolver}" if resolver else "parse-resolv-conf"
    content = f"""\
# {host}: click and open tracking, forwarded to {target}.

defaults tracking
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s

resolvers tracking
    {servers}
    hold valid 60s

frontend tracking_http from tracking
    bind :{setting.http_port}
    bind :::{setting.http_port} v6only
    http-request return status 421 unless {{ hdr(host),host_only -m str -i {host} }}
    # Links that were sent over http keep working.
    http-request redirect prefix https://{host} code 301

frontend tracking_https from tracking
    bind :{setting.https_port} {tls}
    bind :::{setting.https_port} v6only {tls}
    http-request return status 421 unless {{ hdr(host),host_only -m str -i {host} }}
    default_backend tracking_origin

backend tracking_origin from tracking
    http-request set-header Host {host}
    # The connection's own address in place of whatever the visitor sent.
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Proto https
    server origin {target}:{setting.target_port} ssl verify required \
ca-file {setting.roots or _ROOTS} sni str({target}) verifyhost {target} \
ssl-min-ver TLSv1.2 resolvers tracking resolve-prefer ipv4 init-addr none
"""
    where = "is added to /etc/haproxy/haproxy.cfg; then `haproxy -c -f` it, and reload"
    return _guide(
        names,
        "HAProxy",
        File(f"{host}.cfg", "haproxy", where, content),
        _certificate(host, f"its chain and its key together in `{certificate}`"),
        Step(
            "Add frontends and backend",
            (
                f"Add the file `{host}.cfg` below to your configuration, or use it alone.",
                (
                    "Where a frontend of yours has these ports, add the rule to it: "
                    f"`use_backend tracking_origin if {{ hdr(host) -i {host} }}`."
                ),
            ),
        ),
        shows="On the `server` line: `crt /etc/haproxy/client.pem`, certificate and key in one "
        "file, then reload, and again when it is renewed.",
    )


WRITERS: Final[dict[str, Callable[[Names], Guide]]] = {
    "nginx": nginx,
    "caddy": caddy,
    "haproxy": haproxy,
}
"""By guide."""
