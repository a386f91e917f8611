"""The service's log: one structured line an event, on standard error.

For people on a terminal, JSON lines elsewhere. Secrets never get here: what could carry
one (keys, passwords, tokens) is not passed to a logger, and a processor drops those
names should it happen all the same.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from linkseal.config import LogConfig

_SECRET_NAMES = frozenset({"password", "key", "master_key", "token", "secret", "authorization"})


def configure_logging(config: LogConfig) -> None:
    """Set up structlog and the standard library's logging for this process and its children."""
    for_people = config.format == "console" or (config.format == "auto" and sys.stderr.isatty())
    level = getattr(logging, config.level.upper())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _drop_secrets,
    ]
    renderers: list[Any] = (
        [structlog.dev.ConsoleRenderer()]
        if for_people
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, *renderers],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler], force=True)


def _drop_secrets(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for name in _SECRET_NAMES & event.keys():
        event[name] = "(not logged)"
    return event
