"""The proxy's metrics."""

from __future__ import annotations

from prometheus_client import Counter

MESSAGES = Counter("linkseal_smtp_messages", "Messages, by what the sender was told.", ["outcome"])
LINKS = Counter("linkseal_smtp_links_sealed", "Links sealed in accepted messages.")
