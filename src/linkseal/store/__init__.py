"""The database: schema, migrations and every query. SQL stands here and nowhere else."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from linkseal.store.acme import ACME
from linkseal.store.alerts import Alert, AlertKind, Alerts, AlertSeverity
from linkseal.store.app_links import AppLinks, StoredAppFile
from linkseal.store.cdn_ranges import CDNRanges, FetchedRanges
from linkseal.store.certificates import Certificates
from linkseal.store.client_authorities import ClientAuthorities
from linkseal.store.customers import Customers
from linkseal.store.database import Database
from linkseal.store.domain_values import Domain, Transition
from linkseal.store.domains import Domains
from linkseal.store.events import Events
from linkseal.store.messages import Messages
from linkseal.store.traces import Traces
from linkseal.store.values import (
    CertificateName,
    CertificateRoute,
    CertificateStatus,
    Challenge,
    Customer,
    Event,
    EventFilter,
    HistoryEntry,
    Message,
    MessageState,
    NameKind,
    NewCertificate,
    NewEvent,
    Position,
    StoredCertificate,
)
from linkseal.store.watching import Look, Watching


class Store:
    """An open database, its queries by noun.

    A context manager; not to be carried across a fork.

    Attributes:
        customers: Who they are, and whose a message is.
        messages: What was instrumented.
        events: What recipients did.
        certificates: What is held for which name.
        domains: Branded domains: whose they are, and where they are in their life.
        cdn_ranges: The networks CDNs publish, as fetched.
        client_authorities: Who signs the client certificates of CDNs in front of domains.
        app_links: The files by which phones' apps open links of branded domains.
        watching: What the watch reads of all domains, and its last look at each.
        alerts: What an operator is to be told of.
        acme: Accounts, and the challenges that are open.
        traces: Whether there must have been keys.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.customers = Customers(database)
        self.messages = Messages(database)
        self.events = Events(database)
        self.certificates = Certificates(database)
        self.domains = Domains(database)
        self.cdn_ranges = CDNRanges(database)
        self.client_authorities = ClientAuthorities(database)
        self.app_links = AppLinks(database)
        self.watching = Watching(database)
        self.alerts = Alerts(database)
        self.acme = ACME(database)
        self.traces = Traces(database)

    @classmethod
    def open(cls, url: str, *, migrate: bool = True) -> Self:
        """Open the database at an SQLAlchemy URL, by default bringing its schema up to date.

        Raises:
            StoreError: It is unreachable, or of a later version.
        """
        database = Database(url)
        if migrate:
            try:
                database.migrate()
            except BaseException:
                database.close()
                raise
        return cls(database)

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()


__all__ = [
    "Alert",
    "AlertKind",
    "AlertSeverity",
    "CertificateName",
    "CertificateRoute",
    "CertificateStatus",
    "Challenge",
    "Customer",
    "Domain",
    "Event",
    "EventFilter",
    "FetchedRanges",
    "HistoryEntry",
    "Look",
    "Message",
    "MessageState",
    "NameKind",
    "NewCertificate",
    "NewEvent",
    "Position",
    "Store",
    "StoredAppFile",
    "StoredCertificate",
    "Transition",
]
