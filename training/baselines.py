"""What a company could forecast with anyway: each learns from the same past as the model does.

Every baseline sees the deals as known before the origin, with outcomes as known then; none sees
more. Shares of few rows are drawn toward a wider share, which counts for `PRIOR_ROWS` rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.asof import LOST, REOPENED, WON
from model.events import DAY_US, KIND_CODES
from model.features import FeatureSet
from model.history import NONE, Floats, History, Ints
from training.dataset import NEVER, Dataset
from training.logistic import logistic_regression
from training.preparing import Learning
from training.standing import Standing, standing_of

Flags = NDArray[np.bool_]

PRIOR_ROWS: Final = 20.0
AGE_BANDS: Final = 8
PRIOR_DEALS: Final = 0.1  # that every value starts from among won and among lost deals
SMALLEST: Final = 1e-4  # a probability of the frequency method; its largest is as far from one
NO_DATE, BY_THEN, LATER = range(3)


@dataclass(frozen=True, kw_only=True, eq=False)
class Known:
    """The past that a baseline learns from.

    Parameters
    ----------
    history
        The record; what was known at `known_before_us` or later is not looked at.
    known_before_us
        The origin, microseconds since 1970 UTC.
    data
        The snapshots that the model learned from, with outcomes as known at the origin.
    deal
        Index of each snapshot's deal into `history`. Shape (R,).
    standing
        How the deals stood at the snapshots.
    features
        The columns of ``data.x``.
    text_fields
        The company's own fields that the model may use too.
    """

    history: History
    known_before_us: int
    data: Dataset
    deal: Ints
    standing: Standing
    features: FeatureSet
    text_fields: tuple[str, ...]

    @classmethod
    def of(cls, history: History, learning: Learning, known_before_us: int) -> Known:
        """The past that an origin's model learned from, with how its deals stood in words."""
        place = {deal_id: index for index, deal_id in enumerate(history.deal_ids)}
        deals = np.array([place[name] for name in learning.history.deal_ids], dtype=np.int64)
        deal = deals[learning.data.deal]
        fields = tuple(
            name
            for name in learning.features.vocabulary.text_fields
            if f"field:{name}" in learning.features.names
        )
        return cls(
            history=history,
            known_before_us=known_before_us,
            data=learning.data,
            deal=deal,
            standing=standing_of(history, deal, learning.data.as_of, fields),
            features=learning.features,
            text_fields=fields,
        )

    def counted(self, days: float) -> Flags:
        """Whether it was known at the origin what came of each snapshot within so many days."""
        ends = self.data.as_of + int(days * DAY_US)
        return np.asarray(ends <= self.data.countable_until)

    def won(self, days: float) -> Flags:
        """Whether each snapshot's deal was won within so many days."""
        return np.asarray(self.data.days_to_win() <= days)


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A way to forecast.

    Parameters
    ----------
    title
        Its name for people.
    method
        How it forecasts, in a sentence.
    forecast
        Of `Known`, the horizons in days (H,), the features (R, F) and the standing of the deals
        to forecast, their probabilities (R, H); None where the past has nothing to go by.
    """

    title: str
    method: str
    forecast: Callable[[Known, Floats, Floats, Standing], Floats | None]


def smoothed_shares(cell: Ints, won: Flags, weight: Floats, cells: int, prior: Floats) -> Floats:
    """The won share of each cell, drawn toward its prior.

    ``(won + PRIOR_ROWS * prior) / (rows + PRIOR_ROWS)``.

    Parameters
    ----------
    cell
        Of each row. Shape (R,), like `won` and `weight`.
    prior
        Of each cell. Shape (cells,).

    Examples
    --------
    >>> cell, won = np.zeros(60, dtype=np.int64), np.arange(60) < 30
    >>> smoothed_shares(cell, won, np.ones(60), 2, np.full(2, 0.1))
    array([0.4, 0.1])
    """
    rows = np.bincount(cell, weights=weight, minlength=cells)
    wins = np.bincount(cell, weights=weight * won, minlength=cells)
    return np.asarray((wins + PRIOR_ROWS * prior) / (rows + PRIOR_ROWS))


def _share(won: Flags, weight: Floats) -> float:
    return float(weight @ won / max(float(weight.sum()), 1e-9))


class _StageAndAge:
    """Cells of stage and age band, as the snapshots known at the origin show them."""

    def __init__(self, known: Known) -> None:
        ages = known.standing.age_days
        ages = ages[np.isfinite(ages)]
        quantiles = np.arange(1, AGE_BANDS) / AGE_BANDS
        self.bounds = np.unique(np.quantile(ages, quantiles)) if ages.size else np.empty(0)
        self.stages = len(known.standing.spelt["stage"]) + 1
        self.cells = self.stages * (len(self.bounds) + 2)

    def of(self, standing: Standing) -> Ints:
        band = np.searchsorted(self.bounds, standing.age_days, side="right")
        band = np.where(np.isnan(standing.age_days), len(self.bounds) + 1, band)
        return np.asarray(band * self.stages + standing.words["stage"] + 1)


def base_rate(known: Known, days: Floats, _x: Floats, asked: Standing) -> Floats:
    """The won share of each stage and age band, drawn toward that of all."""
    kinds = _StageAndAge(known)
    past, now = kinds.of(known.standing), kinds.of(asked)
    out = np.empty((len(now), len(days)))
    for column, horizon in enumerate(days.tolist()):
        rows = known.counted(horizon)
        won, weight = known.won(horizon)[rows], known.data.weight[rows]
        prior = np.full(kinds.cells, _share(won, weight))
        out[:, column] = smoothed_shares(past[rows], won, weight, kinds.cells, prior)[now]
    return out


def rep_forecast(known: Known, days: Floats, _x: Floats, asked: Standing) -> Floats | None:
    """The won share of the rep's category, given whether the close date falls by then."""
    categories = known.standing.words["forecast_category"]
    if (categories == NONE).all() and np.isnan(known.standing.close_days).all():
        return None
    width = len(known.standing.spelt["forecast_category"]) + 1
    out = np.empty((len(asked.amount), len(days)))
    for column, horizon in enumerate(days.tolist()):
        rows = np.flatnonzero(known.counted(horizon))
        won, weight = known.won(horizon)[rows], known.data.weight[rows]
        past = _promised(known.standing.take(rows), horizon, width)
        now = _promised(asked, horizon, width)
        prior = np.full(3 * width, _share(won, weight))
        out[:, column] = smoothed_shares(past, won, weight, 3 * width, prior)[now]
    return out


def _promised(standing: Standing, horizon: float, width: int) -> Ints:
    """The cell of category and whether the close date falls by then, or is not known."""
    when = np.where(standing.close_days <= horizon, BY_THEN, LATER)
    when = np.where(np.isnan(standing.close_days), NO_DATE, when)
    return np.asarray(when * width + standing.words["forecast_category"] + 1)


def frequencies(known: Known, days: Floats, _x: Floats, asked: Standing) -> Floats | None:
    """Naive Bayes on won and lost counts of each value, times how soon such deals were won.

    As open-source CRMs score leads: each closed deal counts once for the value that each field
    had when its closing became known, and once for every stage it had passed through by then;

        s_won = P(won) prod_v (n_v,won + 0.1) / (n_won + 0.1),    s_lost alike,
        P(ever won) = s_won / (s_won + s_lost).

    A value never seen is passed over. That says nothing of when, so it is multiplied by the share
    won within the horizon among snapshots of won deals in the same stage and age band, of those
    snapshots alone that the furthest horizon can be told of.

    References
    ----------
    Odoo, "Predictive lead scoring", documentation of its CRM.
    """
    ever = _ever_won(known, asked)
    if ever is None:
        return None
    kinds = _StageAndAge(known)
    past, now = kinds.of(known.standing), kinds.of(asked)
    rows = np.flatnonzero(known.counted(float(days[-1])) & (known.data.win != NEVER))
    weight = known.data.weight[rows]
    out = np.empty((len(now), len(days)))
    for column, horizon in enumerate(days.tolist()):
        won = known.won(horizon)[rows]
        prior = np.full(kinds.cells, _share(won, weight))
        soon = smoothed_shares(past[rows], won, weight, kinds.cells, prior)
        out[:, column] = ever * soon[now]
    return np.clip(out, SMALLEST, 1.0 - SMALLEST)


def _ever_won(known: Known, asked: Standing) -> Floats | None:
    """Probability of a win at any time by the counts of closed deals. Shape (R,)."""
    history = known.history
    closed, closed_us, won = _closed_deals(history, known.known_before_us)
    if won.all() or not won.any():
        return None
    at_end = standing_of(history, closed, closed_us, known.text_fields)
    log_odds = np.full(len(asked.amount), np.log(won.sum() / (~won).sum()))
    for name in at_end.words.keys() - {"stage", "forecast_category"}:
        codes = at_end.words[name]
        counts = _counts(codes, won, len(at_end.spelt[name]))
        log_odds += _evidence(counts, won)[asked.words[name]]
    passed, deal_won = _stages_passed(history, closed, closed_us, won)
    counts = _counts(passed, deal_won, len(at_end.spelt["stage"]))
    log_odds += _evidence(counts, won)[asked.words["stage"]]
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(log_odds, -30.0, 30.0))))


def _closed_deals(history: History, known_before_us: int) -> tuple[Ints, Ints, Flags]:
    """Deals whose last known end is a closing, when that became known, whether it was a win."""
    seen = history.known < known_before_us
    end = np.isin(history.kind, (WON, LOST, REOPENED)) & seen
    rows = np.flatnonzero(end)
    deal = np.repeat(np.arange(history.deals), np.diff(history.start))
    last = np.full(history.deals, NONE)
    last[deal[rows]] = rows  # rows ascend, and the last assignment stands
    closed = np.flatnonzero((last >= 0) & (history.standing[last] != REOPENED))
    ends = last[closed]
    return closed, history.known[ends], np.asarray(history.kind[ends] == WON)


def _stages_passed(
    history: History, closed: Ints, closed_us: Ints, won: Flags
) -> tuple[Ints, Flags]:
    """Each stage that each deal was in until its closing was known, and whether it was won."""
    deal = np.repeat(np.arange(history.deals), np.diff(history.start))
    until = np.full(history.deals, np.iinfo(np.int64).min)
    until[closed] = closed_us
    rows = (history.kind == KIND_CODES["stage_changed"]) & (history.known <= until[deal])
    rows &= history.name >= 0
    outcome = np.full(history.deals, NONE)
    outcome[closed] = won
    width = len(history.names) + 1
    pairs = np.unique(deal[rows] * width + history.name[rows])
    return pairs % width, outcome[pairs // width] == 1


def _counts(code: Ints, won: Flags, values: int) -> Floats:
    """Won and lost deals of each value. Shape (2, values)."""
    is_known = code >= 0
    return np.stack(
        [
            np.bincount(code[is_known & came], minlength=values).astype(np.float64)
            for came in (won, ~won)
        ]
    )


def _evidence(counts: Floats, won: Flags) -> Floats:
    """What each value adds to the log-odds; 0 for one never seen, and, last, for none known."""
    totals = np.array([[won.sum()], [(~won).sum()]])
    shares = (counts + PRIOR_DEALS) / (totals + PRIOR_DEALS)
    added = np.where(counts.sum(axis=0) > 0, np.log(shares[0]) - np.log(shares[1]), 0.0)
    return np.append(added, 0.0)  # code -1 looks up the last


def _logistic(known: Known, days: Floats, x: Floats, asked: Standing) -> Floats:
    del asked
    return logistic_regression(
        known.data, [f.is_category for f in known.features.features], days, x
    )


BASELINES: Final[dict[str, Baseline]] = {
    "base_rate": Baseline(
        title="Base rate by stage and age",
        method="the share won within the days, of deals in the same stage and of the same age",
        forecast=base_rate,
    ),
    "logistic_regression": Baseline(
        title="Logistic regression",
        method="one for each horizon, on the model's own features, standardised, categories one "
        "by one, missing values marked; penalty and scale chosen on deals kept apart",
        forecast=_logistic,
    ),
    "frequencies": Baseline(
        title="Won and lost counts",
        method="naive Bayes: how often deals with the same stage, owner, pipeline and company's "
        "own fields were won, as open-source CRMs score leads, times the share of such wins "
        "that came within the days at that stage and age",
        forecast=frequencies,
    ),
    "rep_forecast": Baseline(
        title="The rep's forecast",
        method="how often deals of the same forecast category were won within the days, given "
        "whether their planned close date fell by then",
        forecast=rep_forecast,
    ),
}
