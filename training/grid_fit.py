"""The common grid, made from the training rows: cuts where the weight of the rows lies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.errors import TrainingDataError
from model.grid import MAX_BINS, MAX_THRESHOLDS, BinArray, Grid, GridFeature
from model.hazard import FloatArray

CAPPINGS: Final = 8  # rounds until no value weighs more than a bin should


def make_grid(
    X: FloatArray,
    *,
    names: Sequence[str],
    categories: Sequence[int | None],
    directions: Sequence[int],
    row_weights: FloatArray | None = None,
    max_bins: int = MAX_THRESHOLDS + 1,
) -> Grid:
    """Bins of about equal weight, cut at midpoints between values that occur.

    A feature of few values keeps them all apart. A value that outweighs a bin gets one of its own,
    and the others share the rest.

    Parameters
    ----------
    X
        Training values, NaN where missing, codes of categories; [rows, F].
    names, categories, directions
        Of each feature: its name, its number of codes (None if numeric), -1, 0 or 1; [F].
    row_weights
        Weight of each row, not negative; [rows]. Equal if None.
    max_bins
        At most so many bins of a numeric feature, 1 to 63.

    Returns
    -------
    Grid
        One entry for each column. A feature that is constant or all missing has a single bin.

    Raises
    ------
    TrainingDataError
        If a value is infinite, or a category has too many codes.

    Examples
    --------
    >>> grid = make_grid(np.array([[1.0], [1.0], [4.0], [np.nan]]), names=["contacts"],
    ...                  categories=[None], directions=[1])
    >>> grid.features[0].thresholds
    (2.5,)
    """
    if not 1 <= max_bins <= MAX_THRESHOLDS + 1:
        raise TrainingDataError(
            f"max_bins {max_bins}", f"1 to {MAX_THRESHOLDS + 1}", "set it in these bounds"
        )
    weights = np.ones(len(X)) if row_weights is None else row_weights
    features = []
    for column, (name, codes, direction) in enumerate(
        zip(names, categories, directions, strict=True)
    ):
        values = X[:, column]
        if np.isinf(values).any():
            raise TrainingDataError(
                f"feature {name!r} with an infinite value",
                "finite numbers, or NaN where missing",
                "correct the events it comes from, or drop the feature",
            )
        if codes is not None:
            features.append(_category(name, codes))
            continue
        known = ~np.isnan(values) & (weights > 0.0)
        cuts = _cuts(values[known], weights[known], max_bins)
        features.append(
            GridFeature(name=name, thresholds=tuple(cuts.tolist()), direction=direction)
        )
    return Grid(tuple(features))


def _category(name: str, codes: int) -> GridFeature:
    if codes > MAX_BINS:
        raise TrainingDataError(
            f"feature {name!r} of {codes} categories",
            f"at most {MAX_BINS}",
            "put the rare ones together",
        )
    return GridFeature(name=name, categories=max(codes, 1))


def _cuts(values: FloatArray, weights: FloatArray, max_bins: int) -> FloatArray:
    distinct, place = np.unique(values, return_inverse=True)
    if len(distinct) < 2:
        return np.empty(0)
    if len(distinct) <= max_bins:
        return _midpoints(distinct[:-1], distinct[1:])
    mass = np.bincount(place, weights=weights)
    for _ in range(CAPPINGS):
        mass = np.minimum(mass, mass.sum() / max_bins)
    upto = mass.cumsum()
    targets = upto[-1] * np.arange(1, max_bins) / max_bins
    after = np.searchsorted(upto, targets)
    before = np.maximum(after - 1, 0)
    nearer = np.where(targets - upto[before] < upto[after] - targets, before, after)
    last = np.unique(nearer[nearer < len(distinct) - 1])
    return _midpoints(distinct[last], distinct[last + 1])


def _midpoints(low: FloatArray, high: FloatArray) -> FloatArray:
    # Halves first: a sum of two huge values would overflow. Between two neighbouring floats
    # there is no midpoint, and the cut must still leave the higher one above it.
    middle = low / 2.0 + high / 2.0
    return np.where((middle >= low) & (middle < high), middle, low)


def bin_weights(grid: Grid, bins: BinArray, row_weights: FloatArray | None = None) -> FloatArray:
    """How much of the rows' weight falls into each bin: the marginals that purify the tables.

    Parameters
    ----------
    grid
        The grid of the bins.
    bins
        What `Grid.bin` gave for the training rows; [rows, F].
    row_weights
        Weight of each row; [rows]. Equal if None.

    Returns
    -------
    FloatArray
        Weight of each bin, the missing and the unseen one included, 0 beyond a feature's bins;
        [F, grid.width].

    Examples
    --------
    >>> grid = Grid((GridFeature(name="contacts", thresholds=(2.5,)),))
    >>> bin_weights(grid, np.array([[0], [0], [1], [2]], dtype=np.uint8))
    array([[2., 1., 1., 0.]])
    """
    width = grid.width
    totals = np.empty((len(grid), width))
    for column in range(len(grid)):
        totals[column] = np.bincount(bins[:, column], weights=row_weights, minlength=width)
    return totals


def learning_options(grid: Grid) -> dict[str, NDArray[np.intp] | NDArray[np.bool_] | None]:
    """What a boosted classifier must be told about the grid's features.

    Returns
    -------
    dict
        ``monotonic_cst`` [F] and ``categorical_features`` (a mask [F], or None without any), to
        be passed to ``HistGradientBoostingClassifier`` with `learning_codes` as its input.

    Examples
    --------
    >>> learning_options(Grid((GridFeature(name="contacts", thresholds=(2.5,), direction=1),)))
    {'monotonic_cst': array([1]), 'categorical_features': None}
    """
    return {
        "monotonic_cst": grid.directions,
        "categorical_features": grid.categorical if grid.categorical.any() else None,
    }


def learning_codes(grid: Grid, bins: BinArray) -> FloatArray:
    """`Grid.codes` of the rows of one fit, with every column that has no known value set to 0.

    scikit-learn fails on a column that is missing throughout, as a rare feature is in some bag; a
    constant one it leaves alone, and so do the tables.

    Parameters
    ----------
    grid
        The grid.
    bins
        Bins of the rows to fit on; [rows, F].

    Returns
    -------
    FloatArray
        Input for ``HistGradientBoostingClassifier.fit``; [rows, F].

    Examples
    --------
    >>> grid = Grid((GridFeature(name="contacts", thresholds=(2.5,)), GridFeature(name="amount")))
    >>> learning_codes(grid, np.array([[1, 1], [2, 1]], dtype=np.uint8))
    array([[ 1.,  0.],
           [nan,  0.]])
    """
    codes = grid.codes(bins)
    codes[:, np.isnan(codes).all(axis=0)] = 0.0
    return codes
