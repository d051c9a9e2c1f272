"""What opened, closed and reopened each deal, when several records tell of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa

from model.event_table import TIME
from model.events import KIND_CODES
from model.sources.board import KIND_NAMES, LOST, OPENED, REOPENED, STAGE, WON, Board, Places
from model.sources.drafts import Origin
from model.sources.rows import matches
from model.sources.values import Flags, Longs

NEVER: Final = np.iinfo(np.int64).max  # the opening of a deal never opened
OPEN: Final = 0
WON_STATUS: Final = 1
LOST_STATUS: Final = 2
CLOSING_KINDS: Final = (OPEN, WON, LOST)  # by a stage's status


@dataclass(frozen=True, kw_only=True)
class Refused:
    """Rows refused for what only all rows together show.

    Parameters
    ----------
    row
        Row numbers, the file's among them.
    column, reason
        What is wrong where; an empty column means the whole row.
    values
        What stood there, one a row.
    """

    row: Longs
    column: str
    values: list[str | None]
    reason: str


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

    def status(self, stage: str) -> int:
        """0 for an open stage, 1 for won, 2 for lost.

        Examples
        --------
        >>> Stages(won=["Closed Won"]).status("closed won")
        1
        """
        return 1 if matches(stage, self.won) else 2 * matches(stage, self.lost)

    def statuses(self, stages: pa.ChunkedArray) -> Longs:
        """The status of each of many stages, each name looked at once."""
        coded = stages.dictionary_encode().combine_chunks()
        of_names = np.array([self.status(name) for name in coded.dictionary.to_pylist()], np.int64)
        return np.asarray(of_names[np.asarray(coded.indices)])


def close_by_stage(board: Board, stages: Stages) -> Places:
    """Draft won, lost and reopened from the stages that deals pass.

    Returns
    -------
    Places
        Closings of deals that were closed when first seen: of these the time is doubtful.
    """
    index = board.among([STAGE])
    if not index.size or not (stages.won or stages.lost):
        return np.zeros(0, np.intp)
    index, status = _statuses(board, index, stages)
    start = board.starts(index)
    before = np.where(start, OPEN, np.roll(status, 1))
    reopened = index[(status != before) & (before != OPEN)]
    board.append(reopened, np.full(reopened.size, REOPENED, np.int8))
    closed = (status != before) & (status != OPEN)
    kinds = np.array(CLOSING_KINDS, np.int8)[status[closed]]
    added = board.append(index[closed], kinds)
    return np.asarray(added[start[closed]])


def _statuses(board: Board, index: Places, stages: Stages) -> tuple[Places, Longs]:
    """Stages in the order of time with what each says of its deal.

    In one moment the closing ones come last, and beside one that wins none that loses counts.
    """
    status = stages.statuses(board.column("name", index))
    last = np.array([0, 2, 1])[status]  # open, lost, won
    order = np.lexsort((board.row[index], last, board.occurred[index], board.deal[index]))
    index, status = index[order], status[order]
    counts = (status != LOST_STATUS) | ~_beside_a_win(board, index, status == WON_STATUS)
    return index[counts], status[counts]


def _beside_a_win(board: Board, index: Places, won: Flags) -> Flags:
    """Which drafts, sorted by deal and time, are of a moment in which the deal is won."""
    start = np.ones(index.size, np.bool_)
    start[1:] = (board.deal[index[1:]] != board.deal[index[:-1]]) | (
        board.occurred[index[1:]] != board.occurred[index[:-1]]
    )
    moment = np.cumsum(start) - 1
    return np.asarray((np.bincount(moment, weights=won) > 0)[moment])


def prefer_histories(board: Board, doubtful: Places) -> None:
    """Drop the closings of deals' own rows where a history tells one, and doubtful ones last.

    Of two closings that only rows tell, one there already and one from a newer export, the
    newer stands.
    """
    board.origin[doubtful] = Origin.CLOSING
    index = board.among([WON, LOST])
    weak = board.origin[index] == Origin.CLOSING
    board.drop(index[weak & _of_deals(board, index[~weak])[board.deal[index]]])
    index = index[weak & board.keep[index]]
    same = ~board.starts(index) & (board.occurred[index] == np.roll(board.occurred[index], 1))
    board.drop_repeats(index, same & (board.kind[index] == np.roll(board.kind[index], 1)))
    index = index[board.keep[index]]
    late = np.isin(index, doubtful)
    board.drop(index[late & _of_deals(board, index[~late])[board.deal[index]]])
    index = index[~late]
    new = board.row[index] >= 0
    board.drop(index[~new & _of_deals(board, index[new])[board.deal[index]]])


def _of_deals(board: Board, index: Places) -> Flags:
    """Which deals the drafts are of."""
    flags = np.zeros(len(board.deals), np.bool_)
    flags[board.deal[index]] = True
    return flags


def open_deals(board: Board, opens: str) -> tuple[Longs, int]:
    """Keep the first opening of each deal, drafting one where another kind opens deals.

    Parameters
    ----------
    board
        The drafts.
    opens
        The kind whose first event opens a deal, or ``any``.

    Returns
    -------
    tuple
        The opening of each deal in microseconds, `NEVER` where there is none, of shape (deals,);
        and how many rows told of another opening at a later time.
    """
    index = board.among([OPENED])
    opened = _first_times(board, index)
    if opens != "deal_opened":
        every = [code for code in range(len(KIND_NAMES)) if code != OPENED]
        first = board.among(every if opens == "any" else [KIND_CODES[opens]])
        first = first[board.starts(first)]
        begun = opened[board.deal[first]]
        first = first[(begun == NEVER) | (begun == board.occurred[first])]
        board.append(first, np.full(first.size, OPENED, np.int8))
        index = board.among([OPENED])
        opened = _first_times(board, index)
    again = board.drop_repeats(index, ~board.starts(index))
    later = board.occurred[again] != opened[board.deal[again]]
    return opened, int((later & (board.row[again] >= 0)).sum())


def _first_times(board: Board, index: Places) -> Longs:
    opened = np.full(len(board.deals), NEVER, np.int64)
    start = index[board.starts(index)]
    opened[board.deal[start]] = board.occurred[start]
    return opened


def refuse_early_closings(board: Board, opened: Longs) -> list[Refused]:
    """Refuse the rows that close a deal before it was opened."""
    index = board.among([WON, LOST])
    begun = opened[board.deal[index]]
    wrong = index[(board.occurred[index] < begun) & (begun != NEVER)]
    board.keep[wrong[board.row[wrong] < 0]] = False
    wrong = wrong[board.row[wrong] >= 0]
    if not wrong.size:
        return []
    times = pa.array(board.occurred[wrong]).cast(TIME).cast(pa.string()).to_pylist()
    board.keep &= ~np.isin(board.row, board.row[wrong])
    return [Refused(row=board.row[wrong], column="", values=times, reason="closing before opening")]


def drop_repeated_closings(board: Board) -> int:
    """Keep the first closing, until the deal is reopened; answers how many rows came after it.

    Of a loss and a win in one moment the win counts.
    """
    index = board.among([WON, LOST, REOPENED])
    kind = board.kind[index]
    beside = (kind == LOST) & _beside_a_win(board, index, kind == WON)
    board.drop(index[beside])
    index = index[~beside]
    closes = board.kind[index] != REOPENED
    start = board.starts(index)
    again = ~start & (closes == np.roll(closes, 1))
    again |= start & ~closes  # nothing to reopen
    repeated = board.drop_repeats(index, again)
    return int(((board.kind[repeated] != REOPENED) & (board.row[repeated] >= 0)).sum())
