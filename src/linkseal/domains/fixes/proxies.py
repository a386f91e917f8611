"""What to do at one's own proxy: nginx, Caddy or HAProxy, each in its own words. Pure data."""

from __future__ import annotations

from typing import Final

_SAME: Final[dict[str, str]] = {
    "DNS-03": "Make the branded name a CNAME, or A and AAAA records, of your proxy.",
    "HTTP-09": "Do not set User-Agent or Accept-Language in the proxy.",
    "HTTP-12": "Exempt this name from fail2ban, ModSecurity and rate limits.",
    "ACM-01": "Forward `/.well-known/acme-challenge/` on port 80 to us, or delegate "
    "`_acme-challenge` to us by CNAME.",
}
_TOLD_US: Final = {
    "HTTP-08": " Where the field arrives as it should, the domain is not enrolled: `linkseal "
    "domain enrol NAME proxy --network ADDRESS`, with each address your proxy connects from.",
    "ORG-06": " The CA that signed it is given by `linkseal domain client-ca NAME --ca FILE`.",
}

_NGINX: Final[dict[str, str]] = {
    "TLS-02": "`ssl_certificate` must be `fullchain.pem`, of a public CA.",
    "TLS-03": "A `server` whose `server_name` and certificate are for the branded name.",
    "TLS-05": "`ssl_protocols TLSv1.2 TLSv1.3;`.",
    "HTTP-01": "`return 301 https://<name>$request_uri;` in the server of port 80.",
    "HTTP-02": "`proxy_pass https://` and your target, for `location /`, in the server of this "
    "name.",
    "HTTP-03": "`proxy_set_header Host` with the branded name.",
    "HTTP-04": "No path after the name in `proxy_pass`, not even `/`, and no `rewrite`.",
    "HTTP-05": "`proxy_redirect off;` and no `proxy_intercept_errors`.",
    "HTTP-06": "`proxy_cache off;` and `proxy_store off;` for this name.",
    "HTTP-07": "`proxy_cache off;` for this name.",
    "HTTP-08": "`proxy_set_header X-Forwarded-For $remote_addr;`: the connection's address in "
    "place of what the visitor sent.",
    "HTTP-11": "No `sub_filter`, no image filter and no page speed module for this name.",
    "HTTP-13": "`proxy_pass https://` and your target, not http://.",
    "ORG-01": "`proxy_pass https://` and your target, not http://, in the server of port 80 too, "
    "where it does not redirect.",
    "ORG-02": "`proxy_ssl_server_name on;` and `proxy_ssl_name` your target: without it nginx "
    "sends none.",
    "ORG-03": "`proxy_ssl_verify on;`, `proxy_ssl_trusted_certificate` with your system's roots, "
    "`proxy_ssl_server_name on;` and `proxy_ssl_name` your target.",
    "ORG-06": "`proxy_ssl_certificate` and `proxy_ssl_certificate_key`, next to `proxy_pass`; "
    "reload nginx when the certificate is renewed.",
}

_CADDY: Final[dict[str, str]] = {
    "TLS-02": "Leave `tls` out of the site and Caddy gets a certificate itself, its log says why "
    "if it cannot; with files of yours, the first holds the whole chain of a public CA.",
    "TLS-03": "A site whose address is the branded name: Caddy then gets a certificate for it.",
    "TLS-05": "Leave `protocols` out of `tls`.",
    "HTTP-01": "Let Caddy have port 80, where it redirects by itself: no `auto_https off`, and no "
    "`http://` site of this name.",
    "HTTP-02": "`reverse_proxy https://` and your target, in the site of this name, for all paths.",
    "HTTP-03": "`header_up Host` with the branded name, in `reverse_proxy`.",
    "HTTP-04": "No `rewrite`, `uri` or `handle_path` for this name.",
    "HTTP-05": "No `handle_response` and no `header_down Location` in `reverse_proxy`.",
    "HTTP-06": "Leave cache modules (`cache`) out of the site of this name.",
    "HTTP-07": "Leave cache modules (`cache`) out of the site of this name.",
    "HTTP-08": "`header_up X-Forwarded-For {remote_host}` in `reverse_proxy`: the connection's "
    "address in place of what the visitor sent.",
    "HTTP-11": "No `templates`, `encode` or `replace` in the site of this name.",
    "HTTP-13": "`reverse_proxy https://` and your target, not http://.",
    "ORG-01": "`reverse_proxy https://` and your target, not http://, in an `http://` site of this "
    "name too.",
    "ORG-02": "`tls_server_name` with your target, in `transport http`.",
    "ORG-03": "In `transport http` no `tls_insecure_skip_verify`, and `tls_server_name` with your "
    "target.",
    "ORG-06": "`tls_client_auth` with certificate and key, in `transport http`; Caddy shows one "
    "only if the CA we ask for issued it.",
}

_HAPROXY: Final[dict[str, str]] = {
    "TLS-02": "The PEM file of `crt` holds the key and the whole chain, of a public CA.",
    "TLS-03": "On the `bind` line `crt` with a PEM file whose certificate names the branded name.",
    "TLS-05": "`ssl-min-ver TLSv1.2` on the `bind` line, and no `ssl-max-ver`.",
    "HTTP-01": "`http-request redirect prefix https://<name> code 301` in the frontend of port 80: "
    "it keeps path and query.",
    "HTTP-02": "`use_backend` must lead this name to a backend whose `server` is your target, "
    "port 443, with `ssl`.",
    "HTTP-03": "`http-request set-header Host` with the branded name.",
    "HTTP-04": "No `set-path`, `set-query`, `set-uri`, `replace-path`, `replace-uri` or "
    "`normalize-uri` for this name.",
    "HTTP-05": "No `http-response` rule that redirects, or changes Location, for this name.",
    "HTTP-06": "No `cache-use` and no `cache-store` for this name.",
    "HTTP-07": "No `cache-use` and no `cache-store` for this name.",
    "HTTP-08": "`http-request set-header X-Forwarded-For %[src]`, not `option forwardfor`: that "
    "one keeps what the visitor sent.",
    "HTTP-11": "No `compression` and no Lua or filter that changes answers of this name.",
    "HTTP-13": "`server` with your target, port 443 and `ssl`.",
    "ORG-01": "`server` with your target, port 443 and `ssl`, also for the frontend of port 80.",
    "ORG-02": "`sni str(<target>)` on the `server` line.",
    "ORG-03": "`verify required`, `ca-file` with your system's roots, and `verifyhost` with your "
    "target, on the `server` line.",
    "ORG-06": "`crt` with certificate and key in one PEM file, on the `server` line; reload "
    "HAProxy when it is renewed.",
}

_EACH: Final = {"nginx": _NGINX, "caddy": _CADDY, "haproxy": _HAPROXY}
_NAMES: Final = {"nginx": "nginx", "caddy": "Caddy", "haproxy": "HAProxy"}


def _with_the_rest(said: dict[str, str]) -> dict[str, str]:
    return {**_SAME, **{check: text + _TOLD_US.get(check, "") for check, text in said.items()}}


FIXES: Final[dict[str, dict[str, str]]] = {
    **{each: _with_the_rest(said) for each, said in _EACH.items()},
    "proxy": _with_the_rest(
        {
            check: " ".join(f"{_NAMES[each]}: {said[check]}" for each, said in _EACH.items())
            for check in _NGINX
        }
    ),
}
"""By guide, and for a proxy of which no more is known, then by check."""
