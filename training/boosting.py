"""Boosted trees, one ensemble for each bag and each edge.

Each bag draws half of the deals (not of the rows), so that the bags' spread tells how much the
answer hangs on which deals happened to be seen.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeVar

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from model.grid import BinArray, Grid
from model.history import Floats, Ints
from training.dataset import Dataset
from training.grid_fit import learning_codes, learning_options
from training.leaves import Booster

T = TypeVar("T")

STAGE: Final = 10  # trees between two looks at the judging rows
BAG_SHARE: Final = 0.5  # of the deals


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How trees are grown.

    Parameters
    ----------
    interactions
        ``pairwise``: a path asks about at most two features; ``no_interactions``: about one.
    leaves, rows_a_leaf
        At most so many leaves a tree, at least so many rows a leaf.
    shrinkage
        Of each tree's contribution.
    ridge
        L2 penalty of the leaves' values.
    features_a_split
        Share of the features looked at for each split.
    trees
        At most.
    """

    interactions: str = "pairwise"
    leaves: int = 4
    rows_a_leaf: int = 200
    shrinkage: float = 0.08
    ridge: float = 5.0
    features_a_split: float = 0.3
    trees: int = 400

    def to_json(self) -> dict[str, Any]:
        """A form that JSON can hold."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """One edge as a question of yes and no: rows still at risk, and whether the win fell in it.

    Parameters
    ----------
    rows
        Indices into the data. Shape (n,).
    won
        Whether the win fell within the edge. Shape (n,).
    """

    rows: Ints
    won: NDArray[np.bool_]


def problems(data: Dataset, edges: Floats, allowed: NDArray[np.bool_]) -> list[Problem]:
    """The question of each edge.

    Parameters
    ----------
    data
        The snapshots.
    edges
        Days. Shape (B + 1,).
    allowed
        Rows that may be used at each edge. Shape (R, B).
    """
    risk = data.at_risk(edges) & data.countable(edges) & allowed
    won = data.won(edges)
    return [
        Problem(rows=np.flatnonzero(risk[:, b]), won=won[risk[:, b], b])
        for b in range(len(edges) - 1)
    ]


def log_odds_of_share(won: NDArray[np.bool_], weight: Floats) -> float:
    """Log-odds of the weighted share won, with half a row added to either side."""
    share = float((weight @ won + 0.5) / (weight.sum() + 1.0))
    return float(np.log(share / (1.0 - share)))


def fit_booster(
    grid: Grid,
    bins: BinArray,
    won: NDArray[np.bool_],
    weight: Floats,
    settings: Settings,
    trees: int,
    seed: int,
) -> Booster:
    """One ensemble, or the log-odds of the share won where trees cannot be grown.

    Parameters
    ----------
    bins
        Of the rows. Shape (n, F).
    won, weight
        Shape (n,).
    trees
        How many; 0 gives the log-odds.
    """
    if trees == 0 or not won.any() or won.all():
        return log_odds_of_share(won, weight)
    model = HistGradientBoostingClassifier(
        max_iter=trees,
        learning_rate=settings.shrinkage,
        max_leaf_nodes=settings.leaves,
        min_samples_leaf=settings.rows_a_leaf,
        l2_regularization=settings.ridge,
        max_features=settings.features_a_split,
        interaction_cst=settings.interactions,
        early_stopping=False,
        max_bins=255,
        random_state=seed,
        **learning_options(grid),
    )
    model.fit(learning_codes(grid, bins), won, sample_weight=weight)
    return model


def staged_log_odds(model: Booster, codes: Floats, trees: int, start: float) -> Floats:
    """Log-odds after 0, `STAGE`, 2 `STAGE`, ... trees. Shape (trees // STAGE + 1, n).

    Parameters
    ----------
    start
        Log-odds before the first tree.
    """
    stages = trees // STAGE + 1
    out = np.full((stages, len(codes)), start)
    if isinstance(model, HistGradientBoostingClassifier) and len(codes):
        for number, log_odds in enumerate(model.staged_decision_function(codes), start=1):
            if number % STAGE == 0:
                out[number // STAGE] = log_odds
    return out


def bag_members(deals: int, bags: int, seed: int) -> NDArray[np.bool_]:
    """Which deals each bag draws: half of them, without replacement. Shape (bags, D)."""
    rng = np.random.default_rng(seed)
    members = np.zeros((bags, deals), dtype=bool)
    for bag in members:
        bag[rng.permutation(deals)[: max(1, round(deals * BAG_SHARE))]] = True
    return members


def in_parallel(work: Callable[..., T], calls: Sequence[tuple[Any, ...]], jobs: int) -> Iterator[T]:
    """Results of ``work(*call)`` in order, on `jobs` processes."""
    results: Iterator[T] = Parallel(n_jobs=jobs, return_as="generator")(
        delayed(_quietly)(work, call) for call in calls
    )
    return results


def _quietly(work: Callable[..., T], call: tuple[Any, ...]) -> T:
    with warnings.catch_warnings():
        # A constant feature in some bag is no news: it gets no cut.
        warnings.filterwarnings("ignore", message=".*constant.*")
        return work(*call)
