"""The events of many deals as columns, sorted by deal and time.

One deal of a web request and a million deals of a batch take the same form, so everything
computed from a history has one definition.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from model.errors import HistoryError
from model.events import EPOCH_DAY, FIRST_IN_A_MOMENT, KIND_CODES, MERGED_INTO, Event, microseconds

if TYPE_CHECKING:
    import pyarrow as pa

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

NONE: Final = -1  # the code of a missing string
EPOCH_ORDINAL: Final = EPOCH_DAY.toordinal()
# Whose texts are read: a field's value, who declared a gate. All others are prose.
TEXT_KINDS: Final = ("field_changed", "must_hit_declared")


@dataclass(frozen=True, kw_only=True, eq=False)
class History:
    """Columns of events sorted by (deal, occurred_at, known_at, source, source_id).

    In one moment a reopening comes before all else, so that what closes the deal then closes it.

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

    @cached_property
    def standing(self) -> Ints:
        """The kind of each row, that of a loss by which its deal was merged away as a reopening.

        The sale is neither won nor lost then, and goes on as another deal. Shape (N,).
        """
        merged = [code for code, name in enumerate(self.names) if name.startswith(MERGED_INTO)]
        if not merged:
            return self.kind
        is_loss = self.kind == KIND_CODES["deal_lost"]
        return np.where(
            is_loss & np.isin(self.name, merged), KIND_CODES[FIRST_IN_A_MOMENT], self.kind
        )

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
        if not events:
            raise HistoryError("no event", "at least one event", "send the deal's events")
        rows = []
        for event in _distinct(events):
            at, known_at = event.occurred_at, event.known_at
            occurred = known = microseconds(at)
            if known_at is not None and known_at != at:
                known = microseconds(known_at)
            follows = event.kind != FIRST_IN_A_MOMENT
            identity = event.source, event.source_id
            rows.append((event.deal_id, occurred, known, follows, *identity, event))
        rows.sort()  # events are never compared: no two have one (source, source_id)
        names: dict[str, int] = {}
        texts: dict[str, int] = {}
        persons: dict[str, int] = {}
        sources: dict[str, int] = {}
        deal_ids: list[str] = []
        start: list[int] = []
        ints: list[int] = []
        floats: list[float] = []
        for index, (deal_id, occurred, known, _, source, _, event) in enumerate(rows):
            if not deal_ids or deal_ids[-1] != deal_id:
                deal_ids.append(deal_id)
                start.append(index)
            kind, name, person = event.kind, event.name, event.person
            text = event.text if kind in TEXT_KINDS else None
            number, date = event.number, event.date
            ints += (
                KIND_CODES[kind],
                occurred,
                known,
                NONE if name is None else names.setdefault(name, len(names)),
                NONE if text is None else texts.setdefault(text, len(texts)),
                NONE if person is None else persons.setdefault(person, len(persons)),
                sources.setdefault(source, len(sources)),
            )
            floats += (
                math.nan if number is None else number,
                math.nan if date is None else date.toordinal() - EPOCH_ORDINAL,
            )
        start.append(len(rows))
        whole = np.array(ints, dtype=np.int64).reshape(-1, 7).T.copy()
        real = np.array(floats, dtype=np.float64).reshape(-1, 2).T.copy()
        return cls(
            deal_ids=deal_ids,
            start=np.array(start, dtype=np.int64),
            kind=whole[0],
            occurred=whole[1],
            known=whole[2],
            name=whole[3],
            text=whole[4],
            person=whole[5],
            source=whole[6],
            number=real[0],
            date=real[1],
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
            If the table is empty, or one (source, source_id) comes with two contents.

        Examples
        --------
        >>> from datetime import datetime, UTC
        >>> from model.event_table import table_of
        >>> opened = Event(deal_id="D-1", kind="deal_opened", source="crm", source_id="1",
        ...                occurred_at=datetime(2026, 1, 5, tzinfo=UTC))
        >>> History.from_table(table_of([opened, opened])).occurred.size
        1
        """
        from model.event_table import sort_events

        if table.num_rows == 0:
            raise HistoryError("a table without events", "at least one event", "import some")
        table = _without_repeats(table.combine_chunks())
        deal, deal_ids = _encode(table, "deal_id")
        if not _is_sorted(deal, deal_ids, table):
            table = sort_events(table).combine_chunks()
            deal, deal_ids = _encode(table, "deal_id")
        kind, kinds = _encode(table, "kind")
        name, names = _encode(table, "name")
        text, texts = _encode_read_texts(table)
        person, _ = _codes(table, "person")
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


def _distinct(events: Sequence[Event]) -> Sequence[Event]:
    """Each event once.

    Raises
    ------
    HistoryError
        If one (source, source_id) comes with two contents.
    """
    if len({(event.source, event.source_id) for event in events}) == len(events):
        return events
    unique: dict[tuple[str, str], Event] = {}
    for event in events:
        if unique.setdefault((event.source, event.source_id), event) != event:
            raise _contradiction(event.source, event.source_id)
    return list(unique.values())


def _contradiction(source: str, source_id: str) -> HistoryError:
    return HistoryError(
        f"event {source_id!r} of {source!r} twice with other content",
        "one content for each source_id",
        "put the record's version into its source_id",
    )


def _encode(table: pa.Table, column: str) -> tuple[Ints, list[str]]:
    """Codes of a string column, -1 for missing, and the strings they stand for."""
    codes, strings = _codes(table, column)
    return codes, strings.to_pylist()


def _codes(table: pa.Table, column: str) -> tuple[Ints, pa.Array]:
    import pyarrow as pa

    array = table[column]
    if pa.types.is_dictionary(array.type):
        array = array.cast(pa.string())  # its dictionary may hold what no row holds
    array = array.combine_chunks().dictionary_encode()
    codes = array.indices.fill_null(NONE).to_numpy(zero_copy_only=False).astype(np.int64)
    return codes, array.dictionary


def _encode_read_texts(table: pa.Table) -> tuple[Ints, list[str]]:
    """Codes of `text` for `TEXT_KINDS` alone."""
    import pyarrow as pa
    import pyarrow.compute as pc

    is_read = pc.is_in(table["kind"].cast(pa.string()), pa.array(TEXT_KINDS))
    texts = pc.if_else(is_read, table["text"], pa.scalar(None, pa.string()))
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
    import pyarrow.compute as pc

    if len(deal) < 2:
        return True
    if any(a > b for a, b in pairwise(deal_ids)):
        return False
    tied = np.ones(len(deal) - 1, dtype=bool)
    follows = np.asarray(pc.not_equal(table["kind"], FIRST_IN_A_MOMENT)).astype(np.int8)
    for column in (deal, _times(table, "occurred_at"), _times(table, "known_at"), follows):
        step = column[1:] - column[:-1]
        if (tied & (step < 0)).any():
            return False
        tied &= step == 0
    rows = np.flatnonzero(tied)
    if rows.size == 0:
        return True
    identity = table.select(["source", "source_id"])
    before, after = identity.take(rows), identity.take(rows + 1)
    by_source = pc.less(before["source"], after["source"])
    same_source = pc.equal(before["source"], after["source"])
    by_id = pc.less_equal(before["source_id"], after["source_id"])
    return bool(pc.all(pc.or_(by_source, pc.and_(same_source, by_id))).as_py())


def _without_repeats(table: pa.Table) -> pa.Table:
    """Each (source, source_id) once.

    Raises
    ------
    HistoryError
        If one comes with two contents.
    """
    identity, identities = _codes(table, "source_id")
    if len(identities) == table.num_rows:
        return table
    source, _ = _codes(table, "source")
    key = source * len(identities) + identity
    order = np.argsort(key, kind="stable")
    again = np.flatnonzero(key[order][1:] == key[order][:-1]) + 1
    if again.size == 0:
        return table
    later, earlier = table.take(order[again]), table.take(order[again - 1])
    if not later.equals(earlier):
        for row, other in zip(later.to_pylist(), earlier.to_pylist(), strict=True):
            if row != other:
                raise _contradiction(row["source"], row["source_id"])
    keep = np.ones(table.num_rows, dtype=bool)
    keep[order[again]] = False
    return table.filter(keep).combine_chunks()
