"""The metrics of the watch."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

LOOKS = Counter(
    "linkseal_watch_looks",
    "Looks at live domains, by result: good, failed, or unseen for a fault of ours.",
    ["result"],
)
DOMAINS = Gauge(
    "linkseal_domains", "Branded domains, by state.", ["state"], multiprocess_mode="livemostrecent"
)
BEHIND = Gauge(
    "linkseal_watch_behind_seconds",
    "How late the look is that waits longest.",
    multiprocess_mode="livemostrecent",
)
BLIND = Gauge(
    "linkseal_watch_blind",
    "1 while looks fail for a fault of ours, and no domain is blamed.",
    multiprocess_mode="livemostrecent",
)
FOREIGN_DAYS_LEFT = Gauge(
    "linkseal_foreign_certificate_days_left",
    "Days to the end of the certificate that ends first among those shown by CDNs and proxies.",
    multiprocess_mode="livemostrecent",
)
