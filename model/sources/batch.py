"""One batch of rows on its way to drafts: each column read once, rows refused one by one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.events import KIND_CODES, KINDS
from model.sources.carriers import CARRIERS
from model.sources.drafts import (
    DRAFT_SCHEMA,
    SHARED,
    UNKNOWN,
    Identity,
    Origin,
    drafts_of,
    keys,
    repeat,
)
from model.sources.mapping import (
    SPAN_UNITS_DAYS,
    Column,
    Constant,
    Emit,
    Record,
    Value,
)
from model.sources.needs import PLACES
from model.sources.rows import Rows
from model.sources.times import DayEdge, read_dates, read_times
from model.sources.values import (
    NUMBER,
    Flags,
    Longs,
    Mark,
    Marks,
    Reading,
    describe,
    read_numbers,
)

FACT_ID = "fact"  # a source_id that asks for the fact's own id
LEADING_ZERO = r"^[+-]?0\d"  # such digits are a code, not a number
TYPED = ("number", "span", "date")  # read as what they are; the others are text
WRONG = (Mark.UNREADABLE, Mark.ZONELESS, Mark.OUT_OF_RANGE, Mark.NOT_FINITE)


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Rows that one column made unusable.

    Parameters
    ----------
    row
        Row numbers in the file.
    column, reason
        What is wrong where.
    values
        What stood there, one a row.
    """

    row: Longs
    column: str
    values: list[str | None]
    reason: str


class Batch:
    """Some rows of one file, read by one record of a mapping.

    Parameters
    ----------
    rows
        The rows that the record's filters chose.
    record
        What their columns mean.
    reading
        How values are written.
    file
        The file's number.
    content_ids
        The ids of the rows by their content, where the record asks for no other id.
    """

    def __init__(
        self,
        rows: Rows,
        record: Record,
        *,
        reading: Reading,
        file: int,
        content_ids: pa.Array | None,
    ) -> None:
        self.rows = rows
        self.record = record
        self.reading = reading
        self.file = file
        self.content_ids = content_ids
        self.refusals: list[Refusal] = []
        self.pieces: list[pa.Table] = []
        self.emptied = 0
        self.bad = np.zeros(len(rows), np.bool_)
        self.dropped = np.zeros(len(rows), np.bool_)
        self.read: dict[tuple[str, Value], tuple[pa.Array, Marks]] = {}

    def drafts(self) -> pa.Table:
        """The drafts of all rows that were not refused."""
        if not self.pieces:
            return DRAFT_SCHEMA.empty_table()
        drafts = pa.concat_tables(self.pieces).combine_chunks()
        bad = self.rows.row[self.bad]
        if not bad.size:
            return drafts
        return drafts.filter(pc.invert(pc.is_in(drafts["row"], value_set=keys(bad, self.file))))

    # What is wrong

    def refuse(self, wrong: Flags, column: Column, reason: str) -> None:
        """Refuse rows for what stands in a column; a row's first reason counts."""
        fresh = np.flatnonzero(wrong & ~self.bad)
        if not fresh.size:
            return
        self.bad[fresh] = True
        name = next((n for n in map(self.rows.header.find, column.names) if n), column.names[0])
        values = self.rows.raw(column).take(pa.array(fresh)).cast(pa.string()).to_pylist()
        self.refusals.append(
            Refusal(row=self.rows.row[fresh], column=name, values=values, reason=reason)
        )

    def refuse_at(self, where: Longs, column: Column, reason: str) -> None:
        """The same for rows given by their places in the batch."""
        wrong = np.zeros(len(self.rows), np.bool_)
        wrong[where] = True
        self.refuse(wrong, column, reason)

    def judge(self, marks: Marks, where: Longs, column: Column, what: str) -> None:
        """Refuse the rows whose values could not be read; missing ones pass."""
        for mark in WRONG:
            wrong = where[marks[where] == mark]
            if wrong.size:
                self.refuse_at(wrong, column, describe(mark, what))

    # Times and ids

    @cached_property
    def everything(self) -> Longs:
        """The places of all rows."""
        return np.arange(len(self.rows))

    @cached_property
    def deal(self) -> pa.Array:
        """Whose fact each row is."""
        column = self.record.deal_id or Column(names=("deal_id",))
        deals = self.rows.text(column)
        self.refuse(np.asarray(deals.is_null()), column, "missing deal")
        return deals.dictionary_encode()

    def needed_time(self, column: Column, where: Longs, day: DayEdge = "end") -> Longs:
        """Microseconds of all rows; those of `where` are refused if there is no time."""
        us, marks = self._times(column, day)
        self.judge(marks, where, column, "a time")
        self.refuse_at(where[marks[where] == Mark.MISSING], column, "missing time")
        return us

    def _times(self, column: Column, day: DayEdge = "end") -> tuple[Longs, Marks]:
        """Microseconds of all rows, of alternatives the first with a value."""
        us = np.zeros(len(self.rows), np.int64)
        marks = np.full(len(self.rows), Mark.MISSING, np.int8)
        for name in column.names:
            if self.rows.header.find(name) is None or not (marks == Mark.MISSING).any():
                continue
            values = self.rows.raw(Column(names=(name,)))
            own, found = read_times(
                values, self.reading, day, whole_days=name in self.record.whole_days
            )
            us, marks = (
                np.where(marks == Mark.MISSING, own, us),
                np.where(marks == Mark.MISSING, found, marks),
            )
        return us, marks

    @cached_property
    def occurred(self) -> Longs:
        """When each row's fact happened."""
        column = self.record.occurred_at or Column(names=("",))
        return self.needed_time(column, self.everything, "end_in_utc")

    @cached_property
    def known(self) -> Longs:
        """When each row's fact was known, `UNKNOWN` where nothing says."""
        silent = np.full(len(self.rows), UNKNOWN, np.int64)
        if self.record.occurred_at is not None:
            silent = self.known_by_date(self.record.occurred_at, self.occurred)
        if self.record.known_at is None:
            return silent
        us, marks = self._times(self.record.known_at)
        self.judge(marks, self.everything, self.record.known_at, "a time")
        return np.where(marks == Mark.GOOD, us, silent)

    def known_by_date(self, column: Column, occurred: Longs) -> Longs:
        """When facts were known that only a date tells: at its end where it was written.

        `UNKNOWN` where that is no later than they are taken to have happened.
        """
        if self.reading.zone in (None, "UTC"):
            return np.full(len(self.rows), UNKNOWN, np.int64)
        ends, _ = self._times(column)
        return np.where(ends > occurred, ends, UNKNOWN)

    @cached_property
    def identity(self) -> Identity:
        """What makes the ids of this record's rows."""
        if self.record.source_id == FACT_ID:
            return Identity.FACT
        return Identity.RECORD if self.record.source_id else Identity.CONTENT

    @cached_property
    def row_ids(self) -> pa.Array:
        """The id of each row, to which its events' ids are added."""
        if self.identity == Identity.FACT:
            return pa.nulls(len(self.rows), pa.string())
        if self.content_ids is not None:
            if self.record.joins:  # one row may be about several deals
                return pc.binary_join_element_wise(
                    self.content_ids, self.deal.dictionary_decode(), "/"
                )
            return self.content_ids
        pieces = PLACES.split(self.record.source_id)
        parts: list[pa.Array | pa.Scalar] = [
            self.rows.text(Column(names=(piece,))) if number % 2 else pa.scalar(piece)
            for number, piece in enumerate(pieces)
        ]
        ids = pc.binary_join_element_wise(*parts, "")
        if isinstance(ids, pa.Scalar):  # a template without columns
            ids = pa.array([ids.as_py()] * len(self.rows))
        names = tuple(pieces[1::2]) or (self.record.source_id,)
        self.refuse(np.asarray(ids.is_null()), Column(names=names), "missing id")
        return ids

    @cached_property
    def activity(self) -> pa.Array:
        """What each row says happened."""
        return self.rows.joined(self.record.activity)

    # Values

    def values_for(self, emit: Emit, where: Longs) -> dict[str, pa.Array]:
        """The value columns of an event, for some rows."""
        given = {**dict(self.record.values), **self._carried(emit.kind), **dict(emit.values)}
        found = {name: self.value(name, value, where) for name, value in given.items()}
        if emit.kind == "field_changed" and "number" not in given and "text" in found:
            found["text"], found["number"] = numbers_apart(found["text"])
        if emit.kind == "activity_logged" and "name" not in found and self.record.activity:
            found["name"] = taken(self.activity, where)
        return found

    def _carried(self, kind: str) -> dict[str, Value]:
        """Where a changed field's name and new value go."""
        if self.record.field is None or self.record.new is None or kind not in CARRIERS:
            return {}
        named = {"name": self.record.field} if kind == "field_changed" else {}
        return {**named, CARRIERS[kind]: self.record.new}

    def value(self, name: str, value: Value, where: Longs) -> pa.Array:
        """One value column for some rows, as the event schema types it."""
        if isinstance(value, Constant):
            types = {"number": pa.float64(), "span": pa.float64(), "person": SHARED}
            text = pa.array([value.value] * where.size, pa.string())
            return text.cast(types.get(name, pa.string()))
        if (name, value) not in self.read:
            self.read[name, value] = self._read(name, value)
        values, marks = self.read[name, value]
        self.judge(marks, where, value, "a date" if name == "date" else "a number")
        return taken(values, where)

    def _read(self, name: str, column: Column) -> tuple[pa.Array, Marks]:
        if name not in TYPED:
            texts = self.rows.text(column)
            marks = np.zeros(len(texts), np.int8)
            return texts.dictionary_encode() if name == "person" else texts, marks
        raw = self.rows.raw(column)
        if name == "date":
            days, marks = read_dates(raw, self.reading)
            dates = pa.array(days.astype(np.int32), mask=marks != Mark.GOOD)
            return dates.cast(pa.date32()), marks
        numbers, marks = read_numbers(raw, self.reading)
        scale = SPAN_UNITS_DAYS[self.record.span_unit] if name == "span" else 1.0
        return pa.array(numbers * scale, from_pandas=True), marks

    # Drafts

    def add(
        self,
        kind: str,
        where: Longs,
        occurred: Longs,
        values: dict[str, pa.Array],
        *,
        known: Longs | None = None,
        origin: Origin = Origin.FACT,
        identity: Identity | None = None,
    ) -> None:
        """Draft one event for each of some rows.

        Parameters
        ----------
        kind
            A key of `KINDS`.
        where
            The rows' places in the batch. Shape (M,).
        occurred, known
            Microseconds, of shape (M,); by default known as the record says.
        values
            Value columns of shape (M,).
        origin, identity
            What the draft must still pass and what makes its id; by default the record's.
        """
        if not where.size:
            return
        identity = self.identity if identity is None else identity
        columns = {
            "deal_id": taken(self.deal, where),
            "kind": repeat(KIND_CODES[kind], where.size),
            "occurred_at": pa.array(occurred),
            "known_at": pa.array(self.known[where] if known is None else known),
            "person": self._nobody(where.size),
            "row": keys(self.rows.row[where], self.file),
            "origin": repeat(origin, where.size),
            "identity": repeat(identity, where.size),
            **values,
        }
        if identity != Identity.FACT:
            columns["row_id"] = taken(self.row_ids, where)
        self.pieces.append(drafts_of(columns, where.size))

    def _nobody(self, count: int) -> pa.Array:
        """No people, over the dictionary of those there are: equal ones join without a look."""
        people = next(
            (values.dictionary for (name, _), (values, _) in self.read.items() if name == "person"),
            pa.array([], pa.string()),
        )
        return pa.DictionaryArray.from_arrays(pa.nulls(count, pa.int32()), people)

    def emit(self, emit: Emit, where: Longs) -> None:
        """Draft an event of each row, refusing rows that lack what its kind needs."""
        if not where.size:
            return
        values = self.values_for(emit, where)
        for name in sorted(KINDS[emit.kind][1]):
            if name not in values:
                self.refuse_at(where, Column(names=(name,)), f"missing {name} of {emit.kind}")
                return
            empty = np.asarray(values[name].is_null()) & ~self.bad[where]
            if not empty.any():
                continue
            if self.record.field is None:
                given = dict(emit.values).get(name, dict(self.record.values).get(name))
                column = given if isinstance(given, Column) else Column(names=(name,))
                self.refuse_at(where[empty], column, f"missing {name} of {emit.kind}")
                continue
            self.emptied += int(empty.sum())  # a value was taken away, which no kind can say
            values = {key: column.filter(pa.array(~empty)) for key, column in values.items()}
            where = where[~empty]
        self.add(emit.kind, where, self.occurred[where], values)


def taken(values: pa.Array, where: Longs) -> pa.Array:
    """Some of the values; all of them without copying."""
    return values if where.size == len(values) else values.take(pa.array(where))


def numbers_apart(texts: pa.Array) -> tuple[pa.Array, pa.Array]:
    """A field's values as text and as number: each has one of the two.

    Examples
    --------
    >>> texts, numbers = numbers_apart(pa.array(["12.5", "007", "gold"]))
    >>> texts.to_pylist(), numbers.to_pylist()
    ([None, '007', 'gold'], [12.5, None, None])
    """
    digits = pc.match_substring_regex(texts, NUMBER)
    code = pc.match_substring_regex(texts, LEADING_ZERO)
    numeric = pc.fill_null(pc.and_not(digits, code), fill_value=False)
    nothing = pa.scalar(None, pa.string())
    numbers = pc.if_else(numeric, texts, nothing).cast(pa.float64())
    endless = pc.fill_null(pc.invert(pc.is_finite(numbers)), fill_value=False)
    numbers = pc.if_else(endless, pa.scalar(None, pa.float64()), numbers)
    return pc.if_else(numbers.is_valid(), nothing, texts), numbers
