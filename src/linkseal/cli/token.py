"""``linkseal token``: explain a sealed link, and rotate the keys."""

from __future__ import annotations

from typing import Annotated

import typer

from linkseal import datadir
from linkseal.cli.context import keyring, with_keys
from linkseal.cli.output import JSONOption, out, print_json, print_table
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
def rotate(context: typer.Context) -> None:
    """Add a key and seal with it from now on; links under the old keys keep opening.

    A running service takes the new key within seconds.
    """
    found = with_keys(context)
    with datadir.sealing(found):
        rotated = rotated_keyring(datadir.open_keyring(found))
        save_keyring(found.keyring_file, rotated, datadir.open_vault(found))
    out.print(
        f"key {rotated.active} seals from now on; {len(rotated.keys)} keys open", markup=False
    )
