"""Boosted trees compiled to tables, exactly.

A leaf is its value times the product of two indicators over bins (`training.leaves`), so an
ensemble is a sum of one- and two-feature tables. The pair tables are then purified under the
product of the marginals w_j, w_k:

    f_jk <- f_jk - r_j - r_k + m,   f_j <- f_j + r_j - m,   f_k <- f_k + r_k - m,   c <- c + m

with ``r_j = E_k f_jk``, ``r_k = E_j f_jk``, ``m = E f_jk``, and the main effects centred. One pass
is enough: under a product of marginals the three steps do not disturb each other.

The marginal of a feature with a declared direction leaves its missing bin out, so that the worst
of its values is below the average of its values even where missing is worse still.

References
----------
Friedman, J. H. (2001), "Greedy function approximation: a gradient boosting machine",
Annals of Statistics 29(5).
Lengerich, B. et al. (2020), "Purifying interaction effects with the functional ANOVA", AISTATS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.grid import Grid
from model.hazard import FloatArray
from model.lookup import IndexArray
from model.tables import Tables
from training.leaves import BoolArray, Booster, Leaves, leaves_of


@dataclass(frozen=True, kw_only=True)
class Effects:
    """Purified tables of one ensemble.

    Parameters
    ----------
    intercept
        Log-odds of the average evidence.
    mains
        [F, W].
    groups
        Coarse bins of each pair's lower and higher feature, by the two features; [2, W].
    blocks
        The pair's table over its coarse bins.
    """

    intercept: float
    mains: FloatArray
    groups: dict[tuple[int, int], NDArray[np.uint8]]
    blocks: dict[tuple[int, int], FloatArray]


def compile_tables(
    models: Sequence[Sequence[Booster]],
    grid: Grid,
    weights: FloatArray,
    *,
    iterations: int | None = None,
) -> Tables:
    """The tables of fitted classifiers.

    Parameters
    ----------
    models
        For each bag and each edge a classifier fitted on `Grid.codes`, two classes, or a number:
        the log-odds of an edge that no classifier was fitted for.
    grid
        The grid of those codes.
    weights
        The marginals, `training.grid_fit.bin_weights`; [F, W].
    iterations
        Use the first so many trees of each; all if None.

    Returns
    -------
    Tables
        Their sum over trees equals `decision_function` on every bin that a classifier can see;
        unseen categories add zero.

    Raises
    ------
    TrainingDataError
        If a path asks about more than two features, or a classifier was fitted on another number
        of features or classes.

    Examples
    --------
    >>> from model.grid import GridFeature
    >>> grid = Grid((GridFeature(name="contacts", thresholds=(2.5,)),))
    >>> compile_tables([[-1.5, 0.5]], grid, np.ones((1, 4))).intercept
    array([-1.5,  0.5])
    """
    leaves = [[leaves_of(model, grid, iterations) for model in bag] for bag in models]
    return compile_leaves(leaves, grid, weights)


def compile_leaves(leaves: Sequence[Sequence[Leaves]], grid: Grid, weights: FloatArray) -> Tables:
    """The tables of sums of products of two indicators, for each bag and each edge.

    Parameters
    ----------
    leaves
        For each bag and each edge.
    grid, weights
        As `compile_tables` takes them.
    """
    marginals = purifying_marginals(grid, weights)
    return _assemble([[purify(each, grid, marginals) for each in bag] for bag in leaves], grid)


def purifying_marginals(grid: Grid, weights: FloatArray) -> FloatArray:
    """The marginal of each feature that its tables have zero mean under.

    Parameters
    ----------
    grid
        The grid.
    weights
        Weight of the training rows in each bin; [F, W].

    Returns
    -------
    FloatArray
        Rows that sum to 1; [F, W]. The unseen bin has none, and the missing bin of a feature with
        a direction has none where any value is known.

    Examples
    --------
    >>> from model.grid import GridFeature
    >>> grid = Grid((GridFeature(name="contacts", thresholds=(2.5,), direction=1),))
    >>> purifying_marginals(grid, np.array([[3.0, 1.0, 4.0, 0.0]]))
    array([[0.75, 0.25, 0.  , 0.  ]])
    """
    marginals = weights.astype(np.float64)
    columns = np.arange(grid.width)
    marginals[columns > grid.bins[:, None]] = 0.0
    missing = columns == grid.bins[:, None]
    known = np.where(missing, 0.0, marginals)
    exempt = (grid.directions != 0) & (known.sum(axis=1) > 0.0)
    marginals[exempt] = known[exempt]
    marginals[missing & (marginals.sum(axis=1, keepdims=True) == 0.0)] = 1.0
    return np.asarray(marginals / marginals.sum(axis=1, keepdims=True))


def purify(leaves: Leaves, grid: Grid, marginals: FloatArray) -> Effects:
    """Sum the leaves into tables, and purify them.

    Parameters
    ----------
    leaves
        Of one ensemble.
    grid
        Its grid.
    marginals
        `purifying_marginals`; [F, W].

    Returns
    -------
    Effects
        Tables of zero mean over each of their features.
    """
    intercept = leaves.intercept
    mains = np.zeros((len(grid), grid.width))
    first, second = leaves.features.T
    intercept += float(leaves.values[first == -1].sum())
    single = (first != -1) & (second == -1)
    np.add.at(mains, first[single], leaves.values[single, None] * leaves.masks[single, 0])
    groups: dict[tuple[int, int], NDArray[np.uint8]] = {}
    blocks: dict[tuple[int, int], FloatArray] = {}
    paired = np.flatnonzero(second != -1)
    paired = paired[np.argsort(first[paired] * len(grid) + second[paired], kind="stable")]
    keys = leaves.features[paired]
    starts = np.flatnonzero(np.r_[True, (keys[1:] != keys[:-1]).any(axis=1)][: len(keys)])
    stops = np.append(starts, len(paired))[1:]
    changes = _changes(leaves.masks[paired], starts, keys, grid)
    for number, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        rows = paired[start:stop]
        one, other = (int(feature) for feature in keys[start])
        lows, highs = (np.r_[0, np.flatnonzero(side) + 1] for side in changes[number])
        lefts = leaves.masks[rows, 0][:, lows] * leaves.values[rows, None]
        block = lefts.T @ leaves.masks[rows, 1][:, highs].astype(np.float64)
        by_one = block @ np.add.reduceat(marginals[other], highs)
        share = np.add.reduceat(marginals[one], lows)
        by_other = share @ block
        mean = float(share @ by_one)
        block += mean - by_one[:, None] - by_other
        group = np.c_[np.zeros((2, 1), dtype=np.uint8), changes[number].cumsum(1, dtype=np.uint8)]
        mains[one] += (by_one - mean)[group[0]]
        mains[other] += (by_other - mean)[group[1]]
        intercept += mean
        # The last coarse bin of a category is the unseen one alone.
        block[-1 if grid.categorical[one] else len(block) :] = 0.0
        block[:, -1 if grid.categorical[other] else block.shape[1] :] = 0.0
        groups[one, other], blocks[one, other] = group, block
    means = (mains * marginals).sum(axis=1)
    mains -= means[:, None]
    mains[np.arange(grid.width) > grid.bins[:, None]] = 0.0
    return Effects(
        intercept=intercept + float(means.sum()), mains=mains, groups=groups, blocks=blocks
    )


def _changes(masks: BoolArray, starts: IndexArray, keys: IndexArray, grid: Grid) -> BoolArray:
    # Between which neighbouring bins any leaf of the pair tells apart; [pairs, 2, W - 1]. The
    # unseen bin of a category stands alone; a number's is never used and joins its missing bin.
    if not len(starts):
        return np.empty((0, 2, grid.width - 1), dtype=np.bool_)
    changes = np.logical_or.reduceat(masks[..., 1:] != masks[..., :-1], starts, axis=0)
    features = keys[starts]
    after = np.arange(grid.width - 1) - grid.bins[features][..., None]
    alone = (after == 0) & grid.categorical[features][..., None]
    return np.asarray((changes & (after < 0)) | alone)


def _assemble(effects: list[list[Effects]], grid: Grid) -> Tables:
    pairs = sorted({pair for bag in effects for effect in bag for pair in effect.blocks})
    shape = (len(effects), len(effects[0]), len(pairs), grid.width)
    groups = np.zeros((2, *shape), dtype=np.uint8)
    blocks: list[FloatArray] = []
    unused = np.zeros(1)
    for bag, row in enumerate(effects):
        for edge, effect in enumerate(row):
            for number, pair in enumerate(pairs):
                if pair in effect.blocks:
                    groups[:, bag, edge, number] = effect.groups[pair]
                    blocks.append(effect.blocks[pair].reshape(-1))
                else:
                    blocks.append(unused)
    return Tables(
        bins=grid.bins,
        intercepts=np.array([[effect.intercept for effect in row] for row in effects]),
        mains=np.array([[effect.mains for effect in row] for row in effects]),
        pairs=np.array(pairs, dtype=np.intp).reshape(-1, 2),
        left_groups=groups[0],
        right_groups=groups[1],
        values=np.concatenate(blocks) if blocks else np.empty(0),
    )
