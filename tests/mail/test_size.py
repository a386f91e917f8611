"""HTML that is too large, or would be once parsed, passes; memory stays in proportion."""

from __future__ import annotations

import subprocess
import sys

import pytest

from linkseal.mail import MailOptions, Reason
from support.mail import NO_PIXEL, html_mail, instrument

LINK = '<a href="https://a.example/1">x</a>'
LARGE = MailOptions().max_html_bytes

MEASURE = """
import sys
from support.mail import html_mail, instrument
from linkseal.mail import MailOptions

def memory(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) >> 10 for line in status if line.startswith(name))

unit = sys.argv[1]
message = html_mail(unit * (MailOptions().max_html_bytes // len(unit.encode())))
before = memory("VmRSS")
with open("/proc/self/clear_refs", "w") as peak:
    peak.write("5")
done = instrument(message)
print(memory("VmHWM") - before, len(done.parts), len(done.links))
"""


@pytest.mark.parametrize("encoding", ["8bit", "quoted-printable", "base64"])
def test_thirty_megabytes_of_html_pass(encoding: str) -> None:
    message = html_mail("<p>" + ("x" * 70 + "\n") * 430_000 + LINK, encoding=encoding)
    done = instrument(message)
    assert len(message) > 30_000_000
    assert done.message is message
    assert [(part.part, part.reason) for part in done.parts] == [("1", Reason.HTML_TOO_LARGE)]
    assert (done.links, done.pixel_part) == ((), None)


def test_html_up_to_the_limit_is_sealed() -> None:
    for over, reasons in ((0, []), (1, [Reason.HTML_TOO_LARGE])):
        html = LINK.rjust(1000 + over)
        options = MailOptions(max_html_bytes=1000)
        done = instrument(html_mail(html, encoding="base64"), options)
        assert [part.reason for part in done.parts] == reasons
        assert len(done.sealed) == 1 - len(reasons)


def test_the_limit_is_of_all_html_of_a_message_and_smaller_parts_still_go() -> None:
    mark = b"--b\nContent-Type: text/html\n\n"
    bodies = [LINK.rjust(width).encode() for width in (500, 600, 400)]
    message = b"Content-Type: multipart/mixed; boundary=b\n\n"
    message += b"\n".join(mark + body for body in bodies) + b"\n--b--\n"
    done = instrument(message, MailOptions(max_html_bytes=1000, track_opens=False))
    assert [(part.part, part.reason) for part in done.parts] == [("2", Reason.HTML_TOO_LARGE)]
    assert [(link.part, link.number) for link in done.links] == [("1", 0), ("3", 1)]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("unit", ["<p>x<br>", "<p>", "<a href>", "<p \U0001f600>", "x" * 70 + "\n"])
def test_a_message_at_the_limit_takes_less_than_three_hundred_megabytes(unit: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, unit],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    megabytes, passed_over, _ = map(int, done.stdout.split())
    assert passed_over == 0
    assert megabytes < 300


def test_markup_that_opens_elements_again_and_again_passes() -> None:
    """Every paragraph after unclosed formatting gets all of it once more (WHATWG §13.2.4.3)."""
    opened = "".join(f"<b id={number}>" for number in range(500))
    for formatting in (opened, opened.upper(), opened.replace(">", " title='>'>")):
        html = f"<p>{formatting}</p>" + "<p>x" * 20_000 + LINK
        done = instrument(html_mail(html), NO_PIXEL)
        assert [part.reason for part in done.parts] == [Reason.HTML_TOO_LARGE]


def test_much_formatting_that_is_alike_is_nothing_special() -> None:
    font = '<font face="Arial" size="2"><b>x</b></font>\n'
    done = instrument(html_mail((font + LINK + "\n") * 5_000), NO_PIXEL)
    assert len(done.sealed) == 5_000
