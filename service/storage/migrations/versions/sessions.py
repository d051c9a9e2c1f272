"""Sessions of the web page, and how far a deal's last score is carried by what is known."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
AT_ONCE = 500


def upgrade() -> None:
    """Make the table, and fill the new column from the scores."""
    op.create_table(
        "sessions",
        sa.Column("token_sha256", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.key_id"], name="fk_sessions_key_id"),
        sa.PrimaryKeyConstraint("token_sha256", name="pk_sessions"),
    )
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"], unique=False)
    op.add_column("deals", sa.Column("verdict", sa.Text(), nullable=True))
    op.create_index(
        "ix_deals_riskiest", "deals", ["is_open", "shown_probability", "deal_id"], unique=False
    )
    _fill()


def _fill() -> None:
    deals = sa.table(
        "deals", sa.column("deal_id", NAME), sa.column("score_id"), sa.column("verdict")
    )
    scores = sa.table("scores", sa.column("id"), sa.column("answer"))
    query = (
        sa.select(deals.c.deal_id, scores.c.answer)
        .join(scores, scores.c.id == deals.c.score_id)
        .order_by(deals.c.deal_id)
        .limit(AT_ONCE)
    )
    connection = op.get_bind()
    rows = connection.execute(query).all()
    while rows:
        for row in rows:
            verdict = json.loads(row.answer)["data_quality"]["verdict"]
            connection.execute(
                sa.update(deals).where(deals.c.deal_id == row.deal_id).values(verdict=verdict)
            )
        rows = connection.execute(query.where(deals.c.deal_id > rows[-1].deal_id)).all()
