"""What the edge answers, as bytes made once a second.

Every answer carries the caching rules of ``docs/reference/edge.md``: nothing may be
cached or transformed on the way, or a second recipient's click would never reach us.
"""

from __future__ import annotations

from email.utils import formatdate
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from linkseal.edge.probe import Reply

PIXEL: Final = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,"
    b"\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)
"""A transparent GIF of one pixel, 43 bytes."""

_FIXED = (
    b"Cache-Control: private, no-store, no-transform, max-age=0\r\n"
    b"X-Robots-Tag: noindex\r\n"
    b"Referrer-Policy: no-referrer\r\n"
    b"X-Content-Type-Options: nosniff\r\n"
)
_SHORT_LIVED = b"Cache-Control: max-age=3600\r\nX-Content-Type-Options: nosniff\r\n"
"""The one thing that may be cached: phones, and Apple's own CDN, ask for it by the hour."""
_HTML = b"Content-Type: text/html; charset=utf-8\r\n"
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>body{{font:18px/1.5 system-ui,sans-serif;max-width:32em;margin:15vh auto;padding:0 1em;
color:#222;background:#fff}}@media(prefers-color-scheme:dark){{body{{color:#ddd;background:#181818}}}}
</style>
<h1>{title}</h1>
<p>{text}</p>
</html>
"""

_PAGES: Final = {
    400: ("Bad Request", "Bad request", "The request could not be understood."),
    404: (
        "Not Found",
        "This link does not work",
        (
            "It may have been cut or changed on its way. Open it once more from the message, or "
            "copy the whole of it. If it still fails, write to whoever sent you the message."
        ),
    ),
    405: ("Method Not Allowed", "Method not allowed", "Links here can only be opened."),
    408: ("Request Timeout", "Too slow", "The request did not arrive in time."),
    414: ("URI Too Long", "This link is too long", "It cannot be one of ours."),
    421: ("Misdirected Request", "Nothing here", "This name is not served here."),
    431: (
        "Request Header Fields Too Large",
        "Request too large",
        "The request's head is too long.",
    ),
    500: (
        "Internal Server Error",
        "Something went wrong",
        "That is our fault. Please try again in a minute.",
    ),
    503: ("Service Unavailable", "Too busy", "Please try again in a minute."),
    505: ("HTTP Version Not Supported", "HTTP version not supported", "HTTP/1.1 is spoken here."),
}

_KEEP: Final = b"\r\n"
_CLOSE: Final = b"Connection: close\r\n\r\n"
_KEEP_1_0: Final = b"Connection: keep-alive\r\n\r\n"

KEEP, CLOSE, KEEP_1_0 = range(3)
"""How an answer ends: the connection stays, is closed, or stays by HTTP/1.0's rule."""
_ENDS = (_KEEP, _CLOSE, _KEEP_1_0)


class Answers:
    """Answers with the current date; make anew each second.

    Args:
        now: Unix seconds (RFC 9110 §6.6.1 asks for a Date).
    """

    __slots__ = ("_date", "_heads", "_pixels", "_redirects", "_robots", "_text")

    def __init__(self, now: float) -> None:
        date = b"Date: " + formatdate(now, usegmt=True).encode() + b"\r\n"
        self._date = date
        self._redirects = tuple(
            b"\r\n" + date + b"Content-Length: 0\r\n" + _FIXED + end for end in _ENDS
        )
        pixel = b"HTTP/1.1 200 OK\r\n" + date + b"Content-Type: image/gif\r\n"
        pixel += b"Content-Length: %d\r\n" % len(PIXEL) + _FIXED
        self._pixels = tuple((pixel + end + PIXEL, pixel + end) for end in _ENDS)
        robots = b"User-agent: *\nDisallow: /\n"
        head = b"HTTP/1.1 200 OK\r\n" + date + b"Content-Type: text/plain\r\n"
        head += b"Content-Length: %d\r\n" % len(robots) + _FIXED
        self._robots = tuple((head + end + robots, head + end) for end in _ENDS)
        self._text = b"HTTP/1.1 200 OK\r\n" + date + b"Content-Type: application/octet-stream\r\n"
        self._heads = {status: self._page(status, date) for status in _PAGES}

    def redirect(self, destination: str, end: int) -> bytes:
        """Return the 302 to a destination, which holds visible ASCII only."""
        return b"HTTP/1.1 302 Found\r\nLocation: " + destination.encode() + self._redirects[end]

    def pixel(self, end: int, *, head: bool) -> bytes:
        """Return the open pixel, without its body for HEAD."""
        return self._pixels[end][head]

    def robots(self, end: int, *, head: bool) -> bytes:
        """Return the robots.txt that asks crawlers to stay away."""
        return self._robots[end][head]

    def challenge(self, text: str, end: int, *, head: bool) -> bytes:
        """Return what a CA asks for (RFC 8555 §8.3)."""
        body = text.encode()
        start = self._text + b"Content-Length: %d\r\n" % len(body) + _FIXED + _ENDS[end]
        return start + (b"" if head else body)

    def app_file(self, content: bytes, tag: bytes, end: int, *, head: bool) -> bytes:
        """Return a file of app links, with its entity tag."""
        start = b"HTTP/1.1 200 OK\r\n" + self._date + b"Content-Type: application/json\r\n"
        start += b"Content-Length: %d\r\nETag: %b\r\n" % (len(content), tag)
        start += _SHORT_LIVED + _ENDS[end]
        return start + (b"" if head else content)

    def not_modified(self, tag: bytes, end: int) -> bytes:
        """Return the 304 to who has that file (RFC 9110 §15.4.5)."""
        start = b"HTTP/1.1 304 Not Modified\r\n" + self._date
        return start + b"ETag: %b\r\n" % tag + _SHORT_LIVED + _ENDS[end]

    def probe(self, reply: Reply, end: int, *, head: bool) -> bytes:
        """Return the answer to a probe; HEAD gets the length of the body it does not get."""
        lines = "".join(f"{name.title()}: {value}\r\n" for name, value in reply.fields.items())
        start = f"HTTP/1.1 {reply.status}\r\n".encode() + self._date + lines.encode()
        start += b"Content-Length: %d\r\n" % len(reply.body) + _FIXED + _ENDS[end]
        return start + (b"" if head else reply.body)

    def page(self, status: int, end: int, *, head: bool = False) -> bytes:
        """Return a refusal for people: no detail, nothing of the request."""
        start, body = self._heads[status]
        return start + _ENDS[end] + (b"" if head else body)

    @staticmethod
    def _page(status: int, date: bytes) -> tuple[bytes, bytes]:
        reason, title, text = _PAGES[status]
        body = _PAGE.format(title=title, text=text).encode()
        head = f"HTTP/1.1 {status} {reason}\r\n".encode() + date + _HTML
        if status == 405:
            head += b"Allow: GET, HEAD\r\n"
        return head + b"Content-Length: %d\r\n" % len(body) + _FIXED, body
