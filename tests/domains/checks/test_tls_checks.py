"""TLS-01 to TLS-06, by value, with real certificates."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from linkseal.domains.checks import Result, judge
from linkseal.domains.checks.chains import covers
from linkseal.domains.observation import Tried
from support.checks import (
    AT,
    CHAIN,
    EGRESS,
    HOST,
    LEAF,
    LEAF_KEY,
    LINK,
    LINK_KEY,
    ROOT,
    ROOT_KEY,
    V4,
    YEARS,
    der,
    found,
    handshakes,
    issue,
    key,
    observed,
)

FAIL, WARN, PASS, SKIPPED = Result.FAIL, Result.WARN, Result.PASS, Result.SKIPPED
V6 = "2001:db8::9"
NEEDED = "RSA 2048, P-256 and SHA-256, or more, are needed"
NOTHING = (SKIPPED, "no certificate was seen")


def leaf(**other: Any) -> bytes:
    said = {"names": [HOST]} | other
    return der(issue(HOST, LEAF_KEY.public_key(), "Link", LINK_KEY, **said))


def test_port_443_answers() -> None:
    assert found("TLS-01") == (PASS, "Reach: 1 address")
    assert found("TLS-01", reached=(), handshakes=()) == (
        SKIPPED,
        "no connection to port 443 was tried",
    )
    assert found("TLS-01", handshakes=()) == (SKIPPED, "no TLS handshake was tried")


def test_port_443_that_does_not() -> None:
    closed = (Tried(V4, 443, "refused"),)
    assert found("TLS-01", reached=closed, handshakes=()) == (
        FAIL,
        f"Port 443 on {V4} closed (refused).",
    )
    alert = handshakes(v12="handshake failure", v13="unrecognized name")
    assert found("TLS-01", handshakes=alert) == (
        FAIL,
        f"TLS handshake with {V4} fails: handshake failure.",
    )


def test_a_dead_ipv6_beside_a_live_ipv4_is_left_to_dns_06() -> None:
    reached = (Tried(V4, 443), Tried(V6, 443, "timeout"))
    assert found("TLS-01", reached=reached)[0] is PASS
    assert found("TLS-01", reached=(Tried(V6, 443, "timeout"),), handshakes=()) == (
        FAIL,
        f"Port 443 on {V6} closed (timeout).",
    )


def test_a_chain_to_a_trusted_root() -> None:
    assert found("TLS-02") == (PASS, f"Chain: CN={HOST} and 1 above it")
    assert found("TLS-02", handshakes=()) == NOTHING
    (unjudged,) = judge(observed(), only={"TLS-02"}).verdicts
    assert (unjudged.result, unjudged.message) == (SKIPPED, "no trusted roots were given")


def test_a_missing_intermediate() -> None:
    assert found("TLS-02", handshakes=handshakes((LEAF,))) == (
        FAIL,
        f"Intermediate missing: CN=Link issued CN={HOST}, and its certificate is not sent.",
    )


def test_the_name_and_the_dates_of_the_leaf_are_judged_elsewhere() -> None:
    other = leaf(names=["*.other.example"])
    expired = leaf(start=AT - timedelta(days=90), end=AT - timedelta(days=1))
    for one in (other, expired):
        assert found("TLS-02", handshakes=handshakes((one, der(LINK))))[0] is PASS


def test_a_self_signed_certificate() -> None:
    own = der(issue(HOST, LEAF_KEY.public_key(), HOST, LEAF_KEY, names=[HOST]))
    assert found("TLS-02", handshakes=handshakes((own,))) == (
        FAIL,
        f"The certificate is self-signed: nobody vouches for CN={HOST}.",
    )


def test_a_private_ca() -> None:
    private = key()
    top = issue("Acme Private", private.public_key(), "Acme Private", private, ca=True, **YEARS)
    own = der(issue(HOST, LEAF_KEY.public_key(), "Acme Private", private, names=[HOST]))
    assert found("TLS-02", handshakes=handshakes((own, der(top)))) == (
        FAIL,
        "The chain ends at CN=Acme Private, which is no root browsers trust.",
    )


def test_a_staging_ca() -> None:
    signer = key()
    name = "(STAGING) Counterfeit Cashew R10"
    own = der(issue(HOST, LEAF_KEY.public_key(), name, signer, names=[HOST]))
    assert found("TLS-02", handshakes=handshakes((own,))) == (
        FAIL,
        f"The certificate is from a CA's staging server (CN={name}), which browsers do not trust.",
    )


def test_cloudflares_origin_ca_shown_to_browsers() -> None:
    signer = key()
    issuer = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "CloudFlare, Inc."),
            x509.NameAttribute(
                NameOID.ORGANIZATIONAL_UNIT_NAME, "CloudFlare Origin SSL ECC Certificate Authority"
            ),
        ]
    )
    own = der(issue("CloudFlare Origin", LEAF_KEY.public_key(), issuer, signer, names=[HOST]))
    assert found("TLS-02", handshakes=handshakes((own,))) == (
        FAIL,
        "A Cloudflare Origin CA certificate is shown to browsers: only Cloudflare trusts it.",
    )


def test_an_intermediate_that_expired_is_refused() -> None:
    old = issue(
        "Link", LINK_KEY.public_key(), "Root", ROOT_KEY, ca=True,
        start=AT - timedelta(days=900), end=AT - timedelta(days=1),
    )  # fmt: skip
    result, message = found("TLS-02", handshakes=handshakes((LEAF, der(old))))
    assert result is FAIL
    assert message.startswith(f"Browsers refuse the chain of CN={HOST}: ")


def test_a_certificate_that_cannot_be_read() -> None:
    assert found("TLS-02", handshakes=handshakes((b"x",))) == (
        FAIL,
        f"The certificate sent by {V4} cannot be read.",
    )
    assert found("TLS-03", handshakes=handshakes((b"x",))) == NOTHING


def test_the_names_of_a_certificate() -> None:
    wrong = leaf(names=["www.acme.example", "acme.example"])
    assert found("TLS-03") == (PASS, f"Name: {HOST}")
    assert found("TLS-03", handshakes=handshakes((leaf(names=["*.acme.example"]),)))[0] is PASS
    assert found("TLS-03", handshakes=handshakes((wrong,))) == (
        FAIL,
        f"Certificate is for www.acme.example, acme.example, not `{HOST}`.",
    )
    assert found("TLS-03", handshakes=handshakes((leaf(names=[]),))) == (
        FAIL,
        f"Certificate is for no name, not `{HOST}`.",
    )
    assert found("TLS-03", handshakes=()) == NOTHING


@pytest.mark.parametrize(
    ("pattern", "covered"),
    [
        (HOST, True),
        (HOST.upper(), True),
        ("*.acme.example", True),
        ("*.example", False),
        ("*.links.acme.example", False),
        ("l*.acme.example", False),
        ("acme.example", False),
        ("*", False),
    ],
)
def test_a_wildcard_is_one_whole_label(pattern: str, covered: bool) -> None:
    assert covers(pattern, HOST) is covered


@pytest.mark.parametrize(
    ("life", "left", "result", "message"),
    [
        (90, 31, PASS, "Expiry: until 2026-12-25 12:00 UTC"),
        (90, 29, WARN, "Expires 2026-12-23 12:00 UTC; renewal seems not to run."),
        (90, 2, FAIL, "Expires 2026-11-26 12:00 UTC; renewal seems not to run."),
        (90, -1, FAIL, "Expired 2026-11-23 12:00 UTC."),
        (90, 91, FAIL, "Not valid before 2026-11-25 12:00 UTC."),
        (6, 4, PASS, "Expiry: until 2026-11-28 12:00 UTC"),
        (6, 2, WARN, "Expires 2026-11-26 12:00 UTC; renewal seems not to run."),
        (6, 1, FAIL, "Expires 2026-11-25 12:00 UTC; renewal seems not to run."),
    ],
)
def test_how_long_a_certificate_lasts(life: int, left: int, result: Result, message: str) -> None:
    end = AT + timedelta(days=left)
    chain = (leaf(start=end - timedelta(days=life), end=end),)
    assert found("TLS-04", handshakes=handshakes(chain)) == (result, message)


def test_expiry_of_no_certificate() -> None:
    assert found("TLS-04", handshakes=()) == NOTHING


def test_the_versions_of_tls() -> None:
    assert found("TLS-05") == (PASS, "Protocols: TLS 1.2, 1.3")
    assert found("TLS-05", handshakes=handshakes(v12="alert")) == (FAIL, "TLS 1.2 not offered.")
    assert found("TLS-05", handshakes=handshakes(v13="alert")) == (WARN, "TLS 1.3 not offered.")
    assert found("TLS-05", handshakes=handshakes(v10="", v11="")) == (
        WARN,
        "TLS 1.0 and 1.1 still accepted.",
    )
    assert found("TLS-05", handshakes=handshakes()[3:]) == (SKIPPED, "TLS 1.2 was not tried")
    assert found("TLS-05", handshakes=handshakes(v12="x", v13="x")) == (
        SKIPPED,
        "no TLS handshake succeeded",
    )


@pytest.mark.parametrize(
    ("public", "weakness"),
    [
        (rsa.generate_private_key(65537, 1024).public_key(), "an RSA key of 1024 bits"),
        (ec.generate_private_key(ec.SECP224R1()).public_key(), "a key on the curve secp224r1"),
        (
            ed25519.Ed25519PrivateKey.generate().public_key(),
            "a key of a kind browsers refuse (Ed25519)",
        ),
    ],
)
def test_keys_that_browsers_refuse(public: Any, weakness: str) -> None:
    chain = (der(issue(HOST, public, "Link", LINK_KEY, names=[HOST])), der(LINK))
    assert found("TLS-06", handshakes=handshakes(chain)) == (
        FAIL,
        f"CN={HOST}: {weakness}; {NEEDED}.",
    )
    assert found("TLS-02", handshakes=handshakes(chain)) == (
        SKIPPED,
        "a key or signature is too weak, which TLS-06 judges",
    )


def test_sound_keys_and_none() -> None:
    assert found("TLS-06") == (PASS, "Keys: 2 certificates")
    assert found("TLS-06", handshakes=()) == NOTHING
    # What a root signed for itself is judged by nobody.
    assert found("TLS-06", handshakes=handshakes((*CHAIN, der(ROOT))))[0] is PASS


def test_an_old_digest() -> None:
    strong = leaf(digest=hashes.SHA384())
    assert found("TLS-06", handshakes=handshakes((strong,)))[0] is PASS
    weak = leaf(digest=hashes.SHA224())
    assert found("TLS-06", egress=(EGRESS,), handshakes=handshakes((weak,))) == (
        FAIL,
        f"CN={HOST}: a signature with SHA224; {NEEDED}.",
    )
