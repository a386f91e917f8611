"""``linkseal certificate``: what is shown for which name, and how it comes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from linkseal import datadir
from linkseal.certificates.accounts import Accounts
from linkseal.certificates.held import (
    UPLOADED,
    Standing,
    open_key,
    standings,
    to_store,
)
from linkseal.certificates.schedule import State
from linkseal.cli.context import config, store
from linkseal.cli.following import follow, standing_of, tell
from linkseal.cli.output import JSONOption, out, print_json, print_table, warn
from linkseal.cli.standing import (
    COLUMNS,
    as_dict,
    fields,
    history_dict,
    history_row,
    row,
)
from linkseal.cli.upload import open_files
from linkseal.config import Config
from linkseal.domains.name import certificate_name
from linkseal.errors import CertificateError, VaultError
from linkseal.first_keys import prepare
from linkseal.store import (
    CertificateRoute,
    Challenge,
    NameKind,
    Store,
    StoredCertificate,
)
from linkseal.vault import write_private

app = typer.Typer(help="Certificates: which name has which.", no_args_is_help=True)

# RFC 5280 §5.3.1.
REASONS = {"unspecified": 0, "keyCompromise": 1, "superseded": 4, "cessationOfOperation": 5}

# What has a name seen to whatever it has, and forgets what it waited for.
_AT_ONCE: Final[dict[str, Any]] = {"renewal": {"now": "asked for"}, "waiting": ""}

NameArgument = Annotated[str, typer.Argument(help="The host, or *. and a domain.")]


@app.command("list")
def list_certificates(
    context: typer.Context,
    *,
    state: Annotated[State | None, typer.Option(help="Only those in this state.")] = None,
    json: JSONOption = False,
) -> None:
    """List every name certificates are held for.

    Example: [bold]linkseal certificate list --state failed[/bold]
    """
    now = _now()
    with store(context) as opened:
        held = opened.certificates
        found = standings(held.names(), [*held.in_use(), *held.revoked()], now)
    found = [each for each in found if state is None or each.state is state]
    if json:
        print_json([as_dict(each) for each in found])
        return
    none = "No names yet. Get one: linkseal certificate issue links.acme.example"
    print_table(
        COLUMNS,
        (row(each, now) for each in found),
        empty=f"No name is {state.value}." if state else none,
    )


@app.command()
def show(context: typer.Context, name: NameArgument, *, json: JSONOption = False) -> None:
    """Show a name's certificates, what it waits for, what went wrong, and its history.

    Example: [bold]linkseal certificate show links.acme.example[/bold]
    """
    with store(context) as opened:
        found = standing_of(opened, name)
        history = opened.certificates.history(found.name.name)
    if json:
        print_json(as_dict(found) | {"history": [history_dict(each) for each in history]})
        return
    print_table(("field", "value"), fields(found), empty="")
    out.print()
    print_table(
        ("at (UTC)", "what", "detail"), (history_row(each) for each in history[-20:]), empty=""
    )


@app.command()
def issue(
    context: typer.Context,
    name: NameArgument,
    *,
    customer: Annotated[str | None, typer.Option(help="Whose name it is.")] = None,
    dns_01: Annotated[
        bool, typer.Option("--dns-01", help="Prove the name in DNS; always so for a wildcard.")
    ] = False,
    wait: Annotated[
        int, typer.Option(min=0, help="Seconds to wait for it; 0 returns at once.")
    ] = 180,
    json: JSONOption = False,
) -> None:
    """Get a certificate by ACME for a name that leads here, and keep it renewed.

    The running service orders it; this command waits and tells. A name that has one of a CA
    keeps it: [bold]linkseal certificate renew[/bold] orders another.

    Example: [bold]linkseal certificate issue links.acme.example --customer acme[/bold]
    """
    settings = config(context)
    _want_acme(settings)
    name = certificate_name(name)
    challenge = Challenge.DNS_01 if dns_01 or name.startswith("*.") else Challenge.HTTP_01
    with store(context) as opened:
        owner = _owner(opened, customer)
        now = _now()
        added = opened.certificates.add_name(
            name,
            kind=_kind(settings, name),
            route=CertificateRoute.ACME,
            challenge=challenge,
            now=now,
            **owner,
        )
        if not added and _is_kept(standing_of(opened, name)):
            opened.certificates.change_name(
                name, now, "asked for again", challenge=challenge.value, **owner
            )
            tell(standing_of(opened, name), json=json)
            return
        if not added:
            opened.certificates.change_name(
                name,
                now,
                "asked for again",
                route=CertificateRoute.ACME.value,
                challenge=challenge.value,
                **_AT_ONCE,
                **owner,
                due_at=now,
            )
        follow(opened, settings, name, now, wait, json=json)


@app.command()
def renew(
    context: typer.Context,
    name: NameArgument,
    *,
    wait: Annotated[
        int, typer.Option(min=0, help="Seconds to wait for it; 0 returns at once.")
    ] = 180,
    json: JSONOption = False,
) -> None:
    """Renew a certificate now, whatever the time; the old one stays in use until then.

    Example: [bold]linkseal certificate renew links.acme.example[/bold]
    """
    settings = config(context)
    _want_acme(settings)
    name = certificate_name(name)
    with store(context) as opened:
        if opened.certificates.name(name).route is not CertificateRoute.ACME:
            raise CertificateError(
                f"the certificate of {name} was uploaded, nobody here can renew it",
                code="certificate-uploaded",
                hint="upload the next one: linkseal certificate import",
            )
        now = _now()
        opened.certificates.change_name(name, now, "renewal asked for", **_AT_ONCE, due_at=now)
        follow(opened, settings, name, now, wait, json=json)


@app.command("import")
def import_certificate(
    context: typer.Context,
    name: NameArgument,
    file: Annotated[Path, typer.Argument(help="PEM chain in any order, or PKCS#12.")],
    *,
    key: Annotated[Path | None, typer.Option(help="PEM key, if it is not in the file.")] = None,
    password_file: Annotated[
        Path | None, typer.Option(help="File with the password of the key or the PKCS#12.")
    ] = None,
    customer: Annotated[str | None, typer.Option(help="Whose name it is.")] = None,
    cdn: Annotated[
        bool,
        typer.Option("--cdn", help="Cloudflare is in front: take a Cloudflare Origin CA one."),
    ] = False,
    root: Annotated[
        list[Path] | None, typer.Option(help="PEM root to trust as well; may be repeated.")
    ] = None,
    json: JSONOption = False,
) -> None:
    """Use a certificate of your own for a name, in place of what it has.

    Example: [bold]linkseal certificate import links.acme.example chain.pem --key key.pem[/bold]
    """
    settings = config(context)
    name = certificate_name(name)
    now = _now()
    upload = open_files(
        file, key, password_file=password_file, name=name, cdn=cdn, now=now, roots=root or ()
    )
    prepare(settings)
    with datadir.sealing(settings), store(context) as opened:
        new = to_store(
            datadir.open_vault(settings),
            upload.certificate.chain,
            upload.certificate.key,
            issuer=UPLOADED,
            origin_ca=upload.origin_ca,
        )
        owner = _owner(opened, customer)
        opened.certificates.add_name(
            name,
            kind=_kind(settings, name),
            route=CertificateRoute.UPLOADED,
            challenge=Challenge.HTTP_01,
            now=now,
            **owner,
        )
        # Taken from whoever may be ordering one: the operator's word is the last.
        opened.certificates.put(
            name,
            [new],
            now,
            "imported",
            route=CertificateRoute.UPLOADED.value,
            due_at=None,
            renewal=None,
            sealed_order=None,
            leased_by="",
            leased_until=None,
            **owner,
        )
        found = standing_of(opened, name)
    for warning in upload.warnings:
        warn(warning)
    if json:
        print_json(as_dict(found) | {"warnings": list(upload.warnings)})
    else:
        print_table(("field", "value"), fields(found), empty="")


@app.command()
def revoke(
    context: typer.Context,
    name: NameArgument,
    *,
    reason: Annotated[
        str, typer.Option(help=f"One of {', '.join(REASONS)}.", metavar="REASON")
    ] = "unspecified",
    local: Annotated[
        bool, typer.Option("--local", help="Withdraw them here only, as when the CA is down.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: JSONOption = False,
) -> None:
    """Have the CA revoke a name's certificates; with ACME the next is ordered at once.

    What the CA has revoked is shown no more, also if it fails at the next of them.

    Example: [bold]linkseal certificate revoke links.acme.example --reason keyCompromise[/bold]
    """
    settings = config(context)
    name = certificate_name(name)
    if reason not in REASONS:
        raise CertificateError(
            f"{reason!r} is no reason a CA takes",
            code="certificate-reason",
            hint=f"take one of {', '.join(REASONS)}",
        )
    with store(context) as opened:
        found = standing_of(opened, name)
        _want_certificate(found)
        if not yes:
            question = f"Revoke {len(found.in_use)} certificate(s) of {name}?"
            typer.confirm(question, abort=True, err=True)
        accounts = Accounts(settings.acme, opened, datadir.open_vault(settings))
        acme = found.name.route is CertificateRoute.ACME
        uploaded = any(each.issuer == UPLOADED for each in found.in_use)
        for each in found.in_use:
            here_only = local or each.issuer == UPLOADED
            if not here_only:
                _revoke_at_ca(accounts, each, REASONS[reason])
            now = _now()
            detail = {"reason": reason, "at": "here only" if here_only else each.issuer}
            opened.certificates.revoke(each, now, detail, now if acme else None)
        found = standing_of(opened, name)
    if local and not uploaded:
        warn("it is shown no more; its CA was not asked to revoke it, and others trust it still")
    if uploaded:
        warn("it is shown no more; only who issued an uploaded certificate can revoke it")
    tell(found, json=json)


@app.command()
def export(
    context: typer.Context,
    name: NameArgument,
    directory: Annotated[Path, typer.Argument(help="Where to; made when missing.")],
    *,
    json: JSONOption = False,
) -> None:
    """Write a name's certificates and keys to files only you can read.

    Example: [bold]linkseal certificate export links.acme.example ./backup[/bold]
    """
    settings = config(context)
    with store(context) as opened:
        found = standing_of(opened, name)
    _want_certificate(found)
    vault = datadir.open_vault(settings)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise VaultError(
            f"cannot make {directory}: {error.strerror}",
            code="vault-unwritable",
            hint="name a directory this user can write",
        ) from error
    files = []
    for each in found.in_use:
        stem = f"{found.name.name.replace('*', '_')}.{each.key_type}"
        chain, key = directory / f"{stem}.pem", directory / f"{stem}.key"
        write_private(chain, each.chain.encode("ascii"), for_owner=False)
        write_private(key, open_key(vault, each), for_owner=False)
        files.append({"key_type": each.key_type, "chain": str(chain), "key": str(key)})
    if json:
        print_json(files)
        return
    for file in files:
        out.print(file["chain"], markup=False, soft_wrap=True)
        out.print(file["key"], markup=False, soft_wrap=True)


def _revoke_at_ca(accounts: Accounts, held: StoredCertificate, reason: int) -> None:
    try:
        accounts.authority(held.issuer).revoke(held.chain.encode("ascii"), reason)
    except CertificateError as error:
        still = "it is shown still; --local withdraws it here only"
        error.hint = f"{error.hint}; {still}" if error.hint else still
        raise


def _is_kept(found: Standing) -> bool:
    """Whether a name has what it is asked for: a CA's certificate that is in order."""
    uploaded = any(each.issuer == UPLOADED for each in found.in_use)
    return found.state is State.VALID and not uploaded and found.name.problem is None


def _owner(opened: Store, customer: str | None) -> dict[str, Any]:
    """Return the field that says whose a name is; without a customer named, it stays."""
    return {"customer_id": opened.customers.get(customer).id} if customer else {}


def _kind(settings: Config, name: str) -> NameKind:
    if name == settings.shared_host:
        return NameKind.SHARED
    if name.endswith(f".{settings.base_domain}"):
        return NameKind.TARGETS
    return NameKind.BRANDED


def _want_acme(settings: Config) -> None:
    if not settings.acme.enabled:
        raise CertificateError(
            "ACME is off, so no certificate can be ordered",
            code="acme-off",
            hint="set acme.enabled = true and restart the service, or `certificate import` one",
        )


def _want_certificate(found: Standing) -> None:
    if not found.in_use:
        raise CertificateError(
            f"{found.name.name} has no certificate in use",
            code="certificate-none",
            hint="`linkseal certificate show` says what it waits for",
        )


def _now() -> datetime:
    return datetime.now(UTC)
