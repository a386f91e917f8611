"""Write ``docs/guides/cdn``: for customers, a page for each CDN and proxy there is a guide for."""

from __future__ import annotations

import sys
from typing import Final

from linkseal.domains import claim
from linkseal.domains.checks import CHECKS, Severity
from linkseal.domains.fixes import fix
from linkseal.domains.guides import GUIDES, guide
from linkseal.domains.profiles import PROFILES
from scripts.publishing import publish
from scripts.reference import NOTE, ROOT

FOLDER: Final = ROOT / "docs" / "guides" / "cdn"
HOST: Final = "links.acme.example"
BASE: Final = "ct.example.net"
EXAMPLE: Final = b"an example"
INTRODUCTION: Final = f"""\
{NOTE}
How the links of your mail get your own name and a padlock, here for `{HOST}`.
`linkseal domain guide {HOST} --cdn {{guide}}` prints it with your names and
values in place of these{{files}}.

You need: rights to change the DNS of your zone, and rights to change the settings named below.
Commands are for whoever runs Linkseal. The name is led there last: before that, nothing changes for
your recipients. From then on links of senders with an address of their own are http on your name,
all others stay on the shared domain; they are https on your name after a look from outside has
shown that all of it works.
"""


def page(guide_id: str) -> str:
    """Return the customers' page of one guide."""
    found = guide(
        HOST,
        claim.new_target(EXAMPLE, BASE),
        claim.ownership_value(EXAMPLE),
        guide_id,
        BASE,
        zone="acme.example",
    )
    title, _, steps = found.markdown().partition("\n")
    files = "; `--files DIR` writes its files, to be used as they are" if found.files else ""
    route = "cdn" if guide_id in PROFILES else "proxy"
    parts = [
        title,
        "",
        INTRODUCTION.format(guide=guide_id, files=files),
        steps.strip(),
        "",
        "## If the check finds something",
        "",
        "`linkseal domain check` says what it saw, what it expected, and one of these:",
        "",
        "| check | what to do |",
        "|---|---|",
    ]
    parts += [
        f"| [{each.id}](../../reference/checks.md) {each.title} | {fix(each.id, guide_id)} |"
        for each in CHECKS.values()
        if each.severity[route] is not Severity.NOT_ASKED and each.messages
    ]
    return "\n".join(parts) + "\n"


def index() -> str:
    """Return the page that leads to all of them."""
    lines = ["# Your own name over SSL: a guide for each CDN and proxy", "", NOTE]
    lines += [
        "Each page takes you from your DNS to https links. In front stands a CDN of yours, or your",
        "own proxy; if nothing shall, [let us hold the certificate](../branded-domains.md).",
        "",
        "| with | enrol as | the address of who clicked |",
        "|---|---|---|",
    ]
    for each in GUIDES:
        profile = PROFILES.get(each, PROFILES["proxy"])
        told = f"from `{profile.client_header}`" if profile.client_header else "is not told"
        lines.append(f"| [{each}]({each}.md) | `{profile.id}` | {told} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    pages = {FOLDER / f"{each}.md": page(each) for each in GUIDES}
    sys.exit(publish({FOLDER / "README.md": index(), **pages}))
