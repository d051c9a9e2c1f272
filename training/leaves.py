"""The leaves of boosted trees, as products of indicators over bins.

Every path from a root to a leaf asks about at most two features, so a leaf adds its value where
one feature is in some bins and another in some others: ``v * 1[x_j in A] * 1[x_k in B]``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from model.errors import TrainingDataError
from model.grid import Grid
from model.hazard import FloatArray
from model.lookup import IndexArray

BoolArray = NDArray[np.bool_]
# A float is an edge without a classifier: the same log-odds for everyone.
Booster: TypeAlias = HistGradientBoostingClassifier | float


@dataclass(frozen=True, kw_only=True)
class Leaves:
    """The leaves of an ensemble, each a product of two indicators.

    Parameters
    ----------
    intercept
        The log-odds before any tree.
    values
        What each leaf adds; [leaves].
    features
        The lower and the higher feature of its path, -1 where there is none; [leaves, 2].
    masks
        The bins that lead to it, for either feature; [leaves, 2, W].
    """

    intercept: float
    values: FloatArray
    features: IndexArray
    masks: BoolArray


def leaves_of(model: Booster, grid: Grid, iterations: int | None = None) -> Leaves:
    """Every leaf of a classifier, with the bins that lead to it.

    Parameters
    ----------
    model
        A fitted classifier, or the log-odds of a constant one.
    grid
        The grid whose codes it was fitted on.
    iterations
        Use the first so many trees; all if None.

    Returns
    -------
    Leaves
        In no particular order.

    Raises
    ------
    TrainingDataError
        If a path asks about more than two features, or the classifier does not fit the grid.
    """
    width = grid.width
    if isinstance(model, (int, float)):
        return Leaves(
            intercept=float(model),
            values=np.empty(0),
            features=np.empty((0, 2), dtype=np.intp),
            masks=np.empty((0, 2, width), dtype=np.bool_),
        )
    if model.n_features_in_ != len(grid) or len(model.classes_) != 2:
        raise TrainingDataError(
            f"a classifier of {model.n_features_in_} features and {len(model.classes_)} classes",
            f"one of the grid's {len(grid)} features and 2 classes",
            "fit it on Grid.codes",
        )
    # scikit-learn has no public way to a fitted tree's nodes.
    intercept = float(model._baseline_prediction.item())  # noqa: SLF001
    trees = [trees[0] for trees in model._predictors[:iterations]]  # noqa: SLF001
    if not trees:
        return leaves_of(intercept, grid)
    nodes, firsts = _concatenate(trees)
    inner = np.flatnonzero(nodes["is_leaf"] == 0)
    order = _column_order(model, grid)
    asked = order[nodes["feature_idx"]]
    to_left = _left_bins(model, trees, nodes, inner, asked, grid)
    possible = np.arange(width) <= grid.bins[asked[inner], None]
    sides = (
        (nodes["left"].astype(np.intp) + firsts, to_left & possible),
        (nodes["right"].astype(np.intp) + firsts, ~to_left & possible),
    )
    features = np.full((len(nodes), 2), -1, dtype=np.intp)
    masks = np.ones((len(nodes), 2, width), dtype=np.bool_)
    depths = nodes["depth"][inner].astype(np.intp)
    for depth in range(int(depths.max(initial=-1)) + 1):
        at = np.flatnonzero(depths == depth)
        parents = inner[at]
        slots = _slots(features[parents], asked[parents], grid)
        for children, bins in sides:
            child = children[parents]
            features[child] = features[parents]
            features[child, slots] = asked[parents]
            masks[child] = masks[parents]
            masks[child, slots] &= bins[at]
    leaf = np.flatnonzero(nodes["is_leaf"])
    features, masks = _lower_first(features[leaf], masks[leaf])
    return Leaves(intercept=intercept, values=nodes["value"][leaf], features=features, masks=masks)


def _concatenate(trees: list[Any]) -> tuple[NDArray[np.void], IndexArray]:
    # The nodes of all trees, and for each node where its tree starts.
    counts = np.array([len(tree.nodes) for tree in trees])
    firsts = (counts.cumsum() - counts).repeat(counts)
    return np.concatenate([tree.nodes for tree in trees]), firsts


def _column_order(model: HistGradientBoostingClassifier, grid: Grid) -> IndexArray:
    # The classifier moves categorical columns to the front.
    if model.is_categorical_ is None:
        return np.arange(len(grid))
    categorical = np.asarray(model.is_categorical_)
    return np.concatenate([np.flatnonzero(categorical), np.flatnonzero(~categorical)])


def _left_bins(
    model: HistGradientBoostingClassifier,
    trees: list[Any],
    nodes: NDArray[np.void],
    inner: IndexArray,
    asked: IndexArray,
    grid: Grid,
) -> BoolArray:
    # For each inner node, which bins of the feature it asks about go left; [inner, W].
    split = nodes[inner]
    columns = np.arange(grid.width)
    missing_left = split["missing_go_to_left"].astype(np.bool_)
    to_left = columns <= split["num_threshold"][:, None]
    by_category = np.flatnonzero(split["is_categorical"])
    if len(by_category):
        counts = [len(tree.raw_left_cat_bitsets) for tree in trees]
        bitsets = np.concatenate([tree.raw_left_cat_bitsets for tree in trees])
        tree_of = np.repeat(np.arange(len(trees)), [len(tree.nodes) for tree in trees])[inner]
        offsets = np.cumsum(counts) - counts
        at = offsets[tree_of[by_category]] + split["bitset_idx"][by_category].astype(np.intp)
        encoded = _encoded_categories(model, grid)[asked[inner[by_category]]]
        bits = np.unpackbits(
            np.ascontiguousarray(bitsets[at], dtype="<u4").view(np.uint8), axis=1, bitorder="little"
        )
        known = encoded >= 0
        chosen = np.take_along_axis(bits, np.where(known, encoded, 0), axis=1).astype(np.bool_)
        # A category that this classifier never saw goes where its missing values go.
        to_left[by_category] = np.where(known, chosen, missing_left[by_category, None])
    missing = columns == grid.bins[asked[inner], None]
    return np.where(missing, missing_left[:, None], to_left)


def _encoded_categories(model: HistGradientBoostingClassifier, grid: Grid) -> IndexArray:
    # The number that the classifier's own encoder gives to each bin, -1 where it knows none.
    encoded = np.full((len(grid), grid.width), -1, dtype=np.intp)
    encoder = model._preprocessor.named_transformers_["encoder"]  # noqa: SLF001
    columns = np.flatnonzero(model.is_categorical_)
    for column, categories in zip(columns, encoder.categories_, strict=True):
        codes = categories[~np.isnan(categories)].astype(np.intp)
        encoded[column, codes] = np.arange(len(codes))
    return encoded


def _slots(features: IndexArray, asked: IndexArray, grid: Grid) -> IndexArray:
    free = (features == asked[:, None]) | (features == -1)
    if not free.any(axis=1).all():
        row = int(np.flatnonzero(~free.any(axis=1))[0])
        names = [grid.names[j] for j in (*features[row], asked[row])]
        raise TrainingDataError(
            f"a tree with a path over {', '.join(names)}",
            "at most two features in a path",
            'fit with interaction_cst="pairwise", or a list of pairs that do not join on a path',
        )
    return np.asarray(free.argmax(axis=1))


def _lower_first(features: IndexArray, masks: BoolArray) -> tuple[IndexArray, BoolArray]:
    swap = (features[:, 1] != -1) & (features[:, 0] > features[:, 1])
    features[swap] = features[swap, ::-1]
    masks[swap] = masks[swap, ::-1]
    return features, masks
