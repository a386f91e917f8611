"""Certificate authorities to order from."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from linkseal.errors import ServiceError
from linkseal.testing.acme_directory import AcmeDirectory
from linkseal.testing.pebble import Pebble, find_pebble
from support.acme import Authority, PatientNetwork
from support.stand_ins import Claimed, claimed


@pytest.fixture
def ca() -> Iterator[AcmeDirectory]:
    with AcmeDirectory() as directory:
        yield directory


class WebServer(ThreadingHTTPServer):
    """Serves key authorizations, by path, under every name."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), WebHandler)
        self.pages: dict[str, str] = {}


class WebHandler(BaseHTTPRequestHandler):
    server: WebServer
    timeout = 5

    def do_GET(self) -> None:
        page = self.server.pages.get(self.path)
        self.send_response(404 if page is None else 200)
        self.end_headers()
        self.wfile.write((page or "").encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def web() -> Iterator[WebServer]:
    with WebServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def pebble(web: WebServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pebble]:
    try:
        find_pebble()
    except ServiceError as error:
        pytest.skip(f"{error.message}: {error.hint}")
    folder = tmp_path_factory.mktemp("pebble")
    with Pebble(folder, http_port=web.server_port) as running:
        yield running


@pytest.fixture(params=["ours", "pebble"])
def authority(request: pytest.FixtureRequest) -> Authority:
    if request.param == "ours":
        ours: AcmeDirectory = request.getfixturevalue("ca")
        return Authority(ours.url, True, lambda: ours.root_pem, lambda *_: None)
    theirs: Pebble = request.getfixturevalue("pebble")
    pages: dict[str, str] = request.getfixturevalue("web").pages

    def publish(kind: str, where: str, value: str) -> None:
        if kind == "http-01":
            pages[where] = value
        else:
            theirs.set_txt(where, value)

    return Authority(theirs.url, str(theirs.ca_file), theirs.root_pem, publish, PatientNetwork)


@pytest.fixture(scope="module")
def acme(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Claimed]:
    """A customer's claimed domain on a running service, before which stand-ins can stand."""
    with claimed(tmp_path_factory.mktemp("service")) as found:
        yield found
