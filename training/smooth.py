"""A smooth sum of one-feature effects, for records too short for trees alone.

Log-odds are ``c + sum_j f_j(bin of x_j)``. Over the n bins of a number, f_j is a walk whose steps
are penalised, so that neighbours borrow from each other and what tells nothing stays flat; the
effects of categories and of missing values are drawn toward zero. With z the steps, in units of a
walk whose variance from the first bin to the last is the same for each feature, this is minimised:

    sum_i w_i log(1 + exp(-+ eta_i)) + penalty / 2 |z|^2,    w summing to the number of deals,

a ridge that weighs against deals, not against snapshots. A direction declared is kept: the steps
have its sign (Eilers and Marx 1996; Rue and Held 2005, chapter 3).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

from model.grid import BinArray, Grid
from model.history import Floats
from training.boosting import log_odds_of_share
from training.leaves import Leaves

MOST_STEPS: Final = 60  # of the optimiser, at each penalty
CLOSE_ENOUGH: Final = 1e-7  # relative gain of a step that is the last


@dataclass(frozen=True, kw_only=True)
class SmoothSettings:
    """How smooth.

    Parameters
    ----------
    penalties
        Tried one after another, falling.
    """

    penalties: tuple[float, ...] = (100.0, 50.0, 25.0, 12.0, 6.0, 3.0, 1.5)

    def to_json(self) -> dict[str, Any]:
        """A form that JSON can hold."""
        return asdict(self) | {"penalties": list(self.penalties)}


@dataclass(frozen=True, kw_only=True, eq=False)
class SmoothModel:
    """A fitted sum.

    Parameters
    ----------
    intercept
        c, log-odds.
    effects
        Of each bin, the missing one after a feature's own; 0 beyond. Shape (F, W).
    """

    intercept: float
    effects: Floats

    def log_odds(self, bins: BinArray) -> Floats:
        """Of rows of bins (n, F). Shape (n,)."""
        return np.asarray(self.intercept + self.effects[np.arange(bins.shape[1]), bins].sum(axis=1))

    def leaves(self) -> Leaves:
        """The same as products of indicators: one for each bin that has an effect."""
        feature, bin_of = np.nonzero(self.effects)
        masks = np.ones((len(feature), 2, self.effects.shape[1]), dtype=np.bool_)
        masks[:, 0] = np.arange(self.effects.shape[1]) == bin_of[:, None]
        return Leaves(
            intercept=self.intercept,
            values=self.effects[feature, bin_of],
            features=np.stack([feature, np.full_like(feature, -1)], axis=1),
            masks=masks,
        )


class _Steps:
    """Between the steps z that are penalised and the effects they make."""

    def __init__(self, grid: Grid) -> None:
        columns = np.arange(grid.width)
        own, number = columns < grid.bins[:, None], ~grid.categorical[:, None]
        self.shape = own.shape
        self.walked = own & number
        self.step = self.walked & (columns > 0)
        self.alone = (own & ~number) | (columns == grid.bins[:, None])
        self.scale = 1.0 / np.sqrt(np.maximum(grid.bins - 1, 1))[:, None]
        self.count = np.maximum(self.walked.sum(axis=1, keepdims=True), 1)
        self.free = self.step | self.alone
        sign = np.where(self.step, grid.directions[:, None], 0)[self.free]
        self.low = np.where(sign > 0, 0.0, -np.inf)
        self.high = np.where(sign < 0, 0.0, np.inf)

    def effects(self, z: Floats) -> Floats:
        """Shape (F, W)."""
        all_steps = np.zeros(self.shape)
        all_steps[self.free] = z
        walk = np.where(self.step, all_steps, 0.0).cumsum(axis=1) * self.scale
        return np.asarray(self._centred(walk) + np.where(self.alone, all_steps, 0.0))

    def gradient(self, of_effects: Floats) -> Floats:
        """With respect to z, of what has this gradient with respect to the effects (F, W)."""
        walk = self._centred(of_effects)[:, ::-1].cumsum(axis=1)[:, ::-1] * self.scale
        return np.asarray(np.where(self.step, walk, of_effects)[self.free])

    def _centred(self, values: Floats) -> Floats:
        held = np.where(self.walked, values, 0.0)
        mean = held.sum(axis=1, keepdims=True) / self.count
        return np.asarray(np.where(self.walked, held - mean, 0.0))


def fit_smooth(
    grid: Grid,
    bins: BinArray,
    won: NDArray[np.bool_],
    weight: Floats,
    deals: int,
    settings: SmoothSettings,
) -> Iterator[SmoothModel]:
    """The share won alone, then a fit for each penalty, the strongest first.

    Parameters
    ----------
    bins
        Of the rows. Shape (n, F).
    won, weight
        Shape (n,).
    deals
        How many deals the rows are of.

    Examples
    --------
    >>> from model.grid import GridFeature
    >>> grid = Grid((GridFeature(name="contacts", thresholds=(2.5,), direction=1),))
    >>> bins, won = np.array([[0], [0], [1], [1]], dtype=np.uint8), np.array([False, True] * 2)
    >>> models = fit_smooth(grid, bins, ~won, np.ones(4), 4, SmoothSettings(penalties=(1.0,)))
    >>> [model.effects.round(3).tolist() for model in models]
    [[[0.0, 0.0, 0.0, 0.0]], [[0.0, 0.0, 0.0, 0.0]]]
    """
    steps = _Steps(grid)
    start = log_odds_of_share(won, weight)
    model = SmoothModel(intercept=start, effects=np.zeros(steps.shape))
    yield model
    if not won.any() or won.all():
        for _ in settings.penalties:
            yield model
        return
    rows, width = len(bins), steps.shape[1]
    column = bins.astype(np.int32) + np.arange(len(grid), dtype=np.int32) * width
    there = csr_matrix(
        (
            np.ones(column.size),
            column.reshape(-1),
            np.arange(0, column.size + 1, len(grid)),
        ),
        shape=(rows, len(grid) * width),
    )
    across = there.T.tocsr()
    share = weight * (deals / weight.sum())
    sign = np.where(won, -1.0, 1.0)

    def loss(x: Floats, penalty: float) -> tuple[float, Floats]:
        eta = x[-1] + there @ steps.effects(x[:-1]).reshape(-1)
        away = share * sign / (1.0 + np.exp(-np.clip(sign * eta, -500.0, 500.0)))
        of_effects = (across @ away).reshape(steps.shape)
        slope = np.append(steps.gradient(of_effects) + penalty * x[:-1], away.sum())
        value = share @ np.logaddexp(0.0, sign * eta) + penalty / 2.0 * (x[:-1] @ x[:-1])
        return float(value), slope

    x = np.append(np.zeros(len(steps.low)), start)
    bounds = np.stack([np.append(steps.low, -np.inf), np.append(steps.high, np.inf)], axis=1)
    for penalty in settings.penalties:
        x = minimize(
            loss,
            x,
            args=(penalty,),
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxiter": MOST_STEPS, "ftol": CLOSE_ENOUGH},
        ).x
        yield SmoothModel(intercept=float(x[-1]), effects=steps.effects(x[:-1]))
