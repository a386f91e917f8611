"""A wrong certificate shown to a CDN on purpose: who may have it shown, and for how long.

The command asks the service by a file in the data directory. Should the command die, the
service ends it by the time that stands in there; should the service die, the edge does.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from linkseal.config import Config
from linkseal.domains.base import DomainState
from linkseal.domains.lifecycle import Action, Route
from linkseal.errors import DomainError, StoreError
from linkseal.store import Domain, Store
from linkseal.vault import write_private

LIFE: Final = 60
"""Seconds it is shown at most; it ends with the answer, after a few as a rule."""
_BEFORE = frozenset(
    {
        DomainState.CLAIMED,
        DomainState.DNS_VALID,
        DomainState.SSL_REQUESTED,
        DomainState.REJECTED,
    }
)


def refuse(config: Config, store: Store, domain: Domain) -> None:
    """Make sure that a wrong certificate may be shown for a domain.

    Raises:
        DomainError: ``domain-canary-refused``: https links may be out there, there is no CDN
            or proxy to look at it, no service runs, or one is shown already.
    """
    reason = _refusal(store, domain)
    if not reason and not config.service_file.exists():
        reason = "no service runs on this data directory"
    if not reason and config.canary_file.exists() and read(config, store):
        reason = "a wrong certificate is being shown already"
    if reason:
        raise DomainError(
            f"{domain.host}: no wrong certificate is shown: {reason}",
            code="domain-canary-refused",
            hint="it is for a domain on route cdn or proxy, before SSL is first enabled, "
            "while `linkseal up` runs",
        )


@contextlib.contextmanager
def showing(config: Config, store: Store, domain: Domain) -> Iterator[float]:
    """Have the edge show a domain and its target a wrong certificate; yield for how long.

    Raises:
        DomainError: As :func:`refuse`.
        VaultError: The service cannot be told.
    """
    refuse(config, store, domain)
    until = int(time.time()) + LIFE
    data = json.dumps({"host": domain.host, "until": until}).encode()
    write_private(config.canary_file, data)
    try:
        yield float(LIFE)
    finally:
        config.canary_file.unlink(missing_ok=True)


def read(config: Config, store: Store, now: datetime | None = None) -> dict[str, int]:
    """Return the names that are to be shown a wrong certificate, and until when.

    Whatever is not as it must be shows none.
    """
    at = now.timestamp() if now else time.time()
    try:
        asked = json.loads(config.canary_file.read_bytes())
        host, until = str(asked["host"]), int(asked["until"])
        domain = store.domains.get(host)
    except (OSError, ValueError, KeyError, TypeError, StoreError):
        return {}
    if not at < until <= at + LIFE + 1 or _refusal(store, domain):
        return {}
    return {domain.host: until, domain.target: until}


def _refusal(store: Store, domain: Domain) -> str:
    if domain.state not in _BEFORE:
        return f"it is {domain.state.value}"
    if domain.route not in {Route.CDN, Route.PROXY}:
        return "no route over a CDN or proxy is requested for it, so recipients would be shown it"
    steps = store.domains.history(domain.host)
    if any(step.action is Action.APPROVE for step in steps):
        return "SSL was enabled on it before, and https links are out there"
    return ""
