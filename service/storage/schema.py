"""The tables. Times are microseconds since 1970 UTC, the same number in both databases.

What is here is what the migrations make; a test compares the two.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

METADATA: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
# SQLite numbers rows by itself only where the column's type is INTEGER.
SERIAL: Final = BigInteger().with_variant(Integer(), "sqlite")
# Texts that are put in order, by code point as Python does, whatever the database's language.
NAME: Final = Text().with_variant(Text(collation="C"), "postgresql")

EVENTS: Final = Table(
    "events",
    METADATA,
    Column("id", SERIAL, primary_key=True),
    Column("deal_id", NAME, nullable=False),
    Column("kind", Text, nullable=False),
    Column("occurred_at", BigInteger, nullable=False),
    Column("known_at", BigInteger, nullable=False),
    Column("name", Text),
    Column("text", Text),
    Column("number", Double),
    Column("date", Integer),  # days since 1970
    Column("person", Text),
    Column("thread", Text),
    Column("span", Double),  # days
    Column("source", NAME, nullable=False),
    Column("source_id", NAME, nullable=False),
    Column("inbox_id", BigInteger),  # the delivery that told of it first; NULL: none, or loaded
    Column("stored_at", BigInteger, nullable=False),
    Column("erased", Boolean, nullable=False, server_default=text("false")),  # a person forgotten
    UniqueConstraint("source", "source_id"),
    Index("ix_events_in_order", "deal_id", "occurred_at", "known_at", "source", "source_id"),
    Index(
        "ix_events_person",
        "person",
        sqlite_where=text("person IS NOT NULL"),
        postgresql_where=text("person IS NOT NULL"),
    ),
    Index(
        "ix_events_inbox_id",
        "inbox_id",
        sqlite_where=text("inbox_id IS NOT NULL"),
        postgresql_where=text("inbox_id IS NOT NULL"),
    ),
)

INBOX: Final = Table(
    "inbox",
    METADATA,
    Column("id", SERIAL, primary_key=True),
    Column("source", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("dedupe_key", Text, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("headers", Text, nullable=False),  # a JSON object
    Column("body", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),  # why it failed
    Column("notes", Text, nullable=False, server_default=text("'[]'")),  # a JSON list of texts
    Column("events", Integer),  # how many of its events were new
    Column("finished_at", BigInteger),
    UniqueConstraint("source", "dedupe_key"),
    Index(
        "ix_inbox_received",
        "id",
        sqlite_where=text("state = 'received'"),
        postgresql_where=text("state = 'received'"),
    ),
    Index(
        "ix_inbox_failed",
        "id",
        sqlite_where=text("state = 'failed'"),
        postgresql_where=text("state = 'failed'"),
    ),
)

RETOLD: Final = Table(
    "retold",  # whom a delivery told of that an earlier one had told the same of
    METADATA,
    Column("id", SERIAL, primary_key=True),
    Column("inbox_id", BigInteger, nullable=False),
    Column("deal_id", NAME, nullable=False),
    Column("person", Text),
    Index("ix_retold_deal_id", "deal_id"),
    Index("ix_retold_person", "person"),
)

DEALS: Final = Table(
    "deals",  # each deal as it stands; all of it follows from events and scores
    METADATA,
    Column("deal_id", NAME, primary_key=True),
    Column("is_open", Boolean, nullable=False, server_default=text("false")),
    Column("owner", Text),
    Column("account", Text),
    Column("pipeline", Text),
    Column("stage", Text),
    Column("currency", Text),
    Column("amount", Double),
    Column("close_date", Integer),  # days since 1970
    Column("opened_at", BigInteger),
    Column("known_at", BigInteger),  # of its latest event
    Column("score_id", BigInteger),
    Column("scored_as_of", BigInteger),
    Column("probability", Double),
    Column("shown_probability", Double),  # zero once a gate is missed
    Column("told", Text),  # what the last write-back said, a JSON object
    Column("verdict", Text),  # of the last score's data quality
    # The next tick is to look at it, whenever it was scored last.
    Column("is_loaded", Boolean, nullable=False, server_default=text("false")),
    Index(
        "ix_deals_loaded",
        "deal_id",
        sqlite_where=text("is_loaded"),
        postgresql_where=text("is_loaded"),
    ),
    Index("ix_deals_open", "is_open", "scored_as_of"),
    Index("ix_deals_owner", "owner", "deal_id"),
    Index("ix_deals_riskiest", "is_open", "shown_probability", "deal_id"),
)

SCORES: Final = Table(
    "scores",
    METADATA,
    Column("id", SERIAL, primary_key=True),
    Column("deal_id", NAME, nullable=False),
    Column("as_of", BigInteger, nullable=False),
    Column("made_at", BigInteger, nullable=False),
    Column("cause", Text, nullable=False),
    Column("inbox_id", BigInteger),
    Column("model_version", Text, nullable=False),
    Column("days", Double, nullable=False),
    Column("probability", Double),  # NULL: unscorable
    Column("shown_probability", Double),
    Column("answer", Text, nullable=False),  # the whole score, JSON
    Index("ix_scores_deal_id", "deal_id", "as_of", "id"),
    UniqueConstraint("inbox_id", "deal_id"),  # of a retry the second score bears no number
)

FLARES: Final = Table(
    "flares",
    METADATA,
    Column("id", SERIAL, primary_key=True),
    Column("deal_id", NAME, nullable=False),
    Column("rule", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("phrase", Text, nullable=False),
    Column("fallen_from", Double),
    Column("raised_as_of", BigInteger, nullable=False),
    Column("cleared_as_of", BigInteger),
    Index(
        "uq_flares_standing",
        "deal_id",
        "rule",
        "subject",
        unique=True,
        sqlite_where=text("cleared_as_of IS NULL"),
        postgresql_where=text("cleared_as_of IS NULL"),
    ),
)

OUTBOX: Final = Table(
    "outbox",
    METADATA,
    Column("id", SERIAL, primary_key=True),
    Column("message_id", Text, nullable=False),  # the same at every attempt
    Column("kind", Text, nullable=False),
    Column("destination", Text, nullable=False),
    Column("deal_id", NAME),
    Column("payload", Text, nullable=False),  # JSON
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("due_at", BigInteger, nullable=False),
    Column("queued_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("reason", Text),  # of the last attempt that failed
    Column("delivery_id", Text),  # of the delivery that it follows from
    Column("leased_until", BigInteger),  # while it is being tried, superseded or not
    Column("first_tried_at", BigInteger),  # of the schedule that it is in; NULL: not yet
    UniqueConstraint("message_id"),
    Index(
        "ix_outbox_due",
        "due_at",
        sqlite_where=text("state = 'pending'"),
        postgresql_where=text("state = 'pending'"),
    ),
    Index("ix_outbox_deal_id", "deal_id"),
    Index(
        "ix_outbox_parked",
        "id",
        sqlite_where=text("state = 'parked'"),
        postgresql_where=text("state = 'parked'"),
    ),
)

API_KEYS: Final = Table(
    "api_keys",
    METADATA,
    Column("key_id", Text, primary_key=True),  # the part of a key that may be shown
    Column("secret_sha256", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("scopes", Text, nullable=False),  # a JSON list
    Column("owners", Text),  # a JSON list of the owners whose deals it sees; NULL: all
    Column("made_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)

SESSIONS: Final = Table(
    "sessions",  # of the web page, each opened with a key
    METADATA,
    Column("token_sha256", Text, primary_key=True),
    Column("key_id", Text, ForeignKey("api_keys.key_id"), nullable=False),
    Column("made_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("ix_sessions_expires_at", "expires_at"),
)

MODELS: Final = Table(
    "models",
    METADATA,
    Column("version", Text, primary_key=True),
    Column("sha256", Text, nullable=False),  # of its manifest, which seals the rest
    Column("installed_at", BigInteger, nullable=False),
)

MODEL_FILES: Final = Table(
    "model_files",
    METADATA,
    Column("version", Text, ForeignKey("models.version"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("content", LargeBinary, nullable=False),
)

MODELS_IN_FORCE: Final = Table(
    "models_in_force",
    METADATA,
    Column("id", SERIAL, primary_key=True),
    Column("version", Text, ForeignKey("models.version"), nullable=False),
    Column("since", BigInteger, nullable=False),
)

FEED_KINDS: Final = Table(
    "feed_kinds",
    METADATA,
    Column("source", NAME, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("since", BigInteger, nullable=False),
)

FEED_HOURS: Final = Table(
    "feed_hours",
    METADATA,
    Column("source", NAME, primary_key=True),
    Column("hour", Integer, primary_key=True, autoincrement=False),  # hours since 1970
    Column("heard", BigInteger, nullable=False),  # the first time known within it
)

TOMBSTONES: Final = Table(
    "tombstones",
    METADATA,
    Column("id", SERIAL, primary_key=True),
    Column("kind", Text, nullable=False),  # deal or person
    Column("subject", Text, nullable=False),  # a hash
    Column("forgotten_at", BigInteger, nullable=False),
    Column("forgotten_by", Text, nullable=False),
    Column("counts", Text, nullable=False),  # a JSON object: rows erased by table
    UniqueConstraint("kind", "subject"),
)

AUDIT: Final = Table(
    "audit",  # what was done to what is kept, by whom; tombstones say what was forgotten
    METADATA,
    Column("id", SERIAL, primary_key=True),
    Column("done_at", BigInteger, nullable=False),
    Column("done_by", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("detail", Text, nullable=False),  # a JSON object
)

INSTALLATION: Final = Table(
    "installation",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
