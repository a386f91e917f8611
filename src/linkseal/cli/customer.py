"""``linkseal customer``: whose mail is tracked."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from linkseal.cli.context import store
from linkseal.cli.output import JSONOption, out, print_json, print_table
from linkseal.domains.base import SendingIP, SSLPolicy
from linkseal.errors import StoreError
from linkseal.store import Customer

app = typer.Typer(help="Customers: whose mail is tracked.", no_args_is_help=True)

PasswordFileOption = Annotated[
    Path | None, typer.Option(help="File with that login's password; - reads standard input.")
]
GenerateOption = Annotated[
    bool, typer.Option("--generate-password", help="Make a password and show it once.")
]


@app.command()
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits and hyphens.")],
    *,
    from_domain: Annotated[
        list[str] | None,
        typer.Option(help="Mail from addresses under this domain is theirs; may be repeated."),
    ] = None,
    sending_ip: Annotated[
        SendingIP, typer.Option(help="Whether they share sending addresses with others.")
    ] = SendingIP.SHARED,
    ssl: Annotated[
        SSLPolicy, typer.Option(help="required: their links are never plain http.")
    ] = SSLPolicy.ALLOWED,
    smtp_user: Annotated[str | None, typer.Option(help="Their login at the SMTP proxy.")] = None,
    smtp_password_file: PasswordFileOption = None,
    generate_password: GenerateOption = False,
    json: JSONOption = False,
) -> None:
    """Add a customer.

    Example: [bold]linkseal customer add acme --from-domain acme.example[/bold]
    """
    password = _password(smtp_user, smtp_password_file, generate=generate_password)
    with store(context) as opened:
        customer = opened.customers.add(
            name,
            sending_ip=sending_ip,
            ssl=ssl,
            from_domains=from_domain or (),
            smtp_user=smtp_user,
            smtp_password=password,
        )
    _print(customer, password if generate_password else None, json=json)
    if not json and not customer.from_domains and not customer.smtp_users:
        out.print(
            "\nNo mail is theirs yet: it is found by --from-domain, --smtp-user, "
            "or a listener of their own in the config file.",
            markup=False,
        )


@app.command("set")
def set_customer(
    context: typer.Context,
    name: str,
    *,
    from_domain: Annotated[
        list[str] | None,
        typer.Option(
            help="Mail from addresses under this domain is theirs; replaces all they have; "
            'may be repeated; "" leaves none.'
        ),
    ] = None,
    sending_ip: Annotated[
        SendingIP | None, typer.Option(help="Whether they share sending addresses with others.")
    ] = None,
    ssl: Annotated[
        SSLPolicy | None, typer.Option(help="required: their links are never plain http.")
    ] = None,
    smtp_user: Annotated[
        str | None,
        typer.Option(help="A login more at the SMTP proxy, or one they have: its password is set."),
    ] = None,
    smtp_password_file: PasswordFileOption = None,
    generate_password: GenerateOption = False,
    json: JSONOption = False,
) -> None:
    """Change what a customer was added with; what is not given stays. The next message has it.

    Example: [bold]linkseal customer set acme --ssl required[/bold]
    """
    password = _password(smtp_user, smtp_password_file, generate=generate_password)
    if from_domain is None and sending_ip is None and ssl is None and smtp_user is None:
        raise StoreError(
            "there is nothing to set",
            code="customer-unchanged",
            hint="give what is to change, as in --ssl required; --help shows all",
        )
    with store(context) as opened:
        customer = opened.customers.change(
            name,
            sending_ip=sending_ip,
            ssl=ssl,
            from_domains=None if from_domain is None else [each for each in from_domain if each],
            smtp_user=smtp_user,
            smtp_password=password,
        )
    _print(customer, password if generate_password else None, json=json)


@app.command("list")
def list_customers(context: typer.Context, *, json: JSONOption = False) -> None:
    """List every customer.

    Example: [bold]linkseal customer list --json[/bold]
    """
    with store(context) as opened:
        found = opened.customers.all()
    if json:
        print_json([_as_dict(customer) for customer in found])
        return
    print_table(
        ("customer", "id", "sending ip", "ssl", "from domains", "smtp users"),
        (
            (
                customer.name,
                customer.id,
                customer.sending_ip.value,
                customer.ssl.value,
                ", ".join(customer.from_domains),
                ", ".join(customer.smtp_users),
            )
            for customer in found
        ),
        empty="No customers yet. Add one: linkseal customer add acme --from-domain acme.example",
    )


@app.command()
def show(context: typer.Context, name: str, *, json: JSONOption = False) -> None:
    """Show one customer.

    Example: [bold]linkseal customer show acme[/bold]
    """
    with store(context) as opened:
        found = opened.customers.get(name)
    _print(found, None, json=json)


def _print(customer: Customer, password: str | None, *, json: bool) -> None:
    """Print a customer, and the password that was made for its login."""
    shown = _as_dict(customer)
    if password is not None:
        shown["smtp_password"] = password
    if json:
        print_json(shown)
    else:
        print_table(("field", "value"), shown.items(), empty="")


def _as_dict(customer: Customer) -> dict[str, Any]:
    return {
        "name": customer.name,
        "id": customer.id,
        "sending_ip": customer.sending_ip.value,
        "ssl": customer.ssl.value,
        "from_domains": list(customer.from_domains),
        "smtp_users": list(customer.smtp_users),
        "created_at": customer.created_at.isoformat(timespec="seconds"),
    }


def _password(user: str | None, file: Path | None, *, generate: bool) -> str | None:
    """Return the login's password: made, read from a file, or asked for on a terminal."""
    if user is None:
        if generate or file:
            raise StoreError(
                "a password is of no use without --smtp-user",
                code="smtp-user-incomplete",
                hint="give --smtp-user too, or neither",
            )
        return None
    if generate:
        return secrets.token_urlsafe(24)
    if file is None:
        return str(typer.prompt("SMTP password", hide_input=True, confirmation_prompt=True))
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(
            f"cannot read the password from {file}",
            code="smtp-password-unreadable",
            hint="name a text file whose first line is the password",
        ) from error
    return text.splitlines()[0] if text else ""
