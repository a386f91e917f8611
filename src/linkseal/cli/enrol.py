"""``linkseal domain enrol``: whose word is taken for clients' addresses."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from linkseal.cli.branded import HostArgument, as_dict, who
from linkseal.cli.context import config, store
from linkseal.cli.output import JSONOption, out, print_json, warn
from linkseal.domains.claim import domain_name
from linkseal.domains.profiles import PROFILES, PUBLISHING, Profile, own_networks
from linkseal.edge.enrolled import client_rules
from linkseal.errors import DomainError
from linkseal.store import Domain


def enrol(
    context: typer.Context,
    host: HostArgument,
    cdn: Annotated[str, typer.Argument(help=f"One of {', '.join(PROFILES)}; or none.")],
    *,
    network: Annotated[
        list[str] | None,
        typer.Option(
            help="Where it connects from, as 203.0.113.7 or 2001:db8::/48; may be repeated. "
            "For a proxy, and for what a CDN does not publish."
        ),
    ] = None,
    json: JSONOption = False,
) -> None:
    """Say which CDN or proxy stands in front: it alone is believed about clients' addresses.

    Networks it was enrolled with before are forgotten. It goes on record, and changes no state.

    Example: [bold]linkseal domain enrol links.acme.example cloudflare[/bold]

    Example: [bold]linkseal domain enrol links.acme.example proxy --network 203.0.113.7[/bold]
    """
    cdn = cdn.strip().lower()
    if cdn != "none" and cdn not in PROFILES:
        raise DomainError(
            f"there is no profile {cdn!r}",
            code="cdn-unknown",
            hint=f"one of {', '.join(PROFILES)}, or none",
        )
    profile = PROFILES.get(cdn)
    if network and not (profile and profile.client_header):
        raise DomainError(
            f"nobody's networks are believed: {profile.name if profile else 'none'} "
            "tells no client address",
            code="cdn-tells-no-client",
            hint="leave --network out; enrol it as proxy if it sends X-Forwarded-For",
        )
    name = domain_name(host)
    private = config(context).prober.allow_private_addresses
    own = own_networks(network or (), private=private)
    with store(context) as opened:
        now = datetime.now(UTC)
        opened.domains.set_cdn(name, profile.id if profile else "", own, who=who(), now=now)
        domain, current = opened.domains.get(name), opened.cdn_ranges.networks()
    rule = client_rules([domain], current).get(name)
    if rule is not None:
        of = [f"{len(rule.networks) - len(own)} networks it publishes", *own]
        said = f"{rule.header} is believed from {', '.join(of[len(rule.networks) == len(own) :])}"
    else:
        said = f"{_unbelieved(profile)}whoever connects is the client"
    warning = _other_seen(domain, profile)
    if json:
        warnings = [warning] if warning else []
        print_json(as_dict(domain) | {"believed": said, "warnings": warnings})
        return
    out.print(f"{name}: {said}", markup=False, soft_wrap=True)
    if warning:
        warn(warning)


def _other_seen(domain: Domain, profile: Profile | None) -> str:
    """Return a warning if the last report saw another CDN in front."""
    seen = (domain.report or {}).get("cdn") or ""
    if not seen or profile is None or seen == profile.name:
        return ""
    return (
        f"the check of {domain.report_at:%Y-%m-%d %H:%M} UTC saw {seen} in front, not "
        f"{profile.name}: clients' addresses that {seen} tells are not believed"
    )


def _unbelieved(profile: Profile | None) -> str:
    """Return why a profile is not believed, and what would change that."""
    if profile is None:
        return ""
    if not profile.client_header:
        return f"{profile.name} tells no client address: "
    if profile.appends_own_address:
        return f"{profile.name} adds its own address: give the load balancer's by --network; now "
    if profile.id in PUBLISHING:
        return f"its networks have to be fetched: linkseal cdn refresh {profile.id}; until then "
    return f"{profile.name} publishes no networks: give them by --network; until then "
