"""The daily look at what CDNs publish."""

from __future__ import annotations

from datetime import datetime

import structlog

from linkseal.cdn.ranges import Refreshed, refresh
from linkseal.config import Config
from linkseal.domains.profiles import PUBLISHING, refresh_due
from linkseal.store import Store

log = structlog.get_logger("cdn")


class DailyRefresh:
    """Keeps the networks of those CDNs fresh that domains are enrolled with.

    For a process that runs for long: :meth:`look` as often as it likes, once a minute say.
    A start asks nobody at once, so a service that starts again and again is no burden.

    Args:
        config: ``cdn.refresh`` says whether anything is done at all.
        store: Keeps the copies.
        began: When the process was started, aware.
        jitter: From 0 to 1, an installation's own.
    """

    def __init__(self, config: Config, store: Store, *, began: datetime, jitter: float) -> None:
        self._config = config
        self._store = store
        self._began = began
        self._jitter = jitter
        self._tried: dict[str, datetime] = {}

    def look(self, now: datetime) -> list[Refreshed]:
        """Fetch what is due, and log what came of it.

        Most often that is nothing, and costs two queries. It blocks as
        :func:`linkseal.cdn.ranges.refresh` does.

        Raises:
            ConfigError: ``cdn.ca_file`` cannot be used.
            StoreError: The database cannot be used.
        """
        if not self._config.cdn.refresh:
            return []
        due = self._due(now)
        if not due:
            return []
        self._tried |= dict.fromkeys(due, now)
        done = refresh(self._config, self._store, due, now=now)
        for each in done:
            if each.error is not None:
                log.error("networks not refreshed", cdn=each.cdn, **each.error.as_dict())
            else:
                counts = {"new": each.added, "gone": each.removed}
                log.info("networks refreshed", cdn=each.cdn, networks=len(each.networks), **counts)
        return done

    def _due(self, now: datetime) -> list[str]:
        enrolled = self._store.cdn_ranges.enrolled().intersection(PUBLISHING)
        if not enrolled:
            return []
        fetched = {cdn: each.at for cdn, each in self._store.cdn_ranges.all().items()}
        return [
            cdn
            for cdn in sorted(enrolled)
            if now
            >= refresh_due(
                self._began,
                fetched=fetched.get(cdn),
                tried=self._tried.get(cdn),
                jitter=self._jitter,
            )
        ]
