"""The daily look at what CDNs publish."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import structlog

from linkseal.cdn.ranges import Refreshed, refresh
from linkseal.config import Config
from linkseal.domains.profiles import PROFILES, PUBLISHING, refresh_due
from linkseal.errors import LinksealError
from linkseal.store import AlertKind, AlertSeverity, Store

_MOST_SAID: Final = 3
_MOST_KEPT: Final = 100

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
        """Fetch what is due, log what came of it, and tell in an alert what is new or refused.

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
                self._tell_refused(each.cdn, each.error, now)
            else:
                counts = {"new": each.added, "gone": each.removed}
                log.info("networks refreshed", cdn=each.cdn, networks=len(each.networks), **counts)
                self._tell_changed(each, now)
        return done

    def _tell_changed(self, done: Refreshed, now: datetime) -> None:
        """Tell what is believed now that was not, and the other way round: nobody asked for it."""
        said = [
            f"{how} {_some(each)}" for how, each in (("new", done.new), ("gone", done.gone)) if each
        ]
        if not said:
            return
        detail = {
            "cdn": done.cdn,
            "new": list(done.new[:_MOST_KEPT]),
            "gone": list(done.gone[:_MOST_KEPT]),
            "reasons": [f"{PROFILES[done.cdn].name}: {'; '.join(said)}"],
        }
        self._store.alerts.add("", AlertKind.CDN_NETWORKS, AlertSeverity.INFO, detail, now)

    def _tell_refused(self, cdn: str, error: LinksealError, now: datetime) -> None:
        """Tell once a day what is published and not taken; who cannot be reached is no news."""
        if error.retryable:
            return
        detail = {"cdn": cdn, "reasons": [error.message]}
        once = f"{AlertKind.CDN_NETWORKS} {cdn} {now:%Y-%m-%d}"
        kind, severity = AlertKind.CDN_NETWORKS, AlertSeverity.WARNING
        self._store.alerts.add("", kind, severity, detail, now, once=once)

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


def _some(networks: Sequence[str]) -> str:
    more = len(networks) - _MOST_SAID
    return ", ".join(networks[:_MOST_SAID]) + (f" and {more} more" if more > 0 else "")
