"""Certificates, how they are got, and what the edge is told."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "certificate_names",
        sa.Column("name", sa.String(length=253), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("customer_id", _NUMBER, nullable=True),
        sa.Column("route", sa.String(length=16), nullable=False),
        sa.Column("challenge", sa.String(length=16), nullable=False),
        sa.Column("due_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("problem", sa.JSON(), nullable=True),
        sa.Column("waiting", sa.Text(), nullable=False),
        sa.Column("renewal", sa.JSON(), nullable=True),
        sa.Column("sealed_order", sa.LargeBinary(), nullable=True),
        sa.Column("leased_by", sa.String(length=32), nullable=False),
        sa.Column("leased_until_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"],
            ["customers.id"],
            name=op.f("fk_certificate_names_customer_id_customers"),
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_certificate_names")),
    )
    op.create_index(op.f("ix_certificate_names_customer_id"), "certificate_names", ["customer_id"])
    op.create_index(op.f("ix_certificate_names_due_at_ms"), "certificate_names", ["due_at_ms"])
    op.create_table(
        "certificates",
        sa.Column("id", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=253), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("key_type", sa.String(length=16), nullable=False),
        sa.Column("chain", sa.Text(), nullable=False),
        sa.Column("sealed_key", sa.LargeBinary(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("origin_ca", sa.Boolean(), nullable=False),
        sa.Column("starts_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("ends_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("stored_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["name"],
            ["certificate_names.name"],
            name=op.f("fk_certificates_name_certificate_names"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certificates")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_certificates_name_status"), "certificates", ["name", "status"])
    op.create_table(
        "certificate_history",
        sa.Column("seq", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=253), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("what", sa.String(length=32), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_certificate_history")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_certificate_history_at_ms"), "certificate_history", ["at_ms"])
    op.create_index(op.f("ix_certificate_history_name_seq"), "certificate_history", ["name", "seq"])
    op.create_table(
        "acme_accounts",
        sa.Column("directory", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("sealed_key", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("directory", name=op.f("pk_acme_accounts")),
    )
    op.create_table(
        "acme_challenges",
        sa.Column("token", sa.String(length=128), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("ends_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_acme_challenges")),
    )
    revisions = op.create_table(
        "edge_revision",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_edge_revision")),
    )
    op.bulk_insert(revisions, [{"id": 1, "revision": 0}])
