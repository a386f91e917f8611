"""The end of a wrong certificate shown on purpose."""

from __future__ import annotations

import trustme

from linkseal.edge.probe import Asked
from linkseal.prober import Part, ask_after_canary, probe
from prober.lab import HOST, Origin, request, server_tls, serving, settings, zones

REFUSED = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"


async def test_it_is_over_when_no_worker_of_the_edge_shows_it_any_more() -> None:
    """Each looks for what is new by itself: a strict proxy may be refused by the next."""
    origin = Origin()
    leaf = trustme.CA().issue_cert(HOST)
    with zones() as dns:
        async with (
            serving(origin, server_tls(leaf), "127.0.0.1") as https,
            serving(Origin(), None, "127.0.0.1") as http,
        ):
            config = settings(dns, http_port=http, https_port=https)
            asking = request(parts=Part.NAMES | Part.ECHO)
            seen = await probe(asking, config)
            before = len(origin.asked)

            def behave(_asked: Asked, answer: bytes) -> bytes:
                return REFUSED if len(origin.asked) - before in {2, 4} else answer

            origin.behave = behave
            (last,) = await ask_after_canary(asking, config, seen, seconds=60)
    assert last.echo is not None
    assert len(origin.asked) - before > 4
