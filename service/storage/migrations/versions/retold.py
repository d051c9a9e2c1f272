"""Which deals and people a delivery told of that an earlier one had told of the same."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table; of what was told before it, nothing is known."""
    op.create_table(
        "retold",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("inbox_id", sa.BigInteger(), nullable=False),
        sa.Column("deal_id", NAME, nullable=False),
        sa.Column("person", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_retold"),
    )
    for column in ("deal_id", "person"):
        op.create_index(f"ix_retold_{column}", "retold", [column], unique=False)
