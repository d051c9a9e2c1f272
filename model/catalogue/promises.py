"""What was promised by when: milestones due, moved, reached, dropped."""

from __future__ import annotations

import math
from functools import partial
from typing import Final

import numpy as np

from model.asof import AsOf
from model.events import DAY_US
from model.feature import Computed, Feature
from model.history import Floats

MILESTONE: Final = ("milestone_set", "milestone_moved", "milestone_reached", "milestone_dropped")
SET, _, REACHED, DROPPED = MILESTONE
ROWS: Final = ("overdue", "overdue_days", "slippage_days", "reached_share", "open", "next_days")
_UNTOLD: Final = (SET, math.nan, math.nan, math.nan)


def milestones(asof: AsOf) -> Floats:
    """Follow every milestone of every deal: due dates as set and moved, reached, dropped.

    A milestone is overdue after the end of its due date. Slippage is what its due date moved
    later since it was first set, and what it was reached late.

    Returns
    -------
    ndarray
        A row for each of `ROWS`; NaN where no milestone is set. Shape (6, S).
    """
    totals: dict[int, list[float]] = {}
    as_of = asof.as_of
    for (snap, _), (state, first_due, due, reached) in _stories(asof).items():
        if state == DROPPED:
            continue
        total = totals.get(snap)
        if total is None:
            total = totals[snap] = [0.0, 0.0, 0.0, 0.0, 0.0, math.inf, 0.0]
        total[6] += 1.0
        total[3] += state == REACHED
        if math.isnan(due):
            continue
        total[2] += max(due - first_due, 0.0)
        if state == REACHED:
            total[2] += max(reached - due, 0.0)
            continue
        total[4] += 1.0
        left = due - int(as_of[snap])
        if left < 0:
            total[0] += 1.0
            total[1] = max(total[1], -left)
        else:
            total[5] = min(total[5], left)
    table = np.full((6, asof.size), np.nan)
    for snap, (overdue, late, slipped, reached, still_open, ahead, every) in totals.items():
        table[:, snap] = (
            overdue,
            late / DAY_US,
            slipped / DAY_US,
            reached / every,
            still_open,
            ahead / DAY_US if ahead < math.inf else math.nan,
        )
    return table


def milestone_row(asof: AsOf, row: str) -> Floats:
    """One row of `milestones`."""
    values: Floats = asof.once(milestones)[ROWS.index(row)]
    return values


def _stories(asof: AsOf) -> dict[tuple[int, int], tuple[str, float, float, float]]:
    """How each milestone of each snapshot stands: state, first due, due, reached.

    The times are whole microseconds since 1970 UTC, so that their sums are exact in any order;
    a due date is the end of its day. NaN where there is none.
    """
    stories: dict[tuple[int, int], tuple[str, float, float, float]] = {}
    by_kind, snap = asof.followed.by_kind, asof.followed.snap
    name, date = asof.followed.name, asof.followed.date
    for i, kind in sorted((i, told) for told in MILESTONE for i in by_kind[told]):
        key = (snap[i], name[i])
        state, first_due, due, reached = stories.get(key, _UNTOLD)
        if kind == REACHED:
            state, reached = REACHED, asof.followed.occurred_us[i]
        elif kind == DROPPED:
            state = DROPPED
        else:
            due = (date[i] + 1.0) * DAY_US
            first_due = due if math.isnan(first_due) else first_due
            state = SET if kind == SET else state
        stories[key] = (state, first_due, due, reached)
    return stories


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
        term=Computed(compute=partial(milestone_row, row="overdue")),
    ),
    Feature(
        name="milestone_overdue_days",
        unit="days",
        question="days the most overdue milestone is late",
        direction=-1,
        missing="no milestone is set",
        phrase="a milestone is {value} days overdue",
        zero="no milestone overdue",
        term=Computed(compute=partial(milestone_row, row="overdue_days")),
    ),
    Feature(
        name="milestone_slippage_days",
        unit="days",
        question="days that milestones slipped in all",
        direction=-1,
        missing="no milestone is set",
        phrase="milestones slipped by {value} days in all",
        zero="no milestone slipped",
        term=Computed(compute=partial(milestone_row, row="slippage_days")),
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
        term=Computed(compute=partial(milestone_row, row="reached_share")),
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
        term=Computed(compute=partial(milestone_row, row="open")),
    ),
    Feature(
        name="next_milestone_days",
        unit="days",
        question="days to the next due milestone",
        direction=0,
        missing="no milestone lies ahead",
        phrase="the next milestone is due in {value} days",
        term=Computed(compute=partial(milestone_row, row="next_days")),
    ),
)
