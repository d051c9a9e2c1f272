"""What was said of open deals at moments of the past, by the model that was in force then.

A forecast of d days made at t counts only if ``t + d <= K - L``, whatever the outcome, as in
`training.dataset`: looking at closed deals alone would look at the fast ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.events import DAY_US
from model.feeds import feeds_of
from model.history import Floats, Ints
from model.scorer import Scorer
from training.backtest import open_moments
from training.record import Record
from training.thresholds import MonitorThresholds

ROWS_AT_ONCE: Final = 20_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Said:
    """Forecasts of open deals at moments, each by the model in force then, and what came.

    Parameters
    ----------
    deal, as_of
        Index of the deal, and the moment in microseconds. Shape (R,).
    probability
        P(won within the days); NaN where no model could say. Shape (R, H).
    counted
        Whether the outcome is known, whatever it was. Shape (R, H).
    won
        Whether it was won in time. Shape (R, H).
    """

    deal: Ints
    as_of: Ints
    probability: Floats
    counted: NDArray[np.bool_]
    won: NDArray[np.bool_]


def said_of(
    record: Record, scorers: Sequence[Scorer], deal: Ints, as_of: Ints, days: Floats
) -> Said:
    """Score open deals, each moment by the last model whose cut-off lies before it."""
    cutoffs = np.array([each.known_before for each in scorers])
    order = np.lexsort((as_of, deal))
    deal, as_of = deal[order], as_of[order]
    by = np.searchsorted(cutoffs, as_of, side="right") - 1
    found = np.full((len(deal), len(days)), np.nan)
    heard = feeds_of(record.history)
    for number, scorer in enumerate(scorers):
        rows = np.flatnonzero(by == number)
        within = days <= scorer.edges[-1]
        feeds = scorer.feeds(heard)
        for first in range(0, len(rows), ROWS_AT_ONCE):
            part = rows[first : first + ROWS_AT_ONCE]
            scored = scorer.score_many(
                record.history, deal[part], as_of[part], None, feeds, checked=True
            )
            shown = np.array([each is not None and each.scorable for each in scored.checks], bool)
            answers = scorer.probabilities(scored, days[within].tolist())
            found[np.ix_(part[shown], within)] = answers[shown]
    ahead = as_of[:, None] + (days * DAY_US).astype(np.int64)
    return Said(
        deal=deal,
        as_of=as_of,
        probability=found,
        counted=(ahead <= record.countable_until) & np.isfinite(found),
        won=record.win[deal][:, None] <= ahead,
    )


def said_regularly(
    record: Record, scorers: Sequence[Scorer], current: Scorer, limits: MonitorThresholds
) -> Said:
    """The deals open at regular moments of the past, while some model could score them."""
    days = current.edges[1:]
    until = record.countable_until - int(days[0] * DAY_US) + 1
    spacing = int(limits.spacing_days * DAY_US)
    first = max(scorers[0].known_before, until - int(limits.judged_days * DAY_US))
    deal, as_of = open_moments(record, first, until, spacing)
    return said_of(record, scorers, deal, as_of, days)
