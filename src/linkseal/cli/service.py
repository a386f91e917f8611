"""``linkseal up``: the whole service on this machine."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import structlog
import typer

from linkseal.cli.context import config
from linkseal.cli.output import out
from linkseal.first_keys import prepare
from linkseal.logs import configure_logging

if TYPE_CHECKING:
    from linkseal.app import Ready


def up(context: typer.Context) -> None:
    """Run edge workers, collector and SMTP proxy until SIGTERM or Ctrl-C.

    A new machine gets what it lacks: keys, database, and a local CA with a certificate
    for the shared domain. SIGHUP reads keys and certificates anew.

    Example: [bold]linkseal --config /etc/linkseal/linkseal.toml up[/bold]
    """
    found = config(context)
    configure_logging(found.log)
    for path in prepare(found):
        structlog.get_logger("service").info("made", path=str(path))
    # prometheus-client decides when it is imported whether processes share their metrics.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(found.metrics_dir)
    from linkseal.app import Service  # noqa: PLC0415

    Service(found).run(_tell)


def _tell(ready: Ready) -> None:
    if not sys.stdout.isatty():
        return
    edge, smtp = ready.config.edge, ready.config.smtp
    out.print(f"\nLinks are {ready.config.shared_base}/c/… and /o/…", markup=False)
    out.print(f"  https {edge.https}   http {edge.http}   health and metrics http://{edge.ops}")
    if smtp.enabled:
        out.print(f"  SMTP  {smtp.listen}   next hop {smtp.next_hop}")
    if ready.ca_file:
        out.print(
            f"\nThe certificate is from a local CA, {ready.ca_file}\n"
            f"  trust it in curl:     curl --cacert {ready.ca_file} {ready.config.shared_base}/\n"
            f"  on Debian or Ubuntu:  cp {ready.ca_file} /usr/local/share/ca-certificates/"
            "linkseal.crt && update-ca-certificates\n"
            "  in Firefox, Chromium: Settings, Certificates, Authorities, Import\n"
            "  or set tls.certificate and tls.key to a certificate of your own",
            soft_wrap=True,
        )
    out.print("\nCtrl-C stops.\n")
