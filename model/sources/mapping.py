"""A mapping: what the columns of somebody's files mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from model.sources.values import Reading

SHAPES: Final = ("deal", "event", "field", "state", "stage")
OTHERS: Final = ("activity_logged", "field_changed", "drop", "reject")
VALUES: Final = ("name", "text", "number", "date", "person", "thread", "span")
SPAN_UNITS_DAYS: Final = {"days": 1.0, "hours": 1 / 24, "minutes": 1 / 1440, "seconds": 1 / 86400}
# Kinds of which one row may tell several: the name belongs to the id.
NAMED: Final = (
    "field_changed",
    "activity_logged",
    "milestone_set",
    "milestone_moved",
    "milestone_reached",
    "milestone_dropped",
    "must_hit_declared",
    "must_hit_withdrawn",
    "competitor_named",
)


@dataclass(frozen=True, kw_only=True)
class Column:
    """Columns of which the first with a value counts.

    Parameters
    ----------
    names
        The columns, as the mapping writes them.
    optional
        Whether a file without any of them is still the right file.
    """

    names: tuple[str, ...]
    optional: bool = False


@dataclass(frozen=True, kw_only=True)
class Constant:
    """A value that the mapping itself gives."""

    value: str


Value = Column | Constant
Filter = tuple[tuple[str, tuple[str, ...]], ...]  # column and the patterns that it may match


@dataclass(frozen=True, kw_only=True)
class Emit:
    """One event that a row becomes: its kind and the values that are its own."""

    kind: str
    values: tuple[tuple[str, Value], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Rows that match `when` become `emits`; of several rules the first counts."""

    when: Filter
    emits: tuple[Emit, ...]


@dataclass(frozen=True, kw_only=True)
class Join:
    """Columns of another file, as ``<lookup>.<column>``, for the rows that agree on a key."""

    lookup: str
    on: Column
    needed: bool


@dataclass(frozen=True, kw_only=True)
class Lookup:
    """A file whose rows other records are joined to."""

    title: str
    files: tuple[str, ...]
    columns: tuple[str, ...]
    without: tuple[str, ...]
    key: Column
    where: Filter = ()
    unless: Filter = ()


@dataclass(frozen=True, kw_only=True)
class Record:
    """One shape of row and what it becomes.

    Parameters
    ----------
    title
        What the record is called in messages.
    rows
        One of `SHAPES`.
    files, columns, without
        The files it reads: by name pattern, by columns they must have and must not have.
    where, unless
        The rows it reads.
    joins
        Lookups whose columns are added first.
    deal_id, occurred_at, known_at
        Whose fact it is, when it happened, when it was known.
    source_id
        A template of columns in braces; empty for the row's content, ``fact`` for deal, kind
        and time.
    values
        Columns for `VALUES`, unless a rule says otherwise.
    span_unit
        What the column of `span` counts.
    activity, activities, rules, other
        ``event`` rows: which activity is which events.
    field, old, new, fields
        ``field`` rows: the changed field, its old and new value, and which kind it is.
    opened_at, closed_at, won, lost
        When the deal was opened, when it was closed, and how the row says so.
    fixed, current, state
        Kinds by column: known from the opening on; true at the time of export only; true from
        the row's time on.
    export_only
        Patterns of columns that only say how things stand at the time of export: named in the
        summary, and never read.
    whole_days
        Columns of times that hold a day, whatever time of day is written.
    subject, headers
        Columns of a mail, by which an automatic reply is told from a person's.
    stage, order
        ``stage`` rows: the stage's name and its place in the pipeline.
    """

    title: str
    rows: str
    files: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    where: Filter = ()
    unless: Filter = ()
    joins: tuple[Join, ...] = ()
    deal_id: Column | None = None
    occurred_at: Column | None = None
    known_at: Column | None = None
    source_id: str = ""
    values: tuple[tuple[str, Value], ...] = ()
    span_unit: str = "days"
    activity: tuple[str, ...] = ()
    activities: tuple[tuple[str, tuple[Emit, ...]], ...] = ()
    rules: tuple[Rule, ...] = ()
    other: str = "reject"
    field: Column | None = None
    old: Column | None = None
    new: Column | None = None
    fields: tuple[tuple[str, str], ...] = ()
    opened_at: Column | None = None
    closed_at: Column | None = None
    won: Filter = ()
    lost: Filter = ()
    fixed: tuple[tuple[str, str, Column], ...] = ()
    current: tuple[tuple[str, str, Column], ...] = ()
    state: tuple[tuple[str, str, Column], ...] = ()
    export_only: tuple[str, ...] = ()
    whole_days: tuple[str, ...] = ()
    subject: Column | None = None
    headers: Column | None = None
    stage: Column | None = None
    order: Column | None = None


@dataclass(frozen=True, kw_only=True)
class MailRules:
    """How mails are read.

    Parameters
    ----------
    our_domains
        Domains whose mails are ours; with none, whoever is in no deal's address book is.
    deal_header
        A header that names the deal.
    """

    our_domains: tuple[str, ...] = ()
    deal_header: str = ""


@dataclass(frozen=True, kw_only=True)
class Mapping:
    """What somebody's files mean.

    Parameters
    ----------
    given
        The mapping's own file or name, for messages.
    source
        The CRM or mailbox that events are said to come from.
    reading
        How times, dates and numbers are written.
    delimiter, encoding, nulls
        How CSV is written; an empty delimiter is found out.
    prefixes
        Beginnings of column names that may be left out: ``property_``.
    ignore
        Files left alone, by name pattern.
    opens
        The kind whose first event opens a deal; ``any`` for its first event of all.
    won_stages, lost_stages
        Stages that close a deal, as patterns.
    mail
        How mails are read.
    records, lookups
        What is read.
    """

    given: str
    source: str
    reading: Reading
    delimiter: str = ""
    encoding: str = "utf-8"
    nulls: tuple[str, ...] = ("",)
    prefixes: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    opens: str = "deal_opened"
    won_stages: tuple[str, ...] = ()
    lost_stages: tuple[str, ...] = ()
    mail: MailRules
    records: tuple[Record, ...]
    lookups: tuple[Lookup, ...] = ()
