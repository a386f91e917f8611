"""What to do about each check where no CDN has a way of its own. Pure data."""

from __future__ import annotations

from typing import Final

FIXES: Final[dict[str, str]] = {
    "DNS-01": "Publish the branded name in the DNS of its zone, and check at your registrar that "
    "the zone is delegated to the servers you publish it on.",
    "DNS-02": "Mend the CNAME that leads nowhere: it should lead to your target, or to the name "
    "that your CDN gave you, in one step.",
    "DNS-03": "Point the branded name at your target with a CNAME, or at the CDN or proxy that "
    "forwards to your target.",
    "DNS-04": "Publish the TXT record of the claim, its value without quotation marks and "
    "unchanged, on all name servers of the zone; it must stay there.",
    "DNS-05": "Your DNS provider adds the zone by itself: delete the doubled record and enter the "
    "name without the zone, `links` and not `links.acme.example`.",
    "DNS-06": "Make all name servers of the zone say the same (look at the zone's serial on each), "
    "and delete an AAAA record whose address does not answer.",
    "DNS-07": "DNSSEC of the zone is broken: publish the DS record that belongs to the zone's "
    "present keys at the registrar, or remove the DS record there, then sign anew.",
    "DNS-08": "Add a CAA record that allows the certificate authority, at the name that is shown; "
    'for Let\'s Encrypt: `0 issue "letsencrypt.org"`.',
    "DNS-09": "Make `_acme-challenge` of the branded name a CNAME to the name in the claim's "
    "records, and delete TXT and other records that stand there.",
    "TLS-01": "Open port 443 to everybody, on every address the name resolves to, IPv6 too, and "
    "have TLS answer there for the branded name.",
    "TLS-02": "Have the server that recipients reach send a publicly trusted certificate with its "
    "whole chain (`fullchain.pem`); an origin-only or staging certificate will not do.",
    "TLS-03": "Install a certificate for the branded name itself on the server that "
    "recipients reach.",
    "TLS-04": "Renew the certificate now, and find out why it is not renewed by itself: a DNS or "
    "validation record that was removed is the usual reason.",
    "TLS-05": "Offer TLS 1.2 and TLS 1.3 on the server that recipients reach, and turn 1.0 and 1.1 "
    "off.",
    "TLS-06": "Have the certificate issued anew with a P-256 key, or RSA of 2048 bits or more, "
    "signed with SHA-256.",
    "HTTP-01": "Let port 80 answer: redirect to https on the same name by 301 or 308, path and "
    "query kept, or forward to us. Links that were sent over http need it.",
    "HTTP-02": "Forward every request for the branded name to your target over https, port 443; an "
    "answer of your own server means it is not forwarded.",
    "HTTP-03": "Forward the Host field as the visitor sent it: the branded name.",
    "HTTP-04": "Forward path and query byte for byte: no rewriting, decoding, sorting or dropping.",
    "HTTP-05": "Hand our redirects to the visitor unchanged: do not follow or rewrite them on the "
    "way.",
    "HTTP-06": "Turn caching off for the branded name: every click and open must reach us, "
    "redirects and GIFs too.",
    "HTTP-07": "Turn caching off for the branded name, or make the query string part of the cache "
    "key.",
    "HTTP-08": "Forward the visitor's address in X-Forwarded-For, in place of what the visitor "
    "wrote there, and have the domain enrolled: `linkseal domain enrol NAME proxy --network "
    "ADDRESS`, with each address your proxy connects from.",
    "HTTP-09": "Forward User-Agent and Accept-Language as the visitor sent them.",
    "HTTP-10": "Allow GET, HEAD and POST for the branded name; POST is how mail programs "
    "unsubscribe with one click.",
    "HTTP-11": "Turn off whatever changes answers: optimizers, address obfuscation, script "
    "injection, image conversion. `no-transform` in Cache-Control asks for that, too.",
    "HTTP-12": "Exempt the branded name from bot protection, challenges and rate limits: mail "
    "scanners and image proxies click and open as programs.",
    "HTTP-13": "Break the loop: forward to us over https, not over http, and let only one side "
    "redirect http to https.",
    "HTTP-14": "Let `/.well-known/apple-app-site-association` and `/.well-known/assetlinks.json` "
    "through to us over https, without a redirect and without a challenge.",
    "HTTP-15": "Look for what takes the time on the way: a distant region, a second CDN, "
    "inspection. Recipients wait for it at each click.",
    "ORG-01": "Forward to us over https only, also when the visitor came over http.",
    "ORG-02": "Send SNI when connecting to us: your target, or the branded name.",
    "ORG-03": "Have our certificate verified: it is publicly trusted and names your target.",
    "ORG-04": "Let requests come from the CDN the domain is enrolled with, or enrol the domain "
    "with the one that it is now: `linkseal domain enrol NAME CDN`.",
    "ORG-05": "The request passes the same CDN twice: make your target its origin, never the "
    "branded name itself.",
    "ORG-06": "Have what stands in front show us a client certificate of the CA that is set up "
    "here; where that CA is another now: `linkseal domain client-ca NAME --ca FILE`. Clicks work "
    "meanwhile.",
    "ACM-01": "Let `/.well-known/acme-challenge/` on port 80 reach us, or delegate "
    "`_acme-challenge` to us by CNAME; behind a CDN, ask for route cdn: "
    "`linkseal domain request-ssl NAME --route cdn`.",
    "ACM-02": "Nothing to do: the order is sent when the certificate authority's limit allows it.",
    "ACM-03": "See the error of the last order: mostly the name no longer leads to us, or CAA "
    "forbids. Mend that; renewal then goes on by itself.",
}
"""By check."""

OF_SHAPES: Final[dict[tuple[str, str], str]] = {
    ("HTTP-01", "forced"): "Request SSL for this name. Until it is enabled no http link of it is "
    "made: links use the shared https domain. Nothing is wrong with the name above.",
}
"""Where one message of a check wants something else than the rest, whoever is in front."""
