"""What was seen of a branded domain from outside: plain values, no judgement.

The prober fills these in; the checks judge them (:mod:`linkseal.domains.checks`). They can
be saved and judged again later, by another version too: fields are only added, with a
default. Whatever could not be seen is ``None`` or empty, and ``error`` says why. Pure.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

FORMAT = 1


class Answer(msgspec.Struct, frozen=True):
    """What one DNS server said to one question.

    Attributes:
        server: Its address, or the name of a public resolver.
        authoritative: Whether it is a server of the zone.
        name: The name asked.
        type: ``A``, ``AAAA``, ``CNAME``, ``TXT``, ``CAA`` or ``NS``.
        rcode: ``NOERROR``, ``NXDOMAIN``, ``SERVFAIL`` …; empty when there was no answer.
        values: The records' data as text: addresses, names without a last dot, TXT joined.
        error: ``timeout`` or what else went wrong; empty when nothing did.
        unchecked: Asked with DNSSEC checking off (CD=1).
    """

    server: str
    authoritative: bool
    name: str
    type: str
    rcode: str
    values: tuple[str, ...] = ()
    error: str = ""
    unchecked: bool = False


class Hop(msgspec.Struct, frozen=True):
    """One step of the CNAME chain, as the authoritative servers say it."""

    name: str
    target: str
    rcode: str = "NOERROR"


class Tried(msgspec.Struct, frozen=True):
    """Whether a TCP connection could be made.

    Attributes:
        address: IPv4 or IPv6.
        port: 80 or 443.
        error: Empty when it could.
    """

    address: str
    port: int
    error: str = ""


class Handshake(msgspec.Struct, frozen=True):
    """One TLS handshake with the name as SNI.

    Attributes:
        address: Which was asked.
        offered: ``1.3``, ``1.2``, ``1.1`` or ``1.0``: the only version offered.
        error: Alert or failure; empty when it succeeded.
        chain: DER certificates as sent, leaf first.
    """

    address: str
    offered: str
    error: str = ""
    chain: tuple[bytes, ...] = ()


class ClientCertificate(msgspec.Struct, frozen=True):
    """What a peer showed our edge of itself.

    Attributes:
        subject: Of the certificate.
        issuer: Who signed it.
        not_after: When it expires, aware UTC; ``None``: it cannot be read.
        fingerprint: SHA-256 of it, hexadecimal.
        problem: Empty: it is of the CA that is set up for the name. ``foreign``: it is not.
            ``expired``: it was. ``refused``: it would be, but for what ``why`` says.
        why: Why it is refused.
        not_before: When it began, aware UTC; ``None``: it is not known.
    """

    subject: str
    issuer: str
    not_after: datetime | None
    fingerprint: str
    problem: str = ""
    why: str = ""
    not_before: datetime | None = None


class Echo(msgspec.Struct, frozen=True):
    """What our edge saw of a probe's request: signed by it, so nobody else can answer so.

    Attributes:
        serial: Rises with each answer of a node: two equal ones are one answer, cached.
        node: Which edge worker answered.
        busy: Whether it had no room to remember the nonce: the answer is a 503, and only says
            that the request arrived.
        method: As it came.
        target: The raw request target.
        host: The Host field.
        header_names: In order, lower case.
        forwarded: X-Forwarded-For, Forwarded, Via, CDN-Loop and the CDNs' own fields.
        user_agent: As it came.
        accept_language: As it came.
        tls_version: ``TLSv1.3``; empty for plain http.
        sni: As the client sent it; empty for none.
        peer: Who connected.
        client: The client's address as the edge worked it out.
        sent_body: SHA-256 of the body the edge sent, hexadecimal.
        canary: Whether who connected was shown a wrong certificate on purpose.
        canary_refused: How many who were shown one refused it, at all workers since their start.
        client_asked: Whether who connected was asked for a certificate.
        client_certificate: What they showed; ``None`` for none.
    """

    serial: int
    node: str
    method: str
    target: str
    host: str
    header_names: tuple[str, ...]
    forwarded: dict[str, str]
    user_agent: str
    accept_language: str
    tls_version: str
    sni: str
    peer: str
    client: str
    sent_body: str = ""
    busy: bool = False
    canary: bool = False
    canary_refused: int = 0
    client_asked: bool = False
    client_certificate: ClientCertificate | None = None


class Exchange(msgspec.Struct, frozen=True):
    """One HTTP request of the probe, and its answer; redirects are not followed.

    Attributes:
        purpose: Which probe it was, as ``echo``, ``redirect``, ``pixel``, ``post``.
        url: What was asked.
        method: The method.
        address: The address that was asked.
        user_agent: What the probe said it is.
        forged: Whether the request carried forged client-address fields.
        status: 0 when there was no answer.
        headers: Names in lower case.
        body: At most 64 KiB.
        body_sha256: Of the whole body, hexadecimal.
        seconds: To the end of the answer.
        echo: What our edge saw, if the answer is its own and signed; else ``None``.
        expected_location: For ``redirect``: where it must lead.
        accept_language: What the probe sent; ``None``: not on record.
        error: What went wrong on the way; empty when nothing did.
    """

    purpose: str
    url: str
    method: str
    address: str
    user_agent: str
    status: int
    headers: dict[str, str]
    seconds: float = 0.0
    forged: bool = False
    body: bytes = b""
    body_sha256: str = ""
    echo: Echo | None = None
    expected_location: str = ""
    error: str = ""
    accept_language: str | None = None


class AppFile(msgspec.Struct, frozen=True):
    """A well-known file of a branded domain, as it is answered."""

    name: str
    status: int
    content_type: str
    body: bytes
    error: str = ""
    address: str = ""


class Parent(msgspec.Struct, frozen=True):
    """What a name above the host answers over https: a policy there may bind the host too.

    Attributes:
        name: As ``acme.example``.
        address: Which was asked; empty when there was none to ask.
        status: 0 when there was no answer.
        policy: The Strict-Transport-Security field; empty for none.
        chain: DER certificates as sent, leaf first.
        error: Why there was no answer; empty when there was one.
    """

    name: str
    address: str = ""
    status: int = 0
    policy: str = ""
    chain: tuple[bytes, ...] = ()
    error: str = ""


class Observation(msgspec.Struct, frozen=True):
    """Everything seen in one run.

    Attributes:
        format: Of this record.
        host: The branded domain.
        target: Its target.
        ownership: The TXT value that proves it.
        base_domain: Ours.
        route: ``cdn``, ``proxy``, ``acme`` or ``uploaded``; empty before one is chosen.
        at: When it began, aware UTC.
        own_addresses: Addresses the base domain resolves to: ours.
        egress: Addresses the probe asks from.
        dns: Every answer of DNS.
        chain: The CNAME chain from the host on; empty without a CNAME.
        reached: Every TCP connection tried.
        handshakes: Every TLS handshake.
        exchanges: Every HTTP exchange.
        direct_seconds: How long our edge took to answer without anything in front of it.
        app_files: The well-known files that are set up for the domain.
        parents: The names above the host, up to the registrable domain.
        caa_identities: What our CAs call themselves in CAA records.
        caa_accounts: Our accounts at these CAs, as CAA records name one (RFC 8657 §3); empty
            while they are not known.
        acme_delegation: Where ``_acme-challenge`` must lead; empty when DNS-01 is not used.
        certificate_state: Of the certificate we hold for the host; empty without one.
        certificate_problem: Why the last order failed; empty if it did not.
        certificate_problem_type: The kind of that, as ACME names it (RFC 8555 §6.7): ``caa``.
        certificate_failing_since: When the first order failed that no certificate came after,
            aware; ``None``: none did, or it is not known.
        waiting: What our next order waits for; empty for nothing.
        https_links: Whether new links of it are https already.
        client_authority: The subjects of the CAs that sign the client certificate of what stands
            in front; empty: none is set up.
    """

    host: str
    target: str
    ownership: str
    base_domain: str
    route: str
    at: datetime
    format: int = FORMAT
    own_addresses: tuple[str, ...] = ()
    egress: tuple[str, ...] = ()
    dns: tuple[Answer, ...] = ()
    chain: tuple[Hop, ...] = ()
    reached: tuple[Tried, ...] = ()
    handshakes: tuple[Handshake, ...] = ()
    exchanges: tuple[Exchange, ...] = ()
    direct_seconds: tuple[float, ...] = ()
    app_files: tuple[AppFile, ...] = ()
    parents: tuple[Parent, ...] = ()
    caa_identities: tuple[str, ...] = ()
    caa_accounts: tuple[str, ...] = ()
    acme_delegation: str = ""
    certificate_state: str = ""
    certificate_problem: str = ""
    waiting: str = ""
    https_links: bool = False
    certificate_problem_type: str = ""
    certificate_failing_since: datetime | None = None
    client_authority: str = ""


def save_observation(observation: Observation) -> bytes:
    """Return an observation as JSON."""
    return msgspec.json.format(msgspec.json.encode(observation))


def load_observation(data: bytes) -> Observation:
    """Read what :func:`save_observation` wrote.

    Raises:
        ValueError: It is no observation.
    """
    return msgspec.json.decode(data, type=Observation)
