"""Values that hold for a while: what they were at the opening, and when they changed."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa

from model.sources.board import FIELD, KIND_NAMES, LOST, STAGE, WON, Board, Places
from model.sources.carriers import CARRIERS
from model.sources.closings import NEVER, OPEN, Stages
from model.sources.drafts import DRAFT_SCHEMA, Origin
from model.sources.values import Flags, Longs

STRAY: Final = 0.01  # of a history's rows may be older than the history, moved in from elsewhere


def settle_openings(board: Board, stages: Stages) -> list[str]:
    """Decide what was so when each deal was opened.

    A deal's row says how things stand at the time of export. Where a history knows the first
    change, the value before it held until then; where it knows none of a value that it follows,
    today's value did. Either held from the opening on if the history had begun by then; of a deal
    that is older, from the history's beginning on, since CRMs keep a history for some months only
    and what came before is not known. What closed before that stays without a value, and so does
    whoever would stand in a closing stage from the opening on: only the outcome tells it.

    A value that no history follows is left out: it may have been set on the day of the closing.

    Parameters
    ----------
    board
        The drafts; those of `Origin.EXPORT` are kept, corrected, moved or dropped.
    stages
        Which stages close a deal.

    Returns
    -------
    list
        The kinds and fields of which no history says anything, sorted.
    """
    unknown: set[str] = set()
    exported = np.flatnonzero(board.keep & (board.origin == Origin.EXPORT))
    for kind in np.unique(board.kind[exported]):
        own = exported[board.kind[exported] == kind]
        history = np.flatnonzero((board.kind == kind) & (board.origin != Origin.EXPORT))
        tracked, labels = _tracked(board, int(kind), own, history)
        unknown |= {label for label, ok in zip(labels, tracked, strict=True) if not ok}
        board.keep[own[~tracked]] = False
        _begin(board, int(kind), own[tracked], history)
        _correct(board, int(kind), own[board.keep[own]], history)
    _drop_closing_stages(board, stages)
    board.keep[board.origin == Origin.FORMER] = False
    return sorted(unknown)


def _tracked(board: Board, kind: int, own: Places, history: Places) -> tuple[Flags, list[str]]:
    """Which drafts are of values that a history follows, and what each value is called."""
    if kind != FIELD:
        return np.full(own.size, history.size > 0), [KIND_NAMES[kind]] * own.size
    followed = set(board.column("name", history).unique().to_pylist())
    labels = board.column("name", own).to_pylist()
    return np.array([label in followed for label in labels], np.bool_), labels


def _correct(board: Board, kind: int, own: Places, history: Places) -> None:
    """Put the value before the first change in the place of today's."""
    if not own.size:
        return
    both = np.concatenate([own, history])
    group = board.groups(both, kind)
    mine, theirs = group[: own.size], group[own.size :]
    told_before = board.origin[history] == Origin.FORMER
    order = np.lexsort((~told_before, board.occurred[history], theirs))
    first, start = np.unique(theirs[order], return_index=True)
    spot = np.minimum(np.searchsorted(first, mine), first.size - 1)
    changed = first[spot] == mine
    earliest = history[order[start[spot]]]
    # A history without the value before begins with the first: nothing held at the opening.
    blind = changed & (board.origin[earliest] != Origin.FORMER)
    board.there_again += int(board.is_there(own[blind], earliest[blind]).sum())
    board.keep[own[blind]] = False
    told = changed & ~blind
    over = told & (board.occurred[earliest] <= board.occurred[own])
    board.keep[own[over]] = False
    _replace(board, kind, own[told & ~over], earliest[told & ~over])


def _begin(board: Board, kind: int, own: Places, history: Places) -> None:
    """Let no value hold before the history that vouches for it began; each value has one."""
    if not own.size:
        return
    label = np.zeros(own.size + history.size, np.int64)
    if kind == FIELD:  # a history for each field
        names = board.column("name", np.concatenate([own, history])).dictionary_encode()
        label = np.asarray(names.combine_chunks().indices)
    mine, theirs = label[: own.size], label[own.size :]
    begins = np.zeros(own.size, np.int64)
    for each in np.unique(mine):
        times = board.occurred[history[theirs == each]]
        begins[mine == each] = np.quantile(times, STRAY, method="lower")
    late = begins > board.occurred[own]
    over = _closed_at(board)[board.deal[own]] <= begins
    board.keep[own[late & over]] = False
    board.move(own[late & ~over], begins[late & ~over])


def _closed_at(board: Board) -> Longs:
    """When each deal was first closed, as any record tells; `NEVER` where none does."""
    closed = np.full(len(board.deals), NEVER, np.int64)
    index = np.flatnonzero(board.keep & np.isin(board.kind, (WON, LOST)))
    np.minimum.at(closed, board.deal[index], board.occurred[index])
    return closed


def _drop_closing_stages(board: Board, stages: Stages) -> None:
    index = np.flatnonzero(board.keep & (board.kind == STAGE) & (board.origin == Origin.EXPORT))
    if index.size:
        board.keep[index[stages.statuses(board.column("name", index)) != OPEN]] = False


def _replace(board: Board, kind: int, own: Places, former: Places) -> None:
    if not own.size:
        return
    source = np.arange(board.table.num_rows)
    source[own] = former
    for name in ("name", "text", "number", "date"):
        place = DRAFT_SCHEMA.get_field_index(name)
        column = board.table[name].take(pa.array(source))
        board.table = board.table.set_column(place, DRAFT_SCHEMA.field(name), column)
    if kind != FIELD:  # of a field nothing is a value too; other kinds need one
        empty = np.asarray(board.column(CARRIERS[KIND_NAMES[kind]], own).is_null())
        board.keep[own[empty]] = False


def drop_unchanged(board: Board) -> None:
    """Keep of a deal's states those that differ from the one before."""
    stated = np.isin(board.origin, (Origin.STATE, Origin.EXPORT))
    for kind in np.unique(board.kind[stated & board.keep]):
        index = np.flatnonzero(board.keep & (board.kind == kind))
        value = board.values(index, int(kind))
        group = board.groups(index, int(kind))
        order = board.by_time(index, group)
        index, group, value = index[order], group[order], value[order]
        same = np.zeros(index.size, np.bool_)
        same[1:] = (group[1:] == group[:-1]) & (value[1:] == value[:-1])
        board.drop_repeats(index, same & stated[index])
