"""Customers' own networks, CDNs' published ones, and the files of app links."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Apply."""
    op.add_column(
        "domains",
        sa.Column("own_networks", sa.JSON(), server_default=sa.text("'[]'"), nullable=False),
    )
    op.create_table(
        "app_links",
        sa.Column("host", sa.String(length=253), nullable=False),
        sa.Column("file", sa.String(length=16), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("changed_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["host"], ["domains.host"], name=op.f("fk_app_links_host_domains")),
        sa.PrimaryKeyConstraint("host", "file", name=op.f("pk_app_links")),
    )
    op.create_table(
        "cdn_ranges",
        sa.Column("cdn", sa.String(length=32), nullable=False),
        sa.Column("networks", sa.JSON(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("fetched_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("cdn", name=op.f("pk_cdn_ranges")),
    )
