"""The edge's side of a probe: a nonce is opened, and what was seen is said, signed.

Asked for is ``/.well-known/ct-probe/<nonce>/<variant>``, or the nonce where a CA looks for
its token, to see that the CA would reach us: ``/.well-known/acme-challenge/<nonce>``. Whoever
has no valid nonce gets what any wrong path gets. An answer is no hit: nothing is recorded.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from msgspec.structs import replace

from linkseal.domains.client_ca import judge_client
from linkseal.domains.echo import (
    ECHO_FIELD,
    PROBE_PATH,
    REDIRECT,
    SIGNATURE_FIELD,
    field_text,
    sign_echo,
)
from linkseal.domains.observation import ClientCertificate, Echo
from linkseal.domains.well_known import CHALLENGE_PATH
from linkseal.edge.answers import PIXEL
from linkseal.edge.client import ClientRule, client_address
from linkseal.edge.head import Fields
from linkseal.edge.openssl import AskingContext
from linkseal.edge.shared import FullError, Shared
from linkseal.errors import TokenError
from linkseal.seal.nonce import Nonce, open_nonce

SLOW: Final = 2.0
"""Seconds the variant ``slow`` takes."""
LONGEST_VALUE: Final = 512
"""Characters of a field that are echoed."""
_TELL_AGAIN: Final = 60.0
"""Seconds until it is logged once more that there is no room."""

log = structlog.get_logger("edge")

_HTML: Final = b"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Probe</title>
<!-- a comment -->
<p>Write to <a href="mailto:probe@example.com">probe@example.com</a>.</p>
<script>document.title = "Probed";</script>
</html>
"""
_BIG: Final = b"".join(b"%08d\n" % line for line in range(12_000))
"""108,000 bytes: more than a proxy's usual buffers."""

# What a CDN or proxy says of itself and of its client; `x-pull` can be a secret and is not in it.
_FORWARDED: Final = frozenset(
    {
        *("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-server"),
        *("x-forwarded-scheme", "x-real-ip", "forwarded", "via", "cdn-loop", "true-client-ip"),
        *("cf-connecting-ip", "cf-ray", "cf-visitor", "cf-worker", "cf-ew-via"),
        *("fastly-client", "fastly-client-ip", "fastly-ff", "fastly-ssl"),
        *("x-amz-cf-id", "cloudfront-viewer-address", "cloudfront-forwarded-proto"),
        *("cdn-pullzoneid", "cdn-requestid", "cdn-loopcount", "akamai-origin-hop"),
        *("x-azure-fdid", "x-azure-ref", "x-azure-clientip", "x-azure-socketip"),
        "x-azure-requestchain",
    }
)


@dataclass(frozen=True, slots=True)
class Line:
    """The connection a request came by.

    Attributes:
        transport: TLS or plain TCP.
        sni: What its TLS client asked for; empty for nothing.
        peer: Who connected.
        canary: Whether its client was shown a wrong certificate on purpose.
    """

    transport: asyncio.BaseTransport
    sni: str
    peer: str
    canary: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for something else than a sealed link.

    Attributes:
        method: As it came.
        target: The raw request target.
        path: Its path.
        host: The name asked, lower case, without port.
        served: Whether that name is served.
        headers: The fields as they came.
        rule: What to believe about the client's address there; ``None``: nothing.
        came_by: On which connection.
    """

    method: str
    target: bytes
    path: str
    host: str
    served: bool
    headers: Fields
    rule: ClientRule | None
    came_by: Line


@dataclass(frozen=True, slots=True)
class Reply:
    """What to answer a probe.

    Attributes:
        status: And its reason, ``200 OK``.
        fields: Besides those of every answer.
        body: Not sent for HEAD.
        delay: Seconds to wait before.
        busy: Whether there was no room to remember the nonce.
    """

    status: str
    fields: dict[str, str]
    body: bytes
    delay: float = 0.0
    busy: bool = False


@dataclass(slots=True)
class Probes:
    """A worker's probes.

    Args:
        slot: The worker's number.
        key: The probe key; without one no probe is answered.
        shared: Remembers, for all workers, which nonces were used.
        client_cas: Of which CAs clients should show a certificate, DER, by the name they ask for.
    """

    slot: int
    key: bytes
    shared: Shared = field(default_factory=Shared)
    client_cas: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict)
    _serial: int = 0
    _silent_until: float = 0.0
    _node: str = field(init=False)

    def __post_init__(self) -> None:
        self._node = f"{self.slot}-{secrets.token_hex(4)}"

    def reply(self, asked: Asked) -> Reply | None:
        """Answer a probe; ``None`` for whatever is none, or may not be asked."""
        if not self.key:
            return None
        if asked.path.startswith(PROBE_PATH):
            text, _, variant = asked.path.removeprefix(PROBE_PATH).partition("/")
        elif asked.path.startswith(CHALLENGE_PATH) and asked.method != "POST":
            text, variant = asked.path.removeprefix(CHALLENGE_PATH), "echo"
        else:
            return None
        answer = _VARIANTS.get(variant)
        if answer is None or (asked.method == "POST" and variant != "echo"):
            return None
        now = time.time()
        try:
            nonce = open_nonce(text, now=now, key=self.key)
            allowed = (asked.served or asked.host == nonce.host) and self._use(nonce, now)
        except TokenError:
            return None
        except FullError:
            return self._busy(asked, now)
        if not allowed:
            return None
        self._serial += 1
        status, kind, body, delay = answer
        sent = hashlib.sha256(body).hexdigest() if body else ""
        echo = self._echo(asked, sent)
        data, signature = sign_echo(echo, self.key)
        fields = {SIGNATURE_FIELD: signature}
        if kind:
            fields["content-type"] = kind
        if variant == "302":
            fields["location"] = REDIRECT
        if kind == _JSON and asked.method != "HEAD":
            body = data
        else:
            fields[ECHO_FIELD] = field_text(data)
        return Reply(status, fields, body, delay)

    def _use(self, nonce: Nonce, now: float) -> bool:
        """Count a use of a nonce; return whether it was allowed."""
        random = urlsafe_b64decode(nonce.random + "==")
        return self.shared.use(random, expires_at=nonce.expires_at, uses=nonce.uses, now=now)

    def _busy(self, asked: Asked, now: float) -> Reply:
        """Say that there is no room, signed: whoever asks need not take it for somebody else's."""
        if now >= self._silent_until:
            self._silent_until = now + _TELL_AGAIN
            log.error(
                "no room for probes: neither checks nor the watch see anything",
                hint="raise watch.interval, and see who else asks for checks so often",
            )
        data, signature = sign_echo(replace(self._echo(asked, ""), busy=True), self.key)
        fields = {SIGNATURE_FIELD: signature, ECHO_FIELD: field_text(data)}
        return Reply("503 Service Unavailable", fields, b"", busy=True)

    def _echo(self, asked: Asked, sent: str) -> Echo:
        fields: dict[str, str] = {}
        names: list[str] = []
        for raw_name, raw_value in asked.headers:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1").strip()
            names.append(name)
            # RFC 9110 §5.3: fields of one name are one list, in their order.
            fields[name] = f"{fields[name]}, {value}" if name in fields else value
        tls = asked.came_by.transport.get_extra_info("ssl_object")
        client = asked.came_by.peer
        if asked.rule is not None:
            client = client_address(client, asked.headers, asked.rule)
        return Echo(
            serial=self._serial,
            node=self._node,
            method=asked.method,
            target=asked.target.decode("latin-1"),
            host=fields.get("host", ""),
            header_names=tuple(names),
            forwarded={
                name: value[:LONGEST_VALUE] for name, value in fields.items() if name in _FORWARDED
            },
            user_agent=fields.get("user-agent", "")[:LONGEST_VALUE],
            accept_language=fields.get("accept-language", "")[:LONGEST_VALUE],
            tls_version=(tls.version() or "") if tls else "",
            sni=asked.came_by.sni,
            peer=asked.came_by.peer,
            client=client,
            sent_body=sent,
            canary=asked.came_by.canary,
            canary_refused=self.shared.refused,
            client_asked=tls is not None and isinstance(tls.context, AskingContext),
            client_certificate=self._shown(tls, asked.came_by.sni),
        )

    def _shown(self, tls: Any, sni: str) -> ClientCertificate | None:
        """Return what the client showed, if it was asked, and whether it is of the right CA."""
        if tls is None or not isinstance(tls.context, AskingContext):
            return None
        leaf = tls.getpeercert(binary_form=True)
        if leaf is None:
            return None
        authorities = self.client_cas.get(sni.lower().rstrip("."), ())
        return judge_client(leaf, tls.get_unverified_chain()[1:], authorities, datetime.now(UTC))


_JSON: Final = "application/json"
_VARIANTS: Final[dict[str, tuple[str, str, bytes, float]]] = {
    "echo": ("200 OK", _JSON, b"", 0.0),
    "slow": ("200 OK", _JSON, b"", SLOW),
    "302": ("302 Found", "", b"", 0.0),
    "pixel": ("200 OK", "image/gif", PIXEL, 0.0),
    "pixel.gif": ("200 OK", "image/gif", PIXEL, 0.0),
    "html": ("200 OK", "text/html; charset=utf-8", _HTML, 0.0),
    "big": ("200 OK", "text/plain", _BIG, 0.0),
}
