"""``linkseal vault``: the master key everything secret is sealed under."""

from __future__ import annotations

import typer

from linkseal import datadir
from linkseal.cli.context import with_keys
from linkseal.cli.output import out
from linkseal.rotation import rotate_master_key

app = typer.Typer(help="The master key secrets are sealed under.", no_args_is_help=True)


@app.command()
def rotate(context: typer.Context) -> None:
    """Make another master key and seal every secret again; stop the service first.

    Backups of the old key open old backups only: make a new backup after it.

    Example: [bold]linkseal vault rotate[/bold]
    """
    found = with_keys(context)
    datadir.make_directory(found)
    count = rotate_master_key(found)
    out.print(
        f"{count} secrets are sealed under a new master key; back up {found.master_key_file}",
        markup=False,
        soft_wrap=True,
    )
