"""The events of many deals as columns, sorted by deal and time.

One deal of a web request and a million deals of a batch take the same form, so everything
computed from a history has one definition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from model.errors import HistoryError
from model.events import EPOCH_DAY, KIND_CODES, Event, microseconds

if TYPE_CHECKING:
    import pyarrow as pa

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

NONE: Final = -1  # the code of a missing string
EPOCH_ORDINAL: Final = EPOCH_DAY.toordinal()


@dataclass(frozen=True, kw_only=True, eq=False)
class History:
    """Columns of events sorted by (deal, occurred_at, known_at, source, source_id).

    Parameters
    ----------
    deal_ids
        The deals, one entry each, ascending. Shape (D,).
    start
        Deal i owns rows ``start[i]`` to ``start[i + 1]``. Shape (D + 1,).
    kind
        Codes of `model.events.KIND_CODES`. Shape (N,), like all that follow.
    occurred, known
        Microseconds since 1970 UTC.
    name, text, person, source
        Codes into `names`, `texts`, nobody's list (persons are only told apart) and
        `sources`; -1 where missing.
    number
        NaN where missing.
    date
        Days since 1970; NaN where missing.
    """

    deal_ids: Sequence[str]
    start: Ints
    kind: Ints
    occurred: Ints
    known: Ints
    name: Ints
    text: Ints
    number: Floats
    date: Floats
    person: Ints
    source: Ints
    names: Sequence[str]
    texts: Sequence[str]
    sources: Sequence[str]

    @property
    def deals(self) -> int:
        """How many deals there are."""
        return len(self.deal_ids)

    @classmethod
    def from_events(cls, events: Sequence[Event]) -> History:
        """Arrange events; the same event given twice counts once.

        Parameters
        ----------
        events
            In any order, of any number of deals.

        Raises
        ------
        HistoryError
            If there is none, or one (source, source_id) comes with two contents.

        Examples
        --------
        >>> from datetime import datetime, UTC
        >>> opened = Event(deal_id="D-1", kind="deal_opened", source="crm", source_id="1",
        ...                occurred_at=datetime(2026, 1, 5, tzinfo=UTC))
        >>> History.from_events([opened, opened]).occurred.size
        1
        """
        unique: dict[tuple[str, str], Event] = {}
        for event in events:
            if unique.setdefault((event.source, event.source_id), event) != event:
                raise HistoryError(
                    f"event {event.source_id!r} of {event.source!r} twice with other content",
                    "one content for each source_id",
                    "put the record's version into its source_id",
                )
        if not unique:
            raise HistoryError("no event", "at least one event", "send the deal's events")
        rows = [
            (
                e.deal_id,
                microseconds(e.occurred_at),
                microseconds(e.known_at or e.occurred_at),
                k,
                e,
            )
            for k, e in unique.items()
        ]
        rows.sort(key=_sort_key)
        ordered = [row[4] for row in rows]
        names: dict[str, int] = {}
        texts: dict[str, int] = {}
        persons: dict[str, int] = {}
        sources: dict[str, int] = {}
        deal_ids: list[str] = []
        start: list[int] = []
        for index, event in enumerate(ordered):
            if not deal_ids or deal_ids[-1] != event.deal_id:
                deal_ids.append(event.deal_id)
                start.append(index)
        start.append(len(ordered))
        ints = np.array(
            [
                (
                    KIND_CODES[e.kind],
                    occurred,
                    known,
                    _code(names, e.name),
                    _code(texts, e.text) if e.kind == "field_changed" else NONE,
                    _code(persons, e.person),
                    _code(sources, e.source),
                )
                for _, occurred, known, _, e in rows
            ],
            dtype=np.int64,
        ).T.copy()
        floats = np.array(
            [
                (
                    np.nan if e.number is None else e.number,
                    np.nan if e.date is None else e.date.toordinal() - EPOCH_ORDINAL,
                )
                for e in ordered
            ],
            dtype=np.float64,
        ).T.copy()
        return cls(
            deal_ids=deal_ids,
            start=np.array(start, dtype=np.int64),
            kind=ints[0],
            occurred=ints[1],
            known=ints[2],
            name=ints[3],
            text=ints[4],
            person=ints[5],
            source=ints[6],
            number=floats[0],
            date=floats[1],
            names=list(names),
            texts=list(texts),
            sources=list(sources),
        )

    @classmethod
    def from_table(cls, table: pa.Table) -> History:
        """Arrange the rows of an events table; rows that are the same event count once.

        Parameters
        ----------
        table
            Rows of `model.event_table.EVENT_SCHEMA`, in any order; sorted ones are quicker.

        Raises
        ------
        HistoryError
            If the table is empty.
        """
        from model.event_table import sort_events

        if table.num_rows == 0:
            raise HistoryError("a table without events", "at least one event", "import some")
        table = table.combine_chunks()
        deal, deal_ids = _encode(table, "deal_id")
        if not _is_sorted(deal, deal_ids, table):
            table = sort_events(table).combine_chunks()
            deal, deal_ids = _encode(table, "deal_id")
        keep = _first_of_repeats(deal, table)
        if not keep.all():
            table = table.filter(keep).combine_chunks()
            deal, deal_ids = _encode(table, "deal_id")
        kind, kinds = _encode(table, "kind")
        name, names = _encode(table, "name")
        text, texts = _encode_field_texts(table)
        person, _ = _encode(table, "person", values=False)
        source, sources = _encode(table, "source")
        return cls(
            deal_ids=deal_ids,
            start=np.searchsorted(deal, np.arange(len(deal_ids) + 1)),
            kind=np.array([KIND_CODES[k] for k in kinds], dtype=np.int64)[kind],
            occurred=_times(table, "occurred_at"),
            known=_times(table, "known_at"),
            name=name,
            text=text,
            person=person,
            source=source,
            number=_floats(table, "number"),
            date=_floats(table, "date"),
            names=names,
            texts=texts,
            sources=sources,
        )


def _code(codes: dict[str, int], value: str | None) -> int:
    """The value's code in order of first appearance; None is `NONE`."""
    return NONE if value is None else codes.setdefault(value, len(codes))


def _sort_key(row: tuple[str, int, int, tuple[str, str], Event]) -> tuple[Any, ...]:
    return row[:4]


def _encode(table: pa.Table, column: str, values: bool = True) -> tuple[Ints, list[str]]:
    """Codes of a string column, -1 for missing, and the strings they stand for."""
    import pyarrow as pa

    array = table[column]
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    codes = array.indices.fill_null(NONE).to_numpy(zero_copy_only=False).astype(np.int64)
    return codes, array.dictionary.to_pylist() if values else []


def _encode_field_texts(table: pa.Table) -> tuple[Ints, list[str]]:
    """Codes of `text` for field_changed alone: other texts are prose, told by nothing here."""
    import pyarrow as pa
    import pyarrow.compute as pc

    is_field = pc.equal(table["kind"].cast(pa.string()), "field_changed")
    texts = pc.if_else(is_field, table["text"], pa.scalar(None, pa.string()))
    return _encode(pa.table({"text": texts}), "text")


def _times(table: pa.Table, column: str) -> Ints:
    import pyarrow as pa

    times: Ints = table[column].cast(pa.int64()).to_numpy().astype(np.int64, copy=False)
    return times


def _floats(table: pa.Table, column: str) -> Floats:
    import pyarrow as pa

    array = table[column]
    if pa.types.is_date32(array.type):
        array = array.cast(pa.int32())
    return np.asarray(array.cast(pa.float64()).fill_null(np.nan).to_numpy(), dtype=np.float64)


def _is_sorted(deal: Ints, deal_ids: list[str], table: pa.Table) -> bool:
    """Whether rows stand in order; strings are compared only where times tie."""
    if len(deal) < 2:
        return True
    if any(a > b for a, b in pairwise(deal_ids)):
        return False
    later = np.zeros(len(deal) - 1, dtype=bool)
    tied = np.ones(len(deal) - 1, dtype=bool)
    for column in (deal, _times(table, "occurred_at"), _times(table, "known_at")):
        step = column[1:] - column[:-1]
        if (tied & (step < 0)).any():
            return False
        later |= tied & (step > 0)
        tied &= step == 0
    rows = np.flatnonzero(tied)
    before, after = _identities(table, rows), _identities(table, rows + 1)
    return all(a <= b for a, b in zip(before, after, strict=True))


def _first_of_repeats(deal: Ints, table: pa.Table) -> NDArray[np.bool_]:
    """Marks every row but the repeats of the row before it."""
    keep = np.ones(len(deal), dtype=bool)
    tied = deal[1:] == deal[:-1]
    for column in ("occurred_at", "known_at"):
        time = _times(table, column)
        tied &= time[1:] == time[:-1]
    rows = np.flatnonzero(tied)
    before, after = _identities(table, rows), _identities(table, rows + 1)
    same = [a == b for a, b in zip(before, after, strict=True)]
    keep[rows[np.array(same, dtype=bool)] + 1] = False
    return keep


def _identities(table: pa.Table, rows: Ints) -> list[tuple[str, str]]:
    taken = table.select(["source", "source_id"]).take(rows)
    return list(zip(taken["source"].to_pylist(), taken["source_id"].to_pylist(), strict=True))
