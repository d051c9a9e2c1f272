"""Past deals that once stood like an open one does now, and how they ended.

Two deals are alike where the model sees them alike: a closed deal is looked at when it was as old
as the open one is now, as known then, and what each feature adds to its probability, in points, is
set beside what it adds to the open deal's. The distance is the sum of the differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from model.events import DAY_US
from model.history import History
from model.pipeline import Deal
from model.scorer import Scorer

MOST_COMPARED: Final = 400  # of the latest closings
MOST_SHOWN: Final = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparable:
    """A past deal.

    Parameters
    ----------
    deal
        As it stands now, closed.
    distance
        Points of probability by which its features count otherwise, in all.
    probability
        What the model says of it when it was as old, within as many days.
    days_after
        From then to its closing.
    """

    deal: Deal
    distance: float
    probability: float
    days_after: float


def comparable_deals(
    scorer: Scorer,
    history: History,
    opened_us: int,
    past: History,
    closed: Sequence[Deal],
    as_of: int,
    days: float,
) -> list[Comparable]:
    """The closed deals most like an open one, the likest first.

    Parameters
    ----------
    history
        Of the open deal alone.
    opened_us
        When it was opened.
    past
        Of the closed deals.
    closed
        How they ended; those opened and closed too soon to have been as old are left out.
    as_of
        Now, microseconds since 1970 UTC.
    days
        The horizon asked about.
    """
    age = as_of - opened_us
    place = {deal_id: index for index, deal_id in enumerate(past.deal_ids)}
    old = [
        deal
        for deal in closed
        if deal.deal_id in place and (deal.closed_us or 0) - deal.opened_us > age
    ]
    if not old:
        return []
    mine = _points(scorer, history, np.zeros(1, np.int64), np.array([as_of]), days)
    at = np.array([deal.opened_us + age for deal in old])
    index = np.array([place[deal.deal_id] for deal in old])
    theirs = _points(scorer, past, index, at, days)
    if mine is None or theirs is None:
        return []
    distance = np.abs(theirs[1] - mine[1]).sum(axis=1)
    distance = np.where(np.isfinite(distance), distance, np.inf)
    nearest = np.argsort(distance, kind="stable")[:MOST_SHOWN]
    return [
        Comparable(
            deal=old[row],
            distance=float(distance[row]),
            probability=float(theirs[0][row]),
            days_after=((old[row].closed_us or 0) - int(at[row])) / DAY_US,
        )
        for row in nearest.tolist()
        if np.isfinite(distance[row])
    ]


def _points(
    scorer: Scorer, history: History, deal: np.ndarray, as_of: np.ndarray, days: float
) -> tuple[np.ndarray, np.ndarray] | None:
    ahead = np.full(len(deal), days)
    scored = scorer.score_many(history, deal.astype(np.int64), as_of.astype(np.int64), ahead)
    if scored.split is None:
        return None
    return scored.split.probability, scored.split.points
