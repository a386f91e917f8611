"""The tables of the config file: their keys, defaults and limits."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from linkseal.config.address import Address, AddressField
from linkseal.config.texts import DatabaseURL, DomainText, SecretText


class Section(BaseModel):
    """A table of the config file; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class EdgeConfig(Section):
    """The server that answers recipients."""

    http: AddressField = Field(
        Address("127.0.0.1", 8080), description="Where the edge listens for http."
    )
    https: AddressField = Field(
        Address("127.0.0.1", 8443),
        description="Where the edge listens for https; `[::]:443`: of IPv4, too.",
    )
    ops: AddressField = Field(
        Address("127.0.0.1", 9464),
        description="Where /healthz and /metrics are answered; keep it on a private net.",
    )
    max_contexts: int = Field(
        12_000,
        ge=16,
        description="Certificates a worker keeps loaded, the latest used; each takes some 26 KiB.",
    )
    workers: int = Field(2, ge=1, le=256, description="Worker processes sharing the ports.")
    public_https_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="The https port recipients see, when it is not the one listened on.",
    )
    public_http_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="The http port recipients see, when it is not the one listened on.",
    )
    header_timeout: float = Field(
        10.0, gt=0, description="Seconds for a whole request head, and for a TLS handshake."
    )
    idle_timeout: float = Field(
        75.0, gt=0, description="Seconds a connection may stay silent between requests."
    )
    max_head_bytes: int = Field(
        32768, ge=1024, description="Longest request head; longer ones get 431."
    )
    max_url_bytes: int = Field(
        8192, ge=256, le=65536, description="Longest request target; longer ones get 414."
    )
    max_headers: int = Field(100, ge=8, description="Most header fields in a request.")
    max_connections: int = Field(
        20000, ge=16, description="Most open connections per worker; more are closed at once."
    )
    drain_timeout: float = Field(
        10.0, ge=0, description="Seconds open connections get to finish when the service stops."
    )


class TLSConfig(Section):
    """The certificate of the shared tracking domain."""

    certificate: Path | None = Field(
        None,
        description="PEM chain for the shared name and *.<base_domain>; reloaded when it changes. "
        "Without it a local CA makes one.",
    )
    key: Path | None = Field(None, description="PEM private key of that certificate.")


class IssuerConfig(Section):
    """A CA that speaks ACME."""

    directory: str = Field(
        pattern=r"^https?://[^\s]+$",
        description="URL of its directory (RFC 8555 section 7.1.1).",
        examples=["https://acme-v02.api.letsencrypt.org/directory"],
    )
    ca_file: Path | None = Field(
        None, description="PEM root that its https is verified by, for a private CA."
    )
    eab_kid: str = Field("", description="Key id of an external account, for CAs that want one.")
    eab_hmac_key: SecretText = Field("", description="That account's HMAC key, base64url.")
    profile: str = Field("", description="Certificate profile to ask for, as in tlsserver.")


class DNSConfig(Section):
    """How DNS-01 challenges get into DNS."""

    provider: Literal["none", "rfc2136", "exec"] = Field(
        "none",
        description="rfc2136: signed dynamic updates; exec: a program of yours; "
        "none: no wildcard can be had.",
    )
    server: AddressField | None = Field(
        None, description="rfc2136: the primary server, as in 192.0.2.53:53."
    )
    zone: str = Field("", description="rfc2136: the zone; empty: found by asking the server.")
    key_name: str = Field("", description="rfc2136: name of the TSIG key.")
    key_secret: SecretText = Field("", description="rfc2136: the TSIG key, base64.")
    key_algorithm: str = Field("hmac-sha256", description="rfc2136: the TSIG algorithm.")
    command: tuple[str, ...] = Field(
        (),
        description="exec: program and arguments; publish or withdraw, name and value are added.",
    )
    delegations_below: tuple[DomainText, ...] = Field(
        (),
        description="Names that customers' delegated challenges must lead below, as in "
        "acme.ct.example.net; empty: wherever the key or program may write.",
    )
    authority_port: int = Field(
        53, ge=1, le=65535, description="Port of authoritative servers; 53 outside of a lab."
    )

    @model_validator(mode="after")
    def _complete(self) -> DNSConfig:
        if self.provider == "rfc2136" and not (self.server and self.key_name and self.key_secret):
            raise ValueError("rfc2136 needs server, key_name and key_secret")
        if self.provider == "exec" and not self.command:
            raise ValueError("exec needs command")
        return self


class ACMEConfig(Section):
    """Certificates from CAs, by ACME."""

    enabled: bool = Field(
        False, description="Get and renew certificates by ACME, the shared domain's included."
    )
    email: str = Field("", description="Where a CA writes to; most send nothing any more.")
    issuers: tuple[IssuerConfig, ...] = Field(
        (IssuerConfig(directory="https://acme-v02.api.letsencrypt.org/directory"),),
        min_length=1,
        description="CAs in the order they are tried ([[acme.issuers]]).",
    )
    key_types: tuple[Literal["p256", "rsa2048"], ...] = Field(
        ("p256",), min_length=1, description="One certificate of each; p256 first."
    )
    dns: DNSConfig = Field(DNSConfig(), description=DNSConfig.__doc__)
    resolvers: tuple[AddressField, ...] = Field(
        (), description="DNS resolvers to look names up with; empty: the system's."
    )
    http_port: int = Field(80, ge=1, le=65535, description="Port CAs ask on; 80 outside of a lab.")
    allow_private_addresses: bool = Field(
        False, description="Let names lead to private addresses when checking; for a lab."
    )
    check_caa: bool = Field(True, description="Read CAA records before a CA is asked.")
    parallel: int = Field(4, ge=1, le=64, description="Orders at a time.")


class ProberConfig(Section):
    """How branded domains are looked at from outside."""

    resolvers: tuple[AddressField, ...] = Field(
        (), description="DNS resolvers that name servers are found with; empty: the system's."
    )
    public_resolvers: tuple[AddressField, ...] = Field(
        (Address("1.1.1.1", 53), Address("8.8.8.8", 53)),
        description="Resolvers recipients use, whose answers are judged; they should check DNSSEC.",
    )
    authority_port: int = Field(
        53, ge=1, le=65535, description="Port of authoritative servers; 53 outside of a lab."
    )
    http_port: int = Field(80, ge=1, le=65535, description="Port of http; 80 outside of a lab.")
    https_port: int = Field(443, ge=1, le=65535, description="Port of https; 443 outside of a lab.")
    allow_private_addresses: bool = Field(
        False, description="Let names lead to private addresses; for a lab."
    )
    refused_networks: tuple[str, ...] = Field(
        (),
        description="Public networks of yours that names must not lead to, as 203.0.113.0/24; "
        "the addresses of the base domain are let through.",
    )
    egress: tuple[str, ...] = Field(
        (), description="Addresses requests leave from, when behind NAT; empty: this machine's."
    )
    timeout: float = Field(
        10.0, gt=0, le=30, description="Seconds for one connection or one exchange."
    )
    extra_roots: tuple[Path, ...] = Field(
        (), description="PEM files of roots trusted besides the web's; for a lab."
    )

    @model_validator(mode="after")
    def _readable(self) -> ProberConfig:
        for network in self.refused_networks:
            ip_network(network)
        for address in self.egress:
            ip_address(address)
        return self


_HTTPS = Annotated[str, Field(pattern=r"^https://[^\s/]+/\S*$")]


class CDNSources(Section):
    """Where CDNs publish the networks they connect from, or mirrors of that."""

    cloudflare: _HTTPS = Field(
        "https://api.cloudflare.com/client/v4/ips", description="Cloudflare's list, JSON."
    )
    fastly: _HTTPS = Field(
        "https://api.fastly.com/public-ip-list", description="Fastly's list, JSON."
    )
    cloudfront: _HTTPS = Field(
        "https://ip-ranges.amazonaws.com/ip-ranges.json",
        description="The list of all of AWS, JSON; CloudFront's part of it is read.",
    )
    keycdn: _HTTPS = Field(
        "https://www.keycdn.com/shield-prefixes.json",
        description="KeyCDN's list of shield servers, JSON.",
    )
    bunny: tuple[_HTTPS, ...] = Field(
        (
            "https://api.bunny.net/system/edgeserverlist/plain",
            "https://api.bunny.net/system/edgeserverlist/ipv6",
        ),
        min_length=1,
        description="Bunny's lists, an address a line or as JSON.",
    )
    google: str = Field(
        "_cloud-eoips.googleusercontent.com",
        min_length=1,
        description="DNS name of Google's list, a TXT record written as SPF; prober.resolvers "
        "are asked.",
    )


class CDNConfig(Section):
    """CDNs' published networks: whose word is taken for a client's address."""

    refresh: bool = Field(
        True, description="Fetch them daily, of the CDNs that branded domains are enrolled with."
    )
    ca_file: Path | None = Field(
        None, description="PEM roots that the sources' https is verified by, besides the web's."
    )
    timeout: float = Field(30.0, gt=0, le=300, description="Seconds for all that one CDN answers.")
    sources: CDNSources = Field(CDNSources(), description=CDNSources.__doc__)


class WatchConfig(Section):
    """The watch over live branded domains."""

    enabled: bool = Field(True, description="Whether `linkseal up` watches live branded domains.")
    interval: float = Field(
        60.0,
        gt=0,
        description="Seconds between two looks at a domain, where checks are due each minute; "
        "those due less often keep their proportion to it.",
    )
    retry: float = Field(
        20.0, gt=0, description="Seconds after which a look that failed is made again."
    )
    failures: int = Field(
        3, ge=1, description="Failed looks in a row after which links leave a domain."
    )
    recoveries: int = Field(2, ge=1, description="Good looks in a row after which they come back.")
    references: tuple[AddressField, ...] = Field(
        (),
        description="Addresses outside that always take connections, as 192.0.2.1:443, one "
        "of them IPv6 where the machine has it; while "
        "none does, the fault is here, and no domain is blamed. Empty: the shared domain is "
        "asked, and if every domain fails at once, none is blamed.",
    )
    parallel: int = Field(200, ge=1, le=2000, description="Looks under way at a time.")
    per_second: float = Field(250.0, gt=0, description="Most looks begun in a second.")

    @model_validator(mode="after")
    def _numeric(self) -> WatchConfig:
        for reference in self.references:
            # A name would have to be resolved first, which is part of what is tried.
            ip_address(reference.host)
        return self


class JournalConfig(Section):
    """The durable log the edge writes before it answers."""

    memory_hits: int = Field(
        200_000,
        ge=1,
        description="Hits a worker keeps in memory while the journal cannot be written.",
    )
    retry_seconds: float = Field(
        1.0, gt=0, description="Seconds between tries to write a journal that failed."
    )
    patience_seconds: float = Field(
        2.0,
        gt=0,
        description="Seconds recipients wait for a disk that hangs; then they are answered "
        "although their hits are only in memory.",
    )


class StoreConfig(Section):
    """The database."""

    url: DatabaseURL = Field(
        "",
        description="SQLAlchemy URL of an SQLite file; empty means one in the data directory.",
    )
    collect_interval: float = Field(
        0.2, gt=0, description="Seconds between two looks of the collector at an idle journal."
    )


class ListenerConfig(Section):
    """One more SMTP listener, whose mail all belongs to one customer."""

    listen: AddressField = Field(description="Where it listens.", examples=["127.0.0.1:8026"])
    customer: str = Field(description="The customer all its mail belongs to.", examples=["acme"])


class SMTPConfig(Section):
    """The SMTP proxy: mail comes in, goes out instrumented."""

    enabled: bool = Field(True, description="Whether `linkseal up` runs the proxy.")
    listen: AddressField = Field(Address("127.0.0.1", 8025), description="Where the proxy listens.")
    next_hop: AddressField = Field(
        Address("127.0.0.1", 25), description="The mail server that mail is passed on to."
    )
    next_hop_tls: Literal["none", "starttls", "tls"] = Field(
        "none", description="How the connection to the next hop is encrypted."
    )
    next_hop_ca: Path | None = Field(
        None, description="PEM file of CAs to trust for the next hop; empty: the system's."
    )
    next_hop_user: str = Field("", description="User name for AUTH at the next hop; empty: none.")
    next_hop_password: SecretText = Field(
        "", description="Password for AUTH at the next hop; better set in the environment."
    )
    timeout: float = Field(60.0, gt=0, description="Seconds the next hop gets to answer.")
    data_timeout: float = Field(
        600.0,
        gt=0,
        description="Seconds it gets to answer a whole message; less makes second copies.",
    )
    certificate: Path | None = Field(
        None, description="PEM chain for STARTTLS; with it and the key STARTTLS is offered."
    )
    key: Path | None = Field(None, description="PEM private key of that certificate.")
    auth: Literal["off", "optional", "required"] = Field(
        "optional", description="Whether clients may or must log in with a customer's SMTP user."
    )
    auth_requires_tls: bool = Field(
        True, description="Take passwords over TLS only; connections from loopback are exempt."
    )
    max_message_bytes: int = Field(
        50 * 1024 * 1024, ge=1024, description="Largest message taken, if the next hop takes it."
    )
    unknown_customer: Literal["refuse", "pass"] = Field(
        "refuse",
        description="What happens to mail of no known customer: refused, or passed on untouched.",
    )
    listeners: tuple[ListenerConfig, ...] = Field(
        (), description="More listeners, each for one customer ([[smtp.listeners]])."
    )


class MailConfig(Section):
    """How messages are instrumented."""

    track_clicks: bool = Field(True, description="Seal the links of HTML parts.")
    track_opens: bool = Field(True, description="Add the open pixel.")
    pixel_tag: str = Field(
        "",
        description="Text that the open pixel replaces, as in %open-track%; empty: before </body>.",
    )
    max_links: int = Field(
        10_000, ge=0, description="Most links sealed in a message; the rest stay as they are."
    )
    max_html_bytes: int = Field(
        2 * 1024 * 1024,
        ge=0,
        description="Most HTML of a message that is read; parts past it pass as they are. "
        "Inline images (data: URIs) count a sixth. A message takes up to 150 times this in "
        "memory.",
    )


class LogConfig(Section):
    """The service's log, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severity that is logged."
    )
    format: Literal["auto", "console", "json"] = Field(
        "auto", description="auto: for people on a terminal, JSON lines elsewhere."
    )
