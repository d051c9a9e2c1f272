"""How fast to forget, where the law of the deals has changed: chosen by later data, or not at all.

A row known ``a`` days before the cut-off counts ``2 ** -(a / half-life)`` times its weight, in
learning, choosing and calibration alike. Old and new rows learned together tell of neither time;
rows thrown away tell of nothing. How long the half-life is, out-of-time loss says: for each
candidate trees learn from some deals up to a moment, and forecast other deals open after it. It is
asked only where the checks of the data say that the share won has moved; else nothing is forgotten.

References
----------
Koychev, I. (2000), "Gradual forgetting for adaptation to concept drift", ECAI workshop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.events import DAY_US
from model.feature_rows import usual_days
from model.history import Floats, Ints
from training.boosting import (
    STAGE,
    Settings,
    fit_booster,
    log_odds_of_share,
    staged_log_odds,
)
from training.bootstrap import DealBootstrap
from training.metrics import log_loss
from training.preparing import Learning, decay
from training.twins import division_share

HALF_LIVES_DAYS: Final = (720.0, 360.0, 180.0, 90.0, 45.0)
JUDGED_DAYS: Final = 56.0  # of moments, as in a retraining
TREES: Final = 60  # few: the question is whom to listen to, not what else there is to learn
FOLDS: Final = 3  # by deal, those that repeat each other in one
FEWEST_ROWS: Final = 60  # on either side, below which nothing is asked
FEWEST_WON: Final = 10  # deals, likewise
SMALLEST_GAIN: Final = 0.002  # nats a row, for which more is forgotten


@dataclass(frozen=True, kw_only=True)
class Forgetting:
    """What was chosen.

    Parameters
    ----------
    half_life_days
        None: nothing is forgotten.
    losses
        Out-of-time log-loss by half-life, infinite without forgetting; empty where too little is
        known to ask.
    """

    half_life_days: float | None
    losses: dict[float, float]

    @property
    def words(self) -> str:
        """The choice with its reason."""
        if not self.losses:
            return "the share won moved, but too little is known since to choose what to forget"
        without = self.losses[np.inf]
        if self.half_life_days is None:
            return "the share won moved, but no forgetting is shown to forecast later deals better"
        return (
            f"the share won moved: rows count half after {self.half_life_days:g} days (log-loss "
            f"{self.losses[self.half_life_days]:.4f} on later deals, {without:.4f} without)"
        )


def choose_half_life(learning: Learning, seed: int) -> Forgetting:
    """The half-life that forecast later deals best, in doubt the longer one, or none.

    Something is forgotten only where that is better than forgetting nothing beyond chance: the 95 %
    interval of the difference, drawn by deal, lies below zero.

    Parameters
    ----------
    learning
        Of what was known before the judged challenger's origin, nothing forgotten: what comes after
        the origin has no part in the choice.
    """
    data, days = learning.data, usual_days(learning.edges)
    rows = np.flatnonzero(data.as_of + int(days * DAY_US) <= data.countable_until)
    if len(rows) == 0:
        return Forgetting(half_life_days=None, losses={})
    split = int(data.as_of[rows].max()) - int(JUDGED_DAYS * DAY_US)
    won = data.days_to_win() <= days
    fold = (division_share(learning.history) * FOLDS).astype(np.int64)[data.deal]
    ended = rows[data.as_of[rows] + int(days * DAY_US) <= split]
    later = rows[data.as_of[rows] >= split]
    few = min(len(ended), len(later)) < FEWEST_ROWS
    winners = [len(np.unique(data.deal[part][won[part]])) for part in (ended, later)]
    if few or min(winners) < FEWEST_WON:
        return Forgetting(half_life_days=None, losses={})
    deal, came = data.deal[later], won[later]
    losses: dict[float, float] = {}
    answers: dict[float, Floats] = {}
    for half_life in (np.inf, *HALF_LIVES_DAYS):
        told = np.zeros((TREES // STAGE + 1, len(later)))
        for number in range(FOLDS):
            fit = ended[fold[ended] != number]
            asked = fold[later] == number
            told[:, asked] = _told(learning, fit, won, later[asked], split, half_life, seed)
        # The size of an ensemble is chosen for each half-life alone, over all folds.
        by_size = [1.0 / (1.0 + np.exp(-eta)) for eta in told]
        answers[half_life] = min(by_size, key=lambda p: log_loss(came, p, data.weight[later]))
        losses[half_life] = log_loss(came, answers[half_life], data.weight[later])
    best = min(losses.values()) + SMALLEST_GAIN
    chosen = next(each for each, loss in losses.items() if loss <= best)
    draws = DealBootstrap(seed)
    gain = draws.log_loss_difference(deal, came, answers[chosen], answers[np.inf])
    beyond_chance = np.isfinite(chosen) and gain.high < 0.0
    return Forgetting(half_life_days=chosen if beyond_chance else None, losses=losses)


def _told(
    learning: Learning,
    fit: Ints,
    won: NDArray[np.bool_],
    asked: Ints,
    split: int,
    half_life: float,
    seed: int,
) -> Floats:
    """Log-odds of the rows asked about, by those to fit, at every stage. Shape (stages, n)."""
    data = learning.data
    weight = data.weight[fit] * decay((split - data.as_of[fit]) / DAY_US, half_life)
    weight *= len(fit) / weight.sum()
    settings = Settings(rows_a_leaf=int(np.clip(len(fit) / 150, 10, 200)))
    model = fit_booster(learning.grid, learning.bins[fit], won[fit], weight, settings, TREES, seed)
    start = log_odds_of_share(won[fit], weight)
    return staged_log_odds(model, learning.grid.codes(learning.bins[asked]), TREES, start)
