"""Tables laid out for speed: one flat array of cells, found by adding two small numbers.

Every cell holds one number for each column (each edge, or each edge of each bag), so that a gather
brings all of them at once. The cell of a pair effect is ``left[bin of one feature] + right[bin of
the other]``, where `left` carries the pair's place and row, and `right` its column.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.grid import BinArray
from model.hazard import FloatArray

IndexArray = NDArray[np.intp]
ROWS_AT_ONCE: Final = 512
CELLS_AT_ONCE: Final = 16_384  # the sums of so many rows stay in a core's own cache


@dataclass(frozen=True, eq=False, kw_only=True)
class Lookup:
    """Effects on C columns over the bins of F features.

    Parameters
    ----------
    intercepts
        The part that no feature moves; [C].
    cells
        Main effects, then halves of pair effects; [cells, C].
    mains
        First cell of each feature's main effect; [F].
    pairs
        The features of each pair; [P, 2].
    left, right
        What each bin of the one and the other feature adds to a pair's cell; [P, W].
    """

    intercepts: FloatArray
    cells: FloatArray
    mains: IndexArray
    pairs: IndexArray
    left: IndexArray
    right: IndexArray

    @cached_property
    def _halves(self) -> IndexArray:
        return np.ascontiguousarray(np.stack([self.left, self.right])).reshape(-1)

    @cached_property
    def _counts(self) -> FloatArray:
        # How often each cell of a row counts: a main effect once, a half twice.
        return np.array([1.0, 2.0]).repeat([len(self.mains), len(self.pairs)])

    @cached_property
    def _half_places(self) -> tuple[IndexArray, IndexArray]:
        # Of each (side, pair): where its bins start in `_halves`, and its feature.
        pairs, width = self.left.shape
        return np.arange(2 * pairs) * width, self.pairs.T.reshape(-1)

    @cached_property
    def _by_feature(self) -> tuple[IndexArray, IndexArray]:
        # The effects that each feature has a part in, its main effect first: as places in a row's
        # cells (mains, then pairs), and where each feature's stretch starts.
        features, pairs = len(self.mains), len(self.pairs)
        owner = np.concatenate([np.arange(features), self.pairs.reshape(-1)])
        effect = np.concatenate([np.arange(features), features + np.arange(pairs).repeat(2)])
        order = np.argsort(owner, kind="stable")
        return effect[order], np.searchsorted(owner[order], np.arange(features))

    @property
    def width(self) -> int:
        """How many columns each cell has."""
        return int(self.cells.shape[1])

    def row_cells(self, bins: BinArray) -> IndexArray:
        """The cells of one row, main effects first; bins [F], returns [F + P].

        Look-ups of the same pairs laid out alike have the same cells.
        """
        places, features = self._half_places
        halves = self._halves.take(places + bins.take(features))
        pairs = len(self.pairs)
        return np.concatenate([self.mains + bins, halves[:pairs] + halves[pairs:]])

    def row_eta(self, cells: IndexArray) -> FloatArray:
        """Log-odds of one row; its cells [F + P], returns [C]."""
        # A product with the counts is twice as quick as sums of mains and halves.
        eta: FloatArray = self.intercepts + self._counts @ self.cells.take(cells, axis=0)
        return eta

    def row_contributions(self, cells: IndexArray) -> FloatArray:
        """Contributions of one row; its cells [F + P], returns [F, C]."""
        effects, starts = self._by_feature
        return np.add.reduceat(self.cells.take(cells.take(effects), axis=0), starts, axis=0)

    def eta(self, bins: BinArray, out: FloatArray) -> None:
        """Log-odds of many rows; bins [rows, F], into out [rows, C]."""
        for rows, columns in self._chunks(bins):
            mains = np.zeros((columns.shape[1], self.width))
            halves = np.zeros_like(mains)
            for feature, place in enumerate(self.mains):
                mains += self.cells.take(place + columns[feature], axis=0)
            for pair in range(len(self.pairs)):
                halves += self.cells.take(self._pair_cells(pair, columns), axis=0)
            out[rows] = self.intercepts + (mains + 2.0 * halves)

    def contributions(self, bins: BinArray, out: FloatArray) -> None:
        """Contributions of many rows; bins [rows, F], into out [rows, F, C]."""
        for rows, columns in self._chunks(bins):
            sums = self.cells.take(self.mains[:, None] + columns, axis=0)
            for pair, (one, other) in enumerate(self.pairs):
                half = self.cells.take(self._pair_cells(pair, columns), axis=0)
                sums[one] += half
                sums[other] += half
            out[rows] = sums.transpose(1, 0, 2)

    def _chunks(self, bins: BinArray) -> Iterator[tuple[slice, IndexArray]]:
        # Few rows at a time, as bins of each feature.
        step = min(ROWS_AT_ONCE, max(1, CELLS_AT_ONCE // self.width))
        for start in range(0, len(bins), step):
            rows = slice(start, start + step)
            yield rows, np.ascontiguousarray(bins[rows].T, dtype=np.intp)

    def _pair_cells(self, pair: int, columns: IndexArray) -> IndexArray:
        one, other = self.pairs[pair]
        cells: IndexArray = self.left[pair].take(columns[one])
        cells += self.right[pair].take(columns[other])
        return cells
