"""Broken set-ups of branded domains, each with one mistake, and what is said of it.

Each is built and probed over real sockets by the tests; the page of checks shows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Broken:
    """One mistake.

    Attributes:
        name: As in ``query-dropped``.
        mistake: What the customer, the CDN or the proxy does.
        check: The one check that has to say it.
        message: What it says; ``…`` stands for what differs from run to run.
        warns: Whether it warns only.
        also: Checks that warn besides, each with the reason why they must.
    """

    name: str
    mistake: str
    check: str
    message: str
    warns: bool = False
    also: Mapping[str, str] = field(default_factory=dict)


HOST: Final = "links.acme.example"
"""The branded domain of the messages."""

BROKEN: Final = (
    Broken(
        "no-address",
        "The branded name is not published",
        "DNS-01",
        f"`{HOST}` does not resolve (no address).",
    ),
    Broken(
        "servfail",
        "The zone's server fails for the name",
        "DNS-01",
        f"`{HOST}` does not resolve (SERVFAIL).",
    ),
    Broken(
        "cname-to-nobody",
        "CNAME to a name that is not there",
        "DNS-02",
        "CNAME chain breaks at `gone.acme.example`: NXDOMAIN.",
        also={"DNS-03": "a chain that ends nowhere leads to no target"},
    ),
    Broken(
        "cname-loop",
        "Two CNAMEs that lead to each other",
        "DNS-02",
        "CNAME chain runs in a circle: it comes back to `one.acme.example`.",
        also={"DNS-03": "a chain that ends nowhere leads to no target"},
    ),
    Broken(
        "cname-long",
        "CNAME after CNAME, nine of them",
        "DNS-02",
        "CNAME chain has 9 steps; resolvers give up after 8.",
    ),
    Broken(
        "another-target",
        "CNAME to the target of another claim",
        "DNS-03",
        f"`{HOST}` points to `t-other.ct.example.net`, which is not your target: yours is "
        "`t-abc.ct.example.net`.",
    ),
    Broken(
        "txt-missing",
        "The ownership TXT was deleted",
        "DNS-04",
        f"Ownership token missing: `_ct-challenge.{HOST}` has no TXT record.",
    ),
    Broken(
        "txt-wrong",
        "The ownership TXT of an earlier claim",
        "DNS-04",
        f"Ownership token different: TXT at `_ct-challenge.{HOST}` is `ct-verify=old`.",
    ),
    Broken(
        "txt-doubled",
        "The ownership TXT with the zone appended twice",
        "DNS-04",
        f"Ownership token missing: `_ct-challenge.{HOST}` has no TXT record.",
        also={"DNS-05": "it says where the record stands instead"},
    ),
    Broken(
        "cname-doubled",
        "The CNAME with the zone appended twice",
        "DNS-01",
        f"`{HOST}` does not resolve (no address).",
        also={"DNS-05": "it says where the record stands instead"},
    ),
    Broken(
        "aaaa-dead",
        "An AAAA record whose address does not answer",
        "DNS-06",
        "AAAA ::1 does not answer on port … (connection refused); Let's Encrypt prefers IPv6.",
        warns=True,
    ),
    Broken(
        "dnssec-bogus",
        "DNSSEC signatures that fail",
        "DNS-07",
        f"DNSSEC validation fails for `{HOST}`.",
    ),
    Broken(
        "caa-forbids",
        "CAA of the zone names another authority only (route acme)",
        "DNS-08",
        'CAA at acme.example allows only "other.example" (another CA).',
    ),
    Broken(
        "delegation-wrong",
        "An old TXT where the delegation belongs (route acme)",
        "DNS-09",
        f'`_acme-challenge.{HOST}` is TXT "old"; expected CNAME k7.acme.ct.example.net.',
    ),
    Broken(
        "https-closed",
        "Port 443 is closed",
        "TLS-01",
        "Port 443 on 127.0.0.1 closed (connection refused).",
    ),
    Broken(
        "missing-intermediate",
        "The intermediate certificate is not sent",
        "TLS-02",
        "Intermediate missing: … issued …, and its certificate is not sent.",
    ),
    Broken(
        "self-signed",
        "A self-signed certificate",
        "TLS-02",
        f"The certificate is self-signed: nobody vouches for CN={HOST}.",
    ),
    Broken(
        "origin-ca",
        "A Cloudflare Origin CA certificate is shown to browsers (grey cloud)",
        "TLS-02",
        "A Cloudflare Origin CA certificate is shown to browsers: only Cloudflare trusts it.",
    ),
    Broken(
        "staging",
        "A certificate of an authority's staging server",
        "TLS-02",
        "The certificate is from a CA's staging server (…), which browsers do not trust.",
    ),
    Broken(
        "private-root",
        "A certificate of a company's own authority",
        "TLS-02",
        "The chain ends at …, which is no root browsers trust.",
    ),
    Broken(
        "wrong-name",
        "A certificate for the web site only",
        "TLS-03",
        f"Certificate is for www.acme.example, not `{HOST}`.",
    ),
    Broken("expired", "An expired certificate", "TLS-04", "Expired … UTC."),
    Broken(
        "renewal-stopped",
        "A certificate that nobody renewed, two days before its end",
        "TLS-04",
        "Expires … UTC; renewal seems not to run.",
    ),
    Broken("tls-1.3-only", "TLS 1.3 only", "TLS-05", "TLS 1.2 not offered."),
    Broken(
        "old-tls-too",
        "TLS 1.0 and 1.1 beside the new ones",
        "TLS-05",
        "TLS 1.0 and 1.1 still accepted.",
        warns=True,
    ),
    Broken(
        "weak-key",
        "A certificate with an RSA key of 1024 bits",
        "TLS-06",
        f"CN={HOST}: an RSA key of 1024 bits; RSA 2048, P-256 and SHA-256, or more, are needed.",
    ),
    Broken(
        "http-closed",
        "Port 80 is closed",
        "HTTP-01",
        "Old http links break: port 80 does not answer (connection refused).",
        warns=True,
    ),
    Broken(
        "http-home",
        "http leads to the home page",
        "HTTP-01",
        "Old http links break: port 80 redirects to https://www.acme.example/.",
        warns=True,
    ),
    Broken(
        "proxy-http-home",
        "nginx: `return 301` without `$request_uri`",
        "HTTP-01",
        f"Old http links break: port 80 redirects to https://{HOST}/.",
        warns=True,
    ),
    Broken(
        "another-server",
        "https is answered by the customer's web server",
        "HTTP-02",
        "Request did not reach us: got 404 from 127.0.0.1.",
    ),
    Broken(
        "host-rewritten",
        "Host is set to the origin's name",
        "HTTP-03",
        "Host header arrives as `t-abc.ct.example.net`.",
    ),
    Broken(
        "proxy-host-rewritten",
        "nginx: `proxy_set_header Host` with the upstream's name",
        "HTTP-03",
        "Host header arrives as `t-abc.ct.example.net:…`.",
    ),
    Broken("query-dropped", "The query is not forwarded", "HTTP-04", "Query string was dropped."),
    Broken(
        "proxy-query-dropped",
        "nginx: `proxy_pass` with `$uri` after the name",
        "HTTP-04",
        "Query string was dropped.",
    ),
    Broken(
        "long-refused",
        "URLs of more than 1900 characters are refused",
        "HTTP-04",
        "A URL of 2048 characters is refused (414).",
    ),
    Broken(
        "redirect-followed",
        "The CDN follows redirects itself",
        "HTTP-05",
        "The CDN or proxy followed our redirect: the answer is 200, not 302.",
    ),
    Broken(
        "redirect-rewritten",
        "Redirects are rewritten to the branded name",
        "HTTP-05",
        f"The CDN or proxy rewrote our redirect (https://{HOST}/shop).",
    ),
    Broken(
        "redirect-cached",
        "Answers with status 302 are cached",
        "HTTP-06",
        "/302 is cached by the CDN (the same answer).",
    ),
    Broken(
        "pixel-cached",
        "Images are cached, whatever Cache-Control says",
        "HTTP-06",
        "/pixel… is cached by the CDN (the same answer).",
    ),
    Broken(
        "proxy-cache",
        "nginx: `proxy_cache` for everything, Cache-Control ignored",
        "HTTP-06",
        "… is cached by the CDN (the same answer).",
    ),
    Broken(
        "requests-merged",
        "Requests at the same time are merged into one",
        "HTTP-06",
        "/echo: 5 requests at once are merged into 1 by the CDN.",
    ),
    Broken(
        "client-lost",
        "A second proxy hides who asks",
        "HTTP-08",
        "Client IP not forwarded (we see 203.0.113.9).",
        warns=True,
    ),
    Broken(
        "proxy-forged-client",
        "nginx: X-Forwarded-For is passed on as the visitor sent it",
        "HTTP-08",
        "A forged client IP is believed (we see 192.0.2.66).",
        warns=True,
    ),
    Broken(
        "agent-rewritten",
        "User-Agent is replaced by the CDN's own",
        "HTTP-09",
        "User-Agent arrives as `Amazon CloudFront`.",
        warns=True,
    ),
    Broken(
        "proxy-agent-rewritten",
        "nginx: `proxy_set_header User-Agent`",
        "HTTP-09",
        "User-Agent arrives as `nginx`.",
        warns=True,
    ),
    Broken("post-blocked", "POST is refused", "HTTP-10", "POST blocked (403).", warns=True),
    Broken(
        "proxy-post-blocked",
        "nginx: `limit_except GET` at the location",
        "HTTP-10",
        "POST blocked (403).",
        warns=True,
    ),
    Broken(
        "addresses-obfuscated",
        "E-mail addresses in pages are obfuscated",
        "HTTP-11",
        "Body altered: /html has its email addresses replaced (optimizer/obfuscation/injection).",
        warns=True,
    ),
    Broken(
        "proxy-body-altered",
        "nginx: `sub_filter` puts something into pages",
        "HTTP-11",
        "Body altered: /html … (optimizer/obfuscation/injection).",
        warns=True,
    ),
    Broken(
        "image-optimised",
        "An image optimiser makes WebP of the pixel",
        "HTTP-11",
        "Content-Type of /pixel… arrives as `image/webp`.",
        warns=True,
    ),
    Broken(
        "browser-cache",
        "A lifetime for browsers replaces Cache-Control",
        "HTTP-11",
        "Cache-Control arrives as `max-age=14400`.",
        warns=True,
    ),
    Broken(
        "bot-challenge",
        "A bot challenge for scripts",
        "HTTP-12",
        "Clicks are challenged: … for UA `python-requests/2.32.3`.",
    ),
    Broken(
        "redirect-loop",
        "Flexible SSL before an origin that redirects to https",
        "HTTP-13",
        f"Redirect loop (Flexible SSL?): https://{HOST}/… leads to https://{HOST}/….",
    ),
    Broken(
        "app-file-redirected",
        "The app's file is redirected to the web site",
        "HTTP-14",
        "assetlinks.json: redirected (301), which phones refuse.",
    ),
    Broken(
        "slow",
        "Each answer takes more than half a second",
        "HTTP-15",
        "Slow: half the answers take … ms or more, one in twenty … ms.",
        warns=True,
    ),
    Broken(
        "proxy-http-origin",
        "nginx: `proxy_pass http://`",
        "ORG-01",
        "The CDN or proxy talks plain http to us.",
    ),
    Broken(
        "proxy-no-sni",
        "nginx: `proxy_ssl_server_name` left off, its default",
        "ORG-02",
        "No SNI on the origin leg.",
        warns=True,
    ),
    Broken(
        "cdn-loop",
        "The CDN's origin is the branded name itself",
        "ORG-05",
        "CDN loop: CDN-Loop: cloudflare, cloudflare.",
    ),
)
"""All of them, in the order of the checks."""
