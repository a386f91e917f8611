"""The CDNs that are known. Pure data.

The field a client's address is taken from is one that the CDN writes itself, whatever the
visitor sent: in a list that is the end of it, never its beginning.
"""

from __future__ import annotations

from typing import Final

from linkseal.domains.profiles import ranges
from linkseal.domains.profiles.model import Mark, Profile

_CLOUDFLARE = Profile(
    id="cloudflare",
    name="Cloudflare",
    cname_suffixes=("cdn.cloudflare.net",),
    snapshot=ranges.CLOUDFLARE,
    answers_there=True,
    response_marks=(Mark("cf-ray"), Mark("server", "cloudflare"), Mark("cf-cache-status")),
    request_marks=("cf-ray", "cf-connecting-ip", "cf-visitor"),
    client_header="CF-Connecting-IP",
    client_kind="single",
    shows_origin="host",
)

# Fastly-Client-IP is kept as the visitor sent it, unless VCL overwrites it.
_FASTLY = Profile(
    id="fastly",
    name="Fastly",
    cname_suffixes=("fastly.net", "fastlylb.net"),
    snapshot=ranges.FASTLY,
    answers_there=True,
    response_marks=(Mark("x-served-by", "cache-"), Mark("x-timer")),
    request_marks=("fastly-client", "fastly-ff", "fastly-client-ip"),
    client_header="X-Forwarded-For",
    client_kind="list",
    shows_origin="either",
)

_CLOUDFRONT = Profile(
    id="cloudfront",
    name="CloudFront",
    cname_suffixes=("cloudfront.net",),
    snapshot=ranges.CLOUDFRONT,
    answers_there=True,
    response_marks=(Mark("x-amz-cf-id"), Mark("x-amz-cf-pop"), Mark("via", "cloudfront")),
    request_marks=("x-amz-cf-id",),
    client_header="X-Forwarded-For",
    client_kind="list",
    shows_origin="either",
)

# Its documented requests carry no client address at all.
_KEYCDN = Profile(
    id="keycdn",
    name="KeyCDN",
    cname_suffixes=("kxcdn.com",),
    snapshot=ranges.KEYCDN,
    answers_there=False,
    response_marks=(Mark("server", "keycdn"), Mark("x-edge-location"), Mark("x-pull", "keycdn")),
    request_marks=("x-pull", "x-forwarded-scheme"),
    client_header="",
    client_kind="",
    shows_origin="",
)

_BUNNY = Profile(
    id="bunny",
    name="Bunny",
    cname_suffixes=("b-cdn.net",),
    snapshot=ranges.BUNNY,
    answers_there=False,
    response_marks=(Mark("server", "bunnycdn"), Mark("cdn-pullzone"), Mark("cdn-requestid")),
    request_marks=("cdn-pullzoneid", "cdn-requestid", "cdn-serverid"),
    client_header="X-Real-IP",
    client_kind="single",
    shows_origin="host",
)

_AKAMAI = Profile(
    id="akamai",
    name="Akamai",
    cname_suffixes=(
        "edgekey.net",
        "edgesuite.net",
        "akamaized.net",
        "akamaiedge.net",
        "akamai.net",
    ),
    snapshot=ranges.AKAMAI,
    answers_there=False,
    response_marks=(Mark("akamai-grn"), Mark("server", "akamaighost"), Mark("x-cache", "akamai")),
    request_marks=("akamai-origin-hop", "true-client-ip"),
    client_header="True-Client-IP",
    client_kind="single",
    shows_origin="host",
)

# X-Azure-ClientIP can be had from what the visitor sends; the socket's address cannot.
_AZURE = Profile(
    id="azure",
    name="Azure Front Door",
    cname_suffixes=("azurefd.net", "azureedge.net"),
    snapshot=ranges.AZURE,
    answers_there=False,
    response_marks=(Mark("x-azure-ref"),),
    request_marks=("x-azure-fdid", "x-azure-ref", "x-azure-socketip"),
    client_header="X-Azure-SocketIP",
    client_kind="single",
    shows_origin="target",
)

_GOOGLE = Profile(
    id="google",
    name="Google Cloud CDN",
    cname_suffixes=(),
    snapshot=ranges.GOOGLE,
    answers_there=False,
    response_marks=(Mark("via", "google"),),
    request_marks=("x-cloud-trace-context",),
    client_header="X-Forwarded-For",
    client_kind="list",
    shows_origin="target",
    appends_own_address=True,
)

_VERCEL = Profile(
    id="vercel",
    name="Vercel or Netlify",
    cname_suffixes=("vercel-dns.com", "netlify.app"),
    snapshot=ranges.VERCEL,
    answers_there=False,
    response_marks=(Mark("x-vercel-id"), Mark("x-nf-request-id"), Mark("server", "netlify")),
    request_marks=("x-vercel-id", "x-nf-request-id"),
    client_header="",
    client_kind="",
    shows_origin="target",
)

PROXY: Final = Profile(
    id="proxy",
    name="your own proxy",
    cname_suffixes=(),
    snapshot=ranges.PROXY,
    answers_there=False,
    response_marks=(),
    request_marks=(),
    client_header="X-Forwarded-For",
    client_kind="list",
    shows_origin="either",
)

PROFILES: Final[dict[str, Profile]] = {
    profile.id: profile
    for profile in (
        _CLOUDFLARE,
        _FASTLY,
        _CLOUDFRONT,
        _KEYCDN,
        _BUNNY,
        _AKAMAI,
        _AZURE,
        _GOOGLE,
        _VERCEL,
        PROXY,
    )
}
"""Every profile by its id."""
