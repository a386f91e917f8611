"""Sealed URLs stay short: the median is at most 1.5 times the original and 70 characters."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from statistics import median

import pytest

from linkseal.demo.newsletters import letters
from linkseal.demo.recipient import read_message
from linkseal.mail import LinkOutcome
from support.mail import CORPUS, NO_PIXEL, html_mail, instrument, needs_corpus


def newsletters() -> list[str]:
    pages = []
    for letter in letters():
        message = email.message_from_bytes(letter.message, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        body = message.get_body(("html",))
        assert isinstance(body, EmailMessage)
        pages.append(body.get_content())
    return pages


def corpus() -> list[str]:
    files = sorted(CORPUS.glob("html/*.html"))
    return [file.read_bytes().decode("utf-8", "replace") for file in files]


def excesses(html: str) -> list[float]:
    """Return by how much each sealed URL of a page passes 1.5 times its original.

    The links are those another parser sees, and those sealed are all that changed.
    """
    message = html_mail(html)
    done = instrument(message, NO_PIXEL)
    assert done.untouched is None
    before, after = (read_message(each).links for each in (message, done.message))
    if not done.parts:
        assert len(before) == len(after)
        changed = sum(old != new for old, new in zip(before, after, strict=True))
        assert changed == len(done.sealed)
    found = []
    for link in done.links:
        if link.outcome is LinkOutcome.SEALED:
            alone = instrument(html_mail(f'<a href="{link.url}">'), NO_PIXEL)
            found.append(len(read_message(alone.message).links[0]) - 1.5 * len(link.url))
    return found


@pytest.mark.parametrize("pages", [newsletters, pytest.param(corpus, marks=needs_corpus)])
def test_links_are_those_another_parser_sees_and_stay_short(pages: object) -> None:
    assert callable(pages)
    excess = [each for page in pages() for each in excesses(page)]
    assert len(excess) > 20
    assert median(excess) <= 70


@pytest.mark.parametrize("page", newsletters(), ids=lambda page: str(len(page)))
def test_each_newsletter_stays_short_by_itself(page: str) -> None:
    """Their URLs are long enough that the 70 characters are not even needed."""
    excess = excesses(page)
    assert len(excess) >= 5
    assert median(excess) <= 0
