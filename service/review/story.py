"""A deal's way until now: its probability week by week, what happened, and its milestones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np

from model.asof import AsOf
from model.catalogue.promises import DROPPED, REACHED, milestone_stories
from model.events import DAY_US, EPOCH_DAY, KIND_CODES, from_microseconds
from model.gates import Gate
from model.history import NONE, History
from model.period import Period
from model.scorer import Scorer
from model.vocabulary import Vocabulary
from service.record import Record
from service.review.gathering import told

WEEK_US: Final = 7 * DAY_US
MOST_WEEKS: Final = 26
# What is marked on the curve: the kinds of each sort, in the order of the rows of marks.
MARKS: Final = {
    "customer contact": ("customer_replied", "meeting_held"),
    "milestone reached": ("milestone_reached",),
    "milestone or close date moved": ("milestone_moved", "close_date_changed"),
    "stage changed": ("stage_changed",),
    "escalation or competitor": ("escalation_raised", "competitor_named"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """What was, or would have been, said at a moment.

    Parameters
    ----------
    as_of
        Microseconds since 1970 UTC.
    probability
        To be won by the period's end, by the model alone.
    hindsight
        Whether the model had learned from later closings, of other deals.
    """

    as_of: int
    probability: float
    hindsight: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A milestone as planned and as it went.

    Parameters
    ----------
    name
        Of the milestone.
    planned, due
        Its due date at first and now.
    reached
        When it was; None where it was not.
    state
        ``reached``, ``dropped``, ``overdue`` or ``open``.
    must_hit
        Whether it is a gate.
    """

    name: str
    planned: date | None
    due: date | None
    reached: date | None
    state: str
    must_hit: bool

    @property
    def moved_days(self) -> int:
        """Days that its due date moved, later above zero."""
        return 0 if self.due is None or self.planned is None else (self.due - self.planned).days


@dataclass(frozen=True, kw_only=True)
class Story:
    """A deal's way.

    Parameters
    ----------
    points
        Weekly, the oldest first.
    marks
        Of each sort in `MARKS`, when it happened, microseconds since 1970 UTC.
    plans
        Its milestones, the first due first.
    """

    points: Sequence[Point]
    marks: dict[str, list[int]]
    plans: Sequence[Plan]


def story_of(
    scorer: Scorer | None,
    history: History,
    period: Period,
    as_of: int,
    record: Record,
    gates: Sequence[Gate],
) -> Story:
    """Tell a deal's way until a moment.

    Parameters
    ----------
    scorer
        None leaves the probabilities out.
    history
        Of the deal alone.
    as_of
        Microseconds since 1970 UTC; nothing known later is told.
    """
    known = history.known <= as_of
    if not known.any():
        return Story(points=(), marks={}, plans=())
    marks = {}
    for sort, kinds in MARKS.items():
        codes = [KIND_CODES[kind] for kind in kinds]
        rows = np.flatnonzero(known & np.isin(history.kind, codes))
        marks[sort] = history.occurred[rows].tolist()
    return Story(
        points=() if scorer is None else _points(scorer, history, period, as_of, record),
        marks=marks,
        plans=plans_of(history, as_of, {gate.name for gate in gates}),
    )


def _points(
    scorer: Scorer, history: History, period: Period, as_of: int, record: Record
) -> list[Point]:
    furthest = period.end_us - round(float(scorer.edges[-1]) * DAY_US)
    first = max(int(history.occurred.min()), furthest, as_of - MOST_WEEKS * WEEK_US)
    found = []
    for moment in range(as_of, first, -WEEK_US):
        days = (period.end_us - moment) / DAY_US
        if days <= 0:
            continue
        scored = scorer.score_many(
            history,
            np.zeros(1, np.int64),
            np.array([moment]),
            None,
            told(scorer, record, moment),
            checked=True,
        )
        check = scored.checks[0]
        if not scored.is_open[0] or check is None or not check.scorable:
            continue
        found.append(
            Point(
                as_of=moment,
                probability=float(scorer.probabilities(scored, [days])[0, 0]),
                hindsight=moment < scorer.known_before,
            )
        )
    return found[::-1]


def plans_of(history: History, as_of: int, must_hit: set[str]) -> list[Plan]:
    """The milestones of the first deal of a history, the first due first."""
    vocabulary = Vocabulary(text_fields=())
    asof = AsOf(
        history,
        vocabulary,
        vocabulary.codes(history),
        np.zeros(1, np.int64),
        np.array([as_of], np.int64),
    )
    found = []
    for code, (state, first_due, due, reached_at) in milestone_stories(asof.snapshots[0]).items():
        name = "a milestone" if code == NONE else history.names[code]
        said = {REACHED: "reached", DROPPED: "dropped"}.get(state)
        if said is None:
            said = "overdue" if due is not None and due <= as_of else "open"
        found.append(
            Plan(
                name=name,
                planned=_last_day(first_due),
                due=_last_day(due),
                reached=from_microseconds(reached_at).date() if said == "reached" else None,
                state=said,
                must_hit=name in must_hit,
            )
        )
    return sorted(found, key=lambda plan: (plan.due or date.max, plan.name))


def _last_day(end_us: int | None) -> date | None:
    """The day that ends at a midnight."""
    return None if end_us is None else EPOCH_DAY + timedelta(days=end_us // DAY_US - 1)
