"""The watch's last looks at domains, and alerts."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "domain_looks",
        sa.Column("host", sa.String(length=253), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("due_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("every_seconds", sa.BigInteger(), nullable=False),
        sa.Column("problems", sa.JSON(), nullable=False),
        sa.Column("good", sa.Integer(), nullable=False),
        sa.Column("ends_at_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["host"], ["domains.host"], name=op.f("fk_domain_looks_host_domains")
        ),
        sa.PrimaryKeyConstraint("host", name=op.f("pk_domain_looks")),
    )
    op.create_table(
        "alerts",
        sa.Column("seq", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("host", sa.String(length=253), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("once", sa.String(length=128), nullable=True),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_alerts")),
        sa.UniqueConstraint("once", name=op.f("uq_alerts_once")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_alerts_host_seq"), "alerts", ["host", "seq"])
