"""All drafts beside the events that are there, as arrays that are narrowed step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from model.events import KIND_CODES, KINDS
from model.sources.carriers import CARRIERS
from model.sources.drafts import Identity, Origin, drafts_of, repeat
from model.sources.moments import OTHERS_RANK, RANKS
from model.sources.said import said
from model.sources.values import Flags, Longs

Places = npt.NDArray[np.intp]

OPENED: Final = KIND_CODES["deal_opened"]
WON: Final = KIND_CODES["deal_won"]
LOST: Final = KIND_CODES["deal_lost"]
REOPENED: Final = KIND_CODES["deal_reopened"]
STAGE: Final = KIND_CODES["stage_changed"]
FIELD: Final = KIND_CODES["field_changed"]
KIND_NAMES: Final = tuple(KINDS)
THERE: Final = -3  # the row number of events that are there already; sorts first
DERIVED: Final = -2  # the row number of drafts that follow from those
RETOLD: Final = -1  # of drafts that follow from those that this import tells again
EXPORTED: Final = "as exported"  # ends the id of a closing that only the deal's row tells


class Board:
    """Drafts and events there already, with the columns that deciding needs as arrays.

    Parameters
    ----------
    drafts
        Rows of `DRAFT_SCHEMA`, N of them.
    existing
        Events that are there, rows of `EVENT_SCHEMA`; they stand behind the drafts.
    key
        The key under which people are hashed, and texts in ids.

    Attributes
    ----------
    table
        All columns.
    deals
        The distinct deals.
    deal, kind, occurred, row, origin
        The deal's place among `deals`, the kind's code, microseconds, the row's number, the
        `Origin`.
    keep
        What still stands.
    superseded
        Which of the events there already no longer stand.
    there_again
        How many drafts were dropped for saying what is there already.
    retold
        Which of the events there already the drafts tell again: of one kind, in the same moment.
        Shape (existing,).
    """

    def __init__(self, drafts: pa.Table, existing: pa.Table, key: bytes) -> None:
        self.key = key
        self.new = drafts.num_rows
        self.existing = existing
        self.table = pa.concat_tables([drafts, _as_drafts(existing)]) if len(existing) else drafts
        coded = self.table["deal_id"].unify_dictionaries().combine_chunks()
        self.deals = coded.dictionary
        self.deal = np.asarray(coded.indices)
        self.kind = np.asarray(self.table["kind"])
        self.occurred = np.asarray(self.table["occurred_at"])
        self.row = np.asarray(self.table["row"])
        self.origin = np.asarray(self.table["origin"]).copy()
        self.keep = np.ones(self.kind.size, np.bool_)
        self.superseded = np.zeros(existing.num_rows, np.bool_)
        self.there_again = 0
        self.retold = self._retold()

    def _retold(self) -> Flags:
        told = np.zeros(self.existing.num_rows, np.bool_)
        if not told.size or not self.new:
            return told
        order = np.lexsort((self.row, self.occurred, self.kind, self.deal))
        start = np.ones(order.size, np.bool_)
        keys = (self.deal, self.kind, self.occurred)
        start[1:] = np.any([key[order[1:]] != key[order[:-1]] for key in keys], axis=0)
        last = np.append(np.flatnonzero(start)[1:], order.size) - 1  # of each moment and kind
        again = (self.row[order[last]] != THERE)[np.cumsum(start) - 1]
        there = self.row[order] == THERE
        told[order[there & again] - self.new] = True
        return told

    @property
    def fresh(self) -> Flags:
        """What stands and is not there already."""
        return np.asarray(self.keep & (self.row != THERE))

    def column(self, name: str, index: Places) -> pa.ChunkedArray:
        """A column of some drafts."""
        return self.table[name].take(pa.array(index))

    def among(self, kinds: Sequence[int]) -> Places:
        """What stands of some kinds, sorted by deal, time, rank in one moment, and row."""
        index = np.flatnonzero(self.keep & np.isin(self.kind, kinds))
        rank = np.full(index.size, OTHERS_RANK, np.int8)
        for kind, place in RANKS.items():
            rank[self.kind[index] == KIND_CODES[kind]] = place
        order = np.lexsort((self.row[index], rank, self.occurred[index], self.deal[index]))
        return index[order]

    def by_time(self, index: Places, group: Longs) -> Places:
        """How changes of one kind follow each other: by group, time, and in one moment by id.

        Parameters
        ----------
        index
            The drafts.
        group
            A number for each deal, or for each field of it. Shape of `index`.

        Returns
        -------
        Places
            The order in which to take `index`. Shape of `index`.
        """
        keys = (self.row[index], np.zeros(index.size, np.int64), self.occurred[index], group)
        order = np.lexsort(keys)
        same = np.all([key[order[1:]] == key[order[:-1]] for key in keys[2:]], axis=0)
        tied = np.zeros(order.size, np.bool_)
        tied[1:] |= same
        tied[:-1] |= same
        if not tied.any():
            return order
        spots = order[tied]
        coded = said(self.table.take(pa.array(index[spots])), self.key).fill_null("")
        coded = coded.dictionary_encode()
        rank = np.empty(len(coded.dictionary), np.int64)
        rank[np.asarray(pc.sort_indices(coded.dictionary))] = np.arange(rank.size)
        keys[1][spots] = rank[np.asarray(coded.indices)]
        return np.lexsort(keys)

    def move(self, index: Places, occurred: Longs) -> None:
        """Let drafts happen, and be known, at other times."""
        if not index.size:
            return
        self.occurred = self.occurred.copy()
        self.occurred[index] = occurred
        for name in ("occurred_at", "known_at"):
            times = np.asarray(self.table[name]).copy()
            times[index] = occurred
            place = self.table.column_names.index(name)
            self.table = self.table.set_column(place, self.table.field(name), pa.array(times))

    def starts(self, index: Places) -> Flags:
        """Which of drafts sorted by deal are the first of their deal."""
        start = np.ones(index.size, np.bool_)
        start[1:] = self.deal[index[1:]] != self.deal[index[:-1]]
        return start

    def drop(self, index: Places) -> None:
        """Drop drafts, and events there already as superseded."""
        self.keep[index] = False
        self.superseded[index[self.row[index] == THERE] - self.new] = True

    def drop_repeats(self, index: Places, again: Flags) -> Places:
        """Drop drafts that repeat the one before; answers those that are new at another time.

        What repeats an event there already, in the same moment, is that event again.
        """
        twice = again & self.is_there(index, np.roll(index, 1))
        self.there_again += int((twice & (self.row[index] != DERIVED)).sum())
        self.drop(index[again])
        return np.asarray(index[again & ~twice])

    def is_there(self, index: Places, other: Places) -> Flags:
        """Which drafts others, there already, tell: of the same kind, in the same moment."""
        same = (self.row[other] == THERE) & (self.row[index] != THERE)
        same &= self.occurred[other] == self.occurred[index]
        return np.asarray(same & (self.kind[other] == self.kind[index]))

    def append(self, index: Places, kinds: npt.NDArray[np.int8]) -> Places:
        """Add drafts that follow from others: same deal, times and row, no values."""
        if not index.size:
            return index
        source = self.table.take(pa.array(index))
        rows = self.row[index]
        there = np.flatnonzero(rows == THERE)
        rows = rows.copy()
        rows[there] = np.where(self.retold[index[there] - self.new], RETOLD, DERIVED)
        more = {
            "deal_id": source["deal_id"],
            "kind": pa.array(kinds),
            "occurred_at": source["occurred_at"],
            "known_at": source["known_at"],
            "row": pa.array(rows),
            "origin": repeat(Origin.FACT, index.size),
            "identity": repeat(Identity.FACT, index.size),
        }
        self.table = pa.concat_tables([self.table, drafts_of(more, index.size)])
        added = np.arange(self.kind.size, self.kind.size + index.size)
        self.deal = np.append(self.deal, self.deal[index])
        self.kind = np.append(self.kind, kinds)
        self.occurred = np.append(self.occurred, self.occurred[index])
        self.row = np.append(self.row, rows)
        self.origin = np.append(self.origin, np.full(index.size, Origin.FACT, np.int8))
        self.keep = np.append(self.keep, np.ones(index.size, np.bool_))
        return added

    def values(self, index: Places, kind: int) -> npt.NDArray[np.float64]:
        """What drafts of one kind say, as numbers that differ where the values do."""
        carrier = CARRIERS[KIND_NAMES[kind]]
        said = self.column(carrier, index)
        if kind == FIELD:
            said = pc.coalesce(said, self.column("number", index).cast(pa.string()))
        if carrier == "date":
            said = said.cast(pa.int32())
        elif carrier != "number":
            said = said.dictionary_encode().combine_chunks().indices
        return np.asarray(said.cast(pa.float64()).fill_null(-1.0))

    def groups(self, index: Places, kind: int) -> Longs:
        """One number for each deal, and for each field of it."""
        deal = self.deal[index].astype(np.int64)
        if kind != FIELD:
            return deal
        names = self.column("name", index).dictionary_encode().combine_chunks()
        codes = np.asarray(names.indices.fill_null(-1)).astype(np.int64)
        return np.add(deal * (len(names.dictionary) + 1), codes)


def _as_drafts(existing: pa.Table) -> pa.Table:
    """Events that are there, as drafts that stand."""
    count = existing.num_rows
    weak = pc.ends_with(existing["source_id"], f"/{EXPORTED}")
    columns = {
        **{name: existing[name] for name in ("name", "text", "number", "date")},
        "deal_id": existing["deal_id"].dictionary_encode(),
        "kind": pc.index_in(existing["kind"], value_set=pa.array(KIND_NAMES)).cast(pa.int8()),
        "occurred_at": existing["occurred_at"].cast(pa.int64()),
        "known_at": existing["known_at"].cast(pa.int64()),
        "row": pa.array(np.full(count, THERE, np.int64)),
        "origin": pa.array(np.where(weak, Origin.CLOSING, Origin.FACT).astype(np.int8)),
        "identity": repeat(Identity.FACT, count),
    }
    return drafts_of(columns, count)
