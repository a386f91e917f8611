"""The HTTP side of an ACME server in memory: answers, nonces, and faults on demand."""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

from josepy.errors import Error as JoseError
from josepy.json_util import decode_b64jose, encode_b64jose

from linkseal.testing.acme_objects import Problem

# What reading a stranger's JWS or CSR may raise.
UNREADABLE = (JoseError, LookupError, ValueError, TypeError, AttributeError, AssertionError)


class Request(NamedTuple):
    """A request as it arrived, whatever became of it.

    Attributes:
        path: Its path.
        payload: The JWS payload, not verified; None for a GET, a POST-as-GET, or garbage.
    """

    path: str
    payload: Any


class RefusedError(Exception):
    """A request is answered with a problem."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.problem = Problem(code, detail)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; its length is added when it is sent."""

    status: int
    body: bytes = b""
    kind: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()

    def having(self, name: str, value: str) -> Answer:
        """Return it with one more header field."""
        return replace(self, headers=(*self.headers, (name, value)))


def json_answer(status: int, document: object) -> Answer:
    """Return a document as an answer."""
    return Answer(status, json.dumps(document).encode())


def problem_answer(status: int, problem: Problem) -> Answer:
    """Return a problem document as an answer (RFC 7807)."""
    body = json.dumps(problem.document(status)).encode()
    return Answer(status, body, "application/problem+json")


class AcmeServer(ABC):
    """An HTTP server on a free loopback port, from entering the context to leaving it.

    What it answers is its subclass's; how it misbehaves on the way is told here.

    Attributes:
        url: The directory's URL.
        requests: Everything that was asked.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._nonces: set[bytes] = set()
        self._rejections = self._drops = 0
        self._delay = 0.0
        self._failures: dict[str, tuple[int, Answer]] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        self._base = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.url = f"{self._base}/directory"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @abstractmethod
    def _get(self, method: str, path: str) -> Answer:
        """Answer a GET or HEAD, or raise a RefusedError."""

    @abstractmethod
    def _post(self, path: str, content_type: str, body: bytes) -> Answer:
        """Answer a POST, or raise a RefusedError."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def reject_nonces(self, times: int) -> None:
        """Refuse the next POSTs with ``badNonce`` (RFC 8555 §6.5)."""
        self._rejections = times

    def answer_slowly(self, seconds: float) -> None:
        """Wait before each answer; 0 ends it."""
        self._delay = seconds

    def drop_connections(self, times: int) -> None:
        """Read the next requests and hang up without an answer."""
        self._drops = times

    def fail_with(
        self,
        status: int,
        problem: Problem | None,
        path_prefix: str = "/",
        *,
        times: int = 1,
        retry_after: int | str | None = None,
    ) -> None:
        """Answer the next requests under a prefix with an error and nothing else.

        Args:
            status: HTTP status.
            problem: The document; None answers in HTML, as a load balancer does.
            path_prefix: Which requests; a prefix has one failure at a time.
            times: How many requests; 0 ends it.
            retry_after: The field's value: seconds, or an HTTP date.
        """
        answer = Answer(status, b"<h1>Try again later</h1>", "text/html")
        if problem is not None:
            answer = problem_answer(status, problem)
        if retry_after is not None:
            answer = answer.having("Retry-After", str(retry_after))
        with self._lock:
            self._failures[path_prefix] = times, answer

    def answer(self, method: str, path: str, content_type: str, body: bytes) -> Answer | None:
        """Answer a request of the server's; None hangs up."""
        self.requests.append(Request(path, _payload(body)))
        self._closing.wait(self._delay)
        try:
            with self._lock:
                if self._drops:
                    self._drops -= 1
                    return None
                answer = self._failure(path)
            if answer is None and method == "POST":
                answer = self._post(path, content_type, body)
            elif answer is None:
                answer = self._get(method, path)
        except RefusedError as error:
            answer = problem_answer(error.status, error.problem)
        if method == "POST" or path == "/new-nonce":
            nonce = secrets.token_bytes(16)
            self._nonces.add(nonce)
            answer = answer.having("Replay-Nonce", encode_b64jose(nonce))
        return answer.having("Link", f'<{self.url}>;rel="index"')

    def _failure(self, path: str) -> Answer | None:
        for prefix, (times, answer) in self._failures.items():
            if times and path.startswith(prefix):
                self._failures[prefix] = times - 1, answer
                return answer
        return None

    def _spend_nonce(self, nonce: bytes | None) -> None:
        """Take a nonce back, RFC 8555 §6.5."""
        with self._lock:
            known = nonce in self._nonces
            self._nonces.discard(nonce)
            if self._rejections or not known:
                self._rejections = max(0, self._rejections - 1)
                raise RefusedError(400, "badNonce", "the nonce is unknown, used, or out of luck")


def _payload(body: bytes) -> Any:
    try:
        return json.loads(decode_b64jose(json.loads(body)["payload"]))
    except UNREADABLE:
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # leaving the context waits for the answers under way
    request_queue_size = 128
    owner: AcmeServer


class _Handler(BaseHTTPRequestHandler):
    """One request a connection: what is idle cannot keep the server from closing."""

    server: _Server
    timeout = 5

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        kind = self.headers.get("Content-Type", "")
        answer = self.server.owner.answer(self.command, self.path, kind, body)
        if answer is None:
            return
        # A client that has given up meanwhile is no fault of the server's.
        with contextlib.suppress(ConnectionError):
            self.send_response(answer.status)
            for name, value in answer.headers:
                self.send_header(name, value)
            if answer.status != 204:
                self.send_header("Content-Type", answer.kind)
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

    do_HEAD = do_POST = do_GET  # noqa: N815 - the hooks' names

    def log_message(self, *_: object) -> None:
        """Say nothing; ``requests`` has the record."""
