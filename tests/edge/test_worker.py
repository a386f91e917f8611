"""What a worker says of errors in its loop: of recipients' nothing, of its own everything."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
import time
from collections.abc import Callable

import pytest
import trustme

from linkseal.edge.worker import _report
from support.edge import Edge, hello


@pytest.mark.parametrize("cut", [None, 100], ids=["after its hello", "in its hello"])
def test_a_client_that_leaves_in_its_handshake_is_no_error(
    make_edge: Callable[..., Edge],
    authority: trustme.CA,
    capfd: pytest.CaptureFixture[str],
    cut: int | None,
) -> None:
    edge = make_edge()
    for _ in range(2):
        with socket.create_connection(edge.https, 10) as connection:
            connection.sendall(hello(authority)[:cut])
            time.sleep(0.2)
    edge.stop()
    said = "".join(capfd.readouterr())
    assert "drained" in said
    assert "error" not in said


def reported(context: dict[str, object], capfd: pytest.CaptureFixture[str]) -> str:
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        loop.set_exception_handler(_report)
        loop.call_exception_handler(context)
    return "".join(capfd.readouterr())


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    "context",
    [
        {"message": "it failed", "exception": FULL},
        {"message": "it failed", "exception": FULL, "transport": "a transport"},
        {"message": "it failed", "exception": ConnectionResetError()},
        {"message": "it failed", "exception": ValueError(), "protocol": "a protocol"},
        {"message": "it failed"},
        {"message": "it failed", "transport": "a transport"},
    ],
    ids=repr,
)
def test_what_no_recipient_caused_is_logged(
    capfd: pytest.CaptureFixture[str], context: dict[str, object]
) -> None:
    assert "it failed" in reported(context, capfd)


@pytest.mark.parametrize(
    "error", [ConnectionResetError(), ConnectionResetError, ssl.SSLError(1, "x"), TimeoutError()]
)
@pytest.mark.parametrize("where", ["transport", "protocol"])
def test_what_recipients_cause_is_not(
    capfd: pytest.CaptureFixture[str], error: object, where: str
) -> None:
    assert reported({"message": "it failed", "exception": error, where: "x"}, capfd) == ""
