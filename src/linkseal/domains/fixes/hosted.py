"""What to do at Akamai, Azure, Google, and Vercel or Netlify. Pure data."""

from __future__ import annotations

from typing import Final

from linkseal.domains.fixes.edges import ACME

_AKAMAI: Final[dict[str, str]] = {
    "DNS-03": "Make the branded name a CNAME to the property's edge hostname (`….edgekey.net`).",
    "TLS-02": "In CPS, wait until the enrolment is deployed on production.",
    "TLS-03": "In CPS, add this name to the enrolment's SANs.",
    "HTTP-02": "Origin Server: the hostname is your target, port 443; verification must accept "
    "our certificate, which names the target.",
    "HTTP-03": "Origin Server: Forward Host Header: Incoming Host Header.",
    "HTTP-04": "Remove behaviours that modify the path or the query string, and leave the whole "
    "query string in the cache key.",
    "HTTP-05": "Turn Chase Redirects off.",
    "HTTP-06": "Caching behaviour: No store, or Bypass cache, for this name.",
    "HTTP-07": "Caching behaviour: No store, or Bypass cache, for this name.",
    "HTTP-08": "Origin Server: True Client IP on, Allow Clients To Set off. Where True-Client-IP "
    "arrives, the domain is not enrolled: `linkseal domain enrol NAME akamai --network ADDRESS`, "
    "with each network of your Site Shield map or Origin IP ACL.",
    "HTTP-11": "Turn Image and Video Manager and Adaptive Acceleration off for this name.",
    "HTTP-12": "Add a Bot Manager bypass for this name.",
    "HTTP-13": "Connect to the origin over HTTPS: Origin Server, HTTPS port 443.",
    "ORG-01": "Connect to the origin over HTTPS: Origin Server, HTTPS port 443; and Redirect HTTP "
    "to HTTPS on, as the origin is asked by the visitor's scheme.",
    "ORG-02": "Origin Server: Use SNI on.",
    "ORG-03": "Origin Server: Verification Settings: Choose your own; match `{{Origin Hostname}}` "
    "and `{{Forward Host Header}}`, trust the Akamai-managed set.",
    "ORG-04": "`linkseal domain enrol NAME akamai --network ADDRESS`, with each network of your "
    "Site Shield map or Origin IP ACL.",
    "ORG-06": "Have the property show a client certificate to the origin, from its mTLS keystore, "
    "of the CA given by `linkseal domain client-ca NAME --ca FILE`.",
    "ACM-01": ACME,
}

_AZURE: Final[dict[str, str]] = {
    "DNS-03": "Make the branded name a CNAME to the endpoint (`….azurefd.net`), and publish the "
    "TXT record `_dnsauth` of it.",
    "TLS-02": "Wait until the custom domain's managed certificate is validated and deployed.",
    "TLS-03": "Add the name as a custom domain with a managed certificate, and associate it with "
    "the route.",
    "HTTP-01": "Route: redirect all traffic to use HTTPS. Where that is a temporary redirect, turn "
    "it off and add a rule set: request protocol HTTP, URL redirect, Moved (301), HTTPS, all else "
    "as it came.",
    "HTTP-02": "The origin's host name must be your target, HTTPS port 443; it must match our "
    "certificate. `X-Azure-DebugInfo: 1` in a request shows why it does not.",
    "HTTP-03": "Leave the origin host header blank: the portal fills it in with the origin's name.",
    "HTTP-04": "Query string: use all; remove rule sets that change the URL.",
    "HTTP-05": "Remove rule sets that redirect from the route, except one from http to https.",
    "HTTP-06": "Turn caching off on the route.",
    "HTTP-07": "Turn caching off on the route.",
    "HTTP-08": "Azure sends the visitor's address in X-Azure-SocketIP by itself; we believe it "
    "only from addresses that we were given: `linkseal domain enrol NAME azure --network ADDRESS`, "
    "with each network of the service tag AzureFrontDoor.Backend.",
    "ORG-04": "`linkseal domain enrol NAME azure --network ADDRESS`, with each network of the "
    "service tag AzureFrontDoor.Backend.",
    "HTTP-11": "Remove rule sets that change answers; compression may stay.",
    "HTTP-12": "Add a WAF exclusion for this name.",
    "HTTP-13": "Route: forwarding protocol HTTPS only.",
    "ORG-01": "Route: forwarding protocol HTTPS only.",
    "ORG-02": "The origin's host name must be your target, not an address: SNI is made of it.",
    "ORG-03": "Certificate subject name validation on; the origin's host name is your target.",
    "ORG-06": "Azure Front Door shows origins no client certificate: have us ask for none, by "
    "`linkseal domain client-ca NAME --remove`.",
    "ACM-01": ACME,
}

_GOOGLE: Final[dict[str, str]] = {
    "DNS-03": "Make the branded name an A record of the load balancer's address, and an AAAA of "
    "its IPv6 one.",
    "TLS-02": "Wait until the managed certificate is ACTIVE, and attach it to the target proxy.",
    "TLS-03": "Add this name to a managed certificate of the load balancer, and wait for ACTIVE.",
    "HTTP-02": "The backend must be an internet NEG with your target as FQDN, port 443, protocol "
    "HTTPS.",
    "HTTP-03": "Remove the custom request header `Host:` from the backend service.",
    "HTTP-04": "Remove URL rewrites of this name from the URL map; cache key: include query "
    "string.",
    "HTTP-06": "Turn Cloud CDN off for this backend service.",
    "HTTP-07": "Turn Cloud CDN off for this backend service, or include the query string in the "
    "cache key.",
    "HTTP-08": "The load balancer adds the visitor's address and its own to X-Forwarded-For by "
    "itself; which is which we have to be told: `linkseal domain enrol NAME google --network "
    "ADDRESS`, with each address of the load balancer.",
    "HTTP-12": "Add a Cloud Armor rule that allows this name.",
    "HTTP-13": "Backend service: protocol HTTPS.",
    "ORG-01": "Backend service: protocol HTTPS.",
    "ORG-02": "Use an internet NEG with FQDN: an address has no SNI.",
    "ORG-03": "Use an internet NEG with your target as FQDN, protocol HTTPS.",
    "ORG-04": "Use a global internet NEG; a regional one connects from your Cloud NAT: `linkseal "
    "domain enrol NAME google --network ADDRESS`, with its addresses and the load balancer's.",
    "ACM-01": ACME,
}

_VERCEL: Final[dict[str, str]] = {
    "DNS-03": "Add the branded name as a domain of the project, and publish the record it asks "
    "for.",
    "TLS-02": "Verify the domain in the project; its certificate then comes by itself.",
    "TLS-03": "Add the branded name to the project and verify it.",
    "HTTP-02": "A rewrite must send every path to https:// and your target.",
    "HTTP-03": "A rewrite replaces Host by the destination's, and that cannot be turned off: use a "
    "CDN or a proxy of your own, or let us get the certificate (route acme).",
    "HTTP-04": "Keep the wildcard path and the query string in the rewrite.",
    "HTTP-05": "Use a rewrite, not a redirect.",
    "HTTP-06": "Remove edge cache rules for these paths: our answers say `no-store`.",
    "HTTP-07": "Remove edge cache rules for these paths: our answers say `no-store`.",
    "HTTP-08": "The visitor's address comes from addresses that are not published, so it cannot be "
    "believed: use a CDN or a proxy of your own.",
    "HTTP-12": "Turn Attack Challenge Mode off.",
    "HTTP-13": "The rewrite's destination must be https:// and your target.",
    "ORG-01": "The rewrite's destination must be https:// and your target.",
    "ORG-04": "Its addresses are not published: use a CDN or a proxy of your own.",
    "ACM-01": "Delegate `_acme-challenge` to us by CNAME, or point the name at your target and let "
    "us get the certificate.",
}

FIXES: Final[dict[str, dict[str, str]]] = {
    "akamai": _AKAMAI,
    "azure": _AZURE,
    "google": _GOOGLE,
    "vercel": _VERCEL,
}
"""By profile, then check."""
