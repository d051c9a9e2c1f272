"""What judging decides among: boosted trees of several kinds, and a smooth sum of effects.

Each grows in stages from the share won alone, so that nothing learned is always among the choices,
and each is a sum of one- and two-feature tables.
"""

from __future__ import annotations

from itertools import islice
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from model.grid import BinArray, Grid
from model.history import Floats
from training.boosting import STAGE, Settings, fit_booster, log_odds_of_share, staged_log_odds
from training.leaves import Leaves, leaves_of
from training.smooth import SmoothSettings, fit_smooth

Learner: TypeAlias = Settings | SmoothSettings

FEW_ROWS: Final = 20_000  # up to so many, candidates that are stiffer are tried too
ROWS_PER_LEAF_SHARE: Final = 150  # a leaf holds at least this fraction of an ensemble's rows


def candidates(rows: int) -> list[Learner]:
    """The candidates that are judged, given how many rows an ensemble sees."""
    leaf = int(np.clip(rows / ROWS_PER_LEAF_SHARE, 10, 200))
    if rows > FEW_ROWS:
        return [Settings(rows_a_leaf=leaf)]
    return [
        Settings(rows_a_leaf=leaf),
        Settings(rows_a_leaf=2 * leaf, shrinkage=0.03, ridge=50.0),
        SmoothSettings(),
    ]


def title(learner: Learner) -> str:
    """What kind of learner it is, for people."""
    return "smooth" if isinstance(learner, SmoothSettings) else learner.interactions


def stages(learner: Learner) -> int:
    """How many sizes are judged, nothing learned among them."""
    if isinstance(learner, SmoothSettings):
        return len(learner.penalties) + 1
    return learner.trees // STAGE + 1


def size(learner: Learner, stage: int) -> int:
    """The size at a stage: how many trees, or which penalty, from 1; 0 is nothing learned."""
    return stage if isinstance(learner, SmoothSettings) else stage * STAGE


def staged(
    grid: Grid,
    bins: BinArray,
    won: NDArray[np.bool_],
    weight: Floats,
    deals: int,
    learner: Learner,
    asked: BinArray,
    seed: int,
) -> Floats:
    """Log-odds at every stage of the rows asked about. Shape (stages, n).

    Parameters
    ----------
    bins, won, weight
        Of the rows to learn from, with how many deals they are of.
    asked
        Bins of the rows asked about. Shape (n, F).
    """
    if isinstance(learner, SmoothSettings):
        models = fit_smooth(grid, bins, won, weight, deals, learner)
        return np.stack([model.log_odds(asked) for model in models])
    model = fit_booster(grid, bins, won, weight, learner, learner.trees, seed)
    start = log_odds_of_share(won, weight)
    return staged_log_odds(model, grid.codes(asked), learner.trees, start)


def fit_leaves(
    grid: Grid,
    bins: BinArray,
    won: NDArray[np.bool_],
    weight: Floats,
    deals: int,
    learner: Learner,
    wanted: int,
    seed: int,
) -> Leaves:
    """Fit a learner of one size, as a sum of products of indicators."""
    if isinstance(learner, SmoothSettings):
        models = fit_smooth(grid, bins, won, weight, deals, learner)
        return next(islice(models, wanted, None)).leaves()
    return leaves_of(fit_booster(grid, bins, won, weight, learner, wanted, seed), grid)
