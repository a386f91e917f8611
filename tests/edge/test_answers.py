"""What the edge answers to well-meant requests."""

from __future__ import annotations

import time

import pytest

from linkseal.seal import KEY_BYTES, Keyring, Kind, Sealed, sealed_url
from support.edge import MESSAGE, SHARED, Edge, is_closed, read_reply, request


def test_a_click_is_redirected_and_on_disk_before_the_answer(edge: Edge) -> None:
    before = time.time() * 1000
    reply = edge.get(edge.token_path(link=3), User_Agent="Mozilla/5.0 (é)")
    assert (reply.status, reply.headers["location"], reply.body) == (
        302,
        "https://a.example/3",
        b"",
    )
    (hit,) = edge.hits()
    assert (hit.kind, hit.customer, hit.message, hit.link) == (1, 1, MESSAGE, 3)
    assert (hit.host, hit.secure, hit.method) == (SHARED, False, "GET")
    assert (hit.destination, hit.address) == ("https://a.example/3", "127.0.0.1")
    assert hit.user_agent == "Mozilla/5.0 (é)"
    assert before - 1 <= hit.at_ms <= time.time() * 1000 + 1


def test_an_open_is_a_pixel(edge: Edge) -> None:
    reply = edge.get(edge.token_path(kind=Kind.OPEN))
    assert (reply.status, reply.headers["content-type"]) == (200, "image/gif")
    assert reply.body.startswith(b"GIF89a")
    assert len(reply.body) == 43
    assert [hit.kind for hit in edge.hits()] == [2]


def test_nothing_may_be_cached_transformed_indexed_or_leaked(edge: Edge) -> None:
    for path in (edge.token_path(), edge.token_path(kind=Kind.OPEN), "/c/wrong", "/robots.txt"):
        headers = edge.get(path).headers
        assert headers["cache-control"] == "private, no-store, no-transform, max-age=0"
        assert headers["x-robots-tag"] == "noindex"
        assert headers["referrer-policy"] == "no-referrer"
        assert "date" in headers
        assert "set-cookie" not in headers


@pytest.mark.parametrize("kind", Kind)
def test_head_is_answered_without_a_body_and_marked(edge: Edge, kind: Kind) -> None:
    connection = edge.connect()
    connection.sendall(request(edge.token_path(kind=kind), method="HEAD"))
    reply = read_reply(connection, head=True)
    assert reply.status == (302 if kind is Kind.CLICK else 200)
    connection.sendall(request("/robots.txt"))
    assert read_reply(connection).status == 200
    assert [hit.method for hit in edge.hits()] == ["HEAD"]


def test_https_with_the_shared_certificate_is_recorded_as_secure(edge: Edge) -> None:
    reply = edge.send(request(edge.token_path()), tls=SHARED)
    assert reply.status == 302
    assert [hit.secure for hit in edge.hits()] == [True]


@pytest.mark.parametrize("host", ["www.example.net", "ct.example.net", "127.0.0.1", "", "x" * 300])
def test_a_host_that_is_not_served_is_misdirected(edge: Edge, host: str) -> None:
    assert edge.get(edge.token_path(), host).status == 421
    assert edge.hits() == []


@pytest.mark.parametrize("host", [SHARED.upper(), f"{SHARED}:8443", f"{SHARED}.", f"{SHARED}.:80"])
def test_a_host_is_the_same_in_every_spelling(edge: Edge, host: str) -> None:
    assert edge.get(edge.token_path(), host).status == 302
    assert [hit.host for hit in edge.hits()] == [SHARED]


def test_a_customers_links_work_on_its_own_hosts_and_on_no_others(edge: Edge) -> None:
    path = edge.token_path(customer=1)
    assert edge.get(path, "links.acme.example").status == 302
    assert edge.get(path, "t-abc.ct.example.net").status == 302
    assert edge.get(path, "links.other.example").status == 404
    assert len(edge.hits()) == 2


def test_a_bad_token_is_a_page_for_people_that_repeats_nothing(edge: Edge) -> None:
    reply = edge.get("/c/<script>alert(1)</script>")
    assert reply.status == 404
    assert "text/html" in reply.headers["content-type"]
    assert b"This link does not work" in reply.body
    assert b"script>" not in reply.body
    assert edge.hits() == []


def test_a_token_of_another_keyring_is_a_bad_token(edge: Edge) -> None:
    stranger = Keyring({1: bytes(KEY_BYTES)}, 1)
    sealed = Sealed(Kind.CLICK, 1, MESSAGE, 0, "https://evil.example/")
    assert edge.get(sealed_url("", stranger, sealed)).status == 404


def test_a_clicks_token_does_not_open(edge: Edge) -> None:
    assert edge.get("/o/" + edge.token_path()[3:]).status == 404


def test_a_query_that_something_appended_does_not_matter(edge: Edge) -> None:
    assert edge.get(edge.token_path() + "?fbclid=x&utm_source=y").status == 302


@pytest.mark.parametrize("path", ["/", "/favicon.ico", "/c/", "/c", "/.well-known/x", "*", "//c/x"])
def test_other_paths_are_not_found(edge: Edge, path: str) -> None:
    assert edge.get(path).status in {404, 400}


def test_robots_are_asked_to_stay_away(edge: Edge) -> None:
    assert edge.get("/robots.txt").body == b"User-agent: *\nDisallow: /\n"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_other_methods_are_not_allowed(edge: Edge, method: str) -> None:
    reply = edge.send(request(edge.token_path(), method=method, Content_Length="0"))
    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD")
    assert edge.hits() == []


def test_an_absolute_target_counts_more_than_the_host_field(edge: Edge) -> None:
    path = edge.token_path()
    assert edge.get(f"http://{SHARED}{path}", "www.example.net").status == 302
    assert edge.get(f"http://www.example.net{path}", SHARED).status == 421
    assert edge.get(f"ftp://{SHARED}{path}", SHARED).status == 400


def test_forged_client_addresses_are_not_believed(edge: Edge) -> None:
    forged = {"X_Forwarded_For": "192.0.2.1", "CF_Connecting_IP": "192.0.2.1"}
    edge.get(edge.token_path(), True_Client_IP="192.0.2.1", X_Real_IP="192.0.2.1", **forged)
    assert [hit.address for hit in edge.hits()] == ["127.0.0.1"]


def test_a_connection_stays_open_for_more(edge: Edge) -> None:
    connection = edge.connect()
    for link in range(3):
        connection.sendall(request(edge.token_path(link=link)))
        assert read_reply(connection).headers["location"] == f"https://a.example/{link}"


def test_connection_close_and_http_1_0_are_honoured(edge: Edge) -> None:
    path = edge.token_path()
    connection = edge.connect()
    connection.sendall(request(path, Connection="close"))
    assert read_reply(connection).headers["connection"] == "close"
    assert is_closed(connection)
    old = edge.connect()
    old.sendall(f"GET {path} HTTP/1.0\r\nHost: {SHARED}\r\n\r\n".encode())
    assert read_reply(old).status == 302
    assert is_closed(old)
    kept = edge.connect()
    for _ in range(2):
        kept.sendall(
            f"GET {path} HTTP/1.0\r\nHost: {SHARED}\r\nConnection: keep-alive\r\n\r\n".encode()
        )
        assert read_reply(kept).headers["connection"] == "keep-alive"


def test_pipelined_requests_are_answered_in_order(edge: Edge) -> None:
    """Also when answers that need no record stand between those that wait for theirs."""
    paths = [edge.token_path(link=link) if link % 3 else "/c/wrong" for link in range(200)]
    connection = edge.connect()
    connection.sendall(b"".join(request(path) for path in paths))
    for link in range(200):
        reply = read_reply(connection)
        if link % 3:
            assert reply.headers["location"] == f"https://a.example/{link}"
        else:
            assert reply.status == 404
    assert len(edge.hits()) == sum(1 for link in range(200) if link % 3)


def test_a_request_in_single_bytes_is_answered(edge: Edge) -> None:
    connection = edge.connect()
    for byte in request(edge.token_path()):
        connection.sendall(bytes([byte]))
    assert read_reply(connection).status == 302
