"""Guides for KeyCDN, Bunny, Akamai, Azure Front Door and Google Cloud. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from linkseal.domains.guides.model import Front, Guide, Names, Step, written


def keycdn(names: Names) -> Guide:
    """Return the guide for KeyCDN."""
    host = names.host
    steps = (
        Step(
            "Pull zone",
            (
                f"Zones, Add Zone: type Pull, Origin URL `{_url(names)}`.",
                (
                    "**Forward Host Header on**, Ignore Query String off, Ignore Cache Control "
                    "off, Expire as received (0), Cache Key Host on, Image Processing off, Block "
                    "Bad Bots off, Secure Token off."
                ),
                (
                    "KeyCDN does not document whether it verifies our certificate, as Full "
                    "(strict) would: `--canary` in the last step tells."
                ),
                "Origin Shield on, if you can: only its servers connect from published addresses.",
            ),
        ),
        Step(
            "Know what KeyCDN cannot do",
            (
                (
                    "It passes GET and HEAD only: the POST of one-click unsubscribe does not get "
                    "through."
                ),
                f"It tells us no visitor's address: events of `{host}` show KeyCDN's.",
            ),
        ),
    )
    way = Step(
        "Name, DNS and certificate",
        (
            f"Zonealiases, Add: `{host}` for this zone.",
            f"In your DNS make {names.entered(host)} a CNAME to the zone's name, `….kxcdn.com`.",
            "Zone settings: SSL Let's Encrypt; Force SSL on when the certificate is there.",
        ),
    )
    front = Front("KeyCDN", "keycdn", "fixes are then KeyCDN's; no visitor's address is believed")
    return written(names, front, steps, way)


def bunny(names: Names) -> Guide:
    """Return the guide for Bunny."""
    host = names.host
    steps = (
        Step(
            "Pull zone",
            (
                f"CDN, Add Pull Zone: Origin URL `{_url(names)}`.",
                (
                    "Origin: **Forward Host Header on** (SNI follows it), **Verify Origin SSL "
                    "Certificate on**, Follow Redirects off."
                ),
                (
                    "Caching: Respect Origin Cache-Control, Vary Cache: URL Query String on, Smart "
                    "Cache off."
                ),
                "Bunny Optimizer off; in Bunny Shield allow this name.",
            ),
        ),
    )
    way = Step(
        "Name, DNS and certificate",
        (
            f"Hostnames, Add: `{host}`.",
            f"In your DNS make {names.entered(host)} a CNAME to `….b-cdn.net`.",
            "Enable SSL (free certificate), then Force SSL.",
        ),
    )
    return written(names, Front("Bunny", "bunny"), steps, way)


def akamai(names: Names) -> Guide:
    """Return the guide for Akamai."""
    host, target = names.host, names.target
    steps = (
        Step(
            "Certificate and edge hostname",
            (
                (
                    f"CPS: an enrolment with `{host}`, deployed on production; publish the "
                    "validation record it shows."
                ),
                f"An edge hostname for `{host}` with it, `….edgekey.net`.",
            ),
        ),
        Step(
            "Property",
            (
                (
                    f"Origin Server: hostname `{target}`, HTTPS port "
                    f"`{names.setting.target_port}`, Forward Host Header **Incoming Host "
                    "Header**, Use SNI on."
                ),
                (
                    "Verification Settings **Choose your own**: match `{{Origin Hostname}}` and "
                    "`{{Forward Host Header}}`, trust the Akamai-managed set."
                ),
                "True Client IP on, Allow Clients To Set off.",
                (
                    "Caching **No store**; Chase Redirects off; Image and Video Manager off; "
                    "Redirect HTTP to HTTPS on; all methods allowed."
                ),
                f"Bot Manager: bypass for `{host}`.",
                "Activate it on production.",
            ),
        ),
    )
    way = Step(
        "DNS",
        (f"Make {names.entered(host)} a CNAME to the edge hostname, `….edgekey.net`.",),
    )
    front = Front(
        "Akamai",
        "akamai",
        "visitors' addresses are believed from there alone",
        "each network of your Site Shield map or Origin IP ACL",
    )
    return written(names, front, steps, way)


def azure(names: Names) -> Guide:
    """Return the guide for Azure Front Door."""
    host, target = names.host, names.target
    steps = (
        Step(
            "Custom domain",
            (
                (
                    f"Domains, Add: `{host}`, Azure managed certificate; publish the TXT record "
                    f"{names.entered(f'_dnsauth.{host}')} it shows, and wait until the "
                    "certificate is deployed."
                ),
            ),
        ),
        Step(
            "Origin and route",
            (
                (
                    f"Origin type Custom, host name `{target}`, HTTPS port "
                    f"`{names.setting.target_port}`, **certificate subject name validation on**."
                ),
                (
                    "**Origin host header blank**: the portal fills it in; blank keeps the branded "
                    "name."
                ),
                (
                    "Route: accepted protocols HTTP and HTTPS, redirect all to HTTPS, forwarding "
                    "protocol **HTTPS only**, **caching off**, no rule sets."
                ),
                f"Associate `{host}` with the route.",
                f"WAF: an exclusion for `{host}`.",
            ),
        ),
    )
    way = Step("DNS", (f"Make {names.entered(host)} a CNAME to the endpoint, `….azurefd.net`.",))
    front = Front(
        "Azure Front Door",
        "azure",
        "visitors' addresses are believed from there alone",
        "each network of the service tag AzureFrontDoor.Backend",
    )
    return written(names, front, steps, way)


def google(names: Names) -> Guide:
    """Return the guide for a Google Cloud load balancer."""
    host, target = names.host, names.target
    steps = (
        Step(
            "Backend",
            (
                (
                    f"A global internet NEG of type `INTERNET_FQDN_PORT`: `{target}`, port "
                    f"`{names.setting.target_port}`."
                ),
                (
                    "A backend service with it: protocol **HTTPS**, **Cloud CDN off**, no custom "
                    "request header `Host:`."
                ),
            ),
        ),
        Step(
            "Load balancer",
            (
                (
                    "A global external Application Load Balancer, and the redirect from HTTP to "
                    "HTTPS."
                ),
                (
                    f"Certificate Manager: a managed certificate for `{host}` with DNS "
                    "authorization; publish the CNAME it shows, wait until it is ACTIVE, attach it."
                ),
                f"Cloud Armor: a rule that allows `{host}`.",
            ),
        ),
    )
    way = Step(
        "DNS",
        (
            (
                f"Make {names.entered(host)} an A record of the load balancer's address, and an "
                "AAAA of its IPv6 one."
            ),
        ),
    )
    front = Front(
        "Google Cloud",
        "google",
        "it adds its own after the visitor's, and we have to know which is which",
        "each address of the load balancer",
    )
    return written(names, front, steps, way)


def _url(names: Names) -> str:
    port = names.setting.target_port
    return f"https://{names.target}" + ("" if port == 443 else f":{port}")


WRITERS: Final[dict[str, Callable[[Names], Guide]]] = {
    "keycdn": keycdn,
    "bunny": bunny,
    "akamai": akamai,
    "azure": azure,
    "google": google,
}
"""By guide."""
