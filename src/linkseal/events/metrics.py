"""The collector's metrics."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

EVENTS = Counter("linkseal_collector_events", "Events moved from the journal to the database.")
DAMAGED_ROWS = Counter("linkseal_collector_damaged_rows", "Journal rows kept aside, unreadable.")
TORN_RECORDS = Counter(
    "linkseal_collector_torn_records", "Records a worker that died left half written."
)
FAILURES = Counter("linkseal_collector_failures", "Looks at the journal that could not be stored.")
LAG = Gauge(
    "linkseal_collector_lag_seconds",
    "Age of the latest event when it was stored.",
    multiprocess_mode="livemostrecent",
)
COLLECTED_AT = Gauge(
    "linkseal_collector_last_success_timestamp_seconds",
    "When the journal was last stored whole.",
    multiprocess_mode="livemostrecent",
)
