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
    """Measure, and return the rows: the corpus where there is one, then our newsletters."""
    folder = Path(os.environ.get("LINKSEAL_CORPUS", CORPUS))
    files = sorted(folder.glob("*.html"))
    rows = []
    if files:
        corpus = [file.read_bytes().decode("utf-8", "replace") for file in files]
        rows += _rows("corpus", corpus, 3.0)
    return rows + _rows("newsletters", _newsletters(), None)


def _rows(source: str, pages: list[str], goal: float | None) -> list[dict[str, Any]]:
    html = [HEAD + b"Content-Transfer-Encoding: 8bit\r\n\r\n" + page.encode() for page in pages]
    whole = [
        HEAD + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + _qp(page) for page in pages
    ]
    caught = sum(len(_instrumented(message).sealed) for message in html)
    size = sum(map(len, html)) / 1e6
    each = f"{size / len(pages) * 1e3:.0f} KB and {caught / len(pages):.1f} links each"
    rows = []
    for kind, configuration in (("base64 links", _BASE64), ("Fernet links", _FERNET)):
        ours, theirs = _interleaved(
            lambda: [_ours(message) for message in html],
            functools.partial(_all_theirs, pages, configuration),
        )
        name = f"{source}, {kind}"
        rows.append(_row(name, "MB per CPU second", size / ours, size / theirs, goal))
        rows.append(_row(name, "messages per CPU s", len(html) / ours, len(html) / theirs, goal))
        rows[-2]["note"] = f"{len(pages)} pages, {each}"
    ours, theirs = _interleaved(
        lambda: [_ours(message) for message in whole],
        lambda: [_theirs_whole(message) for message in whole],
    )
    count = len(whole)
    rows.append(
        _row(f"{source}, whole mail", "messages per CPU s", count / ours, count / theirs, goal)
    )
    theirs_caught = sum(
        (_theirs(page, _BASE64) or "").count("https://go.ct.example.net/c/") for page in pages
    )
    failed = sum(_theirs(page, _BASE64) is None for page in pages)
    row = _row(f"{source}, links caught", "links", caught, theirs_caught, None)
    row["note"] = (
        f"pytracking also wraps hrefs that lead nowhere, as `http://`; it failed on {failed} pages"
    )
    return [*rows, row]


def _newsletters() -> list[str]:
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
