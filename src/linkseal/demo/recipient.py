"""A recipient: reads a message as a mail client does, loads its pixel, clicks its links.

Connections go to the edge's own address with the link's name as SNI and Host, over TLS
verified against the given CA: the demo shows what a recipient's browser would, on a
machine whose DNS knows nothing of the base domain.
"""

from __future__ import annotations

import email
import email.policy
import html.parser
import http.client
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from linkseal.config import Address

BROWSER = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Safari/537.36"
)
TIMEOUT = 15.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What a mail client finds in a message: link targets and image sources, in order."""

    links: tuple[str, ...]
    images: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the edge answered."""

    status: int
    location: str
    content_type: str


def read_message(message: bytes) -> Seen:
    """Return the links and images of a message's HTML, read by independent parsers."""
    parsed = email.message_from_bytes(message, policy=email.policy.default)
    links: list[str] = []
    images: list[str] = []
    body = parsed.get_body(("html",))
    if body is not None:
        reader = _Reader(links, images)
        reader.feed(body.get_content())
        reader.close()
    return Seen(tuple(links), tuple(images))


class _Reader(html.parser.HTMLParser):
    def __init__(self, links: list[str], images: list[str]) -> None:
        super().__init__(convert_charrefs=True)
        self._links = links
        self._images = images

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in {"a", "area"} and values.get("href"):
            self._links.append((values["href"] or "").strip())
        elif tag == "img" and values.get("src"):
            self._images.append((values["src"] or "").strip())


class Recipient:
    """Fetches tracking URLs over verified HTTPS.

    Args:
        edge: Where https is listened for: by the edge, or by who stands before it.
        ca_file: The CAs to trust, and no others.
        source: The address to connect from; empty: any.
    """

    def __init__(self, edge: Address, ca_file: Path, *, source: str = "") -> None:
        self._edge = edge
        self._source = (source, 0) if source else None
        self._tls = ssl.create_default_context(cafile=str(ca_file))

    def fetch(self, url: str, user_agent: str = BROWSER) -> Answer:
        """Get a URL, without following its redirect.

        Raises:
            OSError: The edge cannot be reached, or its certificate is not valid for the name.
        """
        parts = urlsplit(url)
        connection = _Connection(
            parts.hostname or "", self._edge, self._source, context=self._tls, timeout=TIMEOUT
        )
        try:
            headers = {"User-Agent": user_agent, "Host": parts.netloc}
            connection.request("GET", parts.path, headers=headers)
            response = connection.getresponse()
            response.read()
            return Answer(
                response.status,
                response.getheader("Location") or "",
                response.getheader("Content-Type") or "",
            )
        finally:
            connection.close()


class _Connection(http.client.HTTPSConnection):
    """An HTTPS connection whose address is given, and whose certificate is the name's."""

    def __init__(
        self,
        host: str,
        address: Address,
        source: tuple[str, int] | None,
        *,
        context: ssl.SSLContext,
        timeout: float,
    ) -> None:
        super().__init__(host, context=context, timeout=timeout, source_address=source)
        self._verified_by = context
        self._source = source
        self._address = address

    def connect(self) -> None:
        """Connect to the address, and verify the certificate for the name."""
        address = (self._address.host, self._address.port)
        plain = socket.create_connection(address, TIMEOUT, self._source)
        self.sock = self._verified_by.wrap_socket(plain, server_hostname=self.host)
