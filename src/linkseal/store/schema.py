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
