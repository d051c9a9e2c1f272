"""See drafts of all rows together: what changed, what opened and closed each deal, which id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from model.event_table import EVENT_SCHEMA, TIME
from model.events import KIND_CODES, KINDS
from model.sources.drafts import DRAFT_SCHEMA, ROWS_OF_A_FILE, Origin
from model.sources.mapping import CARRIERS
from model.sources.rows import Flags, matches
from model.sources.times import Longs

OPENED: Final = KIND_CODES["deal_opened"]
WON: Final = KIND_CODES["deal_won"]
LOST: Final = KIND_CODES["deal_lost"]
REOPENED: Final = KIND_CODES["deal_reopened"]
STAGE: Final = KIND_CODES["stage_changed"]
FIELD: Final = KIND_CODES["field_changed"]
NEVER: Final = np.iinfo(np.int64).max  # the opening of a deal never opened
CONTEXT: Final = -1  # the row number of events that are there already
EXPORTED: Final = "/as exported"  # ends the id of a closing that only the deal's row tells
# Kinds of which one row may tell several, so that the name belongs to the id.
NAMED: Final = ("field_changed", "activity_logged", "milestone_set", "milestone_moved") + (
    "milestone_reached",
    "milestone_dropped",
    "must_hit_declared",
    "must_hit_withdrawn",
    "competitor_named",
)
RANK_OF: Final = {OPENED: 0, REOPENED: 1, WON: 3, LOST: 3}  # others stand between, at 2


@dataclass(kw_only=True)
class Stages:
    """What is known of a pipeline's stages.

    Parameters
    ----------
    won, lost
        Patterns of the stages that close a deal.
    orders
        The place of a stage in its pipeline.
    """

    won: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    orders: dict[str, float] = field(default_factory=dict)

    def status(self, stage: str | None) -> int:
        """0 for an open stage, 1 for won, 2 for lost.

        Examples
        --------
        >>> Stages(won=["Closed Won"]).status("closed won")
        1
        """
        if stage is None:
            return 0
        return 1 if matches(stage, self.won) else 2 * matches(stage, self.lost)


@dataclass(kw_only=True)
class Assembly:
    """Events, and what became of the rest.

    Parameters
    ----------
    events
        New events, rows of `EVENT_SCHEMA`, in no order.
    superseded
        Which of the events there already no longer stand. Shape (existing,).
    refused
        Row numbers by reason, and the column and value to show for each.
    skipped
        Row numbers of records of deals never opened.
    repeated
        How many closings came after the one that stands.
    already
        How many events were there already.
    unknown_at_opening
        Kinds and fields known only at the time of export.
    """

    events: pa.Table
    superseded: Flags
    refused: list[tuple[Longs, str, list[str | None], str]]
    skipped: Longs
    repeated: int
    already: int
    unknown_at_opening: list[str]


def assemble(
    drafts: pa.Table, *, source: str, opens: str, stages: Stages, existing: pa.Table
) -> Assembly:
    """Turn drafts into events beside those that are there already.

    Parameters
    ----------
    drafts
        Rows of `DRAFT_SCHEMA`.
    source
        The CRM or mailbox.
    opens
        The kind whose first event opens a deal, or ``any``.
    stages
        Which stages close a deal.
    existing
        Events that are there, rows of `EVENT_SCHEMA`.
    """
    return _Assembler(drafts, source=source, opens=opens, stages=stages, existing=existing).run()


class _Assembler:
    """All drafts with their columns as arrays, narrowed step by step."""

    def __init__(
        self, drafts: pa.Table, *, source: str, opens: str, stages: Stages, existing: pa.Table
    ) -> None:
        self.source = source
        self.opens = opens
        self.stages = stages
        self.existing = existing
        self.refused: list[tuple[Longs, str, list[str | None], str]] = []
        self.superseded = np.zeros(existing.num_rows, np.bool_)
        self.new = drafts.num_rows
        self.table = pa.concat_tables([drafts, _as_drafts(existing)])
        self.late_closing: npt.NDArray[np.intp] = np.zeros(0, np.intp)
        self._arrays()
        self.keep = np.ones(len(self.kind), np.bool_)

    def _arrays(self) -> None:
        """The columns that deciding needs, as arrays."""
        coded = self.table["deal_id"].dictionary_encode().combine_chunks()
        self.deals = coded.dictionary
        self.deal = np.asarray(coded.indices).astype(np.int64)
        self.kind = np.asarray(self.table["kind"])
        self.occurred = np.asarray(self.table["occurred_at"])
        self.row = np.asarray(self.table["row"])
        self.origin = np.asarray(self.table["origin"])

    def run(self) -> Assembly:
        unknown = self._openings_of_exports()
        self._drop_unchanged()
        self._stage_closings()
        self._weak_closings()
        opened = self._openings()
        self._early_closings(opened)
        repeated = self._repeated_closings()
        never = self.fresh & (opened[self.deal] == NEVER)
        skipped = np.unique(self.row[never])
        self.keep &= ~never
        events, already = self._events()
        return Assembly(
            events=events,
            superseded=self.superseded,
            refused=self.refused,
            skipped=skipped[skipped >= 0],
            repeated=repeated,
            already=already,
            unknown_at_opening=unknown,
        )

    # Helpers

    @property
    def fresh(self) -> Flags:
        """Kept drafts that are not there already."""
        return self.keep & (self.row != CONTEXT)

    def among(self, kinds: Sequence[int]) -> npt.NDArray[np.intp]:
        """Kept rows of some kinds, sorted by deal, time, rank and row."""
        index = np.flatnonzero(self.keep & np.isin(self.kind, kinds))
        rank = np.full(index.size, 2, np.int8)
        for kind, place in RANK_OF.items():
            rank[self.kind[index] == kind] = place
        order = np.lexsort((self.row[index], rank, self.occurred[index], self.deal[index]))
        return index[order]

    def drop(self, index: npt.NDArray[np.intp]) -> None:
        """Drop drafts, and events there already as superseded."""
        self.keep[index] = False
        there = index[self.row[index] == CONTEXT]
        self.superseded[there - self.new] = True  # they stand behind the new ones

    def append(self, index: npt.NDArray[np.intp], kinds: npt.NDArray[np.int8]) -> None:
        """Add drafts that follow from others: same deal, times and row, no values."""
        if not index.size:
            return
        where = pa.array(index)
        source = self.table.select(["deal_id", "occurred_at", "known_at", "row"]).take(where)
        rows = np.asarray(source["row"])
        more = pa.table(
            [
                source[name] if name in source.column_names else pa.nulls(index.size, kind_of)
                for name, kind_of in zip(DRAFT_SCHEMA.names, DRAFT_SCHEMA.types, strict=True)
            ],
            schema=DRAFT_SCHEMA,
        )
        more = more.set_column(1, "kind", pa.array(kinds))
        place = DRAFT_SCHEMA.get_field_index("row")
        derived = np.where(rows == CONTEXT, CONTEXT - 1, rows)  # not there already, of no row
        more = more.set_column(place, "row", pa.array(derived))
        facts = pa.array(np.full(index.size, Origin.FACT, np.int8))
        more = more.set_column(place + 1, "origin", facts)
        self.table = pa.concat_tables([self.table, more])
        self.deal = np.append(self.deal, self.deal[index])
        self.kind = np.append(self.kind, kinds)
        self.occurred = np.append(self.occurred, self.occurred[index])
        self.row = np.append(self.row, derived)
        self.origin = np.append(self.origin, np.full(index.size, Origin.FACT, np.int8))
        self.keep = np.append(self.keep, np.ones(index.size, np.bool_))

    def values(self, index: npt.NDArray[np.intp], kind: int) -> npt.NDArray[np.float64]:
        """What the drafts of one kind say, as numbers that differ where the values do."""
        carrier = CARRIERS[list(KINDS)[kind]]
        part = self.table.select(["name", "text", "number", "date"]).take(pa.array(index))
        if kind == FIELD:
            said = pc.coalesce(part["text"], part["number"].cast(pa.string()))
        elif carrier in ("name", "text"):
            said = part[carrier]
        elif carrier == "date":
            return np.asarray(part[carrier].cast(pa.int32()).cast(pa.float64()).fill_null(np.nan))
        else:
            return np.asarray(part[carrier].fill_null(np.nan))
        return np.asarray(
            said.dictionary_encode().combine_chunks().indices.fill_null(-1).cast(pa.float64())
        )

    def groups(self, index: npt.NDArray[np.intp], kind: int) -> Longs:
        """One number for each deal, and for each field of it."""
        if kind != FIELD:
            return self.deal[index]
        names = self.table["name"].take(pa.array(index)).dictionary_encode().combine_chunks()
        codes = np.asarray(names.indices.fill_null(-1)).astype(np.int64)
        return self.deal[index] * (len(names.dictionary) + 1) + codes

    # Steps

    def _openings_of_exports(self) -> list[str]:
        """What was so at the opening: what a history says, else what is so now, else unknown."""
        unknown: list[str] = []
        exported = np.flatnonzero(self.keep & (self.origin == Origin.EXPORT))
        for kind in np.unique(self.kind[exported]):
            own = exported[self.kind[exported] == kind]
            history = np.flatnonzero((self.kind == kind) & (self.origin != Origin.EXPORT))
            unknown += self._opening_of(int(kind), own, history)
        former = np.flatnonzero(self.origin == Origin.FORMER)
        self.keep[former] = False
        return sorted(unknown)

    def _opening_of(
        self, kind: int, own: npt.NDArray[np.intp], history: npt.NDArray[np.intp]
    ) -> list[str]:
        both = np.concatenate([own, history])
        names = self.table["name"].take(pa.array(both)) if kind == FIELD else None
        group = self.groups(both, kind)
        mine, theirs = group[: own.size], group[own.size :]
        if names is None:
            tracked = np.full(own.size, history.size > 0)
            labels = [list(KINDS)[kind]] * own.size
        else:
            labels = names.to_pylist()[: own.size]
            known = set(names.to_pylist()[own.size :])
            tracked = np.array([label in known for label in labels], np.bool_)
        former = self.origin[history] == Origin.FORMER
        order = np.lexsort((~former, self.occurred[history], theirs))
        first, start = np.unique(theirs[order], return_index=True)
        spot = np.searchsorted(first, mine)
        hit = np.zeros(own.size, np.bool_)
        inside = spot < first.size
        hit[inside] = first[spot[inside]] == mine[inside]
        earliest = history[order[start[spot[hit]]]]
        drop = ~tracked
        drop[hit] |= self.origin[earliest] != Origin.FORMER  # the history's own start is known
        self.keep[own[drop]] = False
        told = hit & ~drop
        if told.any():
            self._replace(own[told], history[order[start[spot[told]]]])
        return sorted({label for label, ok in zip(labels, tracked, strict=True) if not ok})

    def _replace(self, own: npt.NDArray[np.intp], former: npt.NDArray[np.intp]) -> None:
        """Let drafts of the opening say what was so before the first change."""
        source = np.arange(self.table.num_rows)
        source[own] = former
        index = pa.array(source)
        for name in ("name", "text", "number", "date"):
            place = DRAFT_SCHEMA.get_field_index(name)
            self.table = self.table.set_column(place, name, self.table[name].take(index))
        carriers = {code: CARRIERS[kind] for kind, code in KIND_CODES.items() if kind in CARRIERS}
        for kind in np.unique(self.kind[own]):
            part = own[self.kind[own] == kind]
            if kind == FIELD:
                continue
            empty = self.table[carriers[int(kind)]].take(pa.array(part)).is_null()
            self.keep[part[np.asarray(empty)]] = False

    def _drop_unchanged(self) -> None:
        """A state is an event only where it differs from the deal's value before."""
        stated = np.isin(self.origin, (Origin.STATE, Origin.EXPORT))
        for kind in np.unique(self.kind[stated & self.keep]):
            index = np.flatnonzero(self.keep & (self.kind == kind))
            value = self.values(index, int(kind))
            group = self.groups(index, int(kind))
            order = np.lexsort((self.row[index], self.occurred[index], group))
            group, value = group[order], value[order]
            same = np.zeros(index.size, np.bool_)
            same[1:] = (group[1:] == group[:-1]) & (value[1:] == value[:-1])
            same &= stated[index[order]]
            self.keep[index[order[same]]] = False

    def _stage_closings(self) -> None:
        """Won, lost and reopened follow from the stages that a deal passes."""
        if not (self.stages.won or self.stages.lost):
            return
        index = self.among([STAGE])
        if not index.size:
            return
        coded = self.table["name"].take(pa.array(index)).dictionary_encode().combine_chunks()
        statuses = [self.stages.status(name) for name in coded.dictionary.to_pylist()]
        status = np.array([*statuses, 0])[np.asarray(coded.indices.fill_null(len(statuses)))]
        start = np.ones(index.size, np.bool_)
        start[1:] = self.deal[index[1:]] != self.deal[index[:-1]]
        before = np.where(start, 0, np.roll(status, 1))
        changed = status != before
        reopened = index[changed & (before > 0)]
        self.append(reopened, np.full(reopened.size, REOPENED, np.int8))
        closed = changed & (status > 0)
        kinds = np.where(status[closed] == 1, WON, LOST).astype(np.int8)
        # A deal first seen in a closing stage was closed before: its own row knows better when.
        first = start[closed]
        added = len(self.kind)
        self.append(index[closed], kinds)
        self.origin[added:][first] = Origin.CLOSING
        self.late_closing = added + np.flatnonzero(first)

    def _weak_closings(self) -> None:
        """A closing told by the deal's row gives way to one that a history tells."""
        index = self.among([WON, LOST])
        weak = self.origin[index] == Origin.CLOSING
        strong = np.zeros(len(self.deals), np.bool_)
        strong[self.deal[index[~weak]]] = True
        self.drop(index[weak & strong[self.deal[index]]])
        index = self.among([WON, LOST])
        index = index[self.origin[index] == Origin.CLOSING]
        late = np.isin(index, self.late_closing)
        told = np.zeros(len(self.deals), np.bool_)
        told[self.deal[index[~late]]] = True
        self.drop(index[late & told[self.deal[index]]])
        index = index[self.keep[index] & ~late]
        renewed = np.zeros(len(self.deals), np.bool_)
        renewed[self.deal[index[self.row[index] != CONTEXT]]] = True
        there = index[(self.row[index] == CONTEXT) & renewed[self.deal[index]]]
        self.drop(there)

    def _openings(self) -> Longs:
        """The opening of each deal, `NEVER` where there is none."""
        opened = np.full(len(self.deals), NEVER, np.int64)
        index = self.among([OPENED])
        np.minimum.at(opened, self.deal[index], self.occurred[index])
        if self.opens != "deal_opened":
            kinds = list(range(len(KINDS))) if self.opens == "any" else [KIND_CODES[self.opens]]
            firsts = self.among(kinds)
            firsts = firsts[opened[self.deal[firsts]] == NEVER]
            _, start = np.unique(self.deal[firsts], return_index=True)
            firsts = firsts[start]
            opened[self.deal[firsts]] = self.occurred[firsts]
            self.append(firsts, np.full(firsts.size, OPENED, np.int8))
            index = self.among([OPENED])
        again = np.zeros(index.size, np.bool_)
        again[1:] = self.deal[index[1:]] == self.deal[index[:-1]]
        self.drop(index[again])
        return opened

    def _early_closings(self, opened: Longs) -> None:
        index = self.among([WON, LOST])
        early = (self.occurred[index] < opened[self.deal[index]]) & (self.row[index] >= 0)
        early &= opened[self.deal[index]] != NEVER
        wrong = index[early]
        if not wrong.size:
            return
        times = pa.array(self.occurred[wrong]).cast(TIME).cast(pa.string()).to_pylist()
        self.refused.append((self.row[wrong], "", times, "closing before opening"))
        self.keep &= ~np.isin(self.row, self.row[wrong])

    def _repeated_closings(self) -> int:
        index = self.among([WON, LOST, REOPENED])
        closes = self.kind[index] != REOPENED
        again = np.zeros(index.size, np.bool_)
        again[1:] = (self.deal[index[1:]] == self.deal[index[:-1]]) & (closes[1:] == closes[:-1])
        first = np.ones(index.size, np.bool_)
        first[1:] = self.deal[index[1:]] != self.deal[index[:-1]]
        again |= first & ~closes
        self.drop(index[again])
        return int((again & closes & (self.row[index] >= 0)).sum())

    # Ids

    def _events(self) -> tuple[pa.Table, int]:
        index = np.flatnonzero(self.fresh)
        table = self.table.take(pa.array(index)) if index.size < len(self.row) else self.table
        row = self.row[index]
        ids = _source_ids(table, self.origin[index])
        events = self._dress(table, ids)
        del table
        events, row, facts = events, row, np.asarray(self.table["row_id"].take(index).is_null())
        events, row = _number_facts(events, row, facts)
        events, row, repeated = self._against_each_other(events, row)
        events, already = self._against_existing(events, row)
        return events, already + repeated

    def _dress(self, table: pa.Table, ids: pa.ChunkedArray) -> pa.Table:
        """Drafts as rows of `EVENT_SCHEMA`."""
        names = pa.array(list(KINDS))
        number = table["number"]
        if self.stages.orders:
            orders = pa.array(list(self.stages.orders.values()), pa.float64())
            known = pa.array(list(self.stages.orders), pa.string())
            place = orders.take(pc.index_in(table["name"], value_set=known).combine_chunks())
            staged = pc.equal(table["kind"], pa.scalar(STAGE, pa.int8()))
            number = pc.if_else(pc.and_(staged, number.is_null()), place, number)
        columns = {
            **{name: table[name] for name in DRAFT_SCHEMA.names if name in EVENT_SCHEMA.names},
            "kind": names.take(table["kind"].combine_chunks()),
            "occurred_at": table["occurred_at"].cast(TIME),
            "known_at": table["known_at"].cast(TIME),
            "number": number,
            "source": pa.DictionaryArray.from_arrays(
                pa.array(np.zeros(table.num_rows, np.int32)), pa.array([self.source])
            ).cast(pa.string()),
            "source_id": ids,
        }
        return pa.table([columns[name] for name in EVENT_SCHEMA.names], schema=EVENT_SCHEMA)

    def _against_each_other(self, events: pa.Table, row: Longs) -> tuple[pa.Table, Longs, int]:
        """The same id twice is the same event, or a refusal where the content differs."""
        if pc.count_distinct(events["source_id"]).as_py() == events.num_rows:
            return events, row, 0
        coded = np.asarray(events["source_id"].dictionary_encode().combine_chunks().indices)
        order = np.lexsort((row, coded))
        start = np.ones(order.size, np.bool_)
        start[1:] = coded[order[1:]] != coded[order[:-1]]
        first = order[np.maximum.accumulate(np.where(start, np.arange(order.size), 0))]
        later, first = order[~start], first[~start]
        same = _same(events, later, events, first)
        self._refuse_ids(events, row, later[~same])
        keep = np.ones(events.num_rows, np.bool_)
        keep[later] = False
        return events.filter(pa.array(keep)), row[keep], int(same.sum())

    def _against_existing(self, events: pa.Table, row: Longs) -> tuple[pa.Table, int]:
        standing = np.flatnonzero(~self.superseded)
        if not standing.size or not events.num_rows:
            return events, 0
        known = self.existing.select(["source", "source_id"]).take(pa.array(standing))
        own = np.flatnonzero(np.asarray(pc.equal(known["source"], self.source)))
        ids = known["source_id"].take(pa.array(own)).combine_chunks()
        spot = pc.index_in(events["source_id"], value_set=ids).combine_chunks()
        there = np.flatnonzero(np.asarray(spot.is_valid()))
        if not there.size:
            return events, 0
        match = standing[own[np.asarray(spot.take(pa.array(there)))]]
        same = _same(events, there, self.existing, match)
        derived = row[there] < 0
        settled = np.asarray(_is_settled(events["source_id"].take(pa.array(there))))
        self._refuse_ids(events, row, there[~same & ~derived & ~settled])
        keep = np.ones(events.num_rows, np.bool_)
        keep[there] = False
        return events.filter(pa.array(keep)), int(same.sum())

    def _refuse_ids(self, events: pa.Table, row: Longs, index: npt.NDArray[np.intp]) -> None:
        if index.size:
            ids = events["source_id"].take(pa.array(index)).to_pylist()
            self.refused.append((row[index], "source_id", ids, "duplicate id with other content"))


def _is_settled(ids: pa.ChunkedArray) -> pa.ChunkedArray:
    """Closings told by the deal's row may change with every export."""
    return pc.ends_with(ids, EXPORTED)


def _same(
    left: pa.Table, left_rows: npt.NDArray[np.intp], right: pa.Table, right_rows: Longs
) -> Flags:
    """Which pairs of rows say the same, whatever their source. Shape (pairs,)."""
    same = np.ones(len(left_rows), np.bool_)
    for name in EVENT_SCHEMA.names:
        if name in ("source", "source_id"):
            continue
        a = left[name].take(pa.array(left_rows))
        b = right[name].take(pa.array(right_rows))
        alike = pc.fill_null(pc.equal(a, b), fill_value=False)
        same &= np.asarray(pc.or_(alike, pc.and_(a.is_null(), b.is_null())))
    return same


def _source_ids(table: pa.Table, origin: npt.NDArray[np.int8]) -> pa.ChunkedArray:
    """``row/kind`` or ``deal/kind/time``; the name follows the kind where it tells them apart."""
    kinds = list(KINDS)
    codes = table["kind"].combine_chunks()
    kind = pa.array(kinds).take(codes)
    named = np.isin(np.asarray(codes), [KIND_CODES[name] for name in NAMED])
    if named.any():
        with_name = pc.binary_join_element_wise(
            kind, pc.coalesce(table["name"].combine_chunks(), ""), "/"
        )
        kind = pc.if_else(pa.array(named), with_name, kind)
    row_id = table["row_id"].combine_chunks()
    own = pc.binary_join_element_wise(row_id, kind, "/")
    if not row_id.null_count:
        return own
    time = table["occurred_at"].combine_chunks().cast(pa.timestamp("us")).cast(pa.string())
    time = pc.if_else(pa.array(origin == Origin.CLOSING), EXPORTED[1:], time)
    fact = pc.binary_join_element_wise(table["deal_id"].combine_chunks(), kind, time, "/")
    return pc.coalesce(own, fact)


def _number_facts(events: pa.Table, row: Longs, facts: Flags) -> tuple[pa.Table, Longs]:
    """Facts of one deal, kind and time that differ are told apart by number, in row order."""
    index = np.flatnonzero(facts)
    if not index.size:
        return events, row
    ids = events["source_id"].take(pa.array(index))
    coded = np.asarray(ids.dictionary_encode().combine_chunks().indices).astype(np.int64)
    file = row[index] // ROWS_OF_A_FILE
    counts = np.bincount(coded)
    twice = np.flatnonzero(counts[coded] > 1)
    if not twice.size:
        return events, row
    texts: dict[int, str] = {}
    seen: dict[tuple[int, int], list[tuple[object, ...]]] = {}
    said = events.drop_columns(["source", "source_id"]).take(pa.array(index[twice])).to_pylist()
    for place in np.lexsort((row[index[twice]], file[twice])):
        spot = twice[place]
        content = tuple(said[place].values())
        known = seen.setdefault((int(file[spot]), int(coded[spot])), [])
        if content not in known:
            known.append(content)
        number = known.index(content) + 1
        if number > 1:
            texts[int(index[spot])] = f"{ids[spot].as_py()}~{number}"
    if texts:
        all_ids = events["source_id"].to_pylist()
        for spot, text in texts.items():
            all_ids[spot] = text
        place = EVENT_SCHEMA.get_field_index("source_id")
        renamed = pa.array(all_ids, pa.string())
        events = events.set_column(place, EVENT_SCHEMA.field("source_id"), renamed)
    return events, row


def _as_drafts(existing: pa.Table) -> pa.Table:
    """Events that are there, as drafts that stand."""
    count = existing.num_rows
    codes = pc.index_in(existing["kind"], value_set=pa.array(list(KINDS))).cast(pa.int8())
    weak = np.asarray(_is_settled(existing["source_id"]))
    origin = np.where(weak, Origin.CLOSING, Origin.FACT).astype(np.int8)
    columns = {
        **{name: existing[name] for name in DRAFT_SCHEMA.names if name in EVENT_SCHEMA.names},
        "kind": codes,
        "occurred_at": existing["occurred_at"].cast(pa.int64()),
        "known_at": existing["known_at"].cast(pa.int64()),
        "row_id": pa.nulls(count, pa.string()),
        "row": pa.array(np.full(count, CONTEXT, np.int64)),
        "origin": pa.array(origin),
    }
    return pa.table([columns[name] for name in DRAFT_SCHEMA.names], schema=DRAFT_SCHEMA)
