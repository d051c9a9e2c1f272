"""How much each of several candidates counts, by how they did on deals apart.

Where deals are few, the best on the judging deals is hardly better than the next, and mostly by
luck: to choose one is worse than to mix them. With ``l_md`` the loss of candidate m on deal d, in
units in which they add up to the number of deals times the mean loss of a row, and v drawn from a
Dirichlet distribution times the number of deals (the Bayesian bootstrap),

    weight_m = E_v softmax_m(-BELIEF sum_d v_d l_md).

What is alike shares alike; with many deals the best takes all. Log-odds are mixed, so a mixture of
tables is tables again. The candidates' sizes were chosen on the same deals, so each deal is
believed only in part.

References
----------
Yao, Y., Vehtari, A., Simpson, D. and Gelman, A. (2018), "Using stacking to average Bayesian
predictive distributions", Bayesian Analysis 13(3): pseudo-BMA+.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.history import Floats
from training.dataset import Dataset
from training.leaves import Leaves

DRAWS: Final = 500
BELIEF: Final = 0.25  # of 1, 0.25 and 0 (all alike) the best on small simulated companies
SMALLEST: Final = 0.02  # a candidate that counts for less is left out


def deal_losses(data: Dataset, edges: Floats, etas: Sequence[Floats]) -> Floats:
    """The loss of each candidate on each judged deal. Shape (M, deals).

    Parameters
    ----------
    etas
        Log-odds of each candidate, NaN where not judged. Each of shape (R, B).
    """
    counts = data.at_risk(edges) & data.countable(edges) & np.isfinite(etas[0])
    won = data.won(edges)
    judged = counts.any(axis=1)
    deal = np.unique(data.deal[judged], return_inverse=True)[1]
    weight = data.weight[judged]
    out = []
    for eta in etas:
        losses = np.logaddexp(0.0, np.where(counts, np.where(won, -eta, eta), -np.inf))
        of_row = losses.sum(axis=1)[judged]
        out.append(np.bincount(deal, weights=weight * of_row))
    return np.asarray(np.array(out) * (len(out[0]) / weight.sum()))


def blend_weights(losses: Floats, seed: int) -> Floats:
    """What each candidate counts for; sums to 1. Shape (M,).

    Parameters
    ----------
    losses
        `deal_losses`. Shape (M, deals).
    seed
        Of the draws.

    Examples
    --------
    >>> blend_weights(np.zeros((2, 50)), seed=0).tolist()
    [0.5, 0.5]
    >>> blend_weights(np.array([[0.5] * 400, [0.7] * 400]), seed=0).tolist()
    [1.0, 0.0]
    """
    deals = losses.shape[1]
    drawn = np.random.default_rng(seed).dirichlet(np.ones(deals), DRAWS) * deals
    score = -BELIEF * drawn @ losses.T
    share = np.exp(score - score.max(axis=1, keepdims=True))
    weights = (share / share.sum(axis=1, keepdims=True)).mean(axis=0)
    weights[weights < min(SMALLEST, weights.max())] = 0.0
    return np.asarray(weights / weights.sum())


def blend_leaves(weights: Sequence[float], leaves: Sequence[Leaves]) -> Leaves:
    """The leaves of a weighted mean of ensembles."""
    pairs = list(zip(weights, leaves, strict=True))
    masks: NDArray[np.bool_] = np.concatenate([each.masks for each in leaves])
    return Leaves(
        intercept=float(sum(weight * each.intercept for weight, each in pairs)),
        values=np.concatenate([weight * each.values for weight, each in pairs]),
        features=np.concatenate([each.features for each in leaves]),
        masks=masks,
    )
