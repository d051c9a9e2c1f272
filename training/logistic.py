"""Logistic regression on the model's own features, for comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from model.history import Floats
from training.dataset import Dataset
from training.judging import deal_share
from training.metrics import log_loss

PENALTIES: Final = (0.003, 0.03, 0.3)  # inverse strengths tried
KEPT_APART: Final = 0.3  # of the deals, to choose on
MOST_ROWS: Final = 40_000  # learned from; of more, an even part
TAIL: Final = 0.01  # of each number's values, at either end, counts as its bound
MOST_STEPS: Final = 300


def logistic_regression(
    data: Dataset, is_category: Sequence[bool], days: Floats, x: Floats
) -> Floats:
    """Learn one for each horizon and forecast.

    Parameters
    ----------
    data
        What was known at the origin.
    is_category
        Which columns of the features hold codes. Shape (F,).
    days
        The horizons. Shape (H,).
    x
        The features to forecast for. Shape (R, F).

    Returns
    -------
    ndarray
        P(won within each horizon). Shape (R, H).
    """
    low, high = _bounds(data.x, is_category)
    learned_x, asked_x = np.clip(data.x, low, high), np.clip(x, low, high)
    apart = deal_share(data.deal_ids)[data.deal] < KEPT_APART
    won = [data.days_to_win() <= horizon for horizon in days.tolist()]
    counted = data.countable(np.array([0.0, *days]))
    middle = len(days) // 2
    penalty, curved = _choose(
        learned_x, won[middle], data.weight, counted[:, middle], apart, is_category
    )
    out = np.empty((len(x), len(days)))
    for column in range(len(days)):
        rows = _even_part(np.flatnonzero(counted[:, column]))
        outcome = won[column][rows]
        if outcome.all() or not outcome.any():
            out[:, column] = outcome.mean() if outcome.size else np.nan
            continue
        model = _pipeline(is_category, penalty, curved)
        model.fit(learned_x[rows], outcome, logisticregression__sample_weight=data.weight[rows])
        out[:, column] = model.predict_proba(asked_x)[:, 1]
    return out


def _choose(
    x: Floats,
    won: NDArray[np.bool_],
    weight: Floats,
    counted: NDArray[np.bool_],
    apart: NDArray[np.bool_],
    is_category: Sequence[bool],
) -> tuple[float, bool]:
    """The penalty, and whether numbers enter by their logarithm, best on deals kept apart."""
    fitted, judged = _even_part(np.flatnonzero(counted & ~apart)), np.flatnonzero(counted & apart)
    best = (np.inf, PENALTIES[len(PENALTIES) // 2], True)
    if len(judged) and won[fitted].any() and not won[fitted].all():
        for curved in (True, False):
            for penalty in PENALTIES:
                model = _pipeline(is_category, penalty, curved)
                model.fit(x[fitted], won[fitted], logisticregression__sample_weight=weight[fitted])
                p = model.predict_proba(x[judged])[:, 1]
                best = min(best, (log_loss(won[judged], p, weight[judged]), penalty, curved))
    return best[1], best[2]


def _pipeline(is_category: Sequence[bool], penalty: float, curved: bool) -> Pipeline:
    categories = [column for column, flag in enumerate(is_category) if flag]
    numbers = [column for column, flag in enumerate(is_category) if not flag]
    scaled = make_pipeline(
        FunctionTransformer(_signed_log if curved else None),
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
    )
    coded = make_pipeline(
        SimpleImputer(strategy="constant", fill_value=-2.0, keep_empty_features=True),
        OneHotEncoder(handle_unknown="ignore"),
    )
    return make_pipeline(
        ColumnTransformer(
            [("numbers", scaled, numbers), ("categories", coded, categories)], sparse_threshold=0.0
        ),
        LogisticRegression(C=penalty, max_iter=MOST_STEPS),
    )


def _signed_log(x: Floats) -> Floats:
    return np.asarray(np.sign(x) * np.log1p(np.abs(x)))


def _bounds(x: Floats, is_category: Sequence[bool]) -> tuple[Floats, Floats]:
    """Numbers further out than nearly all that were seen count as the last of those."""
    low, high = np.full(x.shape[1], -np.inf), np.full(x.shape[1], np.inf)
    for column, coded in enumerate(is_category):
        known = x[:, column][np.isfinite(x[:, column])]
        if known.size and not coded:
            low[column], high[column] = np.quantile(known, (TAIL, 1.0 - TAIL))
    return low, high


def _even_part(rows: NDArray[np.intp]) -> NDArray[np.intp]:
    step = -(-len(rows) // MOST_ROWS)
    return rows[:: max(step, 1)]
