"""The tables, as SQLAlchemy Core sees them; the migrations make the same ones.

The events table is written far more often than read, so it has its key, the order it
was stored in, and one index to list a customer's by.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    false,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite numbers rows itself only for a column declared plainly INTEGER.
_Number = BigInteger().with_variant(Integer(), "sqlite")

customers = Table(
    "customers",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("sending_ip", String(16), nullable=False),
    Column("ssl", String(16), nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    # A number stands in tokens for ever, so it is never given out again.
    sqlite_autoincrement=True,
)

from_domains = Table(
    "from_domains",
    metadata,
    Column("domain", String(253), primary_key=True),
    Column("customer_id", _Number, ForeignKey("customers.id"), nullable=False, index=True),
)

smtp_users = Table(
    "smtp_users",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("customer_id", _Number, ForeignKey("customers.id"), nullable=False, index=True),
    Column("salt", LargeBinary, nullable=False),
    Column("password_hash", LargeBinary, nullable=False),
)

messages = Table(
    "messages",
    metadata,
    Column("id", String(20), primary_key=True),
    Column("customer_id", _Number, ForeignKey("customers.id"), nullable=False),
    Column("recipient", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("categories", JSON, nullable=False),
    Column("custom_args", JSON, nullable=False),
    Column("sent_at_ms", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("base", Text, nullable=False),
    Column("base_why", Text, nullable=False),
    Index(None, "customer_id", "sent_at_ms"),
)

message_links = Table(
    "message_links",
    metadata,
    Column("message_id", String(20), ForeignKey("messages.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("url", Text, nullable=False),
)

# No foreign keys: an event may come before its message is recorded, and for customers and
# messages of another database. What was clicked is kept whatever else is known.
events = Table(
    "events",
    metadata,
    Column("seq", _Number, primary_key=True, autoincrement=True),
    Column("id", String(40), nullable=False, unique=True),
    Column("kind", String(8), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("customer_id", BigInteger, nullable=False),
    Column("message_id", String(20), nullable=False),
    Column("link", BigInteger, nullable=False),
    Column("destination", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("secure", Boolean, nullable=False),
    Column("method", String(8), nullable=False),
    Column("address", String(64), nullable=False),
    Column("user_agent", Text, nullable=False),
    Index(None, "customer_id", "at_ms"),
    Index(None, "message_id"),
    sqlite_autoincrement=True,
)

journal_positions = Table(
    "journal_positions",
    metadata,
    Column("segment_uid", String(16), primary_key=True),
    Column("file_name", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
)

# What certificates are held for which name, and how the next one is got.
certificate_names = Table(
    "certificate_names",
    metadata,
    Column("name", String(253), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("customer_id", _Number, ForeignKey("customers.id"), index=True),
    Column("route", String(16), nullable=False),
    Column("challenge", String(16), nullable=False),
    # When something is to be done for it; null: nothing is, by itself.
    Column("due_at_ms", BigInteger, index=True),
    Column("failures", Integer, nullable=False),
    Column("problem", JSON),
    Column("waiting", Text, nullable=False),
    Column("renewal", JSON),
    # An order in flight, sealed: its key must outlive a crash between finalize and download.
    Column("sealed_order", LargeBinary),
    Column("leased_by", String(32), nullable=False),
    Column("leased_until_ms", BigInteger, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
)

certificates = Table(
    "certificates",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("name", String(253), ForeignKey("certificate_names.name"), nullable=False),
    Column("status", String(16), nullable=False),
    Column("key_type", String(16), nullable=False),
    Column("chain", Text, nullable=False),
    Column("sealed_key", LargeBinary, nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("issuer", Text, nullable=False),
    Column("origin_ca", Boolean, nullable=False),
    Column("starts_at_ms", BigInteger, nullable=False),
    Column("ends_at_ms", BigInteger, nullable=False),
    Column("stored_at_ms", BigInteger, nullable=False),
    Index(None, "name", "status"),
    sqlite_autoincrement=True,
)

certificate_history = Table(
    "certificate_history",
    metadata,
    Column("seq", _Number, primary_key=True, autoincrement=True),
    Column("name", String(253), nullable=False),
    Column("at_ms", BigInteger, nullable=False, index=True),
    Column("what", String(32), nullable=False),
    Column("detail", JSON, nullable=False),
    Index(None, "name", "seq"),
    sqlite_autoincrement=True,
)

acme_accounts = Table(
    "acme_accounts",
    metadata,
    Column("directory", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("sealed_key", LargeBinary, nullable=False),
)

acme_challenges = Table(
    "acme_challenges",
    metadata,
    Column("token", String(128), primary_key=True),
    Column("answer", Text, nullable=False),
    Column("ends_at_ms", BigInteger, nullable=False),
)

# A branded domain, as its latest claim has it. A released one stays: the name is bound to its
# customer, whose links must lead on.
domains = Table(
    "domains",
    metadata,
    Column("host", String(253), primary_key=True),
    Column("customer_id", _Number, ForeignKey("customers.id"), nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("since_ms", BigInteger, nullable=False),
    Column("reasons", JSON, nullable=False),
    Column("target", String(253), nullable=False, unique=True),
    Column("ownership", String(128), nullable=False),
    Column("delegation", String(253), nullable=False, unique=True),
    Column("is_default", Boolean, nullable=False),
    Column("from_domains", JSON, nullable=False),
    Column("dns_valid", Boolean, nullable=False),
    Column("route", String(16), nullable=False),
    Column("cdn", String(32), nullable=False),
    # Where the customer's own proxy connects from, or a CDN that publishes no addresses.
    Column("own_networks", JSON, nullable=False, server_default=text("'[]'")),
    # Who signs the client certificate of what stands in front; empty: nobody is asked for one.
    Column("client_authority", String(64), nullable=False, server_default=""),
    # Whether browsers turn its http links into https, as the last look that could see it says.
    Column("https_only", Boolean, nullable=False, server_default=false()),
    # How often in a row the watch found it broken, and since when.
    Column("failures", Integer, nullable=False),
    Column("failing_since_ms", BigInteger),
    Column("report", JSON),
    Column("report_at_ms", BigInteger),
    Column("report_blocks", Boolean, nullable=False),
    Column("claimed_at_ms", BigInteger, nullable=False),
    Index(None, "customer_id"),
    Index(
        "uq_domains_default",
        "customer_id",
        unique=True,
        sqlite_where=text("is_default"),
        postgresql_where=text("is_default"),
    ),
)

# Every target there ever was: links made for it lead on, and no other claim gets it.
domain_targets = Table(
    "domain_targets",
    metadata,
    Column("target", String(253), primary_key=True),
    Column("host", String(253), ForeignKey("domains.host"), nullable=False, index=True),
    Column("claimed_at_ms", BigInteger, nullable=False),
)

domain_history = Table(
    "domain_history",
    metadata,
    Column("seq", _Number, primary_key=True, autoincrement=True),
    Column("host", String(253), ForeignKey("domains.host"), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("action", String(16), nullable=False),
    Column("before", String(16), nullable=False),
    Column("after", String(16), nullable=False),
    Column("who", Text, nullable=False),
    Column("reasons", JSON, nullable=False),
    Index(None, "host", "seq"),
    sqlite_autoincrement=True,
)

# The watch's last look at a domain, written now and then: to be shown, and nothing rests on it.
domain_looks = Table(
    "domain_looks",
    metadata,
    Column("host", String(253), ForeignKey("domains.host"), primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("due_at_ms", BigInteger, nullable=False),
    Column("every_seconds", BigInteger, nullable=False),
    Column("problems", JSON, nullable=False),
    Column("good", Integer, nullable=False),
    # Of the certificate that recipients are shown, where it is not ours to renew.
    Column("ends_at_ms", BigInteger),
)

# What an operator is to be told of, in the order it happened; webhooks read on by seq. The
# host is empty where it is of the watch itself.
alerts = Table(
    "alerts",
    metadata,
    Column("seq", _Number, primary_key=True, autoincrement=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("host", String(253), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("detail", JSON, nullable=False),
    # What is told once only has a key of its own; NULL for the rest.
    Column("once", String(128), unique=True),
    Index(None, "host", "seq"),
    sqlite_autoincrement=True,
)

# Files by which apps claim links of a domain, as they are served.
app_links = Table(
    "app_links",
    metadata,
    Column("host", String(253), ForeignKey("domains.host"), primary_key=True),
    Column("file", String(16), primary_key=True),
    Column("content", Text, nullable=False),
    Column("changed_at_ms", BigInteger, nullable=False),
)

# The CAs of client certificates, PEM, by the SHA-256 of that: many domains have the same.
client_authorities = Table(
    "client_authorities",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("pem", Text, nullable=False),
)

# The last good copy of the networks a CDN publishes; without a row, the shipped ones hold.
cdn_ranges = Table(
    "cdn_ranges",
    metadata,
    Column("cdn", String(32), primary_key=True),
    Column("networks", JSON, nullable=False),
    Column("source", Text, nullable=False),
    Column("fetched_at_ms", BigInteger, nullable=False),
)

# One row: what the edge's snapshot is made from was changed so many times.
edge_revision = Table(
    "edge_revision",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("revision", BigInteger, nullable=False),
)
