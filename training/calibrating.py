"""Calibration on the judging rows: ``eta_b -> a_b + s_b eta_b``, s_b > 0.

Each edge's own pair is shrunk toward a pair common to all edges by the number n of winning deals,
``n / (n + FEW_WINS)``; under `FEW_WINS` the common pair stands alone. The common pair is shrunk
toward (0, 1), no change, in the same way. (Platt 1999; Cox 1958.)
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from model.history import Floats
from model.tables import Calibration
from training.boosting import problems
from training.dataset import Dataset

FEW_WINS: Final = 50  # winning deals
SMALLEST_SLOPE: Final = 0.05
WEAK_PENALTY: Final = 1e4  # inverse ridge strength: the shrinkage is below, not here


def fit_calibration(data: Dataset, edges: Floats, eta: Floats) -> Calibration:
    """Fit slope and intercept of every edge.

    Parameters
    ----------
    data
        The snapshots.
    edges
        Days. Shape (B + 1,).
    eta
        Log-odds of the judged rows, NaN where not judged. Shape (R, B).

    Returns
    -------
    Calibration
        One pair an edge.
    """
    questions = problems(data, edges, np.isfinite(eta))
    parts = []
    for b, question in enumerate(questions):
        wins = len(np.unique(data.deal[question.rows[question.won]]))
        parts.append((eta[question.rows, b], question.won, data.weight[question.rows], wins))
    common = _pair(
        np.concatenate([p[0] for p in parts]),
        np.concatenate([p[1] for p in parts]),
        np.concatenate([p[2] for p in parts]),
    )
    n = sum(p[3] for p in parts)
    common = _toward(common, np.array([0.0, 1.0]), n)
    pairs = []
    for one_eta, won, weight, wins in parts:
        own = common if wins < FEW_WINS else _toward(_pair(one_eta, won, weight), common, wins)
        pairs.append(own)
    table = np.array(pairs)
    return Calibration(intercepts=table[:, 0], slopes=np.maximum(table[:, 1], SMALLEST_SLOPE))


def _toward(own: Floats, common: Floats, wins: int) -> Floats:
    share = wins / (wins + FEW_WINS)
    return np.asarray(share * own + (1.0 - share) * common)


def _pair(eta: Floats, won: NDArray[np.bool_], weight: Floats) -> Floats:
    """Intercept and slope of the logistic regression of `won` on `eta`."""
    if len(eta) == 0 or won.all() or not won.any():
        return np.array([0.0, 1.0])
    if np.ptp(eta) < 1e-9:
        share = float(weight @ won / weight.sum())
        return np.array([np.log(share / (1.0 - share)) - eta[0], 1.0])
    model = LogisticRegression(C=WEAK_PENALTY, max_iter=1000)
    model.fit(eta[:, None], won, sample_weight=weight / weight.mean())
    return np.array([model.intercept_[0], max(model.coef_[0, 0], SMALLEST_SLOPE)])
