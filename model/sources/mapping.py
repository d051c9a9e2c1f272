"""A mapping: what the columns of somebody's files mean, read from TOML and checked key by key."""

from __future__ import annotations

from collections.abc import Mapping as Table
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from model.errors import MappingError
from model.events import KINDS
from model.sources.times import EPOCHS, Reading, pattern_of

SHAPES: Final = ("deal", "event", "field", "state", "stage")
OTHERS: Final = ("activity_logged", "field_changed", "drop", "reject")
VALUES: Final = ("name", "text", "number", "date", "person", "thread", "span")
SPAN_UNITS_DAYS: Final = {"days": 1.0, "hours": 1 / 24, "minutes": 1 / 1440, "seconds": 1 / 86400}
# Where the value of a changed field goes; field_changed says which field, so it has its own rule.
CARRIERS: Final = {
    "pipeline_changed": "name",
    "stage_changed": "name",
    "amount_changed": "number",
    "currency_changed": "name",
    "close_date_changed": "date",
    "forecast_category_changed": "name",
    "owner_changed": "name",
    "account_changed": "name",
    "next_step_changed": "text",
    "competitor_named": "name",
    "field_changed": "text",
}


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

    name: str
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
    name
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
    point_in_time
        Columns named in the summary as unusable without a history.
    subject, headers
        Columns of a mail, by which an automatic reply is told from a person's.
    stage, order
        ``stage`` rows: the stage's name and its place in the pipeline.
    """

    name: str
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
    point_in_time: tuple[str, ...] = ()
    subject: Column | None = None
    headers: Column | None = None
    stage: Column | None = None
    order: Column | None = None


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
    records, lookups
        What is read.
    """

    given: str
    source: str
    reading: Reading = Reading()
    delimiter: str = ""
    encoding: str = "utf-8"
    nulls: tuple[str, ...] = ("",)
    prefixes: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    opens: str = "deal_opened"
    won_stages: tuple[str, ...] = ()
    lost_stages: tuple[str, ...] = ()
    records: tuple[Record, ...]
    lookups: tuple[Lookup, ...] = ()


class Keys:
    """A table of a mapping, whose every key must be asked for by `close`.

    Each answer is checked for its type, so that an error names the file, the key and what was
    expected there.
    """

    def __init__(self, table: Table[str, Any], given: str, place: str = "") -> None:
        self.table = table
        self.given = given
        self.place = place
        self.asked: set[str] = set()

    def error(self, key: str, expected: str, remedy: str) -> MappingError:
        """The error of a key of this table."""
        where = f"{self.place}.{key}" if self.place else key
        value = f" = {self.table[key]!r}" if key in self.table else ""
        return MappingError(f"{self.given}, key {where}{value}", expected, remedy)

    def take(self, key: str) -> Any:
        """The value of a key, None where it is absent."""
        self.asked.add(key)
        return self.table.get(key)

    def text(self, key: str, default: str = "", choices: Sequence[str] = ()) -> str:
        """One text, of the choices if there are any."""
        value = self.take(key)
        if value is None:
            return default
        if not isinstance(value, str) or (choices and value not in choices):
            expected = "one of " + ", ".join(choices) if choices else "a text"
            raise self.error(key, expected, "correct the entry")
        return value

    def texts(self, key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """One text or a list of them."""
        value = self.take(key)
        if value is None:
            return default
        value = [value] if isinstance(value, str) else value
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.error(key, "a text or a list of texts", "correct the entry")
        return tuple(value)

    def column(self, key: str, *, needed: bool = False) -> Column | None:
        """A column, or several of which the first with a value counts."""
        names = self.texts(key)
        if not names:
            if needed:
                raise self.error(key, "a column", f"name the column that holds the {key}")
            return None
        return column_of(names)

    def tables(self, key: str) -> list[Keys]:
        """A list of tables."""
        value = self.take(key)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.error(key, f"tables written [[{key}]]", "correct the entry")
        place = f"{self.place}.{key}" if self.place else key
        return [
            Keys(item, self.given, f"{place}[{number}]") for number, item in enumerate(value, 1)
        ]

    def inner(self, key: str) -> Keys:
        """A table of this one, empty where it is absent."""
        value = self.take(key)
        if value is not None and not isinstance(value, dict):
            raise self.error(key, "a table", "write it as { name = value }")
        return Keys(value or {}, self.given, f"{self.place}.{key}" if self.place else key)

    def filter(self, key: str) -> Filter:
        """Columns with the patterns they may match."""
        keys = self.inner(key)
        return tuple((column, keys.texts(column)) for column in keys.table)

    def close(self) -> None:
        """Refuse keys that nobody asked for."""
        for key in self.table:
            if key not in self.asked:
                near = get_close_matches(key, self.asked, 1)
                meant = f"did you mean {near[0]}?" if near else "remove it"
                raise self.error(key, "one of " + ", ".join(sorted(self.asked)), meant)


def column_of(names: Sequence[str]) -> Column:
    """Columns as a mapping writes them; a question mark says that the file may lack it.

    Examples
    --------
    >>> column_of(["Id", "CaseId?"])
    Column(names=('Id', 'CaseId'), optional=True)
    """
    optional = any(name.endswith("?") for name in names)
    return Column(names=tuple(name.removesuffix("?") for name in names), optional=optional)


def parse_mapping(table: Table[str, Any], given: str) -> Mapping:
    """Check a mapping that `tomllib` has read.

    Parameters
    ----------
    table
        The whole TOML document.
    given
        Its file or name, for messages.

    Returns
    -------
    Mapping
        The same, checked.

    Raises
    ------
    MappingError
        If an entry is missing, unknown or of the wrong form: file, key, what is expected.

    Examples
    --------
    >>> mapping = parse_mapping({"source": "crm", "record": [
    ...     {"rows": "event", "deal_id": "deal", "occurred_at": "at", "activity": "what",
    ...      "activities": {"mail in": "customer_replied"}}]}, "own.toml")
    >>> mapping.records[0].activities[0][1][0].kind
    'customer_replied'
    """
    keys = Keys(table, given)
    source = keys.text("source")
    if not source:
        raise keys.error("source", "the CRM's or mailbox's name", 'add source = "crm"')
    stages = keys.inner("stages")
    opens = keys.inner("opens")
    lookups = tuple(_lookup(item) for item in keys.tables("lookup"))
    records = tuple(
        _record(item, number, {lookup.name for lookup in lookups})
        for number, item in enumerate(keys.tables("record"), 1)
    )
    if not records:
        raise keys.error("record", "at least one [[record]]", "say what the rows of a file are")
    mapping = Mapping(
        given=given,
        source=source,
        reading=_reading(keys),
        delimiter=keys.text("delimiter"),
        encoding=keys.text("encoding", "utf-8"),
        nulls=tuple(dict.fromkeys(("", *keys.texts("nulls")))),
        prefixes=keys.texts("prefixes"),
        ignore=keys.texts("ignore"),
        opens=opens.text("first", "deal_opened", ("any", *KINDS)),
        won_stages=stages.texts("won"),
        lost_stages=stages.texts("lost"),
        records=records,
        lookups=lookups,
    )
    for part in (stages, opens, keys):
        part.close()
    return mapping


def _reading(keys: Keys) -> Reading:
    zone = keys.text("time_zone") or None
    if zone is not None:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise keys.error(
                "time_zone", "a time zone such as Europe/Berlin or UTC", "correct the entry"
            ) from error
    formats = keys.texts("formats")
    for form in formats:
        try:
            pattern_of(form if form not in EPOCHS else "")
        except ValueError as error:
            raise keys.error(
                "formats",
                f"formats of %Y %m %d %H %I %p %M %S %f %z %b %y, or {', '.join(EPOCHS)}",
                f"{error} is none of these",
            ) from error
    return Reading(
        zone=zone,
        formats=formats,
        decimal=keys.text("decimal", ".", (".", ",")),
        thousands=keys.text("thousands"),
    )


def _lookup(keys: Keys) -> Lookup:
    name = keys.text("name")
    if not name:
        raise keys.error("name", "the lookup's name", "name it, so that joins can refer to it")
    key = keys.column("key", needed=True)
    assert key is not None
    lookup = Lookup(
        name=name,
        files=keys.texts("files"),
        columns=keys.texts("columns"),
        without=keys.texts("without"),
        key=key,
        where=keys.filter("where"),
        unless=keys.filter("unless"),
    )
    keys.close()
    return lookup


def _record(keys: Keys, number: int, lookups: set[str]) -> Record:
    if "rows" not in keys.table:
        raise keys.error("rows", "one of " + ", ".join(SHAPES), "say what one row is")
    rows = keys.text("rows", choices=SHAPES)
    other = keys.text("other", "field_changed" if rows == "field" else "reject", OTHERS)
    record = Record(
        name=keys.text("title", f"record {number}"),
        rows=rows,
        files=keys.texts("files"),
        columns=keys.texts("columns"),
        without=keys.texts("without"),
        where=keys.filter("where"),
        unless=keys.filter("unless"),
        joins=tuple(_join(item, lookups) for item in keys.tables("join")),
        deal_id=keys.column("deal_id", needed=rows != "stage"),
        occurred_at=keys.column("occurred_at", needed=rows in ("event", "field", "state")),
        known_at=keys.column("known_at"),
        source_id=keys.text("source_id"),
        values=_values(keys),
        span_unit=keys.text("span_unit", "days", tuple(SPAN_UNITS_DAYS)),
        activity=keys.texts("activity"),
        activities=_activities(keys.inner("activities")),
        rules=tuple(_rule(item) for item in keys.tables("rule")),
        other=other,
        field=keys.column("field", needed=rows == "field"),
        old=keys.column("old"),
        new=keys.column("new", needed=rows == "field"),
        fields=_fields(keys.inner("fields")),
        opened_at=keys.column("opened_at", needed=rows == "deal"),
        closed_at=keys.column("closed_at"),
        won=keys.filter("won"),
        lost=keys.filter("lost"),
        fixed=_carried(keys.inner("fixed")),
        current=_carried(keys.inner("current")),
        state=_carried(keys.inner("state")),
        point_in_time=keys.texts("point_in_time"),
        subject=keys.column("subject"),
        headers=keys.column("headers"),
        stage=keys.column("stage", needed=rows == "stage"),
        order=keys.column("order"),
    )
    if rows == "event" and not (record.activity or record.rules):
        raise keys.error(
            "activity", "the column that says what happened", "name it, or write [[record.rule]]"
        )
    if rows == "deal" and (record.won or record.lost) and record.closed_at is None:
        raise keys.error("closed_at", "the column of the closing time", "name it")
    keys.close()
    return record


def _join(keys: Keys, lookups: set[str]) -> Join:
    lookup = keys.text("lookup", choices=sorted(lookups))
    on = keys.column("on", needed=True)
    assert on is not None
    needed = keys.take("needed")
    keys.close()
    return Join(lookup=lookup, on=on, needed=needed is not False)


def _values(keys: Keys) -> tuple[tuple[str, Value], ...]:
    found: list[tuple[str, Value]] = []
    for name in VALUES:
        given = keys.take(name)
        if given is None:
            continue
        if isinstance(given, dict):
            if set(given) != {"value"} or not isinstance(given["value"], str | int | float):
                raise keys.error(name, 'a column, or { value = "..." }', "correct the entry")
            found.append((name, Constant(value=str(given["value"]))))
        else:
            found.append((name, column_of(keys.texts(name))))
    return tuple(found)


def _emits(keys: Keys, key: str) -> tuple[Emit, ...]:
    """``"kind"``, ``["kind", ...]`` or ``{kind = "kind", name = {value = "onsite"}}``, or drop."""
    given = keys.take(key)
    emits = []
    for item in given if isinstance(given, list) else [given]:
        if isinstance(item, dict):
            inner = Keys(item, keys.given, f"{keys.place}.{key}" if keys.place else key)
            kind = inner.text("kind")
            values = _values(inner)
            inner.close()
        else:
            kind, values = item, ()
        if kind == "drop":
            continue
        if kind not in KINDS:
            near = get_close_matches(str(kind), KINDS, 1)
            meant = f"did you mean {near[0]}?" if near else "use activity_logged for any other"
            raise keys.error(key, "drop, or kinds among " + ", ".join(KINDS), meant)
        emits.append(Emit(kind=kind, values=values))
    return tuple(emits)


def _activities(keys: Keys) -> tuple[tuple[str, tuple[Emit, ...]], ...]:
    return tuple((activity, _emits(keys, activity)) for activity in keys.table)


def _rule(keys: Keys) -> Rule:
    rule = Rule(when=keys.filter("when"), emits=_emits(keys, "kinds"))
    keys.close()
    return rule


def _fields(keys: Keys) -> tuple[tuple[str, str], ...]:
    choices = (*CARRIERS, "deal_opened", "drop")
    return tuple((name, keys.text(name, choices=choices)) for name in keys.table)


def _carried(keys: Keys) -> tuple[tuple[str, str, Column], ...]:
    """``kind = column`` or ``field_changed = [columns]``: kind, the field's name, its column."""
    found: list[tuple[str, str, Column]] = []
    for kind in keys.table:
        if kind not in CARRIERS:
            raise keys.error(kind, "kinds among " + ", ".join(CARRIERS), "correct the entry")
        names = keys.texts(kind)
        if kind == "field_changed":
            found += [(kind, name.removesuffix("?"), column_of([name])) for name in names]
        else:
            found.append((kind, "", column_of(names)))
    return tuple(found)
