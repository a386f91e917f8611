"""HTTP as a probe sees it: CDNs and proxies with one mistake each."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest
import trustme

from linkseal.domains.echo import REDIRECT
from linkseal.domains.well_known import CHALLENGE_PATH
from linkseal.edge.probe import Asked
from linkseal.prober.client import MOST_BODY, MOST_HEAD, MOST_READ, Question, Reply, ask
from linkseal.prober.exchanges import AGENTS, BROWSER, LONG, TARGETS
from linkseal.prober.request import Budget
from prober.lab import HOST, KEY, Origin, look, request, serving

AUTHORITY = trustme.CA()


async def verdicts(origin: Origin, plain: Origin | None = None) -> dict[str, str]:
    return (await look(origin, authority=AUTHORITY, plain=plain)).verdicts()


def redirect(location: str, status: str = "301 Moved") -> bytes:
    return f"HTTP/1.1 {status}\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


async def test_what_is_asked() -> None:
    origin = Origin()
    seen = await look(origin, authority=AUTHORITY)
    found = seen.observation.exchanges
    assert len(origin.asked) == len(found) <= 60
    assert Counter(each.method for each in found)["POST"] == 1
    assert {each.user_agent for each in found} == {BROWSER, *AGENTS}
    urls = Counter(each.url for each in found)
    assert sorted(urls.values())[-4:] == [2, 2, 2, 5]
    assert {len(each.url) for each in found} >= set(LONG)
    assert all(any(each.url.endswith(query) for each in found) for query in TARGETS)
    assert sum(each.forged for each in found) == 2
    assert sum(each.url.startswith("http://") for each in found) == 1
    assert len(seen.exchanges("burst")) == 5
    assert {each.host for each in origin.asked} == {HOST}
    for each in found:
        assert each.echo is not None
        assert each.url == f"{each.url.partition('://')[0]}://{HOST}{each.echo.target}"
        assert (each.echo.user_agent, each.echo.method) == (each.user_agent, each.method)


async def test_a_redirect_is_recorded_and_not_followed() -> None:
    seen = await look(Origin(), authority=AUTHORITY)
    for each in seen.exchanges("redirect"):
        assert (each.status, each.headers["location"]) == (302, REDIRECT)
        assert each.expected_location == REDIRECT


async def test_a_cache_is_found_by_its_second_answer() -> None:
    kept: dict[bytes, bytes] = {}
    found = await verdicts(Origin(lambda asked, answer: kept.setdefault(asked.target, answer)))
    assert "is cached by" in found["HTTP-06"]


async def test_requests_at_once_that_are_merged() -> None:
    kept: dict[bytes, bytes] = {}

    def collapse(asked: Asked, answer: bytes) -> bytes:
        if b"?" in asked.target or not asked.path.endswith("/echo"):
            return answer
        return kept.setdefault(asked.target, answer)

    assert "merged into 1" in (await verdicts(Origin(collapse)))["HTTP-06"]


async def test_a_cache_that_ignores_the_query() -> None:
    kept: dict[str, bytes] = {}

    def ignore(asked: Asked, answer: bytes) -> bytes:
        return kept.setdefault(asked.path, answer) if b"?q=" in asked.target else answer

    assert "Query string ignored" in (await verdicts(Origin(ignore)))["HTTP-07"]


async def test_a_query_that_is_dropped() -> None:
    origin = Origin(rewrite=lambda asked: replace(asked, target=asked.target.partition(b"?")[0]))
    assert (await verdicts(origin))["HTTP-04"] == "Query string was dropped."


async def test_a_loop_of_flexible_ssl() -> None:
    found = await verdicts(
        Origin(lambda asked, _answer: redirect(f"https://{HOST}{asked.target.decode()}"))
    )
    assert found["HTTP-13"].startswith("Redirect loop (Flexible SSL?)")


async def test_http_that_leads_to_https_is_fine_and_elsewhere_is_not() -> None:
    same = Origin(lambda asked, _answer: redirect(f"https://{HOST}{asked.target.decode()}"))
    assert "HTTP-01" not in await verdicts(Origin(), plain=same)
    home = Origin(lambda _asked, _answer: redirect("https://www.acme.example/"))
    assert "redirects to https://www.acme.example/" in (await verdicts(Origin(), home))["HTTP-01"]


async def test_the_challenge_path_is_followed_to_https_and_nowhere_else() -> None:
    def led(asked: Asked, ours: bytes) -> bytes:
        if not asked.path.startswith(CHALLENGE_PATH):
            return ours
        place = f"https://{HOST}{asked.target.decode()}"
        return f"HTTP/1.1 301 Moved\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode()

    plain = Origin(led)
    seen = await look(Origin(), authority=AUTHORITY, plain=plain, asking=request(route="acme"))
    first, second = seen.exchanges("acme")
    assert (first.status, second.url) == (301, first.url.replace("http:", "https:"))
    assert second.echo is not None
    assert "ACM-01" not in seen.verdicts()
    # The order uses DNS-01: the path is nobody's business.
    delegated = request(route="acme", acme_delegation="k7.acme.ct.example.net")
    assert (await look(Origin(), authority=AUTHORITY, asking=delegated)).exchanges("acme") == []


async def test_a_bot_challenge_for_one_kind_of_visitor() -> None:
    def suspicious(asked: Asked, answer: bytes) -> bytes:
        agents = [value for name, value in asked.headers if name.lower() == b"user-agent"]
        if agents and b"python" in agents[0]:
            return b"HTTP/1.1 403 No\r\nCF-Mitigated: challenge\r\nContent-Length: 0\r\n\r\n"
        return answer

    found = await verdicts(Origin(suspicious))
    assert "for UA `python-requests" in found["HTTP-12"]


async def test_an_answer_of_somebody_else_is_no_echo() -> None:
    other = Origin(probes=type(Origin().probes)(0, b"x" * 32))
    seen = await look(other, authority=AUTHORITY)
    assert {each.echo for each in seen.observation.exchanges} == {None}
    assert seen.verdicts()["HTTP-02"] == "Request did not reach us: got 404 from 127.0.0.1."


async def test_well_known_files_are_fetched() -> None:
    def files(asked: Asked, answer: bytes) -> bytes:
        if asked.path != "/.well-known/assetlinks.json":
            return answer
        return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]"

    asking = request(app_files=("assetlinks.json", "apple-app-site-association"))
    seen = await look(Origin(files), authority=AUTHORITY, asking=asking)
    first, second = seen.observation.app_files
    assert (first.status, first.content_type, first.body) == (200, "application/json", b"[]")
    assert (second.status, second.body, second.error) == (404, b"", "")


# The client alone.


async def reply(answer: bytes | None, *, method: str = "GET") -> Reply:
    origin = Origin(lambda _asked, _answer: answer)
    async with serving(origin, None, "127.0.0.1") as port:
        budget = Budget(1.0 if answer is None else 20.0, lambda _progress: None)
        return await ask(Question(method, HOST, "/"), "127.0.0.1", port, None, budget)


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("answer", "status", "body", "error"),
    [
        (OK + b"Content-Length: 2\r\n\r\nhi", 200, b"hi", ""),
        (OK + b"Content-Length: 2\r\n\r\nhi more", 200, b"hi", ""),
        (OK + b"\r\nto the end", 200, b"to the end", ""),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", 200, b"hi", ""),
        (
            b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + OK + b"Content-Length: 0\r\n\r\n",
            200,
            b"",
            "",
        ),
        (b"HTTP/1.1 204 None\r\n\r\n", 204, b"", ""),
        (OK + b"Content-Length: 9\r\n\r\nhi", 200, b"hi", "the answer breaks off"),
        (b"HTTP/1.1 200 OK\r\nContent", 0, b"", "the answer breaks off"),
        (b"", 0, b"", "the answer breaks off"),
        (b"\x16\x03\x01 what is this", 0, b"", "an answer that is no HTTP"),
        (b"SSH-2.0-OpenSSH_9\r\n", 0, b"", "an answer that is no HTTP"),
        (None, 0, b"", "timeout"),
    ],
)
async def test_answers_of_every_shape(
    answer: bytes | None, status: int, body: bytes, error: str
) -> None:
    got = await reply(answer)
    assert (got.status, got.body, got.error) == (status, body, error)
    assert got.whole is (not error)


async def test_the_answer_to_head_has_no_body() -> None:
    got = await reply(OK + b"Content-Length: 5000\r\n\r\n", method="HEAD")
    assert (got.status, got.whole, got.error) == (200, True, "")


async def test_fields_of_one_name_are_one_list() -> None:
    got = await reply(OK + b"Via: a\r\nX-Cache: MISS\r\nvia: b\r\nContent-Length: 0\r\n\r\n")
    assert got.headers == {"via": "a, b", "x-cache": "MISS", "content-length": "0"}


@contextlib.asynccontextmanager
async def saying(say: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[int]:
    """Listen on a port for one client, who is answered until it leaves."""
    left = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        with contextlib.suppress(OSError):
            await say(writer)
        writer.transport.abort()
        left.set()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await asyncio.wait_for(left.wait(), 20)


async def test_a_gigabyte_is_not_read() -> None:
    sent = 0

    async def pour(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(OK + b"Content-Length: 1000000000\r\n\r\n")
        while sent < 1_000_000_000:
            writer.write(b"x" * 65536)
            sent += 65536
            await writer.drain()

    async with saying(pour) as port:
        budget = Budget(20.0, lambda _progress: None)
        got = await ask(Question("GET", HOST, "/"), "127.0.0.1", port, None, budget)
    assert got.error == f"more than {MOST_READ // 1024} KiB"
    assert (got.status, len(got.body), got.whole) == (200, MOST_READ, False)
    assert sent < 50_000_000


async def test_an_endless_head_is_not_read() -> None:
    got = await reply(OK + b"X: y\r\n" * 200_000)
    assert (got.status, got.whole, got.error) == (0, False, "more than 64 KiB")
    assert len(str(got.headers)) < 2 * MOST_HEAD


async def test_a_body_that_drips_is_left_in_time() -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"Content-Length: 1000\r\n\r\n")
        for _ in range(1000):
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with saying(drip) as port:
        began = time.monotonic()
        budget = Budget(1.5, lambda _progress: None)
        got = await ask(Question("GET", HOST, "/"), "127.0.0.1", port, None, budget)
        assert time.monotonic() - began < 20
    assert (got.status, got.error) == (200, "timeout")


async def test_a_long_body_is_recorded_in_part_and_hashed_whole() -> None:
    seen = await look(Origin(), authority=AUTHORITY)
    (big,) = seen.exchanges("big")
    assert big.echo is not None
    assert (len(big.body), big.body_sha256) == (MOST_BODY, big.echo.sent_body)
    assert KEY not in big.body
