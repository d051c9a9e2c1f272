"""What was promised by when: milestones due, moved, reached, dropped.

Reaching an open milestone never lowers the probability. Every feature here has a direction,
and it moves each of them the good way or not at all; beyond this file, milestones are no activity
(`model.asof.PLANS`). Days to the next due date are no feature, since reaching a milestone may move
them either way and leaves none after the last one: `model.gates` tells of what is due.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import nan
from typing import Final

from model.asof import Snapshot
from model.events import DAY_US, KIND_CODES
from model.feature import NOT_CARRIED, Computed, Count, Feature

MILESTONE: Final = ("milestone_set", "milestone_moved", "milestone_reached", "milestone_dropped")
_CODES: Final = tuple(KIND_CODES[kind] for kind in MILESTONE)
SET, _, REACHED, DROPPED = _CODES
# How it stands, the ends of the days due at first and now, and when it was reached; times in
# microseconds since 1970 UTC.
MilestoneStory = tuple[int, int | None, int | None, int]
_UNTOLD: Final[MilestoneStory] = (SET, None, None, 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Milestones:
    """A deal's milestones, added up; without any, all are NaN."""

    overdue: float = nan
    overdue_days: float = nan
    slippage_days: float = nan
    reached_share: float = nan
    open: float = nan


_NONE: Final = Milestones()


def milestones(snapshot: Snapshot) -> Milestones:
    """Follow every milestone of a deal: due dates as set and moved, reached, dropped.

    A milestone is overdue after the end of its due date. Slippage is what its due date moved
    later since it was first set, and what it was reached late or is late by now: reaching it
    stops the slippage, and adds none.
    """
    stories = milestone_stories(snapshot)
    if not stories:
        return _NONE
    every = reached = slipped = 0  # whole microseconds, so that the sum is exact in any order
    left = []  # to the due dates of the open ones
    for state, first_due, due, reached_at in stories.values():
        if state == DROPPED:
            continue
        every += 1
        reached += state == REACHED
        if due is None or first_due is None:
            continue
        slipped += max(due - first_due, 0)
        until = reached_at if state == REACHED else snapshot.as_of
        slipped += max(until - due, 0)
        if state != REACHED:
            left.append(due - snapshot.as_of)
    if not every:
        return _NONE
    return Milestones(
        overdue=float(sum([us < 0 for us in left])),
        overdue_days=max(-min(left), 0) / DAY_US if left else 0.0,
        slippage_days=slipped / DAY_US,
        reached_share=reached / every,
        open=float(len(left)),
    )


def milestone_stories(snapshot: Snapshot) -> dict[int, MilestoneStory]:
    """By the code of its name, each milestone's story."""
    by_code = snapshot.by_code
    rows = [i for code in _CODES if code in by_code for i in by_code[code]]
    rows.sort()
    deal = snapshot.deal
    found: dict[int, MilestoneStory] = {}
    for i in rows:
        code, name = deal.code[i], deal.name[i]
        state, first_due, due, reached_at = found.get(name, _UNTOLD)
        if code == REACHED:  # told twice, it was reached the first time
            reached_at = reached_at if state == REACHED else deal.occurred[i]
            state = REACHED
        elif code == DROPPED:
            state = DROPPED
        else:
            due = (int(deal.date[i]) + 1) * DAY_US
            first_due = due if first_due is None else first_due
            state = SET if code == SET else state
        found[name] = (state, first_due, due, reached_at)
    return found


def milestone(snapshot: Snapshot, what: str) -> float:
    """One of the `Milestones`."""
    value: float = getattr(snapshot.once(milestones), what)
    return value


PROMISES: Final[tuple[Feature, ...]] = (
    Feature(
        name="milestones_overdue",
        unit="milestones",
        question="open milestones overdue",
        direction=-1,
        missing="no milestone is set",
        phrase="{value} milestones are overdue",
        zero="no milestone is overdue",
        one="one milestone is overdue",
        unknown="no milestone is set",
        term=Computed(compute=partial(milestone, what="overdue"), reads=MILESTONE),
    ),
    Feature(
        name="milestone_overdue_days",
        unit="days",
        question="days the most overdue milestone is late",
        direction=-1,
        missing="no milestone is set",
        phrase="a milestone is {days} overdue",
        zero="no milestone is overdue",
        unknown="no milestone is set",
        term=Computed(compute=partial(milestone, what="overdue_days"), reads=MILESTONE),
    ),
    Feature(
        name="milestone_slippage_days",
        unit="days",
        question="days that milestones slipped in all",
        direction=-1,
        missing="no milestone is set",
        phrase="milestones slipped by {days} in all",
        zero="no milestone slipped",
        unknown="no milestone is set",
        term=Computed(compute=partial(milestone, what="slippage_days"), reads=MILESTONE),
    ),
    Feature(
        name="milestones_reached_share",
        unit="share",
        question="share of milestones reached",
        direction=1,
        missing="no milestone is set",
        phrase="{value} of the milestones are reached",
        zero="no milestone is reached",
        one="all milestones are reached",
        unknown="no milestone is set",
        term=Computed(compute=partial(milestone, what="reached_share"), reads=MILESTONE),
    ),
    Feature(
        name="milestones_open",
        unit="milestones",
        question="milestones still open",
        direction=-1,
        missing="no milestone is set",
        phrase="{value} milestones are still open",
        zero="no milestone is open",
        one="one milestone is still open",
        unknown="no milestone is set",
        term=Computed(compute=partial(milestone, what="open"), reads=MILESTONE),
    ),
    Feature(
        name="milestones_reached_30_days",
        unit="events",
        question="milestones reached in 30 days",
        direction=1,
        missing=NOT_CARRIED,
        phrase="{value} milestones were reached in the last 30 days",
        zero="no milestone was reached in the last 30 days",
        one="one milestone was reached in the last 30 days",
        unknown="milestones are not on record",
        term=Count(codes=("milestone_reached",), days=30),
    ),
)
