"""Instrument a message: the library's front door.

Standards and their limits: see ``docs/reference/links.md``.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from linkseal.errors import TokenError
from linkseal.mail.conditional import conditional_links
from linkseal.mail.content import Content, Unreadable, read_content
from linkseal.mail.html import Edit, Link, Page, without
from linkseal.mail.links import is_sealed, judge
from linkseal.mail.mime import HTMLPart, Untouchable, Walk
from linkseal.mail.record import (
    Instrumented,
    LinkOutcome,
    LinkRecord,
    PartRecord,
    Reason,
)
from linkseal.seal import Keyring, Kind, MessageID, Sealed, open_url, sealed_url

_PIXEL: Final = (
    '<img src="{url}" width="1" height="1" alt="" border="0" '
    'style="height:1px!important;width:1px!important;border-width:0!important;'
    'margin:0!important;padding:0!important">'
)

_ON_ITS_WAY: Final = timedelta(hours=1)
"""How long after a message was instrumented it may come by once more."""


@dataclass(frozen=True, slots=True)
class MailOptions:
    """How messages are instrumented.

    Attributes:
        track_clicks: Seal links.
        track_opens: Add the open pixel.
        pixel_tag: Text the pixel replaces; empty: before the end of the body.
        max_links: Most links sealed in a message; the rest stay.
        max_html_bytes: Most HTML of a message that is read, decoded; parts past it pass.
            Reading takes up to 150 times as much memory. ``data:`` URIs in tags count a sixth.
    """

    track_clicks: bool = True
    track_opens: bool = True
    pixel_tag: str = ""
    max_links: int = 10_000
    max_html_bytes: int = 2 * 1024 * 1024


class Instrumenter:
    """Seals the links of messages and adds their pixel.

    Pure: the same message, base, customer and message id give the same bytes.

    Args:
        keyring: Seals.
        options: What to do.
    """

    def __init__(self, keyring: Keyring, options: MailOptions | None = None) -> None:
        self._keyring = keyring
        self._options = options or MailOptions()

    def instrument(
        self,
        message: bytes,
        *,
        base: str,
        customer: int,
        message_id: MessageID,
        own_hosts: Collection[str] = (),
    ) -> Instrumented:
        """Return the message with its links sealed and its pixel added.

        Any bytes are taken: what cannot be changed safely passes as it is, with the
        reason on record. With nothing to change the very same object comes back.

        Args:
            message: RFC 5322, with either line end.
            base: Scheme and authority of the sealed links, ``https://go.ct.example.net``.
            customer: Whose message it is.
            message_id: Which message; carries the issue time.
            own_hosts: Other host names that serve our links.
        """
        if not (self._options.track_clicks or self._options.track_opens):
            return Instrumented(message)
        try:
            walk = Walk(message)
        except Untouchable as untouchable:
            return Instrumented(message, untouched=untouchable.reason)
        own = {urlsplit(base).hostname or "", *(host.lower() for host in own_hosts)}
        work = _Work(self._keyring, self._options, base, customer, message_id, own)
        changes: list[tuple[HTMLPart, bytes]] = []
        skipped = list(walk.skipped)
        for part in walk.html:
            try:
                body = work.change(part, message)
            except Unreadable as unreadable:
                skipped.append(PartRecord(part.part, unreadable.reason))
                continue
            if body is not None:
                changes.append((part, body))
        return Instrumented(
            _replaced(message, changes),
            links=tuple(work.links),
            parts=tuple(skipped),
            pixel_part=work.pixel_part,
        )


class _Work:
    """One message's instrumentation under way: numbers run over all its parts."""

    def __init__(
        self,
        keyring: Keyring,
        options: MailOptions,
        base: str,
        customer: int,
        message_id: MessageID,
        own_hosts: Collection[str],
    ) -> None:
        self._keyring = keyring
        self._options = options
        self._base = base
        self._customer = customer
        self._message_id = message_id
        self._own_hosts = own_hosts
        self._number = 0
        self._room = options.max_html_bytes
        self.links: list[LinkRecord] = []
        self.pixel_part: str | None = None
        self._has_pixel = False

    def change(self, part: HTMLPart, message: bytes) -> bytes | None:
        """Return a part's new body; ``None`` when nothing in it changes.

        Raises:
            Unreadable: The part passes as it is; nothing of it is on record.
        """
        first = self._number
        try:
            raw = message[part.start : part.end]
            end = _line_end(message)
            content = read_content(raw, part.charset, part.encoding, end, self._room)
            self._room -= content.size
            page = Page(content.text)
            records, edits, breaks = self._links(page, part.part)
            pixels = self._pixels(page, records)
            body = _encoded(content, page, [*edits, *pixels], breaks) if edits or pixels else None
        except Unreadable:
            self._number = first
            raise
        self.links += records
        if any(edit.text for edit in pixels):
            self.pixel_part = part.part
        return body

    def _links(self, page: Page, part: str) -> tuple[list[LinkRecord], list[Edit], list[Edit]]:
        """Decide every link: records, edits, and where lines may be broken if they must."""
        records: list[LinkRecord] = []
        edits = [without(page, span) for span in page.marks]
        breaks: list[Edit] = []
        for link in page.links:
            record, made = self._link(page, link, part)
            records.append(record)
            edits += made
            if record.outcome is LinkOutcome.SEALED:
                before = link.attribute - 1
                if page.text[before].isspace():
                    breaks.append(Edit(before, link.attribute, "\n"))
        hidden = conditional_links(page.text)
        records += [LinkRecord(part, None, url, LinkOutcome.CONDITIONAL) for url in hidden]
        return records, edits, breaks

    def _link(self, page: Page, link: Link, part: str) -> tuple[LinkRecord, list[Edit]]:
        """Decide one link: its record, and its edits. What was said to us alone is removed."""
        marks = [without(page, span) for span in (link.opt_out, link.universal) if span]
        if link.opt_out is not None:
            return LinkRecord(part, None, link.href, LinkOutcome.OPT_OUT), marks
        outcome, url = judge(link.href, self._keyring, self._own_hosts)
        if outcome is LinkOutcome.SEALED:
            if not self._options.track_clicks:
                outcome = LinkOutcome.OFF
            elif self._number >= self._options.max_links:
                outcome = LinkOutcome.OVER_LIMIT
        if outcome is not LinkOutcome.SEALED:
            return LinkRecord(part, None, url, outcome), marks
        sealed = Sealed(Kind.CLICK, self._customer, self._message_id, self._number, url)
        universal = link.universal is not None
        text = sealed_url(self._base, self._keyring, sealed, universal=universal)
        record = LinkRecord(part, self._number, url, outcome, universal)
        self._number += 1
        return record, [*marks, Edit(link.start, link.end, text)]

    def _pixels(self, page: Page, records: list[LinkRecord]) -> list[Edit]:
        """Return the edits that place the pixel, and clear away its other places."""
        if not self._options.track_opens:
            return []
        tag = self._options.pixel_tag
        places = page.places(tag) if tag and tag in page.text else []
        pixel = []
        if self._came_by(page, records, asked=bool(places)):
            self._has_pixel = True
        wanted = self.pixel_part is None and not self._has_pixel
        if wanted and (places or page.pixel_at is not None):
            url = sealed_url(
                self._base,
                self._keyring,
                Sealed(Kind.OPEN, self._customer, self._message_id, 0, ""),
            )
            end = page.pixel_at or 0
            at = places.pop(0) if places else (end, end)
            pixel = [Edit(*at, _PIXEL.format(url=url))]
        return pixel + [Edit(start, end, "") for start, end in places]

    def _came_by(self, page: Page, records: list[LinkRecord], *, asked: bool) -> bool:
        """Whether the page was instrumented before: one open must not count as two.

        A pixel directly before the end of the body says so, where ours is put: others are
        somebody else's opens, as in a reply that quotes a newsletter. With a tag configured
        ours may stand anywhere, and then it does if it is of this customer and of late,
        nothing else on the page is left to seal, and the tag does not ask for one (again).
        """
        if self._ends_with_pixel(page):
            return True
        if not self._options.pixel_tag or asked or "/o/" not in page.text:
            return False
        if any(record.outcome is LinkOutcome.SEALED for record in records):
            return False
        return any(self._is_of_late(src) for src in page.images())

    def _ends_with_pixel(self, page: Page) -> bool:
        before = page.text[: page.pixel_at or 0].rstrip()
        last = before[before.rfind("<") :]
        if "/o/" not in last or last.find(">") != len(last) - 1:
            return False
        return any(is_sealed(src, self._keyring) for src in Page(last).images())

    def _is_of_late(self, src: str) -> bool:
        """Whether an image is the pixel of a message of this customer that may be this one."""
        try:
            sealed = open_url(self._keyring, src)
        except TokenError:
            return False
        ours = sealed.kind is Kind.OPEN and sealed.customer == self._customer
        age = self._message_id.issued_at - sealed.message.issued_at
        return ours and abs(age) <= _ON_ITS_WAY


def _line_end(message: bytes) -> str:
    at = message.find(b"\n")
    return "\r\n" if at > 0 and message[at - 1] == 0x0D else "\n"


def _encoded(content: Content, page: Page, edits: list[Edit], breaks: list[Edit]) -> bytes:
    """Return the part's body with edits made, breaking lines that would become too long.

    White space between attributes may be a line end as well (WHATWG HTML §13.1.2.3), so a
    break there changes nothing but the line's length.
    """
    try:
        return content.encode(page.edited(edits))
    except Unreadable as unreadable:
        if unreadable.reason is not Reason.LINE_TOO_LONG:
            raise
    pixel_breaks = [
        Edit(edit.start, edit.start, "\n") for edit in edits if edit.text.startswith("<img ")
    ]
    return content.encode(page.edited([*breaks, *pixel_breaks, *edits]))


def _replaced(message: bytes, changes: list[tuple[HTMLPart, bytes]]) -> bytes:
    if not changes:
        return message
    pieces = []
    at = 0
    for part, body in changes:
        pieces.append(message[at : part.start])
        pieces.append(body)
        at = part.end
    pieces.append(message[at:])
    return b"".join(pieces)
