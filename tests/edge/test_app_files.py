"""Files of app links: on their domain alone, as phones and Apple's CDN ask for them."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from linkseal.domains.app_links import KIND_OF_PATH, AppFileKind
from linkseal.edge.app_files import AppFiles
from linkseal.edge.snapshot import load_snapshot, save_snapshot
from linkseal.seal import Kind
from support.edge import SHARED, VAULT, Edge, files_in, read_reply, request, snapshot

HOST, OTHER, TARGET = "links.acme.example", "links.other.example", "t-abc.ct.example.net"
APPLE, ANDROID = AppFileKind
CONTENT = {APPLE: b'\n{"applinks": "\xc3\xbc"}\r\n', ANDROID: b"[" + b"1," * 60_000 + b"1]"}
NOW = datetime(2026, 11, 24, tzinfo=UTC)
PATHS = list(KIND_OF_PATH)


@pytest.fixture
def serving(edge: Edge, authority: trustme.CA, tmp_path: Path) -> Edge:
    path = tmp_path / "edge.snapshot"
    put = AppFiles.beside(path).put
    ids = {kind: put(content) for kind, content in CONTENT.items()}
    known = snapshot(files_in(tmp_path), authority, app_files={HOST: ids})
    save_snapshot(path, known, VAULT)
    deadline = time.monotonic() + 20
    while edge.get(PATHS[0], HOST).status != 200:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return edge


@pytest.mark.parametrize("tls", [None, HOST])
def test_a_file_comes_as_it_was_given_in_the_clear_and_over_tls(
    serving: Edge, tls: str | None
) -> None:
    for path in PATHS:
        reply = serving.send(request(path, HOST), tls=tls)
        assert (reply.status, reply.body) == (200, CONTENT[KIND_OF_PATH[path]])
        assert reply.headers["content-type"] == "application/json"
        assert reply.headers["cache-control"] == "max-age=3600"
        assert not {"location", "set-cookie", "x-robots-tag"} & reply.headers.keys()
        assert serving.send(request(path + "?x=1", HOST, User_Agent=""), tls=tls).status == 200
    assert serving.hits() == []


def test_head_has_the_length_and_no_body(serving: Edge) -> None:
    for path in PATHS:
        connection = serving.connect()
        connection.sendall(request(path, HOST, "HEAD") + request(path, HOST))
        head, whole = read_reply(connection, head=True), read_reply(connection)
        assert {**head.headers, "date": ""} == {**whole.headers, "date": ""}
        assert head.headers["content-length"] == str(len(whole.body))


def test_who_has_it_is_told_that_it_is_the_same(serving: Edge) -> None:
    tag = serving.get(PATHS[0], HOST).headers["etag"]
    for form in ("{}", "W/{}", '"x", {}', '"x" , W/{},"y"', "*", ' "a,b",{} '):
        connection = serving.connect()
        asked = request(PATHS[0], HOST, If_None_Match=form.format(tag))
        connection.sendall(asked + request("/robots.txt"))
        same = read_reply(connection)
        assert (same.status, same.body, same.headers["etag"]) == (304, b"", tag), form
        assert same.headers["cache-control"] == "max-age=3600"
        assert read_reply(connection).status == 200


def test_who_has_another_gets_this_one(serving: Edge) -> None:
    tag = serving.get(PATHS[0], HOST).headers["etag"].strip('"')
    for form in ('"x"', "x{}", "{}x", "", '"*"', "\x80"):
        reply = serving.get(PATHS[0], HOST, If_None_Match=form.format(tag))
        assert (reply.status, reply.body) == (200, CONTENT[APPLE]), form
    assert tag != serving.get("/.well-known/assetlinks.json", HOST).headers["etag"].strip('"')


def test_other_hosts_and_paths_have_none(serving: Edge) -> None:
    for path in PATHS:
        for host in (OTHER, TARGET, SHARED):
            assert serving.get(path, host).status == 404
        assert serving.get(path, "www.example.net").status == 421
        assert serving.send(request(f"http://{OTHER}{path}", HOST)).status == 404
        for other in (f"{path}/", f"/x{path}", path.upper()):
            assert serving.get(other, HOST).status == 404
    assert serving.get("/assetlinks.json", HOST).status == 404
    assert serving.get("/.well-known/", HOST).status == 404


def test_where_none_is_set_there_is_none(edge: Edge) -> None:
    for path in PATHS:
        reply = edge.get(path, HOST)
        assert (reply.status, reply.headers["cache-control"][:7]) == (404, "private")


@pytest.mark.parametrize("first", ["robots", "click"])
def test_who_asks_again_and_again_without_reading_is_answered_so_much_and_no_more(
    serving: Edge, first: str
) -> None:
    path = serving.token_path() if first == "click" else "/robots.txt"
    one = request(PATHS[1], HOST)
    connection = serving.connect()
    connection.sendall(request(path, HOST) + one * (48 * 1024 // len(one)))
    assert read_reply(connection).status == (302 if first == "click" else 200)
    taken = 0
    while (reply := read_reply(connection)).status:
        assert reply.body == CONTENT[ANDROID]
        taken += len(reply.body)
    # Closed after a whole answer, when the kernel took what it takes.
    assert reply.body == b""
    assert 0 < taken < 16 * 1024 * 1024
    assert serving.get(serving.token_path(), HOST).status == 302


def test_a_link_that_apps_may_open_is_a_click_like_any(serving: Edge) -> None:
    path = "/uni" + serving.token_path(link=5)
    assert serving.get(path + "?utm=1", HOST).headers["location"] == "https://a.example/5"
    assert serving.get(path, SHARED).status == 302
    assert [(hit.host, hit.kind, hit.link) for hit in serving.hits()] == [
        (HOST, 1, 5),
        (SHARED, 1, 5),
    ]
    assert serving.get(path, OTHER).status == 404


def test_only_clicks_have_such_a_path(edge: Edge) -> None:
    token = edge.token_path().removeprefix("/c/")
    pixel = edge.token_path(kind=Kind.OPEN)
    for path in (
        f"/uni{pixel}",
        f"/uni/{token}",
        f"/uni/uni/c/{token}",
        f"/unix/c/{token}",
        "/uni",
    ):
        assert edge.get(path).status == 404
    assert edge.hits() == []


@dataclass
class Kept:
    kind: AppFileKind
    content: bytes
    changed_at: datetime


def test_files_are_written_once_and_read_again_only_when_they_changed(tmp_path: Path) -> None:
    kept = {
        HOST: [Kept(APPLE, b"1", NOW), Kept(ANDROID, b"2", NOW)],
        OTHER: [Kept(APPLE, b"1", NOW)],
    }
    read: list[str] = []
    files = AppFiles(tmp_path / "files")

    def follow() -> dict[str, dict[AppFileKind, bytes]]:
        def of(host: str) -> list[Kept]:
            read.append(host)
            return kept[host]

        served = {host: {each.kind: each.changed_at for each in kept[host]} for host in kept}
        found = files.follow(served, of)
        files.sweep()
        return {
            host: {kind: files.load(each) for kind, each in kinds.items()}
            for host, kinds in found.items()
        }

    assert follow() == {HOST: {APPLE: b"1", ANDROID: b"2"}, OTHER: {APPLE: b"1"}}
    assert (follow(), read) == (follow(), [HOST, OTHER])
    assert len(list((tmp_path / "files").iterdir())) == 2
    kept[HOST] = [Kept(APPLE, b"3", NOW + timedelta(seconds=1))]
    assert follow() == {HOST: {APPLE: b"3"}, OTHER: {APPLE: b"1"}}
    assert read == [HOST, OTHER, HOST]
    # What somebody deleted is written again; what nothing names goes, but not at once.
    for each in (tmp_path / "files").iterdir():
        each.unlink()
    assert follow()[HOST] == {APPLE: b"3"}
    del kept[HOST]
    follow()
    follow()
    assert len(list((tmp_path / "files").iterdir())) == 2
    for each in (tmp_path / "files").iterdir():
        os.utime(each, (0, 0))
    follow()
    assert [each.read_bytes() for each in (tmp_path / "files").iterdir()] == [b"1"]


def test_a_file_that_changes_while_it_is_asked_for_is_in_the_next_snapshot(tmp_path: Path) -> None:
    files = AppFiles(tmp_path / "files")
    later = NOW + timedelta(seconds=1)
    assert files.follow({HOST: {APPLE: NOW}}, lambda _: [Kept(APPLE, b"2", later)]) == {HOST: {}}
    found = files.follow({HOST: {APPLE: later}}, lambda _: [Kept(APPLE, b"2", later)])
    assert files.load(found[HOST][APPLE]) == b"2"


def test_a_file_that_is_damaged_or_gone_is_not_served(serving: Edge, tmp_path: Path) -> None:
    apple, android = (
        tmp_path / "edge.app-files" / hashlib.sha256(CONTENT[kind]).hexdigest()
        for kind in (APPLE, ANDROID)
    )
    android.write_bytes(b"[]")
    assert serving.get(PATHS[1], HOST).status == 503
    android.unlink()
    assert serving.get(PATHS[1], HOST).status == 503
    android.write_bytes(CONTENT[ANDROID])
    assert serving.get(PATHS[1], HOST).body == CONTENT[ANDROID]
    apple.unlink()
    assert serving.get(PATHS[0], HOST).status == 200, "it is in memory"


def test_ten_thousand_domains_with_files_of_their_own_take_little_of_the_snapshot(
    authority: trustme.CA, tmp_path: Path
) -> None:
    files = {
        f"links.c{number}.example": {ANDROID: hashlib.sha256(b"%d" % number).hexdigest()}
        for number in range(10_000)
    }
    known = snapshot(files_in(tmp_path), authority, app_files=files)
    path = tmp_path / "edge.snapshot"
    save_snapshot(path, known, VAULT)
    assert path.stat().st_size < 1_300_000
    assert load_snapshot(path, VAULT).app_files == files
