"""Guides for Fastly and CloudFront, each with a file to use as it is. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from linkseal.domains.guides.model import File, Front, Guide, Names, Step, written

CACHING_DISABLED: Final = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
ALL_VIEWER: Final = "216adef6-5c7f-47e4-b989-5492eafa07d3"
"""CloudFront's managed policies, the same in every account."""


def fastly(names: Names) -> Guide:
    """Return the guide for Fastly, with its VCL."""
    host, target = names.host, names.target
    pattern = host.replace(".", "[.]")
    steps = (
        Step(
            "TLS for the name",
            (
                (
                    f"Security, TLS management: a subscription for `{host}`; publish the "
                    "validation record it shows, wait until it is issued, and activate it."
                ),
                "Note the name that a CNAME is to lead to: it comes last.",
            ),
        ),
        Step(
            "Service and host",
            (
                f"A delivery service with the domain `{host}`.",
                f"Origins, Hosts: address `{target}`, port `{names.setting.target_port}`, TLS on.",
                (
                    f"**Verify certificate** on, certificate hostname `{target}`, SNI hostname "
                    f"`{target}`. As in Full (strict) elsewhere."
                ),
                "**Override host empty**: Host stays the branded name. Shielding off.",
            ),
        ),
        Step(
            "Nothing is cached, and the visitor's address is true",
            (
                (
                    "VCL, VCL snippets: a snippet of type `recv` with the file "
                    "`tracking-recv.vcl` below. Without it a cache setting or VCL of yours may "
                    "store answers, and by plain http a visitor may say to be at any address."
                ),
                "Settings: fallback TTL 0, Force TLS and HSTS as you like, Image Optimizer off.",
            ),
        ),
        Step(
            "Bots",
            (f"Next-Gen WAF: an allow rule for `{host}`; no rate limits for it.",),
        ),
        Step("Activate", ("Activate the service version.",)),
    )
    vcl = File(
        "tracking-recv.vcl",
        "vcl",
        "is a VCL snippet of type recv",
        f"""\
# {host}: click and open tracking, forwarded to {target}.
if (req.http.host ~ "(?i)^{pattern}(:[0-9]+)?$") {{
  # The connection's own address in place of whatever the visitor sent: by itself Fastly adds
  # it to requests over TLS only.
  set req.http.X-Forwarded-For = client.ip;
  set req.http.Fastly-Client-IP = client.ip;
  # Every click and open goes to the origin; nothing is stored or merged.
  return (pass);
}}
""",
    )
    way = Step(
        "DNS",
        (f"Make {names.entered(host)} a CNAME to the name shown with its TLS subscription.",),
    )
    front = Front(
        "Fastly",
        "fastly",
        client_certificate=(
            (
                "The host's TLS settings: a TLS client certificate and its key, PEM, of a private "
                "CA (`ssl_client_cert`, `ssl_client_key`); activate the version."
            ),
        ),
    )
    return written(names, front, steps, way, [vcl])


def cloudfront(names: Names) -> Guide:
    """Return the guide for CloudFront, with Terraform."""
    host, target = names.host, names.target
    steps = (
        Step(
            "Certificate",
            (
                (
                    f"Certificate Manager **in us-east-1**: request one for `{host}`, DNS "
                    "validation; publish the CNAME it shows and leave it there, renewals need it."
                ),
            ),
        ),
        Step(
            "Distribution",
            (
                (
                    f"Origin domain `{target}`, protocol **HTTPS only**, port "
                    f"`{names.setting.target_port}`, TLSv1.2. CloudFront always verifies."
                ),
                (
                    f"Alternate domain name `{host}`, with that certificate, security policy "
                    "TLSv1.2_2021."
                ),
                (
                    "Viewer protocol policy: Redirect HTTP to HTTPS. Allowed methods: all seven, "
                    "POST is for one-click unsubscribe. Compress objects automatically: no."
                ),
                f"Cache policy **CachingDisabled** (`{CACHING_DISABLED}`).",
                (
                    f"Origin request policy **AllViewer** (`{ALL_VIEWER}`), not "
                    "AllViewerExceptHostHeader: Host, User-Agent and query string reach us as sent."
                ),
                "No functions, no custom error responses.",
            ),
        ),
        Step("Bots", (f"With a web ACL: exclude `{host}` from bot control and challenges.",)),
    )
    terraform = File(
        "cloudfront.tf",
        "hcl",
        "does steps 2 and 3 with the aws provider; apply it a first time with "
        "`-target aws_acm_certificate.tracking`, publish the record it puts out, then apply it all",
        f"""\
# {host}: click and open tracking, forwarded to {target}.

terraform {{
  required_providers {{
    aws = {{
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }}
  }}
}}

# CloudFront takes certificates of this region only.
provider "aws" {{
  alias  = "us_east_1"
  region = "us-east-1"
}}

resource "aws_acm_certificate" "tracking" {{
  provider          = aws.us_east_1
  domain_name       = "{host}"
  validation_method = "DNS"

  lifecycle {{
    create_before_destroy = true
  }}
}}

resource "aws_acm_certificate_validation" "tracking" {{
  provider        = aws.us_east_1
  certificate_arn = aws_acm_certificate.tracking.arn
}}

resource "aws_cloudfront_distribution" "tracking" {{
  comment         = "{host}: click and open tracking"
  enabled         = true
  is_ipv6_enabled = true
  aliases         = ["{host}"]

  origin {{
    origin_id   = "tracking"
    domain_name = "{target}"

    custom_origin_config {{
      http_port              = 80
      https_port             = {names.setting.target_port}
      origin_protocol_policy = "https-only"
      origin_ssl_protocols   = ["TLSv1.2"]
    }}
  }}

  default_cache_behavior {{
    target_origin_id         = "tracking"
    viewer_protocol_policy   = "redirect-to-https"
    allowed_methods          = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]
    cached_methods           = ["GET", "HEAD"]
    compress                 = false
    cache_policy_id          = "{CACHING_DISABLED}" # CachingDisabled
    origin_request_policy_id = "{ALL_VIEWER}" # AllViewer
  }}

  restrictions {{
    geo_restriction {{
      restriction_type = "none"
    }}
  }}

  viewer_certificate {{
    acm_certificate_arn      = aws_acm_certificate_validation.tracking.certificate_arn
    ssl_support_method       = "sni-only"
    minimum_protocol_version = "TLSv1.2_2021"
  }}
}}

output "validation_records" {{
  description = "Publish these CNAMEs; renewals need them, too."
  value       = aws_acm_certificate.tracking.domain_validation_options
}}

output "cname" {{
  description = "Make {host} a CNAME to this."
  value       = aws_cloudfront_distribution.tracking.domain_name
}}
""",
    )
    way = Step(
        "DNS",
        (
            (
                f"Make {names.entered(host)} a CNAME (Route 53: an alias) to the distribution's "
                "name, `d….cloudfront.net`."
            ),
        ),
    )
    front = Front(
        "CloudFront",
        "cloudfront",
        client_certificate=(
            (
                "Import a certificate of a private CA, with its key and extended key usage "
                "clientAuth, into ACM in us-east-1. ACM does not renew it."
            ),
            (
                "Give the origin its ARN (`OriginMtlsConfig`, `ClientCertificateArn`) and wait "
                "until the distribution is deployed: before that, an origin that asks may be "
                "refused."
            ),
        ),
    )
    return written(names, front, steps, way, [terraform])


WRITERS: Final[dict[str, Callable[[Names], Guide]]] = {
    "fastly": fastly,
    "cloudfront": cloudfront,
}
"""By guide."""
