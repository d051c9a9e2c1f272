"""Which deals had events loaded that the next tick is to look at."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, and an index of the few deals that it marks."""
    op.add_column(
        "deals",
        sa.Column("is_loaded", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.create_index(
        "ix_deals_loaded",
        "deals",
        ["deal_id"],
        unique=False,
        sqlite_where=sa.text("is_loaded"),
        postgresql_where=sa.text("is_loaded"),
    )
