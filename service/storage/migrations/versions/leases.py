"""Until when an entry of the outbox is being tried, and when it was tried first."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two columns."""
    for name in ("leased_until", "first_tried_at"):
        op.add_column("outbox", sa.Column(name, sa.BigInteger(), nullable=True))
