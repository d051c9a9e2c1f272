"""Translate rows into drafts: each row a deal, an event, a change of a field, or a state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.sources.batch import Batch, Refusal, numbers_apart, taken
from model.sources.carriers import CARRIERS
from model.sources.drafts import UNKNOWN, Identity, Origin
from model.sources.mail import is_auto_reply
from model.sources.mapping import Column, Emit, Mapping, Record
from model.sources.rows import BETWEEN, Rows, matches
from model.sources.values import Flags, Longs

DROP: Final = "drop"
REJECT: Final = "reject"


@dataclass(frozen=True, kw_only=True)
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
    emptied
        How many rows emptied a value that only a new value can replace.
    """

    drafts: pa.Table
    refusals: list[Refusal]
    left_out: Longs
    emptied: int


@dataclass(frozen=True, kw_only=True)
class Translator:
    """Turns batches of one file into drafts, by one record of a mapping.

    Parameters
    ----------
    mapping, record
        What the columns mean.
    file
        The file's number among those imported.
    won_stages, lost_stages
        Stages that close a deal, as patterns, those that other files name among them.
    """

    mapping: Mapping
    record: Record
    file: int
    won_stages: Sequence[str] = ()
    lost_stages: Sequence[str] = ()

    def __call__(self, rows: Rows, content_ids: pa.Array | None) -> Translation:
        """Translate some rows.

        Parameters
        ----------
        rows
            The rows, the columns of joined lookups among theirs.
        content_ids
            The ids of the same rows by their content, where the record asks for no other id.
        """
        chosen = rows.matching(self.record.where)
        if self.record.unless:
            chosen &= ~rows.matching(self.record.unless)
        if content_ids is not None and not chosen.all():
            content_ids = content_ids.filter(pa.array(chosen))
        batch = Batch(
            rows.take(chosen),
            self.record,
            reading=self.mapping.reading,
            file=self.file,
            content_ids=content_ids,
        )
        if len(batch.rows):
            shapes: dict[str, Callable[[Batch], object]] = {
                "deal": self._deal,
                "event": _events,
                "field": _fields,
                "state": _opening,
            }
            shapes[self.record.rows](batch)
            if self.record.state:
                _carry(batch, self.record.state, batch.occurred, batch.known, Origin.STATE)
        return Translation(
            drafts=batch.drafts(),
            refusals=batch.refusals,
            left_out=np.concatenate([rows.row[~chosen], batch.rows.row[batch.dropped]]),
            emptied=batch.emptied,
        )

    def _deal(self, batch: Batch) -> None:
        opened = _opening(batch)
        _carry(batch, self.record.fixed, opened, batch.known, Origin.STATE)
        _carry(batch, self.record.current, opened, batch.known, Origin.EXPORT)
        for kind, closed in (
            ("deal_won", self._closed(batch, "won")),
            ("deal_lost", self._closed(batch, "lost")),
        ):
            _close(batch, kind, np.flatnonzero(closed), opened)

    def _closed(self, batch: Batch, how: str) -> Flags:
        """Which deals are closed, by the row's own word or by their stage."""
        filters = self.record.won if how == "won" else self.record.lost
        stages = self.won_stages if how == "won" else self.lost_stages
        closed = np.zeros(len(batch.rows), np.bool_)
        if filters:
            closed |= batch.rows.matching(filters)
        if self.record.stage is not None and stages:
            closed |= batch.rows.matching(((self.record.stage.names[0], tuple(stages)),))
        return closed


def _opening(batch: Batch) -> Longs:
    """Draft the opening of each row's deal; a bare date is the start of its day."""
    column = batch.record.opened_at
    if column is None:
        return batch.everything
    opened = batch.needed_time(column, batch.everything, "start")
    told_then = batch.record.rows == "deal"  # else known_at is when the row's state was known
    known = batch.known if told_then else np.full(opened.size, UNKNOWN, np.int64)
    batch.add("deal_opened", batch.everything, opened, {}, known=known, identity=Identity.FACT)
    return opened


def _close(batch: Batch, kind: str, where: Longs, opened: Longs) -> None:
    """Draft what the deal's row says of its closing."""
    column = batch.record.closed_at
    if column is None or not where.size:
        return
    closed = batch.needed_time(column, where, "end_in_utc")
    known = batch.known_by_date(column, closed)
    closed = np.where(opened <= known, np.maximum(closed, opened), closed)  # of one evening
    good = where[~batch.bad[where]]
    batch.refuse_at(good[closed[good] < opened[good]], column, "closing before opening")
    batch.add(
        kind,
        where,
        closed[where],
        batch.values_for(Emit(kind=kind), where),
        known=known[where],
        origin=Origin.CLOSING,
        identity=Identity.FACT,
    )


def _carry(
    batch: Batch,
    carried: Iterable[tuple[str, str, Column]],
    occurred: Longs,
    known: Longs,
    origin: Origin,
) -> None:
    """Draft what each row says of its deal's values."""
    for kind, name, column in carried:
        if not batch.rows.header.has(column):
            continue
        carrier = CARRIERS[kind]
        values = {carrier: batch.value(carrier, column, batch.everything)}
        there = np.asarray(values[carrier].is_valid())
        if kind == "field_changed":
            values["text"], values["number"] = numbers_apart(values["text"])
            values["name"] = pa.array([name] * len(batch.rows), pa.string())
        where = np.flatnonzero(there)
        batch.add(
            kind,
            where,
            occurred[where],
            {key: taken(array, where) for key, array in values.items()},
            known=known[where],
            origin=origin,
            identity=Identity.FACT,
        )


def _events(batch: Batch) -> None:
    """Rows that are one activity each."""
    rest = _ruled(batch)
    if not batch.record.activity:
        looked_at = [name for rule in batch.record.rules for name, _ in rule.when]
        _others(batch, rest, looked_at[0] if looked_at else "activity")
        return
    coded = batch.activity.dictionary_encode()
    names = coded.dictionary.to_pylist()
    codes = np.asarray(coded.indices.fill_null(len(names)))
    batch.refuse(rest & (codes == len(names)), Column(names=batch.record.activity), "no activity")
    known = dict(batch.record.activities)

    def rows_of(some: Iterable[int]) -> Flags:
        wanted = np.zeros(len(names) + 1, np.bool_)
        wanted[list(some)] = True
        return np.asarray(rest & wanted[codes])

    members: dict[Emit, list[int]] = {}
    for code, name in enumerate(names):
        for emit in known.get(name, ()):
            members.setdefault(emit, []).append(code)
    for emit, some in members.items():
        _emit(batch, emit, np.flatnonzero(rows_of(some)))
    batch.dropped |= rows_of(code for code, name in enumerate(names) if known.get(name) == ())
    unmapped = (code for code, name in enumerate(names) if name not in known)
    _others(batch, rows_of(unmapped), batch.record.activity[0])


def _ruled(batch: Batch) -> Flags:
    """Emit by rules, of which the first that fits counts; answers the rows that none fits."""
    rest = np.ones(len(batch.rows), np.bool_)
    for rule in batch.record.rules:
        fits = rest & batch.rows.matching(rule.when)
        rest &= ~fits
        if not rule.emits:
            batch.dropped |= fits
        for emit in rule.emits:
            _emit(batch, emit, np.flatnonzero(fits))
            _former(batch, emit.kind, np.flatnonzero(fits))
    return rest


def _emit(batch: Batch, emit: Emit, where: Longs) -> None:
    """Draft events, but a machine's answer is not the customer's."""
    record = batch.record
    if emit.kind == "customer_replied" and where.size and (record.subject or record.headers):
        machine = _answered_by_machine(batch)[where]
        batch.emit(Emit(kind="auto_reply_received", values=emit.values), where[machine])
        where = where[~machine]
    batch.emit(emit, where)


def _answered_by_machine(batch: Batch) -> Flags:
    """Whose subject or headers are those of an automatic reply. Shape (N,)."""
    texts = [
        batch.rows.text(column).fill_null("") if column else pa.array([""] * len(batch.rows))
        for column in (batch.record.subject, batch.record.headers)
    ]
    mails = pc.binary_join_element_wise(*texts, BETWEEN).dictionary_encode()
    distinct = (mail.split(BETWEEN, 1) for mail in mails.dictionary.to_pylist())
    automatic = [is_auto_reply(subject, headers) for subject, headers in distinct]
    return np.asarray(np.array(automatic, np.bool_)[np.asarray(mails.indices)])


def _others(batch: Batch, rest: Flags, column: str) -> None:
    """What becomes of rows that no entry of the mapping names."""
    if batch.record.other == DROP:
        batch.dropped |= rest
    elif batch.record.other == REJECT:
        batch.refuse(rest, Column(names=(column,)), "unknown kind")
    else:
        batch.emit(Emit(kind=batch.record.other), np.flatnonzero(rest))


def _fields(batch: Batch) -> None:
    """Rows that are one change of one field each."""
    column = batch.record.field or Column(names=("field",))
    rest = _ruled(batch)
    coded = batch.rows.text(column).dictionary_encode()
    codes = np.asarray(coded.indices.fill_null(-1))
    batch.refuse(rest & (codes < 0), column, "missing field")
    kinds = [_kind_of_field(batch.record, name) for name in coded.dictionary.to_pylist()]
    for kind in dict.fromkeys(kinds):
        wanted = rest & np.array([*(own == kind for own in kinds), False])[codes]
        if kind == DROP:
            batch.dropped |= wanted
        elif kind == REJECT:
            batch.refuse(wanted, column, "unknown field")
        else:
            where = np.flatnonzero(wanted)
            batch.emit(Emit(kind=kind), where)
            _former(batch, kind, where)


def _kind_of_field(record: Record, name: str) -> str:
    for pattern, kind in record.fields:
        if matches(name, [pattern]):
            return kind
    return record.other


def _former(batch: Batch, kind: str, where: Longs) -> None:
    """Draft what the value was before, which tells what it was at the opening."""
    field, old = batch.record.field, batch.record.old
    if field is None or old is None or kind not in CARRIERS or not where.size:
        return
    values = {CARRIERS[kind]: batch.value(CARRIERS[kind], old, where)}
    if kind == "field_changed":
        values["text"], values["number"] = numbers_apart(values["text"])
        values["name"] = taken(batch.rows.text(field), where)
    batch.add(
        kind,
        where,
        batch.occurred[where],
        values,
        origin=Origin.FORMER,
        identity=Identity.FACT,
    )
