"""A probe's questions to the edge, over real sockets."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from structlog.testing import capture_logs

from linkseal.domains.echo import PROBE_PATH, REDIRECT, VARIANTS, find_echo
from linkseal.domains.observation import Echo
from linkseal.domains.well_known import CHALLENGE_PATH
from linkseal.edge import probe as room
from linkseal.edge.answers import PIXEL
from linkseal.edge.client import ClientKind, ClientRule
from linkseal.edge.shared import Shared
from linkseal.edge.snapshot import load_snapshot, save_snapshot
from linkseal.seal.nonce import MAX_LIFE, make_nonce
from support.edge import (
    PROBE_KEY,
    SHARED,
    VAULT,
    Edge,
    Reply,
    files_in,
    is_closed,
    read_reply,
    request,
    snapshot,
)

HOST = "links.acme.example"
MakeEdge = Callable[..., Edge]


def nonce(host: str = HOST, *, uses: int = 1, seconds: int = 60, key: bytes = PROBE_KEY) -> str:
    expires_at = int(time.time()) + seconds
    entropy = secrets.token_bytes(16)
    return make_nonce(host, expires_at=expires_at, entropy=entropy, key=key, uses=uses)


def path(text: str, variant: str = "echo") -> str:
    return f"{PROBE_PATH}{text}/{variant}"


def echo_of(reply: Reply, text: str) -> Echo:
    found = find_echo(reply.headers, reply.body, nonce=text, key=PROBE_KEY)
    assert found is not None
    return found


def test_an_echo_says_what_the_edge_saw(edge: Edge) -> None:
    text = nonce()
    target = path(text) + "?a=%2F&a=%2f&b=+%20&c=//;x&d="
    reply = edge.get(
        target,
        HOST,
        User_Agent="Probe/1",
        Accept_Language="de",
        Via="1.1 a",
        CDN_Loop="cloudflare",
        X_Forwarded_For="203.0.113.7",
        X_Other="not told",
    )
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert reply.headers["cache-control"] == "private, no-store, no-transform, max-age=0"
    echo = echo_of(reply, text)
    assert (echo.method, echo.target, echo.host) == ("GET", target, HOST)
    assert (echo.user_agent, echo.accept_language) == ("Probe/1", "de")
    assert echo.header_names[:2] == ("host", "user-agent")
    assert echo.header_names[-1] == "x-other"
    assert echo.forwarded == {
        "via": "1.1 a",
        "cdn-loop": "cloudflare",
        "x-forwarded-for": "203.0.113.7",
    }
    assert (echo.tls_version, echo.sni, echo.peer) == ("", "", "127.0.0.1")
    assert echo.client == "203.0.113.7"
    assert (echo.serial, echo.node.split("-")[0]) == (1, "0")
    assert edge.hits() == []


def test_a_nonce_is_answered_where_a_ca_looks_for_its_token(edge: Edge) -> None:
    text = nonce()
    target = f"{CHALLENGE_PATH}{text}"
    echo = echo_of(edge.get(target, HOST), text)
    assert (echo.target, echo.host) == (target, HOST)
    assert edge.get(target, HOST).status == 404, "once is all it is good for"
    assert edge.send(request(f"{CHALLENGE_PATH}{nonce()}", HOST, "POST")).status == 405
    assert edge.get(f"{CHALLENGE_PATH}{nonce(key=b'x' * 32)}", HOST).status == 404
    assert edge.get(f"{CHALLENGE_PATH}{nonce()}/echo", HOST).status == 404


def test_over_tls_it_says_the_version_and_the_name_asked_for(edge: Edge) -> None:
    text = nonce()
    reply = edge.send(request(path(text), HOST), tls="t-abc.ct.example.net")
    echo = echo_of(reply, text)
    assert (echo.tls_version, echo.sni) == ("TLSv1.3", "t-abc.ct.example.net")
    assert echo.host == HOST


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_carries_the_signed_echo_for_get_and_head(edge: Edge, variant: str) -> None:
    text = nonce(uses=2)
    reply = edge.get(path(text, variant), HOST)
    echo = echo_of(reply, text)
    assert reply.status == (302 if variant == "302" else 200)
    if variant not in {"echo", "slow", "302"}:
        assert echo.sent_body == hashlib.sha256(reply.body).hexdigest()
    connection = edge.connect()
    connection.sendall(request(path(text, variant), HOST, "HEAD"))
    headed = read_reply(connection, head=True)
    assert headed.status == reply.status
    assert echo_of(headed, text).method == "HEAD"
    assert echo_of(headed, text).serial == echo.serial + 1


def test_what_the_variants_are(edge: Edge) -> None:
    replies = {each: edge.get(path(nonce(), each), HOST) for each in VARIANTS}
    assert replies["302"].headers["location"] == REDIRECT
    assert (replies["302"].body, "content-type" in replies["302"].headers) == (b"", False)
    for each in ("pixel", "pixel.gif"):
        assert replies[each].headers["content-type"] == "image/gif"
        assert replies[each].body == PIXEL
    for part in (b"mailto:", b"<script>", b"<!-- "):
        assert part in replies["html"].body
    assert len(replies["big"].body) > 65_536


def test_slow_takes_its_time_and_holds_up_nobody(edge: Edge) -> None:
    slow = edge.connect()
    started = time.monotonic()
    slow.sendall(request(path(nonce(), "slow"), HOST))
    # Not a click: that waits for the disk.
    assert edge.get("/robots.txt", HOST).status == 200
    assert time.monotonic() - started < room.SLOW
    assert read_reply(slow).status == 200
    assert time.monotonic() - started >= room.SLOW
    assert is_closed(slow)


def test_whoever_leaves_a_slow_answer_harms_nothing(edge: Edge) -> None:
    with socket.create_connection(edge.http, 10) as gone:
        gone.sendall(request(path(nonce(), "slow"), HOST))
    time.sleep(room.SLOW + 0.2)
    assert edge.get(edge.token_path(), HOST).status == 302


def test_a_nonce_is_answered_as_often_as_it_says(edge: Edge) -> None:
    once, thrice = nonce(), nonce(uses=3)
    assert [edge.get(path(once), HOST).status for _ in range(2)] == [200, 404]
    replies = [edge.get(path(thrice, "pixel"), HOST) for _ in range(4)]
    assert [reply.status for reply in replies] == [200, 200, 200, 404]
    serials = [echo_of(reply, thrice).serial for reply in replies[:3]]
    assert serials == sorted(set(serials))


def test_where_a_nonce_is_answered(edge: Edge) -> None:
    """On every served host, so that a rewritten Host can be told; elsewhere on its own only."""
    for host in (HOST, "links.other.example", "t-abc.ct.example.net", SHARED):
        text = nonce()
        assert echo_of(edge.get(path(text), host), text).host == host
    assert edge.get(path(nonce()), "www.stranger.example").status == 421
    assert edge.get(path(nonce("links.new.example")), "LINKS.new.example:80").status == 200


def test_what_has_no_valid_nonce_gets_what_any_wrong_path_gets(edge: Edge) -> None:
    text = nonce()
    changed = text.replace("v1.links", "v1.linkt")
    wrong = edge.get("/nothing", HOST)
    for each in (
        path(changed),
        path(nonce(key=b"x" * 32)),
        path(nonce(seconds=-1)),
        path(nonce(seconds=MAX_LIFE + 60)),
        path(text, "other"),
        path(text, ""),
        path(text, "echo/"),
        PROBE_PATH,
        PROBE_PATH + text,
    ):
        reply = edge.get(each, HOST)
        assert (reply.status, reply.body) == (404, wrong.body), each
        assert "linkseal-signature" not in reply.headers
    assert edge.get(path(text), HOST).status == 200


@pytest.mark.parametrize("body", ["", "List-Unsubscribe=One-Click"])
def test_a_post_is_answered_for_echo_only_and_ends_the_connection(edge: Edge, body: str) -> None:
    def post(target: str) -> tuple[Reply, bool]:
        connection = edge.connect()
        head = request(target, HOST, "POST", Content_Length=str(len(body)))
        connection.sendall(head + body.encode() + request(edge.token_path(), HOST))
        return read_reply(connection), is_closed(connection)

    text = nonce()
    reply, closed = post(path(text))
    assert (reply.status, reply.headers["connection"], closed) == (200, "close", True)
    assert echo_of(reply, text).method == "POST"
    for refused in (path(text), path(nonce(), "302"), edge.token_path(), "/"):
        assert post(refused)[0].status == 405
    assert edge.hits() == []


def test_other_methods_and_bodies_are_refused_as_ever(edge: Edge) -> None:
    text = nonce()
    assert edge.send(request(path(text), HOST, "PUT")).status == 405
    assert edge.send(request(path(text), HOST, Content_Length="1") + b"x").status == 400
    two = request(path(text), HOST, "POST").replace(b"\r\n\r\n", b"\r\nHost: a.example\r\n\r\n")
    assert edge.send(two).status in {400, 405}
    assert edge.get(path(text), HOST).status == 200


def test_an_absolute_target_is_echoed_as_it_came(edge: Edge) -> None:
    text = nonce()
    target = f"http://{HOST}{path(text)}?a=1"
    echo = echo_of(edge.get(target, SHARED), text)
    assert (echo.target, echo.host) == (target, SHARED)


def test_answers_stay_in_their_order(edge: Edge) -> None:
    connection = edge.connect()
    text = nonce()
    connection.sendall(
        request(edge.token_path(), HOST)
        + request(path(text), HOST)
        + request(edge.token_path(link=1), HOST)
    )
    assert [read_reply(connection).status for _ in range(3)] == [302, 200, 302]


def answer(probes: room.Probes, text: str) -> room.Reply | None:
    line = room.Line(asyncio.BaseTransport(), "", "192.0.2.1")
    return probes.reply(room.Asked("GET", b"", path(text), HOST, True, [], None, line))


def test_a_nonce_is_used_up_at_all_workers_of_a_service() -> None:
    shared = Shared()
    first, second = (room.Probes(slot, PROBE_KEY, shared) for slot in range(2))
    text, twice = nonce(), nonce(uses=2)
    assert answer(first, text)
    assert not answer(second, text)
    # A worker that starts anew knows it too.
    assert not answer(room.Probes(0, PROBE_KEY, shared), text)
    assert [bool(answer(each, twice)) for each in (first, second, first)] == [True, True, False]


def test_so_many_nonces_are_remembered_and_those_that_expired_make_room() -> None:
    probes = room.Probes(0, PROBE_KEY, Shared(most=40))
    ends = int(time.time()) + 5
    first, *more = [
        make_nonce(HOST, expires_at=ends, entropy=secrets.token_bytes(16), key=PROBE_KEY)
        for _ in range(40)
    ]
    assert answer(probes, first)
    assert all(answer(probes, each) for each in more)
    late = nonce()
    refused = answer(probes, late)
    assert refused
    assert refused.status == "503 Service Unavailable"
    assert not answer(probes, first)
    time.sleep(max(0.0, ends - time.time()) + 0.01)
    assert answer(probes, late)
    assert not answer(probes, first)


def test_who_cannot_be_remembered_is_told_to_come_again(make_edge: MakeEdge) -> None:
    edge = make_edge(shared=Shared(most=2))
    texts = [nonce() for _ in range(3)]
    assert [edge.get(path(each), HOST).status for each in texts] == [200, 200, 503]
    for variant in ("echo", "302", "pixel"):
        reply = edge.get(path(texts[2], variant), HOST)
        echo = find_echo(reply.headers, reply.body, nonce=texts[2], key=PROBE_KEY)
        assert reply.status == 503
        assert "location" not in reply.headers
        assert echo is not None
        assert (echo.busy, echo.host) == (True, HOST)
    assert edge.get(path(texts[0]), HOST).status == 404
    assert edge.get(edge.token_path(), HOST).status == 302


def test_the_operator_is_told_once_that_there_is_no_room_and_what_to_do() -> None:
    probes = room.Probes(0, PROBE_KEY, Shared(most=1))
    assert answer(probes, nonce())
    with capture_logs() as logs:
        assert [reply.busy for _ in range(3) if (reply := answer(probes, nonce()))] == [True] * 3
    assert [(each["log_level"], each["event"]) for each in logs] == [
        ("error", "no room for probes: neither checks nor the watch see anything")
    ]
    assert "watch.interval" in logs[0]["hint"]


def test_without_a_key_no_probe_is_answered() -> None:
    line = room.Line(asyncio.BaseTransport(), "", "192.0.2.1")
    asked = room.Asked("GET", b"", path(nonce()), HOST, True, [], None, line)
    assert room.Probes(0, PROBE_KEY).reply(asked) is not None
    assert room.Probes(0, b"").reply(asked) is None


def test_a_snapshot_keeps_each_rule_once(tmp_path: Path, authority: trustme.CA) -> None:
    rule = ClientRule(("198.51.100.0/24",), "CF-Connecting-IP", ClientKind.SINGLE)
    hosts = [f"links.c{number}.example" for number in range(100)]
    file = tmp_path / "edge.snapshot"
    sizes = []
    for few_or_all in (hosts[:1], hosts):
        clients = dict.fromkeys(few_or_all, rule)
        save_snapshot(file, snapshot(files_in(tmp_path), authority, clients=clients), VAULT)
        sizes.append(file.stat().st_size)
    found = load_snapshot(file, VAULT)
    assert found.probe_key == PROBE_KEY
    assert set(found.clients) == set(hosts)
    one = found.clients[hosts[0]]
    assert (one.networks, one.header, one.kind) == (rule.networks, rule.header, rule.kind)
    assert all(each is one for each in found.clients.values())
    assert sizes[1] - sizes[0] < 25 * len(hosts)
