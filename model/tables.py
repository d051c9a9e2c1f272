"""The model as numbers: an intercept, one- and two-feature tables over the bins, for each edge.

    eta_b(x) = c_b + sum_j f_bj(x_j) + sum_{j<k} f_bjk(x_j, x_k)

Each bag of each edge has tables of its own; the model's are their mean. The tables are purified:
each has zero mean over either of its features under the product of the marginals, so that the
contribution of a feature

    c_bj = f_bj + 1/2 sum_k f_bjk

is its interventional Shapley value with independent features, and c_b is the log-odds of the
average evidence. An unseen category contributes exactly zero.

References
----------
Friedman, J. H. (2001), "Greedy function approximation: a gradient boosting machine",
Annals of Statistics 29(5).
Lengerich, B. et al. (2020), "Purifying interaction effects with the functional ANOVA", AISTATS.
Sundararajan, M. and Najmi, A. (2020), "The many Shapley values for model explanation", ICML.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from model.errors import ArtifactError
from model.grid import BinArray, Grid
from model.hazard import FloatArray
from model.layout import lay_out
from model.lookup import IndexArray, Lookup


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """A slope and an intercept for each edge: ``eta_b -> a_b + s_b eta_b``.

    Parameters
    ----------
    intercepts, slopes
        a_b, log-odds, and s_b, above 0; [B].

    Raises
    ------
    ArtifactError
        If they differ in length, are not finite, or a slope is not above 0.

    Examples
    --------
    >>> Calibration.none(2).slopes
    array([1., 1.])
    """

    intercepts: FloatArray
    slopes: FloatArray

    def __post_init__(self) -> None:
        ok = (
            self.intercepts.ndim == 1
            and self.intercepts.shape == self.slopes.shape
            and np.isfinite(self.intercepts).all()
            and np.isfinite(self.slopes).all()
            and (self.slopes > 0.0).all()
        )
        if not ok:
            raise ArtifactError(
                f"calibration {self.intercepts.tolist()} and {self.slopes.tolist()}",
                "a finite intercept and a slope above 0 for each edge",
                "fit the calibration again",
            )

    @classmethod
    def none(cls, edges: int) -> Calibration:
        """The calibration that changes nothing, for so many edges."""
        return cls(intercepts=np.zeros(edges), slopes=np.ones(edges))


@dataclass(frozen=True, kw_only=True, eq=False)
class Tables:
    """Effects of every bag and edge over a grid's bins.

    A pair's table is kept on the coarse bins that its own bag and edge tell apart: `left_groups`
    and `right_groups` give the coarse bin of every bin, and `values` holds the blocks one after
    another, row by row, in the order (bag, edge, pair). A pair that a bag and edge never use is
    a block of one zero.

    Parameters
    ----------
    bins
        Bins of each feature, without its missing and unseen bin; [F].
    intercepts
        c_b of every bag; [bags, B].
    mains
        Main effects, 0 at the unseen bin and beyond; [bags, B, F, W].
    pairs
        The two features of each pair, the lower first; [P, 2].
    left_groups, right_groups
        Coarse bin of each bin, from 0 in steps of at most 1; [bags, B, P, W].
    values
        The blocks; flat.

    Raises
    ------
    ArtifactError
        If the arrays do not fit together.
    """

    bins: IndexArray
    intercepts: FloatArray
    mains: FloatArray
    pairs: IndexArray
    left_groups: NDArray[np.uint8]
    right_groups: NDArray[np.uint8]
    values: FloatArray

    def __post_init__(self) -> None:
        wrong = self._misfit()
        if wrong:
            raise ArtifactError(
                f"tables with {wrong}", "arrays that fit together", "compile the model again"
            )

    def _misfit(self) -> str:
        bags, edges = self.intercepts.shape if self.intercepts.ndim == 2 else (0, 0)
        features, width = len(self.bins), int(self.bins.max(initial=0)) + 2
        pairs = self.pairs
        groups = (bags, edges, len(pairs), width)
        if not bags * edges or not features or (self.bins < 1).any():
            return "no bag, no edge, no feature or a feature without bins"
        if self.mains.shape != (bags, edges, features, width):
            return f"main effects of shape {self.mains.shape}"
        if pairs.ndim != 2 or pairs.shape[1] != 2 or not _rising_pairs(pairs, features):
            return "pairs that are not of two features, each once and in order"
        if self.left_groups.shape != groups or self.right_groups.shape != groups:
            return f"groups of shapes {self.left_groups.shape} and {self.right_groups.shape}"
        if not (_are_groups(self.left_groups) and _are_groups(self.right_groups)):
            return "groups that do not rise from 0 by single steps"
        if self.values.shape != (int(self.block_sizes.sum()),):
            return f"{self.values.size} pair values where {int(self.block_sizes.sum())} belong"
        if not all(np.isfinite(a).all() for a in (self.intercepts, self.mains, self.values)):
            return "values that are not finite"
        return ""

    @cached_property
    def block_sizes(self) -> IndexArray:
        """How many values each block holds; [bags, B, P]."""
        rows = self.left_groups[..., -1].astype(np.intp) + 1
        return np.asarray(rows * (self.right_groups[..., -1].astype(np.intp) + 1))

    @property
    def bags(self) -> int:
        """How many bags the tables hold."""
        return len(self.intercepts)

    @property
    def edges(self) -> int:
        """How many edges the tables hold."""
        return int(self.intercepts.shape[1])

    @cached_property
    def intercept(self) -> FloatArray:
        """Log-odds of the average evidence, the mean over the bags; [B]."""
        return np.asarray(self.intercepts.mean(axis=0))

    def fits(self, grid: Grid) -> bool:
        """Whether these tables are over the bins of that grid."""
        return bool(np.array_equal(self.bins, grid.bins))

    def calibrated(self, calibration: Calibration) -> Tables:
        """The tables of ``a_b + s_b eta_b``: still additive, still monotone.

        Parameters
        ----------
        calibration
            One intercept and slope for each edge.

        Returns
        -------
        Tables
            Every effect of edge b times s_b, its intercept a_b + s_b c_b.

        Raises
        ------
        ArtifactError
            If it is for another number of edges.
        """
        slopes = calibration.slopes
        if len(slopes) != self.edges:
            raise ArtifactError(
                f"a calibration of {len(slopes)} edges",
                f"one of {self.edges}",
                "fit the calibration for these tables",
            )
        per_edge = self.block_sizes.sum(axis=-1)
        return replace(
            self,
            intercepts=calibration.intercepts + slopes * self.intercepts,
            mains=slopes[:, None, None] * self.mains,
            values=self.values * np.tile(slopes, self.bags).repeat(per_edge.reshape(-1)),
        )

    def eta(self, bins: BinArray) -> FloatArray:
        """Log-odds of each edge's hazard, the mean over the bags.

        Parameters
        ----------
        bins
            `Grid.bin` of the features; [rows, F].

        Returns
        -------
        FloatArray
            [rows, B].
        """
        out = np.empty((len(bins), self.edges))
        if len(bins) == 1:
            out[0] = self._mean.row_eta(self._mean.row_cells(bins[0]))
        else:
            self._mean.eta(bins, out)
        return out

    def eta_bags(self, bins: BinArray) -> FloatArray:
        """Log-odds of each edge's hazard under each bag.

        Parameters
        ----------
        bins
            `Grid.bin` of the features; [rows, F].

        Returns
        -------
        FloatArray
            [rows, bags, B].
        """
        out = np.empty((len(bins), self.bags * self.edges))
        if len(bins) == 1:
            out[0] = self._each.row_eta(self._each.row_cells(bins[0]))
        else:
            self._each.eta(bins, out)
        return out.reshape(len(bins), self.bags, self.edges)

    def contributions(self, bins: BinArray) -> FloatArray:
        """What each feature adds to each edge's log-odds: ``f_bj + 1/2 sum_k f_bjk``.

        Parameters
        ----------
        bins
            `Grid.bin` of the features; [rows, F].

        Returns
        -------
        FloatArray
            The mean over the bags; [rows, F, B]. With `intercept` they sum to `eta`.
        """
        out = np.empty((len(bins), len(self.bins), self.edges))
        if len(bins) == 1:
            out[0] = self._mean.row_contributions(self._mean.row_cells(bins[0]))
        else:
            self._mean.contributions(bins, out)
        return out

    def contributions_and_bags(self, bins: BinArray) -> tuple[FloatArray, FloatArray]:
        """What `contributions` and `eta_bags` answer; of one row, with each cell found once."""
        if len(bins) != 1:
            return self.contributions(bins), self.eta_bags(bins)
        cells = self._mean.row_cells(bins[0])  # those of `_each` too, which is laid out alike
        eta = self._each.row_eta(cells).reshape(1, self.bags, self.edges)
        return self._mean.row_contributions(cells)[None], eta

    @cached_property
    def _mean(self) -> Lookup:
        return lay_out(self, [np.arange(self.bags)])

    @cached_property
    def _each(self) -> Lookup:
        return lay_out(self, [np.array([bag]) for bag in range(self.bags)])


def _are_groups(groups: NDArray[np.uint8]) -> bool:
    steps = np.diff(groups.astype(np.int16), axis=-1)
    return bool((groups[..., 0] == 0).all() and ((steps == 0) | (steps == 1)).all())


def _rising_pairs(pairs: IndexArray, features: int) -> bool:
    within = (pairs >= 0).all() and (pairs < features).all() and (pairs[:, 0] < pairs[:, 1]).all()
    keys = pairs[:, 0] * features + pairs[:, 1]
    return bool(within and (np.diff(keys) > 0).all())
