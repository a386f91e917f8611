"""``linkseal config``: what is configured, and where each value comes from."""

from __future__ import annotations

from dataclasses import asdict

import typer

from linkseal.cli.context import loaded
from linkseal.cli.output import JSONOption, out, print_json, print_table

app = typer.Typer(help="Show and check the configuration.", no_args_is_help=True)


@app.command()
def show(context: typer.Context, *, json: JSONOption = False) -> None:
    """List every key, its value and where the value comes from.

    Example: [bold]LINKSEAL_EDGE__WORKERS=4 linkseal config show[/bold]
    """
    found = loaded(context)
    if json:
        print_json([asdict(key) for key in found.keys])
        return
    print_table(
        ("key", "value", "origin", "what it does"),
        ((key.name, key.value, key.origin, key.description) for key in found.keys),
        empty="no keys",
    )


@app.command()
def check(context: typer.Context, *, json: JSONOption = False) -> None:
    """Check the configuration; exit 1 naming the key and the fix when it is wrong.

    Example: [bold]linkseal --config /etc/linkseal/linkseal.toml config check[/bold]
    """
    found = loaded(context)
    where = str(found.file) if found.file else "no file, defaults and environment"
    if json:
        print_json({"valid": True, "file": where})
    else:
        out.print(f"configuration is valid ({where})", markup=False)
