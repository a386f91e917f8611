"""The watch's process: looks until told to stop, and does what is to be done once a day."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from linkseal import datadir
from linkseal.cdn.daily import DailyRefresh
from linkseal.config import Config
from linkseal.domains.watching import phases_of
from linkseal.errors import LinksealError
from linkseal.prober import trusted_roots
from linkseal.stopping import stop_signal
from linkseal.store import Store
from linkseal.vault import Vault
from linkseal.watch.records import Records
from linkseal.watch.watcher import Watcher

_DAILY_SECONDS: Final = 60.0
_NICE: Final = 5

log = structlog.get_logger("watch")


def run_watch(config: Config, vault: Vault, stop_fd: int) -> None:
    """Watch live domains until told to stop: the body of the watch's process.

    SIGTERM, or the end of ``stop_fd`` (the supervisor is gone), ends it at once: looks under
    way are dropped, and a database that is locked is not waited for.

    Args:
        config: The service's.
        vault: Opens the probe key.
        stop_fd: Read end of the supervisor's pipe.
    """
    stopped = stop_signal()
    # Recipients come first, where there is not enough for both.
    os.nice(_NICE)
    installation = datadir.installation_id(config)
    daily = threading.Thread(target=_daily, args=(config, installation), daemon=True, name="daily")
    daily.start()
    store = Store.open(config.store_url, migrate=False)
    records = Records(store)
    try:
        watcher = None
        if config.watch.enabled:
            key, roots = datadir.open_probe_key(config, vault), trusted_roots(config.prober)
            watcher = Watcher(config, records, key, roots, installation)
        else:
            log.warning("live domains are not watched", hint="set watch.enabled = true")
        asyncio.run(_until_stopped(watcher, (stopped, stop_fd)))
    finally:
        records.close()


async def _until_stopped(watcher: Watcher | None, ends: tuple[int, ...]) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for end in ends:
        loop.add_reader(end, ended.set)
    waiting: set[asyncio.Task[Any]] = {loop.create_task(ended.wait())}
    if watcher is not None:
        waiting.add(loop.create_task(watcher.run()))
    done, rest = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for end in ends:
        loop.remove_reader(end)
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    for task in done:
        task.result()


def _daily(config: Config, installation: str) -> None:
    """Do what is due once a day, in a thread that is not waited for at the end."""
    jitter = phases_of("daily", installation)[0]
    with Store.open(config.store_url, migrate=False) as store:
        refresh = DailyRefresh(config, store, began=datetime.now(UTC), jitter=jitter)
        while True:
            try:
                refresh.look(datetime.now(UTC))
            except LinksealError as error:
                log.error("daily work waits", **error.as_dict())
            except Exception:
                # Tomorrow's work must not fail for today's.
                log.exception("daily work broke off")
            time.sleep(_DAILY_SECONDS)
