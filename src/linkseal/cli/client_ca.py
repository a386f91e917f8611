"""``linkseal domain client-ca``: by which certificate what stands in front shows itself to us."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from linkseal.certificates.pem import read_file
from linkseal.cli.branded import HostArgument, as_dict, at, authority_dict, who
from linkseal.cli.context import store
from linkseal.cli.output import JSONOption, out, print_json, warn
from linkseal.domains.claim import domain_name
from linkseal.domains.client_ca import read_authority
from linkseal.store import Domain


def client_ca(
    context: typer.Context,
    host: HostArgument,
    *,
    ca: Annotated[
        Path | None,
        typer.Option(help="PEM file of the CA that signs it, in place of the one before."),
    ] = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="Ask for no certificate any more.")
    ] = False,
    json: JSONOption = False,
) -> None:
    """Say which CA signs the client certificate that the CDN or proxy in front shows us.

    The edge then asks for one in handshakes for this domain and its target, on routes cdn and
    proxy. It refuses nobody for want of it: check ORG-06 tells what was shown. A file may hold an
    old CA and a new one. It goes on record, and changes no state.

    Example: [bold]linkseal domain client-ca links.acme.example --ca origin-pull-ca.pem[/bold]

    Example: [bold]linkseal domain client-ca links.acme.example --remove[/bold]
    """
    if (ca is None) is not remove:
        raise typer.BadParameter("give either --ca FILE or --remove")
    name, now = domain_name(host), datetime.now(UTC)
    authority = None if ca is None else read_authority(read_file(ca), now, source=str(ca))
    with store(context) as opened:
        opened.client_authorities.put(name, authority, who=who(), now=now)
        domain = opened.domains.get(name)
    warnings = [] if authority is None else _warnings(domain)
    if json:
        told: dict[str, Any] = {"client_ca": authority_dict(authority), "warnings": warnings}
        print_json(as_dict(domain) | told)
        return
    if authority is None:
        out.print(f"{name}: no client certificate is asked for", markup=False, soft_wrap=True)
        return
    said = (
        f"{name}: a client certificate of {authority.title} is asked for; "
        f"that CA is valid until {at(authority.expires_at)} UTC"
    )
    out.print(said, markup=False, soft_wrap=True)
    for each in warnings:
        warn(each)


def _warnings(domain: Domain) -> list[str]:
    """Return what may come of asking."""
    found = []
    if domain.route is None:
        found.append("nobody is asked before SSL is requested, on route cdn or proxy")
    elif not domain.is_fronted:
        found.append(
            f"nobody is asked on route {domain.route.value}: recipients' browsers come to us there"
        )
    if domain.cdn == "cloudfront":
        found.append(
            "CloudFront may refuse an origin that asks while the distribution's origin has no "
            "client certificate (OriginMtlsConfig): give it one first, then check the domain"
        )
    return found
