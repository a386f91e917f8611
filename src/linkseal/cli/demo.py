"""``linkseal demo``: the whole way of a link on loopback."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from linkseal.cli.output import out
from linkseal.demo.play import play
from linkseal.demo.show import Stage


def demo(
    *,
    once: Annotated[
        bool,
        typer.Option("--once", help="Do it unattended; exit 0 only if all that could be was seen."),
    ] = False,
) -> None:
    """Show the whole way of a link: real mail in, sealed links out, opens, clicks, events.

    Then four customers' branded domains, a route each, go from claim to https, and one that is
    set up wrongly is diagnosed. Runs the real service on loopback in a folder of its own, with
    stand-ins for the internet, and stays up to be tried. What a missing program is needed for
    is left out, and said.

    Example: [bold]linkseal demo --once[/bold]
    """
    directory = Path(tempfile.mkdtemp(prefix="linkseal-demo-"))
    try:
        asyncio.run(play(directory, Stage(out), once=once))
    except KeyboardInterrupt:
        out.print("\nstopped")
    finally:
        shutil.rmtree(directory, ignore_errors=True)
