"""What was promised by when: milestones due, moved, reached, dropped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from model.asof import AsOf
from model.events import DAY_US, KIND_CODES
from model.feature import Computed, Feature
from model.history import NONE, Floats, Ints

SET, MOVED, REACHED, DROPPED = MILESTONE = (
    "milestone_set",
    "milestone_moved",
    "milestone_reached",
    "milestone_dropped",
)
_CODES: Final = {kind: KIND_CODES[kind] for kind in MILESTONE}


@dataclass(frozen=True, kw_only=True)
class Milestones:
    """The milestones of each snapshot, added up; NaN where none is set. Each of shape (S,)."""

    open: Floats
    overdue: Floats
    overdue_days: Floats
    slippage_days: Floats
    reached_share: Floats
    next_days: Floats


def milestones(asof: AsOf) -> Milestones:
    """Follow every milestone of every deal: due dates as set and moved, reached, dropped.

    A milestone is overdue after the end of its due date. Slippage is what its due date moved
    later since it was first set, and what it was reached late.
    """
    rows = asof.rows(*MILESTONE)
    if rows.size == 0:
        none = np.full(asof.size, np.nan)
        return Milestones(
            open=none,
            overdue=none,
            overdue_days=none,
            slippage_days=none,
            reached_share=none,
            next_days=none,
        )
    # Rows side by side for each milestone of each snapshot, still in the order of time.
    key = asof.snap[rows] * len(asof.history.names) + asof.name[rows]
    order = key.argsort(kind="stable")
    rows, key = rows[order], key[order]
    start = _beginnings(key)
    snap = asof.snap[rows[start]]
    code = asof.code[rows]
    nth = np.arange(rows.size)
    is_moved = code == _CODES[MOVED]
    is_dated = is_moved | (code == _CODES[SET])

    # How each milestone stands: by its last row that is no move, and by its due dates.
    stands = np.maximum.reduceat(np.where(is_moved, NONE, nth), start)
    state = np.where(stands >= 0, code[stands], _CODES[SET])
    dropped, reached = state == _CODES[DROPPED], state == _CODES[REACHED]
    first = np.minimum.reduceat(np.where(is_dated, nth, rows.size), start)
    last = np.maximum.reduceat(np.where(is_dated, nth, NONE), start)
    ends = np.full(rows.size + 1, np.nan)  # of the days due; whole microseconds, and NaN
    ends[:-1] = (asof.date[rows] + 1.0) * DAY_US
    due = ends[last]
    left = due - asof.as_of[snap]
    is_open = (state == _CODES[SET]) & (last >= 0)
    overdue = is_open & (left < 0)
    late = np.where(reached, asof.occurred[rows[stands]] - due, 0.0)
    slipped = np.fmax(due - ends[first], 0.0) + np.fmax(late, 0.0)
    slipped[dropped] = 0.0

    each = _beginnings(snap)
    at = snap[each]
    totals = np.full((5, asof.size), np.nan)
    totals[:, at] = np.add.reduceat(
        np.array([~dropped, is_open, overdue, reached, slipped]), each, axis=1
    )
    most = np.full(asof.size, np.nan)
    most[at] = np.maximum.reduceat(np.where(overdue, -left, 0.0), each)
    ahead = np.full(asof.size, np.inf)
    ahead[at] = np.minimum.reduceat(np.where(is_open & ~overdue, left, np.inf), each)
    ahead[np.isinf(ahead)] = np.nan
    none = totals[0] == 0.0
    totals[:, none] = most[none] = np.nan
    counted, still_open, are_overdue, were_reached, slippage = totals
    return Milestones(
        open=still_open,
        overdue=are_overdue,
        overdue_days=most / DAY_US,
        slippage_days=slippage / DAY_US,
        reached_share=were_reached / counted,
        next_days=ahead / DAY_US,
    )


def _beginnings(sorted_values: Ints) -> Ints:
    """Where each run of equal values begins."""
    begins = np.ones(sorted_values.size, dtype=bool)
    np.not_equal(sorted_values[1:], sorted_values[:-1], out=begins[1:])
    return begins.nonzero()[0]


PROMISES: Final[tuple[Feature, ...]] = (
    Feature(
        name="milestones_overdue",
        unit="milestones",
        question="open milestones overdue",
        direction=-1,
        missing="no milestone is set",
        phrase="{value} milestones overdue",
        zero="no milestone overdue",
        one="1 milestone overdue",
        term=Computed(compute=lambda asof: asof.once(milestones).overdue),
    ),
    Feature(
        name="milestone_overdue_days",
        unit="days",
        question="days the most overdue milestone is late",
        direction=-1,
        missing="no milestone is set",
        phrase="a milestone is {value} days overdue",
        zero="no milestone overdue",
        term=Computed(compute=lambda asof: asof.once(milestones).overdue_days),
    ),
    Feature(
        name="milestone_slippage_days",
        unit="days",
        question="days that milestones slipped in all",
        direction=-1,
        missing="no milestone is set",
        phrase="milestones slipped by {value} days in all",
        zero="no milestone slipped",
        term=Computed(compute=lambda asof: asof.once(milestones).slippage_days),
    ),
    Feature(
        name="milestones_reached_share",
        unit="share",
        question="share of milestones reached",
        direction=1,
        missing="no milestone is set",
        phrase="{value} of milestones reached",
        zero="no milestone reached",
        one="all milestones reached",
        term=Computed(compute=lambda asof: asof.once(milestones).reached_share),
    ),
    Feature(
        name="milestones_open",
        unit="milestones",
        question="milestones still open",
        direction=0,
        missing="no milestone is set",
        phrase="{value} milestones still open",
        zero="no milestone open",
        one="1 milestone still open",
        term=Computed(compute=lambda asof: asof.once(milestones).open),
    ),
    Feature(
        name="next_milestone_days",
        unit="days",
        question="days to the next due milestone",
        direction=0,
        missing="no milestone lies ahead",
        phrase="the next milestone is due in {value} days",
        term=Computed(compute=lambda asof: asof.once(milestones).next_days),
    ),
)
