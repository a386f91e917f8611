"""``linkseal certificate``: what is shown for which name, and how it comes."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import certifi
import typer
from cryptography import x509

from linkseal import datadir
from linkseal.certificates.held import (
    UPLOADED,
    Standing,
    open_key,
    standing,
    standings,
    to_store,
)
from linkseal.certificates.ordering import Ordering
from linkseal.certificates.schedule import State
from linkseal.certificates.upload import read_upload
from linkseal.cli.context import config, store
from linkseal.cli.output import JSONOption, err, out, plain, print_json, print_table
from linkseal.config import Config
from linkseal.domains.name import certificate_name
from linkseal.errors import CertificateError
from linkseal.store import (
    CertificateRoute,
    Challenge,
    HistoryEntry,
    NameKind,
    Store,
    StoredCertificate,
)
from linkseal.vault import write_private

app = typer.Typer(help="Certificates: which name has which.", no_args_is_help=True)

POLL_SECONDS = 0.5
# RFC 5280 §5.3.1.
REASONS = {"unspecified": 0, "keyCompromise": 1, "superseded": 4, "cessationOfOperation": 5}

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
        print_json([_as_dict(each) for each in found])
        return
    print_table(
        ("name", "state", "route", "issuer", "ends (UTC)", "days", "next", "why"),
        (
            (
                each.name.name,
                each.state.value,
                _route(each),
                each.in_use[0].issuer if each.in_use else "",
                f"{each.life.end:%Y-%m-%d %H:%M}" if each.life else "",
                (each.life.end - now).days if each.life else "",
                f"{each.name.due_at:%Y-%m-%d %H:%M}" if each.name.due_at else "",
                each.name.waiting or (each.name.problem or {}).get("detail", ""),
            )
            for each in found
        ),
        empty="No names yet. Get one: linkseal certificate issue links.acme.example",
    )


@app.command()
def show(context: typer.Context, name: NameArgument, *, json: JSONOption = False) -> None:
    """Show a name's certificates, what it waits for, what went wrong, and its history.

    Example: [bold]linkseal certificate show links.acme.example[/bold]
    """
    with store(context) as opened:
        found = _standing(opened, name)
        history = opened.certificates.history(found.name.name)
    if json:
        print_json(_as_dict(found) | {"history": [_entry(each) for each in history]})
        return
    print_table(("field", "value"), _fields(found), empty="")
    out.print()
    print_table(
        ("at (UTC)", "what", "detail"),
        (
            (
                f"{each.at:%Y-%m-%d %H:%M:%S}",
                each.what,
                ", ".join(f"{key}: {value}" for key, value in each.detail.items() if value),
            )
            for each in history[-20:]
        ),
        empty="",
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

    The running service orders it; this command waits and tells.

    Example: [bold]linkseal certificate issue links.acme.example --customer acme[/bold]
    """
    settings = config(context)
    _want_acme(settings)
    name = certificate_name(name)
    challenge = Challenge.DNS_01 if dns_01 or name.startswith("*.") else Challenge.HTTP_01
    with store(context) as opened:
        now = _now()
        added = opened.certificates.add_name(
            name,
            kind=_kind(settings, name),
            route=CertificateRoute.ACME,
            challenge=challenge,
            now=now,
            customer_id=opened.customers.get(customer).id if customer else None,
        )
        if not added:
            opened.certificates.change_name(
                name,
                now,
                "asked for again",
                route=CertificateRoute.ACME.value,
                challenge=challenge.value,
                due_at=now,
            )
        _follow(opened, settings, name, now, wait, json=json)


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
        opened.certificates.change_name(
            name, now, "renewal asked for", due_at=now, renewal={"now": "asked for"}
        )
        _follow(opened, settings, name, now, wait, json=json)


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
    password = _read(password_file).decode("utf-8", "replace").strip() if password_file else None
    roots = [
        each
        for path in (Path(certifi.where()), *(root or ()))
        for each in x509.load_pem_x509_certificates(_read(path))
    ]
    now = _now()
    upload = read_upload(
        _read(file),
        _read(key) if key else None,
        password=password,
        names=[name],
        cdn=cdn,
        now=now,
        roots=roots,
    )
    datadir.prepare(settings)
    new = to_store(
        datadir.open_vault(settings),
        upload.certificate.chain,
        upload.certificate.key,
        issuer=UPLOADED,
        origin_ca=upload.origin_ca,
    )
    with store(context) as opened:
        opened.certificates.add_name(
            name,
            kind=_kind(settings, name),
            route=CertificateRoute.UPLOADED,
            challenge=Challenge.HTTP_01,
            now=now,
            customer_id=opened.customers.get(customer).id if customer else None,
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
            leased_until_ms=0,
        )
        found = _standing(opened, name)
    for warning in upload.warnings:
        err.print(f"[bold yellow]warning:[/] {plain(warning)}")
    if json:
        print_json(_as_dict(found) | {"warnings": list(upload.warnings)})
    else:
        print_table(("field", "value"), _fields(found), empty="")


@app.command()
def revoke(
    context: typer.Context,
    name: NameArgument,
    *,
    reason: Annotated[
        str, typer.Option(help=f"One of {', '.join(REASONS)}.", metavar="REASON")
    ] = "unspecified",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: JSONOption = False,
) -> None:
    """Have the CA revoke a name's certificates; with ACME the next is ordered at once.

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
        found = _standing(opened, name)
        if not yes:
            typer.confirm(f"Revoke {len(found.in_use)} certificate(s) of {name}?", abort=True)
        ordering = Ordering(settings.acme, opened, datadir.open_vault(settings), None, "")
        for each in found.in_use:
            if each.issuer != UPLOADED:
                authority = ordering.authority(each.issuer)
                authority.revoke(each.chain.encode("ascii"), REASONS[reason])
        now = _now()
        acme = found.name.route is CertificateRoute.ACME
        opened.certificates.revoke(name, now, reason, now if acme else None)
        found = _standing(opened, name)
    if json:
        print_json(_as_dict(found))
    else:
        print_table(("field", "value"), _fields(found), empty="")


@app.command()
def export(
    context: typer.Context,
    name: NameArgument,
    directory: Annotated[Path, typer.Argument(help="Where to; made when missing.")],
) -> None:
    """Write a name's certificates and keys to files only you can read.

    Example: [bold]linkseal certificate export links.acme.example ./backup[/bold]
    """
    settings = config(context)
    name = certificate_name(name)
    vault = datadir.open_vault(settings)
    with store(context) as opened:
        found = _standing(opened, name)
    if not found.in_use:
        raise CertificateError(
            f"{name} has no certificate in use",
            code="certificate-none",
            hint="`linkseal certificate show` says what it waits for",
        )
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for each in found.in_use:
        stem = f"{name.replace('*', '_')}.{each.key_type}"
        write_private(directory / f"{stem}.pem", each.chain.encode("ascii"))
        write_private(directory / f"{stem}.key", open_key(vault, each))
        out.print(str(directory / f"{stem}.pem"), markup=False, soft_wrap=True)
        out.print(str(directory / f"{stem}.key"), markup=False, soft_wrap=True)


def _follow(
    opened: Store, settings: Config, name: str, since: datetime, wait: int, *, json: bool
) -> None:
    """Tell what becomes of an order until it is there or failed; exit 1 if it is not there."""
    if not settings.service_file.exists():
        err.print(
            "[bold yellow]warning:[/] no service runs on this data directory; "
            "it is ordered when one does (linkseal up)"
        )
    deadline = time.monotonic() + wait
    told = ""
    seen = 0
    while True:
        found = _standing(opened, name)
        for entry in opened.certificates.history(name, since):
            if entry.seq > seen and not json:
                err.print(plain(f"{entry.at:%H:%M:%S} {entry.what} {_short(entry)}"), markup=False)
            seen = max(seen, entry.seq)
        if found.name.waiting and found.name.waiting != told and not json:
            told = found.name.waiting
            err.print(plain(told), markup=False)
        issued = any(each.stored_at >= since for each in found.in_use)
        failed = found.name.problem is not None and found.name.problem["at"] >= since.isoformat(
            timespec="seconds"
        )
        if issued or failed or found.name.waiting or time.monotonic() >= deadline:
            break
        time.sleep(POLL_SECONDS)
    if json:
        print_json(_as_dict(found))
    else:
        print_table(("field", "value"), _fields(found), empty="")
    if wait and not issued:
        raise typer.Exit(1)


def _standing(opened: Store, name: str) -> Standing:
    name = certificate_name(name)
    found = opened.certificates.name(name)
    return standing(found, opened.certificates.of_name(name), _now())


def _fields(found: Standing) -> list[tuple[str, object]]:
    name = found.name
    rows: list[tuple[str, object]] = [
        ("name", name.name),
        ("state", found.state.value),
        ("route", _route(found)),
    ]
    rows += [(each.key_type, _sentence(each)) for each in found.in_use]
    if name.problem:
        rows.append(("problem", f"{name.problem['type']}: {name.problem['detail']}"))
        rows.append(("advice", name.problem["advice"]))
    if name.failures:
        rows.append(("failed tries", name.failures))
    if name.waiting:
        rows.append(("waiting", name.waiting))
    if name.sealed_order:
        rows.append(("order", "under way"))
    if name.renewal and name.renewal.get("start"):
        rows.append(("renewal window", f"{name.renewal['start']} to {name.renewal['end']}"))
    if name.due_at:
        rows.append(("next look", f"{name.due_at:%Y-%m-%d %H:%M:%S} UTC"))
    return rows


def _sentence(each: StoredCertificate) -> str:
    trusted = ", trusted by Cloudflare only" if each.origin_ca else ""
    return (
        f"{each.starts_at:%Y-%m-%d} to {each.ends_at:%Y-%m-%d %H:%M} UTC, "
        f"{each.issuer}{trusted}, SHA-256 {each.fingerprint}"
    )


def _route(found: Standing) -> str:
    name = found.name
    return f"acme {name.challenge}" if name.route is CertificateRoute.ACME else name.route.value


def _short(entry: HistoryEntry) -> str:
    return entry.detail.get("detail") or entry.detail.get("issuer") or ""


def _entry(entry: HistoryEntry) -> dict[str, Any]:
    return {"at": entry.at.isoformat(), "what": entry.what, "detail": dict(entry.detail)}


def _as_dict(found: Standing) -> dict[str, Any]:
    name = found.name
    return {
        "name": name.name,
        "state": found.state.value,
        "kind": name.kind.value,
        "route": name.route.value,
        "challenge": name.challenge.value if name.route is CertificateRoute.ACME else None,
        "certificates": [
            {
                "key_type": each.key_type,
                "issuer": each.issuer,
                "starts_at": each.starts_at.isoformat(),
                "ends_at": each.ends_at.isoformat(),
                "fingerprint": each.fingerprint,
                "origin_ca": each.origin_ca,
            }
            for each in found.in_use
        ],
        "problem": dict(name.problem) if name.problem else None,
        "failures": name.failures,
        "waiting": name.waiting or None,
        "renewal": dict(name.renewal) if name.renewal else None,
        "due_at": name.due_at.isoformat() if name.due_at else None,
    }


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


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CertificateError(
            f"cannot read {file}: {error.strerror}",
            code="certificate-unreadable",
            hint="mend the path or the permissions",
        ) from error


def _now() -> datetime:
    return datetime.now(UTC)
