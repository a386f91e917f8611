"""Instrumentation against PyPI's pytracking, in the same run: messages and MB per CPU second.

HTML alone is what pytracking does (its default base64 links, and its Fernet ones, which
like ours cannot be read by others). Whole messages add the standard library's parser and
serializer to it, as its users do. Links caught are counted beside the speed: a rewriter
that misses links is fast.
"""

from __future__ import annotations

import binascii
import email
import email.policy
import functools
import os
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Final

import pytracking
from cryptography.fernet import Fernet
from pytracking.html import adapt_html

from bench.report import print_rows
from linkseal.demo.newsletters import letters
from linkseal.mail import Instrumenter
from linkseal.seal import KEY_BYTES, Keyring, MessageID

ROUNDS: Final = 5
HEAD: Final = b"From: a@acme.example\r\nContent-Type: text/html; charset=utf-8\r\n"
CORPUS: Final = Path(__file__).parents[2] / "shared" / "corpus" / "html"

_INSTRUMENTER = Instrumenter(Keyring({1: bytes(range(KEY_BYTES))}, 1))
_MESSAGE = MessageID.make(datetime(2026, 11, 24, tzinfo=UTC), bytes(8))
_BASE64 = pytracking.Configuration(
    base_open_tracking_url="https://go.ct.example.net/o/",
    base_click_tracking_url="https://go.ct.example.net/c/",
)
_FERNET = pytracking.Configuration(
    base_open_tracking_url="https://go.ct.example.net/o/",
    base_click_tracking_url="https://go.ct.example.net/c/",
    encryption_bytestring_key=Fernet.generate_key(),
)


def run() -> list[dict[str, Any]]:
    """Measure, and return one row a comparison."""
    pages = _pages()
    html = [HEAD + b"Content-Transfer-Encoding: 8bit\r\n\r\n" + page.encode() for page in pages]
    whole = [
        HEAD + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + _qp(page) for page in pages
    ]
    size = sum(map(len, html)) / 1e6
    rows = []
    for name, configuration in (("HTML, base64 links", _BASE64), ("HTML, Fernet links", _FERNET)):
        ours, theirs = _interleaved(
            lambda: [_ours(message) for message in html],
            functools.partial(_all_theirs, pages, configuration),
        )
        rows.append(_row(name, "MB per CPU second", size / ours, size / theirs, 3.0))
        rows.append(_row(name, "messages per CPU s", len(html) / ours, len(html) / theirs, 3.0))
    ours, theirs = _interleaved(
        lambda: [_ours(message) for message in whole],
        lambda: [_theirs_whole(message) for message in whole],
    )
    count = len(whole)
    rows.append(
        _row("messages, quoted-printable", "messages per CPU s", count / ours, count / theirs, 3.0)
    )
    caught = sum(len(_instrumented(message).sealed) for message in html)
    theirs_caught = sum(
        (_theirs(page, _BASE64) or "").count("https://go.ct.example.net/c/") for page in pages
    )
    failed = sum(_theirs(page, _BASE64) is None for page in pages)
    row = _row("links caught", "links", caught, theirs_caught, None)
    row["note"] = (
        f"pytracking also wraps hrefs that lead nowhere, as `http://`; it failed on {failed} pages"
    )
    return [*rows, row]


def _pages() -> list[str]:
    """Return the HTML of the corpus, of ``LINKSEAL_CORPUS``, or of our own newsletters."""
    folder = Path(os.environ.get("LINKSEAL_CORPUS", CORPUS))
    files = sorted(folder.glob("*.html"))
    if files:
        return [file.read_bytes().decode("utf-8", "replace") for file in files]
    found = []
    for letter in letters():
        parsed = email.message_from_bytes(letter.message, policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        body = parsed.get_body(("html",))
        assert isinstance(body, EmailMessage)
        found.append(body.get_content())
    return found * 20


def _qp(page: str) -> bytes:
    return binascii.b2a_qp(page.replace("\r\n", "\n").replace("\n", "\r\n").encode(), istext=True)


def _instrumented(message: bytes) -> Any:
    return _INSTRUMENTER.instrument(
        message, base="https://go.ct.example.net", customer=7, message_id=_MESSAGE
    )


def _ours(message: bytes) -> bytes:
    done: bytes = _instrumented(message).message
    return done


def _theirs(page: str, configuration: Any) -> str | None:
    try:
        return str(adapt_html(page, {"customer": 7, "message": "m"}, configuration=configuration))
    except Exception:
        return None


def _all_theirs(pages: Sequence[str], configuration: Any) -> list[str | None]:
    return [_theirs(page, configuration) for page in pages]


def _theirs_whole(message: bytes) -> bytes:
    parsed = email.message_from_bytes(message, policy=email.policy.SMTP)
    assert isinstance(parsed, EmailMessage)
    changed = _theirs(parsed.get_content(), _BASE64)
    if changed is not None:
        parsed.set_content(changed, subtype="html", cte="quoted-printable")
    return parsed.as_bytes()


def _interleaved(ours: Callable[[], Any], theirs: Callable[[], Any]) -> tuple[float, float]:
    """Return the median CPU seconds of each, taken in turns."""
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for call, times in ((ours, taken[0]), (theirs, taken[1])):
            start = time.process_time()
            call()
            times.append(time.process_time() - start)
    return _median(taken[0]), _median(taken[1])


def _median(times: Sequence[float]) -> float:
    return statistics.median(times)


def _row(name: str, unit: str, ours: float, theirs: float, goal: float | None) -> dict[str, Any]:
    return {
        "name": name,
        "unit": unit,
        "ours": ours,
        "peer": theirs,
        "ratio": ours / theirs if theirs else None,
        "goal": goal,
        "note": "",
    }


if __name__ == "__main__":
    print_rows("Instrumentation against pytracking, CPU", run())
