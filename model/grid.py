"""The common grid: which bin of each feature a value falls into.

Bins of a feature, in this order: its own bins, one for a missing value, and one for a category
that training never saw. A numeric feature with thresholds ``T_0 < T_1 < ...`` puts x into bin
``#{i : T_i < x}``, so that ``x <= T_0`` is bin 0, as in a tree whose left branch is ``x <= T``.
A categorical feature's bin is its code.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.errors import ArtifactError, ScoreError
from model.hazard import FloatArray

BinArray = NDArray[np.uint8]
MAX_THRESHOLDS: Final = 62
MAX_BINS: Final = 64  # a feature's own, beside missing and unseen
FEW_ROWS: Final = 8  # up to here a search for each value is quicker than one for each column
ROWS_AT_ONCE: Final = 16_384


@dataclass(frozen=True, kw_only=True, slots=True)
class GridFeature:
    """The bins of one feature.

    Parameters
    ----------
    name
        The feature, as the catalogue names it.
    thresholds
        Ascending and finite, at most `MAX_THRESHOLDS`; empty for a constant or categorical one.
    categories
        How many codes a categorical feature has, 1 to `MAX_BINS`; None for a numeric one.
    direction
        +1 if more may only raise the probability, -1 if it may only lower it, 0 if free.

    Raises
    ------
    ArtifactError
        If the values break these rules.

    Examples
    --------
    >>> GridFeature(name="silence_days", thresholds=(3.5, 9.5), direction=-1).bins
    3
    """

    name: str
    thresholds: tuple[float, ...] = ()
    categories: int | None = None
    direction: int = 0

    def __post_init__(self) -> None:
        cuts = np.asarray(self.thresholds, dtype=np.float64)
        wrong = ""
        if len(cuts) > MAX_THRESHOLDS:
            wrong = f"{len(cuts)} thresholds"
        elif not np.isfinite(cuts).all() or not (np.diff(cuts) > 0.0).all():
            wrong = "thresholds that do not rise or are not finite"
        elif self.direction not in (-1, 0, 1):
            wrong = f"direction {self.direction}"
        elif self.categories is not None and (
            len(cuts) or self.direction or not 1 <= self.categories <= MAX_BINS
        ):
            wrong = f"{self.categories} categories with thresholds or a direction"
            if not len(cuts) and not self.direction:
                wrong = f"{self.categories} categories"
        if wrong:
            raise ArtifactError(
                f"grid feature {self.name!r} with {wrong}",
                f"at most {MAX_THRESHOLDS} rising thresholds and a direction of -1, 0 or 1, "
                f"or 1 to {MAX_BINS} categories",
                "make the grid again from the training rows",
            )

    @property
    def bins(self) -> int:
        """How many bins of its own the feature has."""
        return len(self.thresholds) + 1 if self.categories is None else self.categories

    @property
    def missing_bin(self) -> int:
        """The bin of a missing value."""
        return self.bins

    @property
    def unseen_bin(self) -> int:
        """The bin of a category that training never saw."""
        return self.bins + 1


@dataclass(frozen=True)
class Grid:
    """The bins of every feature, in the order of the feature matrix.

    Parameters
    ----------
    features
        One `GridFeature` for each column.

    Raises
    ------
    ArtifactError
        If two features have one name.

    Examples
    --------
    >>> grid = Grid((GridFeature(name="silence_days", thresholds=(3.5, 9.5)),
    ...              GridFeature(name="stage", categories=2)))
    >>> grid.bin(np.array([[9.5, 1.0], [np.nan, -1.0]]))
    array([[1, 1],
           [3, 3]], dtype=uint8)
    """

    features: tuple[GridFeature, ...]

    def __post_init__(self) -> None:
        if len(set(self.names)) < len(self.features):
            raise ArtifactError(
                "a grid that names a feature twice", "distinct names", "rename one of them"
            )

    def __len__(self) -> int:
        return len(self.features)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The features' names, in order."""
        return tuple(feature.name for feature in self.features)

    @cached_property
    def bins(self) -> NDArray[np.intp]:
        """How many bins of its own each feature has; [F]. Its missing bin has this number."""
        return np.array([feature.bins for feature in self.features], dtype=np.intp)

    @cached_property
    def directions(self) -> NDArray[np.intp]:
        """The direction of each feature, -1, 0 or 1; [F]."""
        return np.array([feature.direction for feature in self.features], dtype=np.intp)

    @cached_property
    def categorical(self) -> NDArray[np.bool_]:
        """Which features are categorical; [F]."""
        return np.array([f.categories is not None for f in self.features], dtype=np.bool_)

    @property
    def width(self) -> int:
        """The most bins of a feature, with its missing and unseen bin."""
        return int(self.bins.max(initial=0)) + 2

    @cached_property
    def _cuts(self) -> FloatArray:
        # [thresholds, F]: a column shorter than the longest ends in infinity, which no value
        # exceeds. The codes of a category are cut between.
        cuts = np.full((int(self.bins.max(initial=1)) - 1, len(self)), np.inf)
        for column, feature in enumerate(self.features):
            own = feature.thresholds or np.arange(feature.bins - 1) + 0.5
            cuts[: len(own), column] = own
        return cuts

    @cached_property
    def _known(self) -> tuple[FloatArray, FloatArray]:
        # A code outside [low, high) is unseen; a number is always seen.
        low = np.where(self.categorical, 0.0, -np.inf)
        high = np.where(self.categorical, self.bins, np.inf)
        return low, high

    @cached_property
    def _row_cuts(self) -> list[tuple[list[float], float, float, int]]:
        # Of each feature: its cuts, where its known values start and end, its missing bin.
        low, high = self._known
        return [
            (self._cuts[: each.bins - 1, column].tolist(), start, end, each.missing_bin)
            for column, (each, start, end) in enumerate(
                zip(self.features, low.tolist(), high.tolist(), strict=True)
            )
        ]

    @cached_property
    def _bin_numbers(self) -> BinArray:
        return self.bins.astype(np.uint8)

    def bin(self, X: FloatArray) -> BinArray:
        """The bin of every value.

        Parameters
        ----------
        X
            Values, NaN where missing; codes of categories, -1 where unseen; [rows, F].

        Returns
        -------
        BinArray
            Bins; [rows, F].

        Raises
        ------
        ScoreError
            If the matrix has another width, or a value is infinite.
        """
        if X.ndim != 2 or X.shape[1] != len(self):
            raise ScoreError(
                f"a feature matrix of shape {X.shape}",
                f"rows of {len(self)} features",
                "compute the features with the artifact that scores them",
            )
        if np.isinf(X).any():
            column = int(np.isinf(X).any(axis=0).argmax())
            raise ScoreError(
                f"an infinite value of {self.names[column]!r}",
                "a finite number, or NaN where it is missing",
                "correct the events it comes from",
            )
        out = np.empty(X.shape, dtype=np.uint8)
        if len(X) <= FEW_ROWS:
            for row, values in enumerate(X.tolist()):
                out[row] = self._bin_row(values)
        else:
            self._bin_columns(X, out)
        return out

    def _bin_row(self, row: list[float]) -> list[int]:
        # No comparison holds for NaN, so what is not within is unseen or missing.
        return [
            bisect_left(cuts, value) if low <= value < high else missing + (value == value)  # noqa: PLR0124 - NaN differs from itself
            for value, (cuts, low, high, missing) in zip(row, self._row_cuts, strict=True)
        ]

    def _bin_columns(self, X: FloatArray, out: BinArray) -> None:
        low, high = self._known
        for start in range(0, len(X), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            columns = np.ascontiguousarray(X[rows].T)
            for column, feature in enumerate(self.features):
                values = columns[column]
                cuts = self._cuts[: feature.bins - 1, column]
                bins = np.searchsorted(cuts, values, side="left").astype(np.uint8)
                bins[(values < low[column]) | (values >= high[column])] = feature.unseen_bin
                bins[np.isnan(values)] = feature.missing_bin
                out[rows, column] = bins

    def codes(self, bins: BinArray) -> FloatArray:
        """The bins as numbers to learn from: NaN where missing or unseen.

        Parameters
        ----------
        bins
            What `bin` gave; [rows, F].

        Returns
        -------
        FloatArray
            Bins 0, 1, ... of each feature, NaN where missing or unseen; [rows, F].

        Examples
        --------
        >>> grid = Grid((GridFeature(name="silence_days", thresholds=(3.5,)),))
        >>> grid.codes(np.array([[1], [2]], dtype=np.uint8))
        array([[ 1.],
               [nan]])
        """
        return np.where(bins < self._bin_numbers, bins.astype(np.float64), np.nan)
