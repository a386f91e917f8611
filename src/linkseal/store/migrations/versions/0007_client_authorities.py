"""The CAs that sign the client certificates of customers' CDNs."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "client_authorities",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("pem", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_client_authorities")),
    )
    op.add_column(
        "domains",
        sa.Column("client_authority", sa.String(length=64), server_default="", nullable=False),
    )
