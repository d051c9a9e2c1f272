"""See drafts of all rows together: what changed, what opened and closed each deal, which id."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.event_table import EVENT_SCHEMA, TIME
from model.sources.board import KIND_NAMES, STAGE, Board
from model.sources.closings import (
    NEVER,
    Refused,
    Stages,
    close_by_stage,
    drop_repeated_closings,
    open_deals,
    prefer_histories,
    refuse_early_closings,
)
from model.sources.drafts import DRAFT_SCHEMA, UNKNOWN
from model.sources.identity import Events, claims_content, known_once, source_ids
from model.sources.persons import persons_of
from model.sources.states import drop_unchanged, settle_openings
from model.sources.values import Flags, Longs


@dataclass(frozen=True, kw_only=True)
class Assembly:
    """Events, and what became of the rest.

    Parameters
    ----------
    events
        New events, rows of `EVENT_SCHEMA`, in no order.
    superseded
        Which of the events there already no longer stand. Shape (existing,).
    refused
        Rows refused for what only all rows together show.
    never_opened
        Row numbers of records of deals never opened.
    opened_again
        How many rows told of another opening of a deal, after the first.
    repeated
        How many closings came after the one that stands.
    there
        How many events were there already, or were told twice.
    known_defaulted
        How many rows had no known_at: occurred_at stands for it.
    known_raised
        How many events' known_at lay before occurred_at and was raised to it.
    export_only
        Kinds and fields known only at the time of export.
    """

    events: pa.Table
    superseded: Flags
    refused: list[Refused]
    never_opened: Longs
    opened_again: int
    repeated: int
    there: int
    known_defaulted: int
    known_raised: int
    export_only: list[str]


def assemble(
    drafts: pa.Table,
    *,
    source: str,
    opens: str,
    stages: Stages,
    existing: pa.Table,
    person_key: bytes = b"",
    contents_once: bool = False,
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
    person_key
        The key under which people are hashed, and texts in ids.
    contents_once
        Whether it is known that no two rows have the same content.
    """
    board = Board(drafts, existing, person_key)
    export_only = settle_openings(board, stages)
    drop_unchanged(board)
    prefer_histories(board, close_by_stage(board, stages))
    opened, opened_again = open_deals(board, opens)
    refused = refuse_early_closings(board, opened)
    repeated = drop_repeated_closings(board)
    never = board.fresh & (opened[board.deal] == NEVER)
    never_opened = np.unique(board.row[never])
    board.keep &= ~never
    fresh = board.fresh
    table = board.table if fresh.all() else board.table.filter(pa.array(fresh))
    table = _with_origin(table, board.origin[fresh])
    board.table = board.table.slice(0, 0)  # as large as all the rest, and no longer needed
    defaulted, raised, table = _raise_known(table)
    events = Events(
        table=_dress(table, source, stages, person_key),
        row=np.asarray(table["row"]),
        claims=claims_content(table),
        known_once=known_once(table, contents_once=contents_once),
        refused=refused,
        there=board.there_again,
    )
    del table
    events.settle_among_themselves()
    events.settle_against(board, source)
    return Assembly(
        events=events.table,
        superseded=board.superseded,
        refused=events.refused,
        never_opened=never_opened[never_opened >= 0],
        opened_again=opened_again,
        repeated=repeated,
        there=events.there,
        known_defaulted=defaulted,
        known_raised=raised,
        export_only=export_only,
    )


def _with_origin(table: pa.Table, origin: np.ndarray[tuple[int], np.dtype[np.int8]]) -> pa.Table:
    place = DRAFT_SCHEMA.get_field_index("origin")
    return table.set_column(place, DRAFT_SCHEMA.field(place), pa.array(origin))


def _raise_known(table: pa.Table) -> tuple[int, int, pa.Table]:
    """No fact is known before it happened; where nothing says when, it was known at once."""
    occurred = np.asarray(table["occurred_at"])
    known = np.asarray(table["known_at"])
    silent = known == UNKNOWN
    rows = np.asarray(table["row"])[silent]
    raised = int(((known < occurred) & ~silent).sum())
    place = DRAFT_SCHEMA.get_field_index("known_at")
    later = pa.array(np.maximum(known, occurred))
    table = table.set_column(place, DRAFT_SCHEMA.field(place), later)
    return _distinct(rows[rows >= 0]), raised, table


def _distinct(rows: Longs) -> int:
    ordered = np.sort(rows)  # far quicker than np.unique on millions
    return int((ordered[1:] != ordered[:-1]).sum()) + bool(ordered.size)


def _dress(table: pa.Table, source: str, stages: Stages, person_key: bytes) -> pa.Table:
    """Drafts as rows of `EVENT_SCHEMA`."""
    count = table.num_rows
    columns = {
        **{name: table[name] for name in DRAFT_SCHEMA.names if name in EVENT_SCHEMA.names},
        "deal_id": table["deal_id"].cast(pa.string()),
        "kind": pa.array(KIND_NAMES).take(table["kind"].combine_chunks()),
        "occurred_at": table["occurred_at"].cast(TIME),
        "known_at": table["known_at"].cast(TIME),
        "person": persons_of(table["person"], person_key),
        "number": _with_order(table, stages),
        "source": pa.array([source]).take(pa.array(np.zeros(count, np.int8))),
        "source_id": source_ids(table, person_key),
    }
    return pa.table([columns[name] for name in EVENT_SCHEMA.names], schema=EVENT_SCHEMA)


def _with_order(table: pa.Table, stages: Stages) -> pa.ChunkedArray:
    """Numbers, with a stage's place in its pipeline where it is known."""
    number = table["number"]
    if not stages.orders:
        return number
    orders = pa.array(list(stages.orders.values()), pa.float64())
    spot = pc.index_in(table["name"], value_set=pa.array(list(stages.orders), pa.string()))
    staged = pc.and_(pc.equal(table["kind"], STAGE), number.is_null())
    return pc.if_else(staged, orders.take(spot.combine_chunks()), number)
