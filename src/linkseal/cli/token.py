"""``linkseal token``: explain a sealed link, and rotate the keys."""

from __future__ import annotations

from typing import Annotated

import typer

from linkseal import datadir
from linkseal.cli.context import config, keyring, with_keys
from linkseal.cli.output import JSONOption, out, print_json, print_table
from linkseal.first_keys import replace_lost_keyring
from linkseal.seal import open_url
from linkseal.vault import rotated_keyring, save_keyring

app = typer.Typer(help="Explain sealed links and rotate their keys.", no_args_is_help=True)


@app.command("open")
def open_token(
    context: typer.Context,
    url: Annotated[str, typer.Argument(help="A sealed link, its path, or the bare token.")],
    *,
    json: JSONOption = False,
) -> None:
    """Say what a sealed link carries; exit 1 when it is none of ours.

    Example: [bold]linkseal token open https://go.ct.example.net/c/AQAB…[/bold]
    """
    sealed = open_url(keyring(context), url)
    rows = {
        "kind": sealed.kind.name.lower(),
        "destination": sealed.destination,
        "customer": sealed.customer,
        "message": str(sealed.message),
        "link": sealed.link,
        "issued_at": sealed.issued_at.isoformat(),
    }
    if json:
        print_json(rows)
    else:
        print_table(("field", "value"), rows.items(), empty="")


@app.command()
def rotate(
    context: typer.Context,
    *,
    give_up_links: Annotated[
        bool,
        typer.Option(
            "--give-up-links",
            help="Where the keyring is lost for good: make a new one. No link sent before opens "
            "any more, unless the old one is restored.",
        ),
    ] = False,
) -> None:
    """Add a key and seal with it from now on; links under the old keys keep opening.

    A running service takes the new key within seconds.
    """
    if give_up_links:
        found = config(context)
        datadir.open_vault(found)  # Before a lock is made.
        replace_lost_keyring(found)
        out.print("a new keyring seals from now on; no link sent before opens", markup=False)
        return
    found = with_keys(context)
    with datadir.sealing(found, alone=True):
        rotated = rotated_keyring(datadir.open_keyring(found))
        save_keyring(found.keyring_file, rotated, datadir.open_vault(found))
    out.print(
        f"key {rotated.active} seals from now on; {len(rotated.keys)} keys open", markup=False
    )
