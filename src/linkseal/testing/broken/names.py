"""Broken set-ups of names, connections and certificates."""

from __future__ import annotations

from typing import Final

from linkseal.testing.broken.model import HOST, Broken

NAMES: Final = (
    Broken(
        "no-address",
        "The branded name is not published",
        "DNS-01",
        f"`{HOST}` does not resolve (no address).",
        "Publish the branded name",
    ),
    Broken(
        "servfail",
        "The zone's server fails for the name",
        "DNS-01",
        f"`{HOST}` does not resolve (SERVFAIL).",
        "is delegated to the servers",
    ),
    Broken(
        "cname-to-nobody",
        "CNAME to a name that is not there",
        "DNS-02",
        "CNAME chain breaks at `gone.acme.example`: NXDOMAIN.",
        "the CNAME that leads nowhere",
    ),
    Broken(
        "cname-loop",
        "Two CNAMEs that lead to each other",
        "DNS-02",
        "CNAME chain runs in a circle: it comes back to `one.acme.example`.",
        "to your target",
    ),
    Broken(
        "cname-long",
        "CNAME after CNAME, nine of them",
        "DNS-02",
        "CNAME chain has 9 steps; resolvers give up after 8.",
        "in one step",
    ),
    Broken(
        "another-target",
        "CNAME to the target of another claim",
        "DNS-03",
        f"`{HOST}` points to `t-other.ct.example.net`, which is not your target: yours is "
        "`t-abc.ct.example.net`.",
        "Point the branded name at your target",
    ),
    Broken(
        "target-mistyped",
        "CNAME to a name of ours that never was",
        "DNS-03",
        f"`{HOST}` points to `t-abd.ct.example.net`, which is not your target: yours is "
        "`t-abc.ct.example.net`.",
        "Point the branded name at your target",
    ),
    Broken(
        "txt-missing",
        "The ownership TXT was deleted",
        "DNS-04",
        f"Ownership token missing: `_ct-challenge.{HOST}` has no TXT record.",
        "Publish the TXT record of the claim",
    ),
    Broken(
        "txt-wrong",
        "The ownership TXT of an earlier claim",
        "DNS-04",
        f"Ownership token different: TXT at `_ct-challenge.{HOST}` is `ct-verify=old`.",
        "its value without quotation marks and unchanged",
    ),
    Broken(
        "txt-doubled",
        "The ownership TXT with the zone appended twice",
        "DNS-04",
        f"Ownership token missing: `_ct-challenge.{HOST}` has no TXT record.",
        "Publish the TXT record of the claim",
        also={"DNS-05": "it says where the record stands instead"},
    ),
    Broken(
        "cname-doubled",
        "The CNAME with the zone appended twice",
        "DNS-01",
        f"`{HOST}` does not resolve (no address).",
        "Publish the branded name",
        also={"DNS-05": "it says where the record stands instead"},
    ),
    Broken(
        "aaaa-dead",
        "An AAAA record whose address does not answer",
        "DNS-06",
        "AAAA ::1 does not answer on port … (connection refused); Let's Encrypt prefers IPv6.",
        "delete an AAAA record",
        warns=True,
    ),
    Broken(
        "dnssec-bogus",
        "The DS record of a key that the zone is not signed with",
        "DNS-07",
        f"DNSSEC validation fails for `{HOST}`.",
        "publish the DS record that belongs to the zone",
    ),
    Broken(
        "caa-forbids",
        "CAA of the zone names another authority only (route acme)",
        "DNS-08",
        'CAA at acme.example allows only "other.example" (another CA).',
        "Add a CAA record that allows",
    ),
    Broken(
        "caa-account",
        "CAA of the zone names another account at our authority (route acme)",
        "DNS-08",
        'CAA at acme.example allows only "letsencrypt.org; accounturi=https://acme.example/2" '
        "(another account).",
        "Add a CAA record that allows",
    ),
    Broken(
        "delegation-wrong",
        "An old TXT where the delegation belongs (route acme)",
        "DNS-09",
        f'`_acme-challenge.{HOST}` is TXT "old"; expected CNAME k7.acme.ct.example.net.',
        "delete TXT and other records",
    ),
    Broken(
        "https-closed",
        "Port 443 is closed",
        "TLS-01",
        "Port 443 on 127.0.0.1 closed (connection refused).",
        "Open port 443",
    ),
    Broken(
        "missing-intermediate",
        "The intermediate certificate is not sent",
        "TLS-02",
        "Intermediate missing: … issued …, and its certificate is not sent.",
        "`fullchain.pem`",
        front="proxy",
    ),
    Broken(
        "self-signed",
        "A self-signed certificate",
        "TLS-02",
        f"The certificate is self-signed: nobody vouches for CN={HOST}.",
        "the free certificate (Enable SSL)",
        front="bunny",
    ),
    Broken(
        "origin-ca",
        "A Cloudflare Origin CA certificate is shown to browsers (grey cloud)",
        "TLS-02",
        "A Cloudflare Origin CA certificate is shown to browsers: only Cloudflare trusts it.",
        "Set the record to Proxied",
        front="cloudflare",
    ),
    Broken(
        "staging",
        "A certificate of an authority's staging server",
        "TLS-02",
        "The certificate is from a CA's staging server (…), which browsers do not trust.",
        "of a public CA",
        front="proxy",
    ),
    Broken(
        "private-root",
        "A certificate of a company's own authority",
        "TLS-02",
        "The chain ends at …, which is no root browsers trust.",
        "ACM certificate of us-east-1",
        front="cloudfront",
    ),
    Broken(
        "wrong-name",
        "A certificate for the web site only",
        "TLS-03",
        f"Certificate is for www.acme.example, not `{HOST}`.",
        "Zonealias",
        front="keycdn",
    ),
    Broken(
        "expired", "An expired certificate", "TLS-04", "Expired … UTC.", "Renew the certificate now"
    ),
    Broken(
        "renewal-stopped",
        "A certificate that nobody renewed, two days before its end",
        "TLS-04",
        "Expires … UTC; renewal seems not to run.",
        "why it is not renewed by itself",
    ),
    Broken(
        "tls-1.3-only",
        "TLS 1.3 only",
        "TLS-05",
        "TLS 1.2 not offered.",
        "Offer TLS 1.2 and TLS 1.3",
    ),
    Broken(
        "old-tls-only",
        "TLS 1.0 and 1.1 only",
        "TLS-05",
        "TLS 1.2 not offered.",
        "Offer TLS 1.2 and TLS 1.3",
    ),
    Broken(
        "old-tls-too",
        "TLS 1.0 and 1.1 beside the new ones",
        "TLS-05",
        "TLS 1.0 and 1.1 still accepted.",
        "`ssl_protocols TLSv1.2 TLSv1.3;`",
        front="proxy",
        warns=True,
    ),
    Broken(
        "weak-key",
        "A certificate with an RSA key of 1024 bits",
        "TLS-06",
        f"CN={HOST}: an RSA key of 1024 bits; RSA 2048, P-256 and SHA-256, or more, are needed.",
        "RSA of 2048 bits or more",
    ),
)
"""DNS and TLS, in the order of the checks."""
