"""An event: one fact about a deal, when it happened and when we came to know it.

Times are UTC with microseconds. ``(source, source_id)`` identifies an event, so a repeated
delivery is the same event; ``source`` is the CRM or the mailbox, and ``source_id`` includes
the version of the record, so that an import and a webhook of one fact agree.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from model.errors import EventError

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_DAY: Final = date(1970, 1, 1)
DAY_US: Final = 86_400_000_000  # microseconds in a day
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)  # later is a typing error, not a fact
EARLIEST_DATE: Final = EARLIEST.date()
LATEST_DATE: Final = LATEST.date()
IMPOSSIBLE_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")  # where it begins a text that is no time

# What each kind says, and which columns it must carry beside the common ones.
KINDS: Final[dict[str, tuple[str, frozenset[str]]]] = {
    "deal_opened": ("the deal entered the pipeline", frozenset()),
    "deal_won": ("the deal was won", frozenset()),
    "deal_lost": ("the deal was lost; name is the reason", frozenset()),
    "deal_reopened": ("a closed deal was opened again", frozenset()),
    "pipeline_changed": ("name is the pipeline", frozenset({"name"})),
    "stage_changed": ("name is the stage, number its order", frozenset({"name"})),
    "amount_changed": ("number is the amount", frozenset({"number"})),
    "currency_changed": ("name is the ISO 4217 code", frozenset({"name"})),
    "close_date_changed": ("date is the planned close date", frozenset({"date"})),
    "forecast_category_changed": ("name is the rep's category", frozenset({"name"})),
    "owner_changed": ("name is the owner's id", frozenset({"name"})),
    "account_changed": ("name is the account's id", frozenset({"name"})),
    "next_step_changed": ("text is the next step", frozenset()),
    "field_changed": ("name is the field, text or number its value", frozenset({"name"})),
    "customer_replied": ("a human of the customer wrote or called", frozenset()),
    "auto_reply_received": ("a machine answered for the customer", frozenset()),
    "message_sent": ("we wrote to the customer", frozenset()),
    "call_made": ("we called the customer", frozenset()),
    "meeting_held": ("we met; name is onsite or remote, span its length", frozenset()),
    "activity_logged": ("any other activity, by name", frozenset({"name"})),
    "internal_update_posted": ("the owner told the company how it stands", frozenset()),
    "internal_update_requested": ("somebody asked the owner how it stands", frozenset()),
    "escalation_raised": ("somebody called for help", frozenset()),
    "milestone_set": ("name is the milestone, date its due date", frozenset({"name", "date"})),
    "milestone_moved": ("date is the milestone's new due date", frozenset({"name", "date"})),
    "milestone_reached": ("the named milestone was reached", frozenset({"name"})),
    "milestone_dropped": ("the named milestone no longer applies", frozenset({"name"})),
    "must_hit_declared": (
        "the named milestone gates the deal; text is who says so",
        frozenset({"name"}),
    ),
    "must_hit_withdrawn": ("the named milestone gates no more", frozenset({"name"})),
    "commercial_talks_started": ("price and terms are discussed", frozenset()),
    "commercial_talks_absent": ("somebody noted that no talks have begun", frozenset()),
    "technical_validation_started": ("the customer began to test", frozenset()),
    "technical_validation_passed": ("the customer's test passed", frozenset()),
    "technical_validation_failed": ("the customer's test failed", frozenset()),
    "competitor_named": ("name is a competitor in the deal", frozenset()),
}
KIND_WORDS: Final[dict[str, str]] = {
    "deal_opened": "the deal was opened",
    "deal_won": "the deal was won",
    "deal_lost": "the deal was lost",
    "deal_reopened": "the deal was reopened",
    "pipeline_changed": "a change of pipeline",
    "stage_changed": "a change of stage",
    "amount_changed": "a change of the amount",
    "currency_changed": "a change of currency",
    "close_date_changed": "a change of the close date",
    "forecast_category_changed": "a change of the forecast category",
    "owner_changed": "a change of owner",
    "account_changed": "a change of account",
    "next_step_changed": "a new next step",
    "field_changed": "a change of another field",
    "customer_replied": "a reply of the customer",
    "auto_reply_received": "an automatic reply",
    "message_sent": "a message of ours",
    "call_made": "a call of ours",
    "meeting_held": "a meeting",
    "activity_logged": "another activity",
    "internal_update_posted": "an internal update",
    "internal_update_requested": "an internal request for an update",
    "escalation_raised": "an escalation",
    "milestone_set": "a milestone was set",
    "milestone_moved": "a milestone was moved",
    "milestone_reached": "a milestone was reached",
    "milestone_dropped": "a milestone was dropped",
    "must_hit_declared": "a milestone was declared a must",
    "must_hit_withdrawn": "a must-hit milestone was withdrawn",
    "commercial_talks_started": "commercial talks started",
    "commercial_talks_absent": "word that there are no commercial talks",
    "technical_validation_started": "technical validation started",
    "technical_validation_passed": "technical validation was passed",
    "technical_validation_failed": "technical validation failed",
    "competitor_named": "a competitor was named",
}
"""Each kind as the last thing that happened, for people."""
KIND_CODES: Final[dict[str, int]] = {kind: code for code, kind in enumerate(KINDS)}
NEEDS: Final = {kind: tuple(sorted(columns)) for kind, (_, columns) in KINDS.items()}

# A closing stage that follows another reopens the deal and closes it, in one moment.
FIRST_IN_A_MOMENT: Final = "deal_reopened"
# Begins the reason of a loss that is none: the sale goes on as the deal that is named.
MERGED_INTO: Final = "merged into "
COLUMNS: Final = (
    "deal_id",
    "kind",
    "occurred_at",
    "known_at",
    "name",
    "text",
    "number",
    "date",
    "person",
    "thread",
    "span",
    "source",
    "source_id",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One fact about one deal.

    Parameters
    ----------
    deal_id
        The deal, as its CRM names it.
    kind
        A key of `KINDS`, in the past tense.
    occurred_at, known_at
        When it happened and when we came to know it, UTC. ``known_at`` defaults to
        ``occurred_at`` and is never before it.
    name, text, number, date
        The kind's values: see `KINDS`. Missing is None; zero is data.
    person
        Keyed hash of an address or contact id.
    thread
        The mail thread or conversation.
    span
        How long it lasted, in days.
    source, source_id
        The CRM or mailbox, and the fact's id in it with its version.

    Raises
    ------
    EventError
        If a value breaks the schema.

    Examples
    --------
    >>> opened = Event(deal_id="D-1", kind="deal_opened", source="crm", source_id="D-1/1",
    ...                occurred_at=datetime(2026, 1, 5, 9, 30, tzinfo=UTC))
    >>> opened.known_at == opened.occurred_at
    True
    """

    deal_id: str
    kind: str
    occurred_at: datetime
    known_at: datetime | None = None
    name: str | None = None
    text: str | None = None
    number: float | None = None
    date: date | None = None
    person: str | None = None
    thread: str | None = None
    span: float | None = None  # days
    source: str
    source_id: str

    def __post_init__(self) -> None:
        if not self.deal_id:
            raise EventError("deal_id ''", "the deal's id", "name the deal of every event")
        needs = NEEDS.get(self.kind)
        if needs is None:
            raise EventError(
                f"kind {self.kind!r}",
                "one of " + ", ".join(KINDS),
                "map it to one of these, or use activity_logged with a name",
            )
        occurred_at = self.occurred_at
        check_time("occurred_at", occurred_at)
        if self.known_at is None:
            object.__setattr__(self, "known_at", occurred_at)
        elif self.known_at is not occurred_at:
            check_time("known_at", self.known_at)
            if self.known_at < occurred_at:
                raise EventError(
                    f"known_at {self.known_at.isoformat()}",
                    f"a time not before occurred_at {occurred_at.isoformat()}",
                    "a fact is known when it has happened, at the earliest",
                )
        if self.number is not None:
            _check_finite("number", self.number)
        if self.span is not None:
            _check_finite("span", self.span)
        for column in needs:
            if getattr(self, column) is None:
                raise EventError(
                    f"{self.kind} without {column}",
                    f"a {column}: {KINDS[self.kind][0]}",
                    f"give the {column}, or leave the event out",
                )
        if self.date is not None and not EARLIEST_DATE <= self.date < LATEST_DATE:
            raise EventError(
                f"date {self.date.isoformat()}",
                f"a date from {EARLIEST_DATE} to {LATEST_DATE - timedelta(days=1)}",
                "correct the date",
            )


def _check_finite(name: str, value: float) -> None:
    if not math.isfinite(value):
        raise EventError(
            f"{name} {value!r}", "a finite number or nothing", "leave unknown values out"
        )


def check_time(name: str, time: datetime) -> None:
    """Refuse a naive time and one outside the years that can be facts.

    Raises
    ------
    EventError
        If `time` has no zone, or lies outside 1970 to 2199.

    Examples
    --------
    >>> check_time("as_of", datetime(2026, 1, 5))
    Traceback (most recent call last):
    model.errors.EventError: as_of 2026-01-05T00:00:00: expected a time with its UTC offset. \
Remedy: append Z for UTC, or the offset.
    """
    zone = time.tzinfo
    if zone is not UTC and (zone is None or time.utcoffset() is None):
        raise EventError(
            f"{name} {time.isoformat()}",
            "a time with its UTC offset",
            "append Z for UTC, or the offset",
        )
    if not EARLIEST <= time < LATEST:
        raise EventError(
            f"{name} {time.isoformat()}",
            f"a time from {EARLIEST.year} to {LATEST.year - 1}",
            "correct the date",
        )


def microseconds(time: datetime) -> int:
    """Microseconds since 1970-01-01 UTC, exactly.

    Examples
    --------
    >>> microseconds(datetime(1970, 1, 2, tzinfo=UTC)) == DAY_US
    True
    """
    passed = time - EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds


def from_microseconds(value: int) -> datetime:
    """The UTC time of `microseconds`, exactly its inverse.

    Examples
    --------
    >>> from_microseconds(DAY_US).isoformat()
    '1970-01-02T00:00:00+00:00'
    """
    return EPOCH + timedelta(microseconds=int(value))


def parse_time(name: str, text: str) -> datetime:
    """Read an ISO 8601 time with its offset; a bare date is midnight UTC.

    Parameters
    ----------
    name
        What the time is, for the error message.
    text
        ``2026-01-05``, ``2026-01-05T09:30:00Z`` or with another offset.

    Raises
    ------
    EventError
        If it is no such time.

    Examples
    --------
    >>> parse_time("as_of", "2026-01-05").isoformat()
    '2026-01-05T00:00:00+00:00'
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        if IMPOSSIBLE_DAY.match(text):
            raise EventError(
                f"{name} {text!r}", f"a day of the calendar ({error})", "correct it"
            ) from error
        raise EventError(
            f"{name} {text!r}",
            "an ISO 8601 time",
            "write it as 2026-01-05T09:30:00Z, or as 2026-01-05 for midnight UTC",
        ) from error
    if len(text) == len("2026-01-05") and time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    check_time(name, time)
    return time.astimezone(UTC)
