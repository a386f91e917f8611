"""Branded domains, their targets, and their history."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "domains",
        sa.Column("host", sa.String(length=253), nullable=False),
        sa.Column("customer_id", _NUMBER, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("target", sa.String(length=253), nullable=False),
        sa.Column("ownership", sa.String(length=128), nullable=False),
        sa.Column("delegation", sa.String(length=253), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("from_domains", sa.JSON(), nullable=False),
        sa.Column("dns_valid", sa.Boolean(), nullable=False),
        sa.Column("route", sa.String(length=16), nullable=False),
        sa.Column("cdn", sa.String(length=32), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since_ms", sa.BigInteger(), nullable=True),
        sa.Column("report", sa.JSON(), nullable=True),
        sa.Column("report_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("report_blocks", sa.Boolean(), nullable=False),
        sa.Column("claimed_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_domains_customer_id_customers")
        ),
        sa.PrimaryKeyConstraint("host", name=op.f("pk_domains")),
        sa.UniqueConstraint("target", name=op.f("uq_domains_target")),
        sa.UniqueConstraint("delegation", name=op.f("uq_domains_delegation")),
    )
    op.create_index(op.f("ix_domains_state"), "domains", ["state"])
    op.create_index(op.f("ix_domains_customer_id"), "domains", ["customer_id"])
    op.create_index(
        "uq_domains_default",
        "domains",
        ["customer_id"],
        unique=True,
        sqlite_where=sa.text("is_default"),
        postgresql_where=sa.text("is_default"),
    )
    op.create_table(
        "domain_targets",
        sa.Column("target", sa.String(length=253), nullable=False),
        sa.Column("host", sa.String(length=253), nullable=False),
        sa.Column("claimed_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["host"], ["domains.host"], name=op.f("fk_domain_targets_host_domains")
        ),
        sa.PrimaryKeyConstraint("target", name=op.f("pk_domain_targets")),
    )
    op.create_index(op.f("ix_domain_targets_host"), "domain_targets", ["host"])
    op.create_table(
        "domain_history",
        sa.Column("seq", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("host", sa.String(length=253), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("before", sa.String(length=16), nullable=False),
        sa.Column("after", sa.String(length=16), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["host"], ["domains.host"], name=op.f("fk_domain_history_host_domains")
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_domain_history")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_domain_history_host_seq"), "domain_history", ["host", "seq"])
