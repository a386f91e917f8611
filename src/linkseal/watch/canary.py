"""A wrong certificate shown to a CDN on purpose: who may have it shown, and for how long.

The command asks the service by a file in the data directory, and holds a lock beside it: of two
commands one is refused. Should the command die, the service ends it by the time that stands in
there; should the service die, the edge does. Should the domain become one that may not be shown
any, the service ends it at once, and nobody approves one that is.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from datetime import datetime

from linkseal.config import Config
from linkseal.domains.base import DomainState
from linkseal.domains.lifecycle import Action, Route
from linkseal.edge.canary import LIFE, is_on
from linkseal.errors import DomainError, StoreError
from linkseal.store import Domain, Store
from linkseal.vault import write_private

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
    with _alone(config, domain):
        _refuse(config, store, domain)


@contextlib.contextmanager
def showing(config: Config, store: Store, domain: Domain) -> Iterator[float]:
    """Have the edge show a domain and its target a wrong certificate; yield for how long.

    Raises:
        DomainError: As :func:`refuse`.
        VaultError: The service cannot be told.
    """
    with _alone(config, domain):
        until = int(time.time()) + LIFE
        data = json.dumps({"host": domain.host, "until": until}).encode()
        try:
            write_private(config.canary_file, data)
            # Looked at again: who approved it until now saw no file.
            _refuse(config, store, store.domains.get(domain.host))
            yield float(LIFE)
        finally:
            config.canary_file.unlink(missing_ok=True)


def is_shown(config: Config, host: str) -> bool:
    """Whether a domain is being shown a wrong certificate, or may be."""
    return is_on(dict([_asked(config)]), host)


def refuse_approval(config: Config, host: str) -> None:
    """Make sure that SSL is not enabled on a domain that is shown a wrong certificate.

    Raises:
        DomainError: ``domain-canary-shown``.
    """
    if is_shown(config, host):
        raise DomainError(
            f"{host} is being shown a wrong certificate, by `linkseal domain check --canary`",
            code="domain-canary-shown",
            hint="approve it when that is over: in a minute at most",
            retryable=True,
        )


def read(config: Config, store: Store, now: datetime | None = None) -> dict[str, int]:
    """Return the names that are to be shown a wrong certificate, and until when.

    Whatever is not as it must be shows none.
    """
    at = now.timestamp() if now else time.time()
    host, until = _asked(config)
    if not at < until <= at + LIFE:
        return {}
    try:
        domain = store.domains.get(host)
        refused = _refusal(store, domain)
    except StoreError:
        return {}
    return {} if refused else {domain.host: until, domain.target: until}


def _asked(config: Config) -> tuple[str, int]:
    """Return the domain in the file, and until when; an empty name for whatever is not right."""
    try:
        asked = json.loads(config.canary_file.read_bytes())
        return str(asked["host"]), int(asked["until"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return "", 0


@contextlib.contextmanager
def _alone(config: Config, domain: Domain) -> Iterator[None]:
    """Hold the lock of the one who has a wrong certificate shown; it ends with the process."""
    handle = os.open(
        config.canary_file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
    )
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise _refused(domain, "a wrong certificate is being shown already") from None
    try:
        yield
    finally:
        os.close(handle)


def _refuse(config: Config, store: Store, domain: Domain) -> None:
    reason = _refusal(store, domain)
    if not reason and not config.service_file.exists():
        reason = "no service runs on this data directory"
    if reason:
        raise _refused(domain, reason)


def _refused(domain: Domain, reason: str) -> DomainError:
    return DomainError(
        f"{domain.host}: no wrong certificate is shown: {reason}",
        code="domain-canary-refused",
        hint="it is for a domain on route cdn or proxy, before SSL is first enabled, "
        "while `linkseal up` runs",
    )


def _refusal(store: Store, domain: Domain) -> str:
    if domain.state not in _BEFORE:
        return f"it is {domain.state.value}"
    if domain.route not in {Route.CDN, Route.PROXY}:
        return "no route over a CDN or proxy is requested for it, so recipients would be shown it"
    steps = store.domains.history(domain.host)
    if any(step.action is Action.APPROVE for step in steps):
        return "SSL was enabled on it before, and https links are out there"
    return ""
