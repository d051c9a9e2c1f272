"""Calibration on the judging rows: ``eta_b -> a_b + s_b eta_b``, s_b > 0.

Around the mean m of the log-odds, ``eta -> m + shift + slope (eta - m)``. Shift and slope are
fitted to all edges together and to each edge alone, and believed only as far as they hold across
time: with V their variance over the judged time (a jackknife that leaves out one of `BLOCKS`
stretches after the other), an estimate t is drawn to its target t0 by the positive-part
James-Stein factor

    t0 + (t - t0) max(0, 1 - V / (t - t0)^2).

The target of all edges together is (0, 1), no change; that of an edge alone is what all edges
share. A market that wins a little more this month and less the next is no reason to move every
score. An edge with fewer than `FEW_WINS` winning deals takes the common pair (Platt 1999; Cox
1958; Efron and Morris 1973).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from model.history import Floats, Ints
from model.tables import Calibration
from training.boosting import problems
from training.dataset import Dataset

FEW_WINS: Final = 50  # winning deals
BLOCKS: Final = 10  # stretches of the judged time
SMALLEST_SLOPE: Final = 0.05
WEAK_PENALTY: Final = 1e4  # inverse ridge strength: the shrinkage is above, not here
NO_CHANGE: Final = (0.0, 1.0)  # shift, slope


@dataclass(frozen=True, kw_only=True, eq=False)
class _Rows:
    """Judged rows of one question. Each of shape (n,)."""

    eta: Floats
    won: NDArray[np.bool_]
    weight: Floats
    block: Ints


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
    block = _blocks(data.as_of, np.asarray(np.isfinite(eta).any(axis=1)))
    parts, wins = [], []
    for b, question in enumerate(problems(data, edges, np.isfinite(eta))):
        rows = question.rows
        wins.append(len(np.unique(data.deal[rows[question.won]])))
        parts.append(
            _Rows(
                eta=eta[rows, b],
                won=question.won,
                weight=data.weight[rows],
                block=block[rows],
            )
        )
    every = _Rows(
        eta=np.concatenate([part.eta for part in parts]),
        won=np.concatenate([part.won for part in parts]),
        weight=np.concatenate([part.weight for part in parts]),
        block=np.concatenate([part.block for part in parts]),
    )
    if len(every.eta) == 0:
        return Calibration.none(len(parts))
    common = _believed(every, np.array(NO_CHANGE))
    intercepts, slopes = np.empty(len(parts)), np.empty(len(parts))
    for b, part in enumerate(parts):
        shift, slope = common if wins[b] < FEW_WINS else _believed(part, common)
        slopes[b] = max(slope, SMALLEST_SLOPE)
        center = _center(part) if len(part.eta) else 0.0
        intercepts[b] = center + shift - slopes[b] * center
    return Calibration(intercepts=intercepts, slopes=slopes)


def _blocks(as_of: Ints, judged: NDArray[np.bool_]) -> Ints:
    """Which of `BLOCKS` equal stretches of the judged time each row lies in."""
    first, last = as_of[judged].min(initial=as_of.max()), as_of[judged].max(initial=as_of.min())
    share = (as_of - first) / max(int(last - first), 1)
    return np.asarray(np.clip(share * BLOCKS, 0, BLOCKS - 1).astype(np.int64))


def _believed(rows: _Rows, target: Floats) -> Floats:
    """Shift and slope, drawn to the target as far as they vary over time."""
    found = _fit(rows, _center(rows))
    others = [
        _fit(_without(rows, block), _center(rows)) for block in np.unique(rows.block).tolist()
    ]
    if len(others) < 2:
        return target
    spread = np.array(others)
    variance = (len(others) - 1) * spread.var(axis=0)
    distance = found - target
    kept = np.maximum(0.0, 1.0 - variance / np.maximum(distance**2, 1e-12))
    return np.asarray(target + kept * distance)


def _without(rows: _Rows, block: int) -> _Rows:
    left = rows.block != block
    return _Rows(
        eta=rows.eta[left], won=rows.won[left], weight=rows.weight[left], block=rows.block[left]
    )


def _center(rows: _Rows) -> float:
    return float(np.average(rows.eta, weights=rows.weight))


def _fit(rows: _Rows, center: float) -> Floats:
    """Shift and slope of the logistic regression of the outcome on the log-odds."""
    if len(rows.won) == 0 or rows.won.all() or not rows.won.any():
        return np.array(NO_CHANGE)
    if np.ptp(rows.eta) < 1e-9:
        share = float(np.average(rows.won, weights=rows.weight))
        return np.array([np.log(share / (1.0 - share)) - center, 1.0])
    model = LogisticRegression(C=WEAK_PENALTY, max_iter=1000)
    weight = rows.weight / rows.weight.mean()
    model.fit((rows.eta - center)[:, None], rows.won, sample_weight=weight)
    return np.array([model.intercept_[0] - center, model.coef_[0, 0]])
