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

unit, times = sys.argv[1], int(sys.argv[2])
message = html_mail(unit * (times * MailOptions().max_html_bytes // len(unit.encode())))
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
@pytest.mark.parametrize(
    ("unit", "times"),
    [
        ("<p>x<br>", 1),
        ("<p>", 1),
        ("<a href>", 1),
        ("<p \U0001f600>", 1),
        ("x" * 70 + "\n", 1),
        (f"<img src='data:{'A' * 200}'>\U0001f600", 4),
        (f"<img src='data:{'A' * 60_000}'>\U0001f600", 7),
    ],
)
def test_a_message_at_the_limit_takes_less_than_three_hundred_megabytes(
    unit: str, times: int
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, unit, str(times)],
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


IMAGE = f'<img alt="a" src="data:image/png;base64,{"iVBORw0KGgo" * 9_000}">\n'


@pytest.mark.parametrize("encoding", ["8bit", "quoted-printable", "base64"])
def test_a_newsletter_with_large_inline_images_is_sealed(encoding: str) -> None:
    html = (IMAGE + LINK + "\n") * 150
    done = instrument(html_mail(html, encoding=encoding), NO_PIXEL)
    assert len(html) > 14_000_000
    assert done.parts == ()
    assert len(done.sealed) == 150


def counted(html: str, limit: int) -> bool:
    """Whether HTML is within a limit."""
    done = instrument(html_mail(html), MailOptions(max_html_bytes=limit, track_opens=False))
    assert [part.reason for part in done.parts] in ([], [Reason.HTML_TOO_LARGE])
    return not done.parts


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('<img src="', '">'),
        ("<img src='", "'>"),
        ("<IMG SRC=", ">"),
        ('<td style="background:url(', ')">'),
        ('<img\n alt="x"\n src = "', '">'),
    ],
)
def test_inline_data_counts_an_eighth_and_what_may_separate_attributes_more(
    before: str, after: str
) -> None:
    for data in (
        "data:image/png;base64," + "A" * 8_000,
        "data:," + ("A" * 69 + "/") * 100,
        "data:," + ("A" * 70 + "\r\n") * 100,
    ):
        html = f"{before}{data}{after}{LINK}"
        attributes = 2 * (data.count("/") + data.count("\n"))
        least = len(html) - len(data) + len(data) // 8 + attributes
        assert counted(html, least + 16)
        assert not counted(html, least - 16)


@pytest.mark.parametrize(
    "html",
    [
        f"data:,{'A' * 8_000}{LINK}",
        f'x="data:,{"A" * 8_000}"{LINK}',
        f"<p>data:,{'A' * 8_000}</p>{LINK}",
        f"<img src='http://a.example/{'A' * 8_000}'>{LINK}",
        f"<img src='data:,{'A' * 100}'>" * 80 + LINK,
        f"<p data:,{'a ' * 4_000}>{LINK}",
    ],
)
def test_other_text_counts_whole(html: str) -> None:
    assert counted(html, len(html))
    assert not counted(html, len(html) - 1)


def test_the_room_that_images_leave_is_for_other_parts() -> None:
    part = f"--b\nContent-Type: text/html\n\n{IMAGE}{LINK}\n"
    message = f"Content-Type: multipart/mixed; boundary=b\n\n{part * 7}--b--\n".encode()
    options = MailOptions(max_html_bytes=100_000, track_opens=False)
    done = instrument(message, options)
    assert len(message) > 690_000
    assert (len(done.sealed), done.parts) == (7, ())
