"""Translate the rows of one record of a mapping into drafts of events."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.events import KIND_CODES, KINDS
from model.sources.drafts import DRAFT_SCHEMA, ROWS_OF_A_FILE, Origin
from model.sources.mapping import (
    CARRIERS,
    SPAN_UNITS_DAYS,
    Column,
    Constant,
    Emit,
    Mapping,
    Record,
    Value,
)
from model.sources.persons import persons_of
from model.sources.rows import Flags, Rows, matches
from model.sources.times import (
    NUMBER,
    DayEdge,
    Longs,
    Mark,
    Marks,
    describe,
    read_dates,
    read_numbers,
    read_times,
)

FACT_ID: Final = "fact"  # a source_id that asks for the fact's own id
LEADING_ZERO: Final = r"^[+-]?0\d"  # such digits are a code, not a number


@dataclass(kw_only=True)
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


@dataclass(kw_only=True)
class Translation:
    """What some rows became.

    Parameters
    ----------
    drafts
        Rows of `DRAFT_SCHEMA`.
    refusals
        Rows that could not be read.
    left_out
        Row numbers that the mapping leaves out.
    known_defaulted
        How many rows had no known_at.
    known_raised
        How many events' known_at lay before occurred_at.
    emptied
        How many rows emptied a value that only a new value can replace.
    """

    drafts: pa.Table
    refusals: list[Refusal]
    left_out: Longs
    known_defaulted: int = 0
    known_raised: int = 0
    emptied: int = 0


def needed_columns(record: Record) -> list[Column]:
    """The columns without which a file cannot be this record's.

    Examples
    --------
    >>> needed_columns(Record(name="log", rows="event", deal_id=Column(names=("case",))))
    [Column(names=('case',), optional=False)]
    """
    named = [
        *(Column(names=(name,)) for name in record.columns),
        *(column for column in _own_columns(record) if column is not None),
        *(Column(names=(name,)) for name in _filtered(record) if not name.endswith("?")),
        *(Column(names=(name,)) for name in re.findall(r"{([^}]*)}", record.source_id)),
    ]
    lookups = tuple(f"{join.lookup}." for join in record.joins)
    own = [c for c in named if not any(name.startswith(lookups or "\0") for name in c.names)]
    return list(dict.fromkeys(own))


def used_columns(record: Record) -> list[str]:
    """Every column a record may look at."""
    columns = [*needed_columns(record), *(join.on for join in record.joins)]
    names = [name for column in columns for name in column.names]
    return list(dict.fromkeys([*names, *(name.removesuffix("?") for name in _filtered(record))]))


def _filtered(record: Record) -> list[str]:
    filters = [record.where, record.unless, record.won, record.lost]
    filters += [rule.when for rule in record.rules]
    return [name for entries in filters for name, _ in entries]


def _all_values(record: Record) -> list[tuple[str, Value]]:
    emits = [emit for _, several in record.activities for emit in several]
    emits += [emit for rule in record.rules for emit in rule.emits]
    return [*record.values, *(value for emit in emits for value in emit.values)]


def value_names(record: Record) -> set[str]:
    """The event columns that a record fills beside the common ones."""
    return {name for name, _ in _all_values(record)}


def _own_columns(record: Record) -> list[Column | None]:
    values = _all_values(record)
    return [
        *(getattr(record, name) for name in ("deal_id", "occurred_at", "known_at", "field")),
        *(getattr(record, name) for name in ("old", "new", "opened_at", "closed_at", "subject")),
        *(getattr(record, name) for name in ("headers", "stage", "order")),
        *(
            Column(names=(name.removesuffix("?"),), optional=name[-1] == "?")
            for name in record.activity
        ),
        *(value for _, value in values if isinstance(value, Column)),
        *(column for _, _, column in record.fixed + record.current + record.state),
        *(join.on for join in record.joins),
    ]


@dataclass(kw_only=True)
class Translator:
    """Turns batches of one file into drafts, by one record of a mapping.

    Parameters
    ----------
    mapping, record
        What the columns mean.
    file
        The file's number among those imported.
    person_key
        The key of `person_of`.
    won_stages, lost_stages
        Stages that close a deal, as patterns, those that other files name among them.
    """

    mapping: Mapping
    record: Record
    file: int
    person_key: bytes
    won_stages: Sequence[str] = ()
    lost_stages: Sequence[str] = ()

    def __call__(self, rows: Rows, ids: pa.Array | None) -> Translation:
        """Translate some rows.

        Parameters
        ----------
        rows
            The rows, the columns of joined lookups among theirs.
        ids
            `Rows.content_ids` of the same rows, where the record asks for no other id.
        """
        record = self.record
        chosen = rows.matching(record.where)
        if record.unless:
            chosen &= ~rows.matching(record.unless)
        left_out = rows.row[~chosen]
        if ids is not None and not chosen.all():
            ids = ids.filter(pa.array(chosen))
        batch = _Batch(translator=self, rows=rows.take(chosen), content_ids=ids)
        return batch.translate(left_out)


@dataclass(kw_only=True)
class _Batch:
    """The state of one batch while it is translated."""

    translator: Translator
    rows: Rows
    content_ids: pa.Array | None
    refusals: list[Refusal] = field(default_factory=list)
    pieces: list[pa.Table] = field(default_factory=list)
    known_defaulted: int = 0
    emptied: int = 0

    def __post_init__(self) -> None:
        self.record = self.translator.record
        self.reading = self.translator.mapping.reading
        self.bad = np.zeros(len(self.rows), np.bool_)
        self.dropped = np.zeros(len(self.rows), np.bool_)

    def translate(self, left_out: Longs) -> Translation:
        if len(self.rows):
            assert self.record.deal_id is not None
            self.deal = self.rows.text(self.record.deal_id)
            self.refuse(np.asarray(self.deal.is_null()), self.record.deal_id, "missing deal")
            getattr(self, f"_{self.record.rows}")()
            self._states()
        drafts = pa.concat_tables([DRAFT_SCHEMA.empty_table(), *self.pieces])
        bad = self.rows.row[self.bad]
        if bad.size:
            numbers = pa.array(bad + self.translator.file * ROWS_OF_A_FILE)
            drafts = drafts.filter(pc.invert(pc.is_in(drafts["row"], value_set=numbers)))
        drafts, raised = _raise_known(drafts)
        return Translation(
            drafts=drafts,
            refusals=self.refusals,
            left_out=np.concatenate([left_out, self.rows.row[self.dropped]]),
            known_defaulted=self.known_defaulted,
            known_raised=raised,
            emptied=self.emptied,
        )

    # What is wrong

    def refuse(self, wrong: Flags, column: Column, reason: str) -> None:
        """Refuse rows for what stands in a column; the first reason counts."""
        fresh = np.flatnonzero(wrong & ~self.bad)
        if not fresh.size:
            return
        self.bad[fresh] = True
        name = next((n for n in map(self.rows.header.find, column.names) if n), column.names[0])
        values = self.rows.raw(column).take(pa.array(fresh)).cast(pa.string()).to_pylist()
        self.refusals.append(
            Refusal(row=self.rows.row[fresh], column=name, values=values, reason=reason)
        )

    def judge(self, marks: Marks, where: Longs, column: Column, what: str) -> None:
        """Refuse the rows whose values could not be read; missing ones pass."""
        for mark in (Mark.UNREADABLE, Mark.ZONELESS, Mark.OUT_OF_RANGE, Mark.NOT_FINITE):
            wrong = np.zeros(len(self.rows), np.bool_)
            wrong[where[marks == mark]] = True
            self.refuse(wrong, column, describe(mark, what))

    # Times and ids

    def time(self, column: Column, where: Longs, day: DayEdge = "end") -> tuple[Longs, Flags]:
        """Microseconds of some rows' times, and which are missing."""
        us, marks = read_times(self.rows.raw(column).take(pa.array(where)), self.reading, day)
        self.judge(marks, where, column, "a time")
        return us, marks == Mark.MISSING

    def needed_time(self, column: Column, where: Longs, day: DayEdge = "end") -> Longs:
        """The same where a missing time is wrong."""
        us, missing = self.time(column, where, day)
        wrong = np.zeros(len(self.rows), np.bool_)
        wrong[where[missing]] = True
        self.refuse(wrong, column, "missing time")
        return us

    @cached_property
    def everything(self) -> Longs:
        return np.arange(len(self.rows))

    @cached_property
    def occurred(self) -> Longs:
        assert self.record.occurred_at is not None
        return self.needed_time(self.record.occurred_at, self.everything)

    @cached_property
    def known(self) -> Longs:
        """When each row was known; where nothing says so, zero, which is raised to occurred."""
        if self.record.known_at is None:
            self.known_defaulted += len(self.rows)
            return np.full(len(self.rows), -1, np.int64)
        us, missing = self.time(self.record.known_at, self.everything)
        self.known_defaulted += int(missing.sum())
        return np.where(missing, -1, us)

    @cached_property
    def row_ids(self) -> pa.Array:
        template = self.record.source_id
        if template == FACT_ID:
            return pa.nulls(len(self.rows), pa.string())
        if not template:
            assert self.content_ids is not None
            return self.content_ids
        pieces = re.split(r"{([^}]*)}", template)
        parts: list[pa.Array | pa.Scalar] = [
            self.rows.text(Column(names=(piece,))) if number % 2 else pa.scalar(piece)
            for number, piece in enumerate(pieces)
        ]
        ids = pc.binary_join_element_wise(*parts, "")
        columns = Column(names=tuple(pieces[1::2]))
        self.refuse(np.asarray(ids.is_null()), columns, "missing id")
        return ids

    # Values

    def values_for(self, emit: Emit, where: Longs) -> dict[str, pa.Array]:
        """The value columns of an emitted event, for some rows."""
        given = {**dict(self.record.values), **self.defaults(emit.kind), **dict(emit.values)}
        found = {name: self.value(name, value, where) for name, value in given.items()}
        if emit.kind == "field_changed" and "number" not in given and "text" in found:
            found["text"], found["number"] = _numbers_apart(found["text"])
        if emit.kind == "activity_logged" and "name" not in found and self.record.activity:
            found["name"] = self.activity.take(pa.array(where))
        return found

    def defaults(self, kind: str) -> dict[str, Value]:
        if self.record.rows != "field" or kind not in CARRIERS:
            return {}
        assert self.record.field is not None
        assert self.record.new is not None
        named = {"name": self.record.field} if kind == "field_changed" else {}
        return {**named, CARRIERS[kind]: self.record.new}

    def value(self, name: str, value: Value, where: Longs) -> pa.Array:
        """One value column for some rows, as the event schema types it."""
        index = pa.array(where)
        if isinstance(value, Constant):
            column = Column(names=(f"{name} of the mapping",))
            raw = pa.array([value.value] * len(where), pa.string())
        else:
            column = value
            numeric = name in ("number", "span", "date")
            raw = (self.rows.raw(value) if numeric else self.rows.text(value)).take(index)
        if name in ("number", "span"):
            numbers, marks = read_numbers(raw, self.reading)
            self.judge(marks, where, column, "a number")
            scale = SPAN_UNITS_DAYS[self.record.span_unit] if name == "span" else 1.0
            return pa.array(numbers * scale, from_pandas=True)
        if name == "date":
            days, marks = read_dates(raw, self.reading)
            self.judge(marks, where, column, "a date")
            dates = pa.array(days.astype(np.int32), mask=marks != Mark.GOOD)
            return dates.cast(pa.date32())
        return persons_of(raw, self.translator.person_key) if name == "person" else raw

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
        ids: bool = True,
    ) -> None:
        """Draft one event for each of some rows; what lacks a needed value is refused."""
        if not where.size:
            return
        index = pa.array(where)
        columns: dict[str, pa.Array] = {
            "deal_id": self.deal.take(index),
            "kind": pa.array(np.full(where.size, KIND_CODES[kind], np.int8)),
            "occurred_at": pa.array(occurred),
            "known_at": pa.array(self.known[where] if known is None else known),
            "row": pa.array(self.rows.row[where] + self.translator.file * ROWS_OF_A_FILE),
            "origin": pa.array(np.full(where.size, origin, np.int8)),
            **values,
        }
        if ids:
            columns["row_id"] = self.row_ids.take(index)
        self.pieces.append(
            pa.table(
                [
                    columns[name] if name in columns else pa.nulls(where.size, kind_of)
                    for name, kind_of in zip(DRAFT_SCHEMA.names, DRAFT_SCHEMA.types, strict=True)
                ],
                schema=DRAFT_SCHEMA,
            )
        )

    def emit(self, emit: Emit, where: Longs) -> None:
        """Draft an event of a row, refusing rows that lack what its kind needs."""
        if not where.size:
            return
        values = self.values_for(emit, where)
        for name in sorted(KINDS[emit.kind][1]):
            empty = np.asarray(values[name].is_null()) if name in values else None
            if empty is None or not empty.any():
                if empty is None:
                    self._lacks(emit, name, where)
                continue
            if self.record.rows == "field":  # the value was taken away, which no kind can say
                self.emptied += int(empty.sum())
                values = {key: column.filter(pa.array(~empty)) for key, column in values.items()}
                where = where[~empty]
            else:
                self._lacks(emit, name, where[empty])
        self.add(emit.kind, where, self.occurred[where], values)

    def _lacks(self, emit: Emit, name: str, where: Longs) -> None:
        given = {**dict(self.record.values), **dict(emit.values)}.get(name)
        column = given if isinstance(given, Column) else Column(names=(name,))
        wrong = np.zeros(len(self.rows), np.bool_)
        wrong[where] = True
        self.refuse(wrong, column, f"missing {name} of {emit.kind}")

    # The shapes

    @cached_property
    def activity(self) -> pa.Array:
        return self.rows.joined(self.record.activity)

    def _ruled(self) -> Flags:
        """Emit by rules; answers the rows that no rule matched."""
        rest = np.ones(len(self.rows), np.bool_)
        for rule in self.record.rules:
            fits = rest & self.rows.matching(rule.when)
            rest &= ~fits
            self._emit_all(rule.emits, np.flatnonzero(fits))
        return rest

    def _emit_all(self, emits: Sequence[Emit], where: Longs) -> None:
        if not emits:
            self.dropped[where] = True
        for emit in emits:
            self.emit(emit, where)

    def _event(self) -> None:
        rest = self._ruled()
        if not self.record.activity:
            self._others(rest, None, Column(names=("activity",)))
            return
        coded = self.activity.dictionary_encode()
        known = {plain: emits for plain, emits in self.record.activities}
        names = coded.dictionary.to_pylist()
        groups: dict[tuple[Emit, ...] | None, list[int]] = {}
        for code, name in enumerate(names):
            groups.setdefault(known.get(name), []).append(code)
        codes = np.asarray(coded.indices.fill_null(len(names)))
        column = Column(names=self.record.activity)
        self.refuse(rest & (codes == len(names)), column, "missing activity")
        by_emit: dict[Emit, list[int]] = {}
        for emits, members in groups.items():
            if emits is None:
                continue
            for emit in emits:
                by_emit.setdefault(emit, []).extend(members)
            if not emits:
                self.dropped |= rest & np.isin(codes, members)
        for emit, members in by_emit.items():
            wanted = np.zeros(len(names) + 1, np.bool_)
            wanted[members] = True
            self.emit(emit, np.flatnonzero(rest & wanted[codes]))
        other = np.zeros(len(names) + 1, np.bool_)
        other[groups.get(None, [])] = True
        self._others(rest & other[codes], self.activity, column)

    def _others(self, rest: Flags, names: pa.Array | None, column: Column) -> None:
        if self.record.other == "drop":
            self.dropped |= rest
        elif self.record.other == "reject" or names is None and not self.record.values:
            self.refuse(rest, column, "unknown kind")
        else:
            self.emit(Emit(kind=self.record.other), np.flatnonzero(rest))

    def _field(self) -> None:
        assert self.record.field is not None
        rest = self._ruled()
        coded = self.rows.text(self.record.field).dictionary_encode()
        names = coded.dictionary.to_pylist()
        codes = np.asarray(coded.indices.fill_null(len(names)))
        self.refuse(rest & (codes == len(names)), self.record.field, "missing field")
        kinds = [self._kind_of_field(name) for name in names]
        for kind in dict.fromkeys(kinds):
            wanted = np.array([*(own == kind for own in kinds), False])
            where = np.flatnonzero(rest & wanted[codes])
            if kind == "drop":
                self.dropped[where] = True
            elif kind == "reject":
                self._others(rest & wanted[codes], None, self.record.field)
            else:
                self.emit(Emit(kind=kind), where)
                self._former(kind, where)

    def _kind_of_field(self, name: str) -> str:
        for pattern, kind in self.record.fields:
            if matches(name, [pattern]):
                return kind
        return self.record.other

    def _former(self, kind: str, where: Longs) -> None:
        """What the value was before, which tells what it was at the opening."""
        if self.record.old is None or kind not in CARRIERS or not where.size:
            return
        assert self.record.field is not None
        values = {CARRIERS[kind]: self.value(CARRIERS[kind], self.record.old, where)}
        if kind == "field_changed":
            values["name"] = self.rows.text(self.record.field).take(pa.array(where))
            values["text"], values["number"] = _numbers_apart(values["text"])
        self.add(kind, where, self.occurred[where], values, origin=Origin.FORMER, ids=False)

    def _state(self) -> None:
        if self.record.opened_at is None:
            return
        opened = self.needed_time(self.record.opened_at, self.everything, "start")
        self.add("deal_opened", self.everything, opened, {}, known=opened, ids=False)

    def _deal(self) -> None:
        assert self.record.opened_at is not None
        opened = self.needed_time(self.record.opened_at, self.everything, "start")
        everything = self.everything
        self.add("deal_opened", everything, opened, {}, known=opened, ids=False)
        for carried, origin in (
            (self.record.fixed, Origin.STATE),
            (self.record.current, Origin.EXPORT),
        ):
            self._carry(carried, opened, opened, origin)
        for kind, closed in (
            ("deal_won", self._closed("won")),
            ("deal_lost", self._closed("lost")),
        ):
            where = np.flatnonzero(closed)
            if where.size:
                self._close(kind, where, opened[where])

    def _closed(self, how: str) -> Flags:
        filters = getattr(self.record, how)
        flags = np.zeros(len(self.rows), np.bool_)
        if filters:
            flags |= self.rows.matching(filters)
        stages = getattr(self.translator, f"{how}_stages")
        if self.record.stage is not None and stages:
            flags |= self.rows.matching(((self.record.stage.names[0], tuple(stages)),))
        return flags

    def _close(self, kind: str, where: Longs, opened: Longs) -> None:
        assert self.record.closed_at is not None
        closed = self.needed_time(self.record.closed_at, where)
        early = np.zeros(len(self.rows), np.bool_)
        early[where[closed < opened]] = True
        self.refuse(early, self.record.closed_at, "closing before opening")
        known = np.full(where.size, -1, np.int64)
        values = self.values_for(Emit(kind=kind), where)
        self.add(kind, where, closed, values, known=known, origin=Origin.CLOSING, ids=False)

    def _states(self) -> None:
        if self.record.state:
            self._carry(self.record.state, self.occurred, self.known, Origin.STATE)

    def _carry(
        self,
        carried: Sequence[tuple[str, str, Column]],
        occurred: Longs,
        known: Longs,
        origin: Origin,
    ) -> None:
        """Draft what each row says of a deal's values."""
        for kind, name, column in carried:
            if not self.rows.header.has(column):
                continue
            carrier = CARRIERS[kind]
            values = {carrier: self.value(carrier, column, self.everything)}
            there = ~np.asarray(values[carrier].is_null())
            if kind == "field_changed":
                values["text"], values["number"] = _numbers_apart(values["text"])
                values["name"] = pa.array([name] * len(self.rows), pa.string())
            where = np.flatnonzero(there)
            chosen = {key: array.take(pa.array(where)) for key, array in values.items()}
            self.add(
                kind, where, occurred[where], chosen, known=known[where], origin=origin, ids=False
            )


def _raise_known(drafts: pa.Table) -> tuple[pa.Table, int]:
    """No fact is known before it happened; -1 stands for a known_at that nothing states."""
    occurred = np.asarray(drafts["occurred_at"])
    known = np.asarray(drafts["known_at"])
    raised = int(((known < occurred) & (known >= 0)).sum())
    place = drafts.schema.get_field_index("known_at")
    return drafts.set_column(place, "known_at", pa.array(np.maximum(known, occurred))), raised


def _numbers_apart(texts: pa.Array) -> tuple[pa.Array, pa.Array]:
    """A field's values as text and as number: each has one of the two."""
    digits = pc.match_substring_regex(texts, NUMBER)
    code = pc.match_substring_regex(texts, LEADING_ZERO)
    numeric = pc.fill_null(pc.and_not(digits, code), fill_value=False)
    nothing = pa.scalar(None, pa.string())
    numbers = pc.if_else(numeric, texts, nothing).cast(pa.float64())
    endless = pc.fill_null(pc.invert(pc.is_finite(numbers)), fill_value=False)
    numbers = pc.if_else(endless, pa.scalar(None, pa.float64()), numbers)
    return pc.if_else(numbers.is_valid(), nothing, texts), numbers
