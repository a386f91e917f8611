"""How a name stands now, and what becomes of an order while one waits for it."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import typer

from linkseal import datadir
from linkseal.certificates.held import Standing, standing
from linkseal.cli.output import err, plain, print_json, print_table, warn
from linkseal.cli.standing import as_dict, fields, history_line
from linkseal.config import Config
from linkseal.domains.name import certificate_name
from linkseal.errors import ServiceError
from linkseal.store import Store

POLL_SECONDS = 0.5


def standing_of(opened: Store, name: str) -> Standing:
    """Return how a name stands now.

    Raises:
        CertificateError: It is no host name.
        StoreError: ``certificate-missing``.
    """
    name = certificate_name(name)
    found = opened.certificates.name(name)
    return standing(found, opened.certificates.of_name(name), datetime.now(UTC))


def follow(
    opened: Store, settings: Config, name: str, since: datetime, wait: int, *, json: bool
) -> None:
    """Tell what becomes of an order, and exit 1 if no certificate comes of it.

    Args:
        opened: The database.
        settings: Whose service is to do it.
        name: In its one form.
        since: When it was asked for.
        wait: Seconds, at most; 0 tells how the name stands and expects nothing.
        json: How to tell the end; what happens on the way is told on standard error.
    """
    if not _service_runs(settings):
        warn("no service runs on this data directory; it is ordered when one does (linkseal up)")
    deadline = time.monotonic() + wait
    seen = 0
    while True:
        # The history first: whatever it tells of, the standing has too.
        history = opened.certificates.history(name, since)
        found = standing_of(opened, name)
        for entry in history[seen:]:
            if not json:
                err.print(plain(history_line(entry)), markup=False)
        seen = len(history)
        if found.name.waiting and not json:
            err.print(plain(found.name.waiting), markup=False)
        issued = any(each.stored_at >= since for each in found.in_use)
        failed = any(entry.what == "failed" for entry in history)
        if issued or failed or found.name.waiting or time.monotonic() >= deadline:
            break
        time.sleep(POLL_SECONDS)
    tell(found, json=json)
    if wait and not issued:
        raise typer.Exit(1)


def _service_runs(settings: Config) -> bool:
    # Not whether service.json is there: one that was killed has left it.
    try:
        with datadir.hold(settings, wait=0.0):
            return False
    except ServiceError:
        return True


def tell(found: Standing, *, json: bool) -> None:
    """Print how a name stands."""
    if json:
        print_json(as_dict(found))
    else:
        print_table(("field", "value"), fields(found), empty="")
