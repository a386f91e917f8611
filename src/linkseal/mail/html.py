"""Find the links of an HTML text as a browser would, and splice values into it.

turbohtml (WHATWG tokenization and tree construction) says where each attribute stands;
only those places change. It counts in text whose line ends are LF, so the text is
brought to that form, and back. Pure.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass

import turbohtml

from linkseal.mail.content import Unreadable
from linkseal.mail.record import Reason
from linkseal.mail.weight import is_too_heavy

# White space as HTML has it: a no-break space is part of a value.
_VALUE = re.compile(
    r"[^ \t\n\f\r=>]+[ \t\n\f\r]*=[ \t\n\f\r]*"
    r"(?:\"([^\"]*)\"|'([^']*)'|([^ \t\n\f\r>]+))"
)
_WHITE = frozenset(" \t\n\f\r")
_PARTS = _WHITE | {">"}
_HIDDEN = frozenset({"title", "style", "script", "textarea", "noframes", "iframe", "xmp"})
_PROBE = "linkseal-probe"
_OPT_OUT = ("clicktracking", "off")
_UNIVERSAL = ("universal", "true")
_CARRIAGE_RETURN = re.compile(r"\r\n?")


@dataclass(frozen=True, slots=True)
class Link:
    """An ``href`` of an ``a`` or ``area``.

    Attributes:
        href: The value, character references resolved.
        start: Where the value starts, inside its quotes.
        end: Where it ends.
        attribute: Where the whole attribute starts.
        opt_out: Range of a ``clicktracking=off`` attribute; ``None`` without one.
        universal: Range of a ``universal=true`` attribute; likewise.
    """

    href: str
    start: int
    end: int
    attribute: int
    opt_out: tuple[int, int] | None
    universal: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace ``[start, end)`` by ``text``."""

    start: int
    end: int
    text: str


class Page:
    """An HTML text, read once.

    Attributes:
        text: With every line end as LF: what offsets count in.
        links: In the order they stand.
        marks: Ranges of what is said to us alone on an ``a`` or ``area`` that is no link.
        pixel_at: Where an open pixel belongs: before the end of the body. ``None`` when what
            would be added there is not shown, as in a comment that is never closed.

    Raises:
        Unreadable: ``html_unreadable``: a place cannot be told with certainty.
            ``html_too_large``: it would be so many elements that they do not fit.
    """

    def __init__(self, text: str) -> None:
        self._original = text
        self.text = _CARRIAGE_RETURN.sub("\n", text) if "\r" in text else text
        if is_too_heavy(self.text):
            raise Unreadable(Reason.HTML_TOO_LARGE)
        self.marks: list[tuple[int, int]] = []
        self.links, end = self._read()
        self.pixel_at = end if end is not None else self._end_of_text()

    def images(self) -> list[str]:
        """Return where its images are, as the page says it."""
        document = turbohtml.parse(self.text, positions=False)
        return [element.attr("src") or "" for element in document.select("img[src]")]

    def edited(self, edits: list[Edit]) -> str:
        """Return the original text with edits made; they must not overlap."""
        edits = sorted(edits, key=lambda edit: edit.start)
        if "\r" not in self._original:
            return _splice(self.text, edits)
        if self._original == self.text.replace("\n", "\r\n"):
            return _splice(self.text, edits).replace("\n", "\r\n")
        # Mixed line ends: each offset moves by the carriage returns of pairs before it.
        pairs = [match.start() for match in _CARRIAGE_RETURN.finditer(self._original)]
        pairs = [at for at in pairs if self._original[at : at + 2] == "\r\n"]
        ends = [at - number for number, at in enumerate(pairs)]

        def moved(offset: int) -> int:
            return offset + bisect_left(ends, offset)

        return _splice(
            self._original, [Edit(moved(each.start), moved(each.end), each.text) for each in edits]
        )

    def _read(self) -> tuple[list[Link], int | None]:
        """Return the links and where the body ends, if it says so.

        The document is a hundred times as large as its text: it is not kept.
        """
        document = turbohtml.parse(self.text, source_locations=True)
        found: dict[int, Link] = {}
        seen: set[int] = set()
        for element in document.select("a, area"):
            location = element.source_location
            if location is None:
                continue
            start = location.start_tag.start_offset
            # Misnested markup makes one tag several elements; it is one link.
            if start in seen:
                continue
            seen.add(start)
            attributes = location.attrs
            if "href" in attributes:
                found[start] = self._link(element, attributes)
            elif attributes:
                self._mark(element, attributes)
        return [found[at] for at in sorted(found)], _end_of_body(document)

    def _mark(
        self, element: turbohtml.Element, attributes: Mapping[str, turbohtml.SourceSpan]
    ) -> None:
        for mark in (_OPT_OUT, _UNIVERSAL):
            span = _marked(self.text, element, attributes, *mark)
            if span is not None:
                self.marks.append(span)

    def _link(
        self, element: turbohtml.Element, attributes: Mapping[str, turbohtml.SourceSpan]
    ) -> Link:
        span = attributes["href"]
        match = _VALUE.fullmatch(self.text, span.start_offset, span.end_offset)
        if match is None:
            # Nothing but a bare `href`, or a value the parser and we do not agree on.
            if element.attr("href"):
                raise Unreadable(Reason.HTML_UNREADABLE)
            start = end = span.end_offset
        else:
            start, end = match.span(match.lastindex or 0)
        opt_out = universal = None
        if "clicktracking" in attributes:
            opt_out = _marked(self.text, element, attributes, *_OPT_OUT)
        if "universal" in attributes:
            universal = _marked(self.text, element, attributes, *_UNIVERSAL)
        return Link(element.attr("href") or "", start, end, span.start_offset, opt_out, universal)

    def _end_of_text(self) -> int | None:
        at = len(self.text.rstrip())
        probed = turbohtml.parse(f'{self.text[:at]}<img id="{_PROBE}">', positions=False)
        return at if probed.select_one(f"#{_PROBE}") else None

    def places(self, tag: str) -> list[tuple[int, int]]:
        """Return where ``tag`` stands in text that readers see."""
        found: list[tuple[int, int]] = []
        at = 0
        hidden = None
        for token in turbohtml.tokenize(self.text, resolve_references=False, capture_source=True):
            is_text = token.type is turbohtml.TokenType.TEXT
            source = (token.data if is_text else token.source) or ""
            if token.type is turbohtml.TokenType.START_TAG and token.tag in _HIDDEN:
                hidden = token.tag
            elif token.type is turbohtml.TokenType.END_TAG and token.tag == hidden:
                hidden = None
            elif is_text and hidden is None:
                start = source.find(tag)
                while start >= 0:
                    found.append((at + start, at + start + len(tag)))
                    start = source.find(tag, start + len(tag))
            at += len(source)
        # Only if the tokens are the whole text do offsets count in it.
        return found if at == len(self.text) else []


def without(page: Page, span: tuple[int, int]) -> Edit:
    """Return the edit that removes an attribute, with the white space before it.

    That stays where nothing else would part what stands before and after.
    """
    start, end = span
    if page.text[end : end + 1] in _PARTS and page.text[start - 1] in _WHITE:
        start -= 1
    return Edit(start, end, "")


def _end_of_body(document: turbohtml.Document) -> int | None:
    for name in ("body", "html"):
        element = document.select_one(name)
        location = element.source_location if element else None
        if location is not None and location.end_tag is not None:
            return location.end_tag.start_offset
    return None


def _marked(
    text: str,
    element: turbohtml.Element,
    attributes: Mapping[str, turbohtml.SourceSpan],
    name: str,
    value: str,
) -> tuple[int, int] | None:
    """Return where an attribute stands that has a value, in whatever letter case.

    In ``name=value/>`` the slash is part of the value (WHATWG HTML §13.2.5.38), and meant
    as the end of the tag: it is none of the range.
    """
    span = attributes.get(name)
    if span is None:
        return None
    said = (element.attr(name) or "").strip().lower()
    start, end = span.start_offset, span.end_offset
    if said == f"{value}/" and text[end - 1 : end + 1] == "/>":
        return start, end - 1
    return (start, end) if said == value else None


def _splice(text: str, edits: list[Edit]) -> str:
    pieces = []
    at = 0
    for edit in edits:
        pieces.append(text[at : edit.start])
        pieces.append(edit.text)
        at = edit.end
    pieces.append(text[at:])
    return "".join(pieces)
