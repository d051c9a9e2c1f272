"""How good probabilities are: log-loss, Brier score, ranking, calibration."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from model.hazard import edge_weights, probability
from model.history import Floats
from training.dataset import Dataset
from training.metrics import brier_score, calibration_error, log_loss


def quality(won: NDArray[np.bool_], p: Floats, weight: Floats) -> dict[str, float | int | None]:
    """Every figure of one set of probabilities; AUC is None where only one outcome came."""
    both = bool(won.any() and not won.all())
    return {
        "rows": len(won),
        "won_share": float(weight @ won / weight.sum()),
        "log_loss": log_loss(won, p, weight),
        "brier": brier_score(won, p, weight),
        "auc": float(roc_auc_score(won, p, sample_weight=weight)) if both else None,
        "ece": calibration_error(won, p, weight),
    }


def quality_by_edge(data: Dataset, edges: Floats, eta: Floats) -> list[dict[str, Any]]:
    """The quality of P(won within e_b) for each edge on the judged rows.

    Parameters
    ----------
    data
        The snapshots.
    edges
        Days. Shape (B + 1,).
    eta
        Calibrated log-odds, NaN where not judged. Shape (R, B).

    Returns
    -------
    list of dict
        One for each edge that any judged row counts at.
    """
    countable = data.countable(edges)
    days_to_win = data.days_to_win()
    figures = []
    for b, edge in enumerate(edges[1:]):
        rows = countable[:, b] & np.isfinite(eta[:, : b + 1]).all(axis=1)
        if rows.any():
            weights = edge_weights(edges, np.array(edge))
            p = probability(np.nan_to_num(eta[rows]), weights)
            won = days_to_win[rows] <= edge
            figures.append({"days": float(edge), **quality(won, p, data.weight[rows])})
    return figures
