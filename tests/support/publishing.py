"""A server that publishes networks as CDNs do, over https by a root of its own."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import trustme

CLOUDFLARE = {
    "result": {
        "ipv4_cidrs": ["173.245.48.0/20", "104.16.0.0/13", "104.24.0.0/14", "172.64.0.0/13"],
        "ipv6_cidrs": ["2400:cb00::/32", "2606:4700::/32"],
        "etag": "38f79d050aa027e3be3865e495dcc9bc",
    },
    "success": True,
    "errors": [],
    "messages": [],
}
FASTLY = {"addresses": ["23.235.32.0/20", "151.101.0.0/16"], "ipv6_addresses": ["2a04:4e40::/32"]}
AWS = {
    "syncToken": "1763942408",
    "createDate": "2026-11-24-00-00-08",
    "prefixes": [
        {
            "ip_prefix": prefix,
            "region": "GLOBAL",
            "service": service,
            "network_border_group": "GLOBAL",
        }
        for prefix, service in (
            ("120.52.22.96/27", "AMAZON"),
            ("120.52.22.96/27", "CLOUDFRONT"),
            ("13.124.199.0/24", "CLOUDFRONT_ORIGIN_FACING"),
            ("3.2.34.0/26", "EC2"),
        )
    ],
    "ipv6_prefixes": [
        {
            "ipv6_prefix": "2600:9000:3000::/36",
            "region": "GLOBAL",
            "service": "CLOUDFRONT",
            "network_border_group": "GLOBAL",
        }
    ],
}
KEYCDN = {"prefixes": ["185.172.148.0/24", "2a0a:b640::/48"]}
BUNNY_4 = "89.187.188.227\r\n139.180.134.196\r\n"
BUNNY_6 = ["2400:52e0:1500::714:1", "2400:52e0:1e00::719:1"]
GOOGLE = "v=spf1 ip4:34.96.0.0/20 ip4:34.127.192.0/18 ~all"
PATHS = ("cloudflare", "fastly", "cloudfront", "keycdn", "bunny4", "bunny6")


class Published:
    """What is answered, by path; anything else is not found.

    Attributes:
        answers: Bodies.
        status: Of every answer.
        drip: Seconds between two bytes of a body.
        asked: Paths, in their order.
    """

    def __init__(self) -> None:
        self.answers: dict[str, bytes] = {}
        self.status = 200
        self.drip = 0.0
        self.asked: list[str] = []
        self.port = 0
        self.publish("cloudflare", CLOUDFLARE)
        self.publish("fastly", FASTLY)
        self.publish("cloudfront", AWS)
        self.publish("keycdn", KEYCDN)
        self.publish("bunny4", BUNNY_4)
        self.publish("bunny6", BUNNY_6)

    def publish(self, path: str, body: object) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        self.answers[f"/{path}"] = text.encode()

    def url(self, path: str) -> str:
        return f"https://localhost:{self.port}/{path}"

    def toml(self, root: Path) -> str:
        """Return the config's table that has networks fetched here."""
        single = "".join(f'{path} = "{self.url(path)}"\n' for path in PATHS[:4])
        bunny = f'bunny = ["{self.url("bunny4")}", "{self.url("bunny6")}"]\n'
        return f'[cdn]\nca_file = "{root}"\ntimeout = 20\n[cdn.sources]\n{single}{bunny}'


@contextlib.contextmanager
def publishing(ca: trustme.CA) -> Iterator[Published]:
    found = Published()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append(self.path)
            body = found.answers.get(self.path, b"")
            self.send_response(found.status if self.path in found.answers else 404)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Location", "/elsewhere")
            self.end_headers()
            with contextlib.suppress(OSError):
                if not found.drip:
                    self.wfile.write(body)
                    return
                for byte in body:
                    self.wfile.write(bytes([byte]))
                    time.sleep(found.drip)

        def log_message(self, *_: object) -> None:
            return

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_: object) -> None:
            return

    server = Server(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    found.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
