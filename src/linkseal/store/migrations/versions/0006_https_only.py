"""Whether browsers turn http links of a branded domain into https."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Apply."""
    op.add_column(
        "domains",
        sa.Column("https_only", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
