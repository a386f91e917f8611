"""The metrics of certificates."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

ORDERS = Counter("linkseal_certificate_orders", "Orders, by CA and result.", ["issuer", "result"])
DAYS_LEFT = Gauge(
    "linkseal_certificate_days_left",
    "Days to the end of the certificate that ends first, by whose names they are.",
    ["kind"],
    multiprocess_mode="livemostrecent",
)
NAMES = Gauge(
    "linkseal_certificate_names",
    "Names with certificates, by state.",
    ["state"],
    multiprocess_mode="livemostrecent",
)
