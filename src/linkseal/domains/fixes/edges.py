"""What to do at Cloudflare, Fastly, CloudFront, KeyCDN and Bunny. Pure data."""

from __future__ import annotations

from typing import Final

ACME: Final = (
    "Ask for route cdn, `linkseal domain request-ssl NAME --route cdn`: here the CDN holds the "
    "certificate. To have us get it after all, take the CDN out of the way of this name, or "
    "delegate `_acme-challenge` to us by CNAME."
)
"""For every CDN that holds the certificate itself."""

_CLOUDFLARE: Final[dict[str, str]] = {
    "DNS-03": "In DNS, make the branded name a CNAME whose content is your target, and set it to "
    "Proxied (orange cloud).",
    "TLS-01": "Set the DNS record to Proxied; the edge certificate comes some minutes later.",
    "TLS-02": "Set the record to Proxied and wait for Universal SSL. With a grey cloud recipients "
    "meet our certificate, or a Cloudflare Origin CA one that no browser trusts.",
    "TLS-03": "Universal SSL covers one label under the zone: for a deeper name get Advanced "
    "Certificate Manager or Total TLS, or claim a shorter one. Keep the record Proxied.",
    "HTTP-01": "Turn on Always Use HTTPS; leave port 80 to Cloudflare.",
    "HTTP-02": "The DNS record's content must be your target. Error 1016: it does not resolve; "
    "1000: it points at Cloudflare itself; 522: we are not reached; 525 or 526: our certificate "
    "was refused, tell us; 1014: our own name is proxied by Cloudflare in another account, tell "
    "us.",
    "HTTP-03": "Remove the Host header override for this name from Origin Rules and Page Rules.",
    "HTTP-04": "Remove Transform, Redirect and cache key rules that touch the path or the query "
    "string of this name, and turn off Normalize URLs to origin.",
    "HTTP-05": "Remove Page Rules and Redirect Rules for this name, except the one from http to "
    "https.",
    "HTTP-06": "Add a Cache Rule for this name with Bypass cache, and delete Cache Everything and "
    "Edge Cache TTL rules that match it.",
    "HTTP-07": "Add a Cache Rule for this name with Bypass cache; Caching Level must not be Ignore "
    "Query String.",
    "HTTP-08": "Where CF-Connecting-IP arrives, the domain is not enrolled: `linkseal domain enrol "
    "NAME cloudflare`. Where it does not, turn off the Managed Transform Remove visitor IP "
    "headers.",
    "HTTP-11": "In a Configuration Rule for this name turn off Email Obfuscation, Rocket Loader, "
    "Polish, Mirage, Zaraz and RUM.",
    "HTTP-12": "Turn Bot Fight Mode off: no rule can skip it. With Super Bot Fight Mode add a WAF "
    "custom rule that skips it for this name. Under Attack Mode off; Security Level Essentially "
    "Off for this name.",
    "HTTP-13": "Set SSL for this name to Full (strict) by a Configuration Rule: Flexible is what "
    "loops. Turn on Always Use HTTPS.",
    "ORG-01": "Set SSL for this name to Full (strict) by a Configuration Rule, and turn on Always "
    "Use HTTPS: Full follows the visitor's scheme, so http visitors come to us over http.",
    "ORG-02": "Set SSL for this name to Full (strict) by a Configuration Rule, and remove an SNI "
    "override from Origin Rules.",
    "ORG-03": "Set SSL for this name to Full (strict) by a Configuration Rule: Full verifies "
    "nothing. Our certificate names your target, which strict accepts.",
    "ORG-04": "Requests must come to us from Cloudflare: the record Proxied, and no second CDN or "
    "proxy in between.",
    "ORG-05": "The DNS record's content must be your target, not a name that is Proxied itself; "
    "remove Workers that fetch the branded name.",
    "ORG-06": "Turn Authenticated Origin Pulls on, under SSL/TLS, Origin Server; it takes SSL Full "
    "or Full (strict). The certificate shown is the one for this hostname, else the zone's, else "
    "Cloudflare's own: give the CA of that one by `linkseal domain client-ca NAME --ca FILE`. One "
    "that you uploaded is yours to renew.",
    "ACM-01": "Ask for route cdn, `linkseal domain request-ssl NAME --route cdn`: Cloudflare "
    "holds the certificate. To have us get it after all, set the record to DNS only (grey cloud), "
    "or delegate `_acme-challenge` to us by CNAME.",
}

_FASTLY: Final[dict[str, str]] = {
    "DNS-03": "Make the branded name a CNAME to the name that Fastly shows with the TLS "
    "certificate of this domain.",
    "TLS-02": "The domain's TLS subscription must be issued and activated: see Security, TLS "
    "management, and publish the validation record it asks for.",
    "TLS-03": "Add this name to a TLS subscription, wait until it is issued, activate it, and "
    "point the CNAME at the name shown there.",
    "HTTP-02": "Set the host's address to your target, port 443, TLS on, and the certificate "
    "hostname to your target: a wrong one gives a 503.",
    "HTTP-03": "Clear Override host in the host's settings and in the service's settings.",
    "HTTP-04": "Remove VCL that filters or sorts the query string of this name (querystring.*, "
    "regsub on req.url).",
    "HTTP-05": "Remove VCL that restarts or redirects requests of this name.",
    "HTTP-06": "In vcl_recv `return(pass)` for this name, or a request setting with action Pass: "
    "a cache setting or VCL of yours stores our answers. Set the fallback TTL to 0.",
    "HTTP-07": "In vcl_recv `return(pass)` for this name, or a request setting with action Pass.",
    "HTTP-08": "Where X-Forwarded-For ends with the visitor's address, the domain is not enrolled: "
    "`linkseal domain enrol NAME fastly`. Where it does not, let no VCL change it.",
    "HTTP-11": "Turn Image Optimizer off for this name.",
    "HTTP-12": "In Next-Gen WAF add an allow rule for this name, and take it out of rate limits.",
    "HTTP-13": "Host settings: port 443, TLS on (use_ssl). Force TLS may stay on.",
    "ORG-01": "Host settings: port 443, TLS on (use_ssl); an address given as a number turns it "
    "off.",
    "ORG-02": "Host settings: set SNI hostname to your target.",
    "ORG-03": "Host settings: Verify certificate on (ssl_check_cert), certificate hostname and SNI "
    "hostname your target.",
    "ORG-05": "The host's address must be your target, never the branded name; turn shielding off.",
    "ORG-06": "Host settings: TLS client certificate and TLS client key (ssl_client_cert, "
    "ssl_client_key), of the CA given by `linkseal domain client-ca NAME --ca FILE`.",
    "ACM-01": ACME,
}

_CLOUDFRONT: Final[dict[str, str]] = {
    "DNS-03": "Make the branded name a CNAME to the distribution's name (`d….cloudfront.net`), and "
    "list it as an alternate domain name there.",
    "TLS-02": "Attach an ACM certificate of us-east-1 for this name to the distribution.",
    "TLS-03": "Get an ACM certificate for this name in us-east-1, attach it to the distribution, "
    "and list the name as an alternate domain name.",
    "HTTP-01": "Viewer protocol policy: Redirect HTTP to HTTPS.",
    "HTTP-02": "The origin's domain must be your target, HTTPS only. A 502 with `Error from "
    "cloudfront`: it refused our certificate, tell us. Or a WAF web ACL answered.",
    "HTTP-03": "Set the behaviour's origin request policy to AllViewer, not "
    "AllViewerExceptHostHeader.",
    "HTTP-04": "Set the origin request policy to AllViewer: query strings are dropped without it.",
    "HTTP-05": "Remove functions and custom error responses from the behaviour.",
    "HTTP-06": "Set the behaviour's cache policy to CachingDisabled.",
    "HTTP-07": "Set the cache policy to CachingDisabled: CachingOptimized leaves the query string "
    "out of its key.",
    "HTTP-08": "Where X-Forwarded-For ends with the visitor's address, the domain is not enrolled: "
    "`linkseal domain enrol NAME cloudfront`. CloudFront adds it by itself: where it does not "
    "arrive, remove functions that change it.",
    "HTTP-09": "Set the origin request policy to AllViewer: otherwise User-Agent arrives as "
    "`Amazon CloudFront`, and Accept-Language not at all.",
    "HTTP-10": "Allowed HTTP methods: GET, HEAD, OPTIONS, PUT, POST, PATCH, DELETE.",
    "HTTP-11": "Remove CloudFront Functions and Lambda@Edge from the behaviour.",
    "HTTP-12": "In the web ACL exclude this name from the bot control rules.",
    "HTTP-13": "Origin protocol policy: HTTPS only.",
    "ORG-01": "Origin protocol policy: HTTPS only, as Match viewer lets http through; viewer "
    "protocol policy: Redirect HTTP to HTTPS.",
    "ORG-02": "Origin protocol policy: HTTPS only; CloudFront then sends SNI by itself.",
    "ORG-03": "CloudFront always verifies: if it did not, the answer is of something else. Look "
    "for a second proxy behind it.",
    "ORG-05": "The origin's domain must be your target, never the branded name.",
    "ORG-06": "Give the origin a client certificate (OriginMtlsConfig, ClientCertificateArn): "
    "imported into ACM in us-east-1, for clientAuth, of the CA given by `linkseal domain client-ca "
    "NAME --ca FILE`. ACM does not renew it: import the next one in time.",
    "ACM-01": ACME,
}

_KEYCDN: Final[dict[str, str]] = {
    "DNS-03": "Add the branded name as a Zonealias, and make it a CNAME to `….kxcdn.com`.",
    "TLS-02": "Set the zone's SSL to Let's Encrypt and wait until the alias has its certificate.",
    "TLS-03": "Enable Let's Encrypt for the Zonealias, or install a certificate for it.",
    "HTTP-02": "Set the zone's Origin URL to https:// and your target.",
    "HTTP-03": "Turn Forward Host Header on.",
    "HTTP-04": "Turn Ignore Query String off.",
    "HTTP-06": "Turn Ignore Cache Control off, and set Expire to as received: KeyCDN stores 302, "
    "too.",
    "HTTP-07": "Turn Ignore Query String off, and Cache Key Host on.",
    "HTTP-08": "KeyCDN documents no field for the visitor's address, and we believe none of it: "
    "take another CDN where that address is wanted, or do without.",
    "HTTP-10": "KeyCDN passes GET and HEAD only, which no setting changes: take another CDN "
    "where mail programs are to unsubscribe by POST.",
    "HTTP-11": "Turn Image Processing off.",
    "HTTP-12": "Turn Secure Token and Block Bad Bots off for the zone.",
    "HTTP-13": "Set the zone's Origin URL to https:// and your target.",
    "ORG-01": "Set the zone's Origin URL to https:// and your target.",
    "ORG-03": "KeyCDN does not document whether it verifies, and has no setting for it: ask their "
    "support.",
    "ORG-04": "Turn Origin Shield on: only shield servers have published addresses.",
    "ORG-06": "KeyCDN documents no client certificate: have us ask for none, by `linkseal domain "
    "client-ca NAME --remove`.",
    "ACM-01": ACME,
}

_BUNNY: Final[dict[str, str]] = {
    "DNS-03": "Add the branded name as a custom hostname of the pull zone, and make it a CNAME to "
    "`….b-cdn.net`.",
    "TLS-02": "At the pull zone's hostname, load the free certificate (Enable SSL).",
    "TLS-03": "Add the hostname to the pull zone and load the free certificate for it.",
    "HTTP-01": "Turn Force SSL on for the hostname.",
    "HTTP-02": "Set the Origin URL to https:// and your target.",
    "HTTP-03": "Turn Forward Host Header on.",
    "HTTP-04": "Turn Vary Cache: URL Query String on, and remove Edge Rules that change the URL.",
    "HTTP-05": "Turn Follow Redirects off.",
    "HTTP-06": "Cache Expiration Time: Respect Origin Cache-Control, or an Edge Rule that bypasses "
    "the cache for this name.",
    "HTTP-07": "Turn Vary Cache: URL Query String on; the query string is ignored by default.",
    "HTTP-08": "Bunny sends the visitor's address in X-Real-IP by itself; we believe it once the "
    "domain is enrolled, `linkseal domain enrol NAME bunny`, and from addresses that we know: "
    "`linkseal cdn refresh bunny` fetches those of today.",
    "ORG-04": "`linkseal cdn refresh bunny` fetches the addresses it has today.",
    "HTTP-11": "Turn Bunny Optimizer off for the pull zone.",
    "HTTP-12": "In Bunny Shield and its WAF, allow this name.",
    "HTTP-13": "Set the Origin URL to https:// and your target.",
    "ORG-01": "Set the Origin URL to https:// and your target.",
    "ORG-02": "Turn Forward Host Header on: SNI is then the branded name.",
    "ORG-03": "Turn Verify Origin SSL Certificate on.",
    "ORG-06": "Bunny documents no client certificate: have us ask for none, by `linkseal domain "
    "client-ca NAME --remove`.",
    "ACM-01": ACME,
}

FIXES: Final[dict[str, dict[str, str]]] = {
    "cloudflare": _CLOUDFLARE,
    "fastly": _FASTLY,
    "cloudfront": _CLOUDFRONT,
    "keycdn": _KEYCDN,
    "bunny": _BUNNY,
}
"""By profile, then check."""
