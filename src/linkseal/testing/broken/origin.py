"""Broken set-ups of the way between a CDN or proxy and us, and of certificates of ours."""

from __future__ import annotations

from typing import Final

from linkseal.testing.broken.model import Broken

ORIGIN: Final = (
    Broken(
        "proxy-http-origin",
        "nginx: `proxy_pass http://`",
        "ORG-01",
        "The CDN or proxy talks plain http to us.",
        "`proxy_pass https://` and your target",
        front="proxy",
    ),
    Broken(
        "http-followed",
        "The leg to us follows the visitor's scheme (Full without Always Use HTTPS)",
        "ORG-01",
        "The CDN or proxy talks plain http to us when the visitor comes by http.",
        "turn on Always Use HTTPS",
        front="cloudflare",
    ),
    Broken(
        "proxy-http-followed",
        "nginx: port 80 is forwarded to us over http",
        "ORG-01",
        "The CDN or proxy talks plain http to us when the visitor comes by http.",
        "in the server of port 80 too",
        front="proxy",
    ),
    Broken(
        "proxy-no-sni",
        "nginx: `proxy_ssl_server_name` left off, its default",
        "ORG-02",
        "No SNI on the origin leg.",
        "`proxy_ssl_server_name on;`",
        front="proxy",
        warns=True,
    ),
    Broken(
        "second-proxy",
        "A proxy of the customer's stands between Cloudflare and us",
        "ORG-04",
        "Request came from 127.0.0.1, not Cloudflare.",
        "no second CDN or proxy in between",
        front="cloudflare",
        warns=True,
    ),
    Broken(
        "cdn-loop",
        "The CDN's origin is the branded name itself",
        "ORG-05",
        "CDN loop: CDN-Loop: cloudflare, cloudflare.",
        "not a name that is Proxied itself",
        front="cloudflare",
    ),
    Broken(
        "proxy-no-client-certificate",
        "nginx: `proxy_ssl_certificate` left out, where a client CA is set up",
        "ORG-06",
        "The CDN or proxy shows no client certificate.",
        "`proxy_ssl_certificate` and `proxy_ssl_certificate_key`",
        front="proxy",
        warns=True,
    ),
    Broken(
        "proxy-foreign-client-certificate",
        "nginx: the client certificate is of another CA than the one that is set up",
        "ORG-06",
        "The client certificate `…`, issued by `…`, is not of the CA `…`.",
        "`linkseal domain client-ca NAME --ca FILE`",
        front="proxy",
        warns=True,
    ),
    Broken(
        "proxy-old-client-certificate",
        "nginx: the client certificate was not renewed",
        "ORG-06",
        "The client certificate `…` expired on … UTC.",
        "reload nginx when the certificate is renewed",
        front="proxy",
        warns=True,
    ),
    Broken(
        "challenge-path-taken",
        "Another ACME client answers the challenge path (route acme)",
        "ACM-01",
        "Challenge path answered by 127.0.0.1 (404).",
        "`/.well-known/acme-challenge/` on port 80 reach us",
    ),
    Broken(
        "challenge-path-home",
        "http leads to the home page, the challenge path too (route acme)",
        "ACM-01",
        "Challenge path leads to https://www.acme.example/, where we do not answer.",
        "`/.well-known/acme-challenge/` on port 80 reach us",
    ),
    Broken(
        "challenge-port-closed",
        "Port 80 is closed (route acme)",
        "ACM-01",
        "Challenge path gets no answer from 127.0.0.1 port 80 (connection refused).",
        "`/.well-known/acme-challenge/` on port 80 reach us",
        also={"HTTP-01": "old http links use the same port"},
    ),
    Broken(
        "order-waits",
        "The zone's certificates of this week are used up (route acme)",
        "ACM-02",
        "The next order is waiting until … UTC: the CA allows few … (45 in 7 days are used up).",
        "the order is sent when the certificate authority's limit allows it",
        warns=True,
    ),
    Broken(
        "renewal-fails",
        "CAA was changed since the certificate was ordered, so that it is not renewed (route acme)",
        "ACM-03",
        "Renewal failing since … UTC: caa: CAA record for acme.example prevents issuance.",
        "See the error of the last order",
        warns=True,
    ),
)
"""The origin and ACME, in the order of the checks."""
